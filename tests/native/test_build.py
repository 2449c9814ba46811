"""The library is compiled where it can be, and nothing is lost where it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten

from deepseek_tui.checkpoints.build import build_model
from deepseek_tui.models.base import on_cpu
from deepseek_tui.native import build
from deepseek_tui.native.library import open_library
from deepseek_tui.native.model import NativeModel, with_floats
from tests.models.support import deepseek_config, difference, in_pieces, llama_config
from tests.native.support import needs_library, packed_model, tokens_for


@pytest.fixture(autouse=True)
def _ask_anew() -> Any:
    build.library.cache_clear()
    yield
    build.library.cache_clear()


@needs_library
def test_a_processor_without_any_extension_gives_the_same_numbers(tmp_path: Path) -> None:
    path = build.compiled(("-O1",), tmp_path)
    assert path is not None
    for config in (llama_config(), deepseek_config()):
        model = packed_model(config, dtype=mx.float16)
        tokens = tokens_for(model, 40)
        found = in_pieces(NativeModel(model, open_library(path), 2), tokens, [20, 1, 3])
        assert difference(found, with_floats(model)(tokens)) < 2e-4


@needs_library
def test_the_library_is_compiled_once_for_the_same_sources(tmp_path: Path) -> None:
    first = build.compiled(("-O0",), tmp_path)
    assert first is not None
    made = first.stat().st_mtime_ns
    assert build.compiled(("-O0",), tmp_path) == first
    assert first.stat().st_mtime_ns == made
    assert list(tmp_path.iterdir()) == [first]


def test_without_a_compiler_there_is_no_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.compiled(folder=tmp_path / "made") is None


def test_a_compiler_that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.compiled(folder=tmp_path / "made") is None
    assert list((tmp_path / "made").iterdir()) == []


@pytest.mark.parametrize("library", ["0", "no-such-file.so"])
def test_without_the_library_the_answer_is_the_same(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not on_cpu():
        pytest.skip("the library is for CPUs")
    config = llama_config(quantization={"group_size": 32, "bits": 4})
    packed = packed_model(config)
    tokens = tokens_for(packed, 10)
    expected = with_floats(packed)(tokens)
    weights = dict(tree_flatten(packed.parameters()))
    monkeypatch.setenv(build.SWITCH, library)
    model = build_model(config, weights).model
    assert not isinstance(model, NativeModel)
    assert difference(model(tokens), expected) < 1e-5


def test_a_file_that_is_no_library_of_ours_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "other.so"
    other.write_bytes(b"\x7fELF nothing")
    monkeypatch.setenv(build.SWITCH, str(other))
    assert build.library() is None

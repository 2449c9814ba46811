"""Pulling models: what arrives, what never looks like a model, and what a person is told when it fails."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deepseek_tui.checkpoints import hub as hub_module
from deepseek_tui.checkpoints import hub_transfer
from deepseek_tui.checkpoints.catalog import CATALOG, find, installed, remove
from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.hub import PullCancelled, PullProgress, pull
from tests.hub_server import COMMIT, Fault, Hub, serve

REPO = "someone/Tiny-4bit"
WEIGHTS = bytes(range(256)) * 40
FILES = {
    "config.json": b'{"model_type": "llama"}',
    "tokenizer.json": b"{}" * 700,
    "model.safetensors": WEIGHTS,
    "LICENSE": b"free",
    "README.md": b"# Tiny",
    ".gitattributes": b"x",
    "pytorch_model.bin": b"y" * 5000,
    "onnx/model.onnx": b"z" * 5000,
}
WANTED = {"config.json", "tokenizer.json", "model.safetensors", "LICENSE", "README.md"}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    monkeypatch.setattr(hub_transfer, "FIRST_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(hub_module, "MARGIN_BYTES", 0)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with serve() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        server.repos[REPO] = dict(FILES)
        yield server


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_model_arrives_whole_with_its_source(hub: Hub, tmp_path: Path) -> None:
    seen: list[PullProgress] = []
    folder = pull(REPO, tmp_path, on_progress=seen.append)
    assert folder == tmp_path / "Tiny-4bit"
    assert names(folder) == WANTED | {".source.json"}
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert not any(path.is_symlink() for path in folder.iterdir())
    source = json.loads((folder / ".source.json").read_text())
    assert (source["id"], source["revision"]) == (REPO, COMMIT)
    assert set(source["files"]) == WANTED
    total = sum(len(FILES[name]) for name in WANTED)
    assert seen[-1] == PullProgress(total, total, "")
    assert [model.name for model in installed(tmp_path)] == ["Tiny-4bit"]
    assert installed(tmp_path)[0].model_type == "llama"
    assert names(tmp_path) == {"Tiny-4bit"}


def test_pulling_again_fetches_nothing(hub: Hub, tmp_path: Path) -> None:
    folder = pull(REPO, tmp_path)
    hub.requests.clear()
    assert pull(REPO, tmp_path) == folder
    assert hub.ranges("model.safetensors") == []


def test_a_dropped_connection_goes_on_where_it_broke(hub: Hub, tmp_path: Path) -> None:
    hub.faults = [Fault("model.safetensors", times=2, drop_after=3000)]
    seen: list[PullProgress] = []
    folder = pull(REPO, tmp_path, on_progress=seen.append)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert hub.ranges("model.safetensors") == [None, "bytes=3000-", "bytes=6000-"]
    assert [each.done for each in seen] == sorted(each.done for each in seen)
    assert seen[-1].done == seen[-1].total


def test_a_server_that_knows_no_ranges_starts_over(hub: Hub, tmp_path: Path) -> None:
    hub.faults = [
        Fault("model.safetensors", drop_after=3000),
        Fault("model.safetensors", ignore_range=True),
    ]
    seen: list[PullProgress] = []
    folder = pull(REPO, tmp_path, on_progress=seen.append)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert seen[-1].done == seen[-1].total


def test_a_broken_download_is_no_model_and_goes_on_later(hub: Hub, tmp_path: Path) -> None:
    hub.faults = [
        Fault("model.safetensors", drop_after=3000),
        Fault("model.safetensors", times=99, drop_after=0),
    ]
    with pytest.raises(CheckpointError, match="what has arrived is kept"):
        pull(REPO, tmp_path)
    assert len(hub.ranges("model.safetensors")) <= 2 + hub_transfer.ATTEMPTS
    assert installed(tmp_path) == []
    hub.faults, hub.requests = [], []
    folder = pull(REPO, tmp_path)
    assert hub.ranges("model.safetensors") == ["bytes=3000-"]
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert names(folder) == WANTED | {".source.json"}


def test_stopping_keeps_what_has_come(hub: Hub, tmp_path: Path) -> None:
    hub.faults = [Fault("model.safetensors", drop_after=3000)]
    seen: list[PullProgress] = []

    def stop() -> bool:
        return (
            len(hub.ranges("model.safetensors")) == 1
            and sum(each.file == "model.safetensors" for each in seen) > 1
        )

    with pytest.raises(PullCancelled, match="go on from here"):
        pull(REPO, tmp_path, on_progress=seen.append, cancel=stop)
    assert installed(tmp_path) == []
    hub.requests.clear()
    assert (pull(REPO, tmp_path) / "model.safetensors").read_bytes() == WEIGHTS
    assert hub.ranges("model.safetensors") == ["bytes=3000-"]


def test_a_truncated_file_is_completed_or_refused(hub: Hub, tmp_path: Path) -> None:
    hub.faults = [Fault("model.safetensors", short=500)]
    assert (pull(REPO, tmp_path) / "model.safetensors").read_bytes() == WEIGHTS
    remove("Tiny-4bit", tmp_path)
    hub.faults = [Fault("model.safetensors", times=99, short=0)]
    with pytest.raises(CheckpointError, match=r"keeps ending model\.safetensors"):
        pull(REPO, tmp_path)
    assert installed(tmp_path) == []


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_other_content_than_announced_is_thrown_away(hub: Hub, tmp_path: Path, name: str) -> None:
    hub.faults = [Fault(name, corrupt=True)]
    with pytest.raises(CheckpointError, match=f"{name} .* another content"):
        pull(REPO, tmp_path)
    assert installed(tmp_path) == []
    assert (pull(REPO, tmp_path) / name).read_bytes() == FILES[name]


def test_a_busy_hub_is_asked_again_within_bounds(hub: Hub, tmp_path: Path) -> None:
    hub.faults = [Fault("/revision/main", times=2, status=503), Fault("config.json", times=2, status=429)]
    hub.faults[0].ending = REPO
    assert pull(REPO, tmp_path).is_dir()
    remove("Tiny-4bit", tmp_path)
    hub.faults = [Fault("config.json", times=99, status=429)]
    hub.requests.clear()
    with pytest.raises(CheckpointError, match="too many requests"):
        pull(REPO, tmp_path)
    assert len(hub.ranges("config.json")) == hub_transfer.ATTEMPTS


def test_a_hub_that_says_when_is_taken_at_its_word(hub: Hub, tmp_path: Path) -> None:
    hub.faults = [Fault(REPO, times=99, status=429, headers={"Retry-After": "600"})]
    with pytest.raises(CheckpointError, match="Try again in 10 minutes"):
        pull(REPO, tmp_path)
    assert len(hub.requests) == 1


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault("model.safetensors", 9, 401, {"X-Error-Code": "GatedRepo"}), "accept its terms.*HF_TOKEN"),
        (Fault("model.safetensors", 9, 403), "accept its terms.*HF_TOKEN"),
        (Fault(REPO, 9, 401), "no model someone/Tiny-4bit on the hub, or it is private"),
        (Fault("model.safetensors", 9, 404, {"X-Error-Code": "EntryNotFound"}), "not there any more"),
        (Fault("model.safetensors", 9, 418), "answers 418"),
    ],
)
def test_refusals_say_what_to_do(hub: Hub, tmp_path: Path, fault: Fault, said: str) -> None:
    hub.faults = [fault]
    with pytest.raises(CheckpointError, match=said):
        pull(REPO, tmp_path)
    assert installed(tmp_path) == []
    assert len(hub.requests) <= len(WANTED) + 1


def test_a_token_is_sent(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.token = "hf_secret"
    with pytest.raises(CheckpointError, match="HF_TOKEN"):
        pull(REPO, tmp_path)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert pull(REPO, tmp_path).is_dir()


def test_unknown_models_offline_and_nonsense(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CheckpointError, match="no model someone/Else"):
        pull("someone/Else", tmp_path)
    for nonsense in ("../../etc", "a", "a/b/c", "a/..", "someone/Tiny\n"):
        with pytest.raises(CheckpointError, match="neither a known model"):
            pull(nonsense, tmp_path)
    with pytest.raises(CheckpointError, match="comes with the program"):
        pull("built-in", tmp_path)
    asked = len(hub.requests)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(CheckpointError, match="HF_HUB_OFFLINE"):
        pull(REPO, tmp_path)
    assert len(hub.requests) == asked


def test_no_connection_at_all(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(CheckpointError, match="Check the network"):
        pull(REPO, tmp_path)


def test_a_full_disk_is_noticed_before_and_during(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=2000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(CheckpointError, match=r"needs 0\.00 GB, but .* free.*Make room"):
        pull(REPO, tmp_path)
    assert hub.ranges("config.json") == []
    monkeypatch.undo()
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    real_open = Path.open

    def full(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path.name.startswith(".model.safetensors"):
            raise OSError(28, "No space left on device")
        return real_open(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(CheckpointError, match=r"No space left on device.*Make room"):
        pull(REPO, tmp_path)


def test_files_that_would_leave_the_folder_are_never_asked_for(hub: Hub, tmp_path: Path) -> None:
    hub.repos[REPO]["../evil.safetensors"] = b"x" * 2000
    hub.repos[REPO]["/etc/evil.safetensors"] = b"x" * 2000
    assert names(pull(REPO, tmp_path)) == WANTED | {".source.json"}


def test_one_of_several_gguf_files_has_to_be_chosen(hub: Hub, tmp_path: Path) -> None:
    repo = "someone/Tiny-GGUF"
    hub.repos[repo] = {"a-Q4_0.gguf": b"4" * 2000, "a-Q8_0.gguf": b"8" * 4000, "README.md": b"hi"}
    with pytest.raises(CheckpointError, match=r"2 GGUF files.*--file: a-Q4_0.gguf .*a-Q8_0.gguf"):
        pull(repo, tmp_path)
    with pytest.raises(CheckpointError, match=r"no file 'b\.gguf'"):
        pull(repo, tmp_path, file="b.gguf")
    folder = pull(repo, tmp_path, file="a-Q4_0.gguf")
    assert names(folder) == {"a-Q4_0.gguf", "README.md", ".source.json"}
    assert installed(tmp_path)[0].model_type == "gguf"


def test_a_split_gguf_file_comes_with_all_its_parts(hub: Hub, tmp_path: Path) -> None:
    repo = "someone/Big-GGUF"
    parts = {f"b-Q8_0-0000{n}-of-00002.gguf": bytes([n]) * 2000 for n in (1, 2)}
    hub.repos[repo] = {"b-Q4_0.gguf": b"4" * 2000, **parts}
    with pytest.raises(CheckpointError, match="has 2 GGUF files"):
        pull(repo, tmp_path)
    folder = pull(repo, tmp_path, file="b-Q8_0-00001-of-00002.gguf")
    assert names(folder) == {*parts, ".source.json"}


def test_a_repository_without_a_model_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.repos["someone/Data"] = {"README.md": b"hi", "train.csv": b"1,2"}
    with pytest.raises(CheckpointError, match="holds no model"):
        pull("someone/Data", tmp_path)


def test_the_original_checkpoint_is_worked_on_before_it_appears(hub: Hub, tmp_path: Path) -> None:
    entry = find("deepseek-v3-from-scratch")
    assert entry is not None
    hub.repos[entry.repo] = {"best_deepseek_v3.pt": b"p" * 3000, "README.md": b"hi"}
    hub.repos[entry.tokenizer_repo] = {
        "tokenizer.json": b"{}" * 900,
        "README.md": b"GPT-2",
        "vocab.json": b"{}",
    }

    def convert(folder: Path) -> None:
        assert (folder / "tokenizer.json").read_bytes() == b"{}" * 900
        assert (folder / "README.md").read_bytes() == b"hi"
        assert not (tmp_path / entry.name).exists()
        (folder / "best_deepseek_v3.pt").unlink()
        (folder / "config.json").write_text('{"model_type": "scratch"}')

    folder = pull("DeepSeek-V3-from-Scratch", tmp_path, on_arrival=convert)
    assert names(folder) == {"config.json", "README.md", "tokenizer.json", ".source.json"}
    assert installed(tmp_path)[0].model_type == "scratch"
    also = json.loads((folder / ".source.json").read_text())["also"]
    assert [(source["id"], list(source["files"])) for source in also] == [
        (entry.tokenizer_repo, ["tokenizer.json"])
    ]


@pytest.mark.parametrize("files", [{}, {"vocab.json": b"{}"}], ids=["gone", "empty"])
def test_a_model_does_not_arrive_without_its_tokenizer(
    hub: Hub, tmp_path: Path, files: dict[str, bytes]
) -> None:
    entry = find("deepseek-v3-from-scratch")
    assert entry is not None
    hub.repos[entry.repo] = {"best_deepseek_v3.pt": b"p" * 3000}
    if files:
        hub.repos[entry.tokenizer_repo] = files
    with pytest.raises(CheckpointError, match="openai-community/gpt2"):
        pull(entry.name, tmp_path)
    assert installed(tmp_path) == []


def test_a_damaged_tokenizer_is_thrown_away(hub: Hub, tmp_path: Path) -> None:
    entry = find("deepseek-v3-from-scratch")
    assert entry is not None
    hub.repos[entry.repo] = {"best_deepseek_v3.pt": b"p" * 3000}
    hub.repos[entry.tokenizer_repo] = {"tokenizer.json": b"{}" * 900}
    hub.faults = [Fault("tokenizer.json", corrupt=True)]
    with pytest.raises(CheckpointError, match=r"tokenizer\.json .* another content"):
        pull(entry.name, tmp_path)
    assert installed(tmp_path) == []


def test_what_is_there_is_not_overwritten(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "Tiny-4bit").mkdir()
    (tmp_path / "Tiny-4bit" / "mine.txt").write_text("mine")
    with pytest.raises(CheckpointError, match=r"taken by another model.*models remove Tiny-4bit"):
        pull(REPO, tmp_path)
    assert (tmp_path / "Tiny-4bit" / "mine.txt").read_text() == "mine"


def test_two_processes_do_not_pull_the_same(hub: Hub, tmp_path: Path) -> None:
    def again(progress: PullProgress) -> None:
        with pytest.raises(CheckpointError, match="already being downloaded"):
            pull(REPO, tmp_path)

    assert pull(REPO, tmp_path, on_progress=again).is_dir()


def test_the_short_list_names_what_it_takes() -> None:
    assert len({entry.name for entry in CATALOG}) == len(CATALOG)
    for entry in CATALOG:
        assert entry.licence
        assert entry.context > 0
        assert entry.memory_bytes() > entry.weight_bytes
        assert entry.memory_bytes(float32=True) >= entry.memory_bytes() or entry.kind == "original"
        assert (entry.repo == "") == (entry.name == "built-in")


def test_removing_a_model(hub: Hub, tmp_path: Path) -> None:
    pull(REPO, tmp_path)
    assert remove("Tiny-4bit", tmp_path).name == "Tiny-4bit"
    assert names(tmp_path) == set()
    for name in ("Tiny-4bit", "..", "../x", ""):
        with pytest.raises(CheckpointError, match="There is no model"):
            remove(name, tmp_path)

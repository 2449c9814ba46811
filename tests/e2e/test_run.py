"""`deepseek-tui run` and its relatives as a script meets them: real processes, the built-in model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deepseek_tui import paths

pytestmark = pytest.mark.skipif(paths.builtin_model() is None, reason="needs the built-in model")


def command(home: Path, *words: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deepseek_tui", *words],
        input=stdin,
        capture_output=True,
        text=True,
        env={**os.environ, "DEEPSEEK_TUI_HOME": str(home), **env},
        timeout=120,
        check=False,
    )


def test_an_answer_is_all_that_stdout_carries(tmp_path: Path) -> None:
    done = command(tmp_path, "run", "-p", "What is the capital of Italy?", "--temp", "0")
    assert done.returncode == 0, done.stderr
    assert "Rome" in done.stdout
    assert done.stdout.endswith("\n")
    assert done.stderr == ""


def test_json_has_the_text_and_mlx_lms_names(tmp_path: Path) -> None:
    done = command(tmp_path, "run", "-p", "-", "--json", "--temp", "0", stdin="What is the capital of Italy?")
    answer = json.loads(done.stdout)
    assert "Rome" in answer["text"]
    assert answer["finish_reason"] == "stop"
    assert len(answer["tokens"]) == answer["generation_tokens"]
    for figure in ("prompt_tokens", "prompt_tps", "generation_tps", "peak_memory", "load_seconds"):
        assert answer[figure] > 0, figure
    assert 0 < answer["time_to_first_token"] < answer["load_seconds"] + 60


def test_a_seed_gives_the_same_answer_again(tmp_path: Path) -> None:
    words = ("run", "-p", "Tell me a story.", "--json", "--temp", "1", "--max-tokens", "24")
    one, two, other = (
        json.loads(command(tmp_path, *words, "--seed", seed).stdout)["tokens"] for seed in ("5", "5", "6")
    )
    assert one == two
    assert one != other


def test_the_length_limit_is_said(tmp_path: Path) -> None:
    answer = json.loads(
        command(
            tmp_path, "run", "-p", "Tell me a story.", "--temp", "0", "--max-tokens", "5", "--json"
        ).stdout
    )
    assert answer["finish_reason"] == "length"
    assert answer["generation_tokens"] == 5


def test_a_closed_pipe_ends_it_quietly(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "deepseek_tui", "run", "-p", "Tell me a long story.", "--max-tokens", "300"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "DEEPSEEK_TUI_HOME": str(tmp_path)},
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (("run", "-p", "hi", "--model", "/no/such/model"), 1, "/no/such/model"),
        (("run",), 2, "--prompt"),
        (("rnu",), 2, "rnu"),
        (("run", "-p", "hi", "--temp", "-1"), 1, "temp"),
        (("run", "-p", "hi", "--logit-bias", "[]"), 1, "--logit-bias"),
        (("chat",), 1, "terminal"),
    ],
)
def test_mistakes_get_a_sentence(tmp_path: Path, words: tuple[str, ...], code: int, part: str) -> None:
    done = command(tmp_path, *words)
    assert done.returncode == code, done.stderr
    assert part in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_the_doctor_finds_nothing_wrong_here_and_names_what_is(tmp_path: Path) -> None:
    fine = command(tmp_path, "doctor")
    assert fine.returncode == 0, fine.stdout
    assert "Nothing is wrong." in fine.stdout
    ill = command(tmp_path, "doctor", "--model", str(tmp_path))
    assert ill.returncode == 1
    assert str(tmp_path) in ill.stdout


def test_history_lists_nothing_in_a_new_home(tmp_path: Path) -> None:
    done = command(tmp_path, "history", "list")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

"""The whole thing as a person has it: a pseudo-terminal, the built-in model, real files."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
from pathlib import Path

import pytest

from deepseek_tui import paths
from tests.e2e.terminal import Terminal, chat

pytestmark = pytest.mark.skipif(paths.builtin_model() is None, reason="needs the built-in model")

LONG = "Write a very long story about a lighthouse keeper, with many details."


def replies(home: Path) -> list[tuple[str, str, str]]:
    """Role, text, state of every message on disk, oldest first."""
    with sqlite3.connect(home / "data" / "history.db", timeout=10) as db:
        return db.execute("SELECT role, text, state FROM messages ORDER BY created, rowid").fetchall()


def engine_pid(terminal: Terminal) -> int:
    """The engine is the app's only child process."""
    children = Path(f"/proc/{terminal.child.pid}/task/{terminal.child.pid}/children").read_text().split()
    assert len(children) == 1, children
    return int(children[0])


def reply_on_disk(home: Path, least: int) -> bool:
    return any(role == "assistant" and len(text) >= least for role, text, _ in replies(home))


def test_ask_quit_and_find_it_again(tmp_path: Path) -> None:
    first = chat(tmp_path, "--temp", "0")
    try:
        first.wait_for("loaded")
        first.type("What is the capital of Italy?")
        first.press("enter")
        first.wait_for("Rome")
        first.wait_until(lambda: [s for r, _, s in replies(tmp_path) if r == "assistant"] == ["complete"])
        assert re.search(r"\d tok/s", first.text), first.text
        first.press("ctrl+q")
        assert first.wait_exit() == 0
    finally:
        first.close()

    second = chat(tmp_path)
    try:
        second.wait_for("What is the capital of Italy?")
        second.press("ctrl+q")
        assert second.wait_exit() == 0
    finally:
        second.close()


def test_a_killed_engine_loses_no_text_and_the_next_message_is_answered(tmp_path: Path) -> None:
    terminal = chat(tmp_path, "--temp", "0", "--max-tokens", "400")
    try:
        terminal.wait_for("loaded")
        terminal.type(LONG)
        terminal.press("enter")
        terminal.wait_until(lambda: reply_on_disk(tmp_path, 40))
        os.kill(engine_pid(terminal), signal.SIGKILL)
        terminal.wait_for("engine")
        terminal.wait_until(lambda: replies(tmp_path)[-1][2] == "failed")
        role, text, _ = replies(tmp_path)[-1]
        assert role == "assistant"
        assert len(text) >= 40
        terminal.type("What is the capital of Italy?")
        terminal.press("enter")
        terminal.wait_until(lambda: len(replies(tmp_path)) == 4 and replies(tmp_path)[-1][2] == "complete")
    finally:
        terminal.close()


def test_a_killed_app_loses_no_text(tmp_path: Path) -> None:
    terminal = chat(tmp_path, "--temp", "0", "--max-tokens", "400")
    try:
        terminal.wait_for("loaded")
        terminal.type(LONG)
        terminal.press("enter")
        terminal.wait_until(lambda: reply_on_disk(tmp_path, 40))
        engine = engine_pid(terminal)
        terminal.child.kill(signal.SIGKILL)
        terminal.wait_until(lambda: not Path(f"/proc/{engine}").exists() or _is_zombie(engine), timeout=10)
    finally:
        terminal.close()
    kept = replies(tmp_path)
    assert kept[0][:2] == ("user", LONG)
    assert len(kept[1][1]) >= 40

    again = chat(tmp_path)
    try:
        again.wait_for("Write a very long story")
        again.wait_for(kept[1][1].split("\n")[0][:20])
        again.wait_until(lambda: replies(tmp_path)[1][2] == "stopped")
    finally:
        again.close()


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True

"""A persona chosen on the command line, in a real terminal."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from deepseek_tui import paths
from tests.e2e.terminal import chat

pytestmark = pytest.mark.skipif(paths.builtin_model() is None, reason="needs the built-in model")

TERSE = 'system_prompt = "Answer in one word."\n[sampling]\ntemp = 0.0\nmax_tokens = 8\n'


def test_conversations_begin_with_the_persona_and_flags_win_over_it(tmp_path: Path) -> None:
    file = tmp_path / "config" / "personas" / "Terse.toml"
    file.parent.mkdir(parents=True)
    file.write_text(TERSE)
    terminal = chat(tmp_path, "--persona", "Terse", "--max-tokens", "6")
    try:
        terminal.wait_for("loaded")
        terminal.type("What is the capital of Italy?")
        terminal.press("enter")
        terminal.wait_for("tok/s")
        terminal.press("ctrl+q")
        assert terminal.wait_exit() == 0
    finally:
        terminal.close()
    with sqlite3.connect(tmp_path / "data" / "history.db", timeout=10) as db:
        [(prompt, settings)] = db.execute("SELECT system_prompt, settings FROM conversations").fetchall()
    assert prompt == "Answer in one word."
    assert json.loads(settings) == {"sampling": {"temp": 0.0, "max_tokens": 6}}


def test_a_persona_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    terminal = chat(tmp_path, "--persona", "Nobody")
    try:
        assert terminal.wait_exit() == 1
        assert "There is no persona 'Nobody'." in terminal.text
        assert "Traceback" not in terminal.text
    finally:
        terminal.close()

"""Pictures of a chosen message and the dialogs around it. `pytest --snapshot-update` takes them anew."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from deepseek_tui.history.store import Store
from deepseek_tui.settings import Settings
from tests.tui.helpers import NARROW, WIDE, Screen, make_app
from tests.tui.test_snapshots import QUESTION, REPLY, SCRIPT, Compare, Step, taken

STATS: dict[str, Any] = {
    "prompt_tokens": 128,
    "cached_tokens": 96,
    "generation_tokens": 214,
    "prompt_tps": 212.0,
    "generation_tps": 41.5,
    "time_to_first_token": 0.23,
    "context_used": 342,
    "context_limit": 1024,
    "reason": "stop",
    "thinking_seconds": 3.24,
    "thinking_tokens": 131,
}
USED = {"temp": 0.7, "top_p": 0.9, "max_tokens": 256, "seed": 2718281828, "repetition_penalty": 1.1}
THOUGHT = "<think>\nEach call makes two more calls,\nso the work doubles with each step.\n</think>\n\n"

pytestmark = pytest.mark.parametrize("size", [NARROW, WIDE], ids=["80x24", "120x40"])


@pytest.fixture(autouse=True)
def _fixed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DEEPSEEK_TUI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def picture(compare: Compare, home: Path, size: tuple[int, int], step: Step) -> bool:
    """A conversation with two variants of its first reply and thinking in its second, after `step`."""
    store = Store(home / "data" / "history.db", clock=lambda: 1_700_000_000.0)
    conversation = store.create_conversation()
    question = store.add_message(conversation.id, "user", QUESTION)
    store.add_message(conversation.id, "assistant", "With a loop.", parent=question.id)
    store.add_message(
        *(conversation.id, "assistant", REPLY),
        parent=question.id,
        model="built-in",
        settings=USED,
        stats=STATS,
    )
    store.add_message(conversation.id, "user", "Why is it slow?")
    store.add_message(conversation.id, "assistant", f"{THOUGHT}It **doubles** its work.", stats=STATS)
    store.close()

    async def ready(screen: Screen) -> None:
        await screen.ready()
        await screen.sees("doubles its work")
        await step(screen)

    return taken(
        compare, make_app(home, SCRIPT, settings=Settings(sidebar=False, reduced_motion=True)), size, ready
    )


def test_a_message_with_code_and_variants(
    snap_compare: Compare, tmp_path: Path, size: tuple[int, int]
) -> None:
    async def step(screen: Screen) -> None:
        await screen.press(*["ctrl+up"] * 3)
        await screen.sees("variant 2/2")

    assert picture(snap_compare, tmp_path, size, step)


def test_thinking_unfolded(snap_compare: Compare, tmp_path: Path, size: tuple[int, int]) -> None:
    async def step(screen: Screen) -> None:
        await screen.press("ctrl+up", "t")
        await screen.sees("so the work doubles")

    assert picture(snap_compare, tmp_path, size, step)


def test_details(snap_compare: Compare, tmp_path: Path, size: tuple[int, int]) -> None:
    async def step(screen: Screen) -> None:
        await screen.press(*["ctrl+up"] * 3, "i")
        await screen.sees("Ended by")

    assert picture(snap_compare, tmp_path, size, step)


@pytest.mark.parametrize("steps", [3, 4], ids=["reply", "question"])
def test_edit(snap_compare: Compare, tmp_path: Path, size: tuple[int, int], steps: int) -> None:
    async def step(screen: Screen) -> None:
        await screen.press(*["ctrl+up"] * steps, "e")
        await screen.sees("─ Edit ")
        for area in screen.app.screen.query("EditArea"):
            area.cursor_blink = False  # type: ignore[attr-defined]  # of a TextArea

    assert picture(snap_compare, tmp_path, size, step)


def test_settings(snap_compare: Compare, tmp_path: Path, size: tuple[int, int]) -> None:
    async def step(screen: Screen) -> None:
        await screen.press("f3")
        await screen.sees("Temperature")
        screen.app.screen.query_one("#rows ValueRow Input").cursor_blink = False  # type: ignore[attr-defined]  # an Input
        await screen.press(
            *"0.2", "down", *"2", "down", "tab", "tab", "tab", "tab", "tab", "tab", "tab", "tab", "tab"
        )
        await screen.sees("cannot be 2")

    assert picture(snap_compare, tmp_path, size, step)

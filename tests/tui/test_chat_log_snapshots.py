"""Pictures of the chat log: who speaks, Markdown, notes."""

from __future__ import annotations

from typing import Protocol

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from deepseek_tui.tui.widgets.chat_log import ChatLog
from deepseek_tui.tui.widgets.message import MessageView
from tests.tui.chat_texts import RICH


class Compare(Protocol):
    """The `snap_compare` fixture."""

    def __call__(
        self, app: App[None], *, terminal_size: tuple[int, int], run_before: object = None
    ) -> bool: ...


CONVERSATION = [
    MessageView("1", "user", "How do I sort a list?\n\n    xs = [3, 1, 2]  # [red]as typed[/red]"),
    MessageView("2", "assistant", RICH),
    MessageView("3", "user", "And in one line?"),
    MessageView("4", "assistant", "Use `sorted(xs)`: it returns a new", "■ stopped"),
    MessageView("5", "notice", "The model is now SmolLM2-135M-Instruct."),
    MessageView("6", "error", "The engine stopped. Your next message starts a new one."),
]


class LogApp(App[None]):
    def __init__(self, theme: str) -> None:
        super().__init__()
        self.chosen = theme

    def compose(self) -> ComposeResult:
        yield ChatLog()

    async def on_mount(self) -> None:
        self.theme = self.chosen
        await self.query_one(ChatLog).show(CONVERSATION)


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light", "ansi-dark"])
def test_a_conversation_from_its_beginning(snap_compare: Compare, theme: str) -> None:
    async def go_home(pilot: Pilot[None]) -> None:
        pilot.app.query_one(ChatLog).focus()
        await pilot.press("home")

    assert snap_compare(LogApp(theme), terminal_size=(80, 60), run_before=go_home)


def test_the_end_of_a_conversation_on_a_small_screen(snap_compare: Compare) -> None:
    assert snap_compare(LogApp("textual-dark"), terminal_size=(60, 18))

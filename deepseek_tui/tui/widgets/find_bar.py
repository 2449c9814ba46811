"""The bar above the prompt that finds something in the conversation shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static


@dataclass
class Counted(Message):
    """The log is at place `here` of `total`, counted from 1; 0 where there is none."""

    here: int
    total: int


class FindField(Input):
    """| Key | What it does |
    | :- | :- |
    | enter, down | The next place. |
    | shift+enter, up | The place before. |
    | escape | Close. |
    """

    BINDINGS = [
        Binding("enter,down", "step(1)", "Next place", id="find.next"),
        Binding("shift+enter,up", "step(-1)", "Place before", id="find.before"),
        Binding("escape", "close", "Back to writing", id="find.close"),
    ]

    def action_step(self, step: int) -> None:
        self.post_message(FindBar.Step(step))

    def action_close(self) -> None:
        self.post_message(FindBar.Closed())


class FindBar(Horizontal):
    """What to find, and how often it is there."""

    DEFAULT_CSS = Path(__file__).with_suffix(".tcss").read_text(encoding="utf-8")

    @dataclass
    class Asked(Message):
        """The user looks for `text`."""

        text: str

    @dataclass
    class Step(Message):
        """To the next place, or with -1 to the one before."""

        step: int

    @dataclass
    class Closed(Message):
        """The user has found it, or gives up."""

    def compose(self) -> ComposeResult:
        self.border_title = "Find"
        self.border_subtitle = "Enter next · ↑ before · Esc close"
        yield FindField(id="find-text", compact=True, placeholder="In this conversation")
        yield Static("", id="find-count", markup=False)

    def open(self) -> None:
        """Let the user write, over what was looked for before."""
        self.display = True
        field = self.query_one(FindField)
        field.focus()
        field.action_select_all()
        if field.value:
            self.post_message(self.Asked(field.value))

    def count(self, here: int, total: int) -> None:
        """Show that place `here` of `total` is meant."""
        text = Content(f"{here}/{total}")
        if not total:
            written = self.query_one(FindField).value.strip()
            text = Content.styled("not found", "$text-warning") if written else Content("")
        self.query_one("#find-count", Static).update(text)

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.display:
            self.post_message(self.Asked(event.value))

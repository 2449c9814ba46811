"""Writing another text for a message: a branch beside the old one."""

from __future__ import annotations

from dataclasses import dataclass

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import TextArea

from deepseek_tui.text.sanitize import sanitize


@dataclass(frozen=True)
class Edited:
    """The new text; with `carry_on` the model is to go on from its end."""

    text: str
    carry_on: bool = False


class EditArea(TextArea):
    """The text. `sends`: Enter sends it, as in the prompt, and Ctrl+J makes a new line."""

    BINDINGS = [
        Binding("ctrl+j,shift+enter", "newline", "New line", show=False),
        Binding("ctrl+z", "undo", "Undo", show=False),
    ]

    def __init__(self, text: str, *, sends: bool) -> None:
        super().__init__(text, soft_wrap=True, show_line_numbers=False, tab_behavior="focus", compact=True)
        self._sends = sends

    def on_mount(self) -> None:
        self.move_cursor(self.document.end)

    def action_newline(self) -> None:
        self.replace("\n", *self.selection, maintain_selection_offset=False)
        self.scroll_cursor_visible()

    async def _on_key(self, event: events.Key) -> None:
        # Where Enter sends it is a binding of the screen; the text area would take it for a new line.
        if event.key == "enter" and self._sends:
            event.prevent_default()


class EditScreen(ModalScreen[Edited | None]):
    """Returns the new text, None after Esc.

    | Key | What it does |
    | :- | :- |
    | enter | Send, for a question; a new line in a reply. |
    | ctrl+s | Send; keep the reply so. |
    | f6 | Let the model go on from the end of a reply. |
    | escape | Leave it as it was. |
    """

    CSS_PATH = "dialogs.tcss"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-tall")]
    BINDINGS = [
        Binding("enter", "save", "Send", show=False),
        Binding("ctrl+s", "save", "Keep", show=False, priority=True),
        Binding("f6", "carry_on", "Let the model go on", show=False, priority=True),
        Binding("escape", "dismiss", "Leave it", show=False, priority=True),
    ]

    def __init__(self, text: str, role: str) -> None:
        super().__init__()
        self._text = sanitize(text)
        self._role = role

    def compose(self) -> ComposeResult:
        question = self._role == "user"
        with Vertical(classes="dialog -large") as box:
            box.border_title = "Edit your message" if question else "Edit the reply"
            box.border_subtitle = (
                "Enter send · Ctrl+J new line · Esc cancel"
                if question
                else "Ctrl+S keep · F6 go on from here · Esc cancel"
            )
            yield EditArea(self._text, sends=question)

    def action_save(self) -> None:
        self._end(carry_on=False)

    def action_carry_on(self) -> None:
        if self._role == "assistant":
            self._end(carry_on=True)

    def _end(self, carry_on: bool) -> None:
        text = self.query_one(EditArea).text
        if not text.strip():
            self.notify("There is nothing written. Esc leaves the message as it was.", severity="warning")
        elif text == self._text and self._role != "user" and not carry_on:
            self.dismiss(None)
        else:
            self.dismiss(Edited(text, carry_on))

"""Where the user writes: grows to ten lines, sends on Enter, remembers what was sent before."""

from __future__ import annotations

from dataclasses import dataclass

from textual import events
from textual.binding import Binding
from textual.message import Message
from textual.widgets import TextArea

from deepseek_tui.text.sanitize import sanitize

# A paste above either size is shown as one line that stands for it: a TextArea needs a second and more for
# each key press in a line of a megabyte.
PASTE_CHARACTERS = 20_000
PASTE_LINE = 4_000


class Prompt(TextArea):
    """The message being written.

    | Key | What it does |
    | :- | :- |
    | enter | Send. |
    | ctrl+j, shift+enter | New line. |
    | up, down | From the first and last line: earlier messages, back to the draft. |
    | pageup, pagedown | Scroll the conversation. |
    | end | To the end of the line, from there to the latest message. |
    """

    BINDINGS = [
        Binding("enter", "submit", "Send the message", id="prompt.send"),
        Binding("ctrl+j,shift+enter", "newline", "New line", id="prompt.newline"),
        Binding("up", "cursor_up", "From the first line: the message sent before", id="prompt.older"),
        Binding("down", "cursor_down", "From the last line: back towards the draft", id="prompt.newer"),
        Binding("pageup", "cursor_page_up", "Scroll the conversation up", id="prompt.page-up"),
        Binding("pagedown", "cursor_page_down", "Scroll the conversation down", id="prompt.page-down"),
        Binding("end", "cursor_line_end", "End of the line, then the latest message", id="prompt.end"),
        Binding("ctrl+z", "undo", "Undo", id="prompt.undo"),
        Binding("ctrl+shift+z", "redo", "Redo", id="prompt.redo"),
    ]

    @dataclass
    class Submitted(Message):
        """The user sent `text`."""

        text: str

    @dataclass
    class ScrollLog(Message):
        """The user wants the conversation moved by `pages`, or with None to its latest message."""

        pages: int | None

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(
            id=id,
            soft_wrap=True,
            show_line_numbers=False,
            tab_behavior="focus",
            highlight_cursor_line=False,
            placeholder="Write a message",
        )
        self._pastes: dict[str, str] = {}
        self._earlier: list[str] = []
        # Steps back from the draft, and the texts left behind on the way.
        self._position = 0
        self._edited: dict[int, str] = {}

    def set_earlier(self, prompts: list[str]) -> None:
        """What Up goes through, the newest first."""
        self._earlier = [sanitize(p) for p in prompts if p]
        self._forget_steps()

    def put(self, text: str) -> None:
        """Show `text` with the cursor behind it, as if it had been typed."""
        self.load_text("")
        self._insert(text)

    def message(self) -> str:
        """What would be sent: the text, with every large paste in full."""
        text = self.text
        for label, paste in self._pastes.items():
            text = text.replace(label, paste)
        return text

    def action_submit(self) -> None:
        text = self.message()
        if not text.strip():
            return
        self.load_text("")
        self._pastes.clear()
        self._forget_steps()
        self.post_message(self.Submitted(text))

    def action_newline(self) -> None:
        self.replace("\n", *self.selection, maintain_selection_offset=False)
        self.scroll_cursor_visible()

    def action_cursor_up(self, select: bool = False) -> None:
        if select or not self.cursor_at_first_line_top():
            super().action_cursor_up(select)
        elif self._position < len(self._earlier):
            self._recall(self._position + 1)

    def action_cursor_down(self, select: bool = False) -> None:
        if select or self._position == 0 or not self.cursor_at_last_line:
            super().action_cursor_down(select)
        else:
            self._recall(self._position - 1)

    def action_cursor_page_up(self) -> None:
        self.post_message(self.ScrollLog(-1))

    def action_cursor_page_down(self) -> None:
        self.post_message(self.ScrollLog(1))

    def action_cursor_line_end(self, select: bool = False) -> None:
        if not select and self.cursor_at_end_of_line:
            self.post_message(self.ScrollLog(None))
        super().action_cursor_line_end(select)

    def cursor_at_first_line_top(self) -> bool:
        """Whether the cursor is in the first line as it is wrapped on the screen."""
        return self.wrapped_document.location_to_offset(self.cursor_location).y == 0

    def _forget_steps(self) -> None:
        self._position = 0
        self._edited.clear()

    async def _on_key(self, event: events.Key) -> None:
        # Enter is a binding here; the text area would take it for a new line.
        if event.key == "enter":
            event.prevent_default()

    async def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        self._insert(event.text)
        self.focus()

    def _insert(self, text: str) -> None:
        clean = sanitize(text.replace("\r\n", "\n").replace("\r", "\n"))
        if len(clean) > PASTE_CHARACTERS or max(map(len, clean.split("\n"))) > PASTE_LINE:
            clean = self._label_for(clean)
        result = self.replace(clean, *self.selection, maintain_selection_offset=False)
        self.move_cursor(result.end_location)

    def _label_for(self, text: str) -> str:
        for label, paste in self._pastes.items():
            if paste == text:
                return label
        label = f"[pasted text {len(self._pastes) + 1}: {len(text):,} characters]"
        self._pastes[label] = text
        return label

    def _recall(self, position: int) -> None:
        """Show the message `position` steps back, 0 the draft; what was changed on the way stays changed."""
        self._edited[self._position] = self.text
        self._position = position
        edited = self._edited.get(position)
        self.put(self._earlier[position - 1] if edited is None else edited)

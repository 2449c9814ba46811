"""The list of conversations: open, rename in place, delete and take it back."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from deepseek_tui.history.store import Conversation
from deepseek_tui.text.sanitize import sanitize_line

UNTITLED = "New conversation"


@dataclass
class Open(Message):
    conversation: str


@dataclass
class Rename(Message):
    conversation: str
    title: str


@dataclass
class Delete(Message):
    conversation: str


@dataclass
class Undelete(Message):
    conversation: str


class ConversationList(OptionList):
    """One line each: a mark for the one shown or being written in, the title, how old it is.

    | Key | What it does |
    | :- | :- |
    | enter | Open. |
    | delete, d | Delete. |
    | u, ctrl+z | Take the deletion back. |
    """

    BINDINGS = [
        Binding("enter", "select", "Open the conversation", id="list.open"),
        Binding("delete,d", "delete", "Delete the conversation", id="list.delete"),
        Binding("u,ctrl+z", "undelete", "Take the deletion back", id="list.undo"),
    ]

    def on_focus(self) -> None:
        if self.highlighted is None and self.option_count:
            self.highlighted = 0

    def action_delete(self) -> None:
        option = self.highlighted_option
        if option is not None and option.id is not None:
            self.post_message(Delete(option.id))

    def action_undelete(self) -> None:
        self.post_message(Undelete(""))


class UndoBar(Static):
    """Says what was deleted and takes it back when clicked."""

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.post_message(Undelete(""))


class RenameField(Input):
    """The title being changed, over its line in the list."""

    BINDINGS = [Binding("escape", "leave", "Keep the old title", show=False)]

    @dataclass
    class Left(Message):
        """Renaming is over; `title` is the new one, None to keep the old."""

        title: str | None

    def action_leave(self) -> None:
        self.post_message(self.Left(None))

    def action_submit_title(self) -> None:
        self.post_message(self.Left(self.value))

    def on_blur(self) -> None:
        self.post_message(self.Left(self.value))


class Sidebar(Vertical):
    """`clock` gives the time of day in seconds, for the ages."""

    def __init__(self, *, id: str | None = None, clock: Callable[[], float] = time.time) -> None:
        super().__init__(id=id)
        self._clock = clock
        self._conversations: dict[str, Conversation] = {}
        self._deleted: Conversation | None = None
        self._renaming: str | None = None

    def compose(self) -> ComposeResult:
        yield Static("Conversations", id="sidebar-title", markup=False)
        yield Static("What you write about is listed here.", id="none-yet", markup=False)
        yield ConversationList(id="conversations", markup=False)
        yield Static("F2 rename · d delete", id="list-keys", markup=False)
        yield RenameField(id="rename", compact=True)
        yield UndoBar(id="undo", markup=False)

    @property
    def list(self) -> ConversationList:
        return self.query_one(ConversationList)

    def show(
        self, conversations: tuple[Conversation, ...], shown: str | None, active: frozenset[str]
    ) -> None:
        """Another content. The highlighted line stays on its conversation where that is still there."""
        options = self.list
        kept = options.highlighted_option.id if options.highlighted_option else None
        row = options.highlighted or 0
        self._conversations = {c.id: c for c in conversations}
        self.set_class(not conversations, "-none")
        options.set_options(
            Option(self._line(c, c.id == shown, c.id in active), id=c.id) for c in conversations
        )
        wanted = kept if options.has_focus and kept in self._conversations else shown
        if wanted in self._conversations:
            options.highlighted = options.get_option_index(wanted)
        elif options.has_focus and conversations:
            options.highlighted = min(row, len(conversations) - 1)

    def rename(self, conversation: str | None) -> None:
        """Let the user write another title, for `conversation` or the highlighted one."""
        option = self.list.highlighted_option
        identity = conversation or (option.id if option else None)
        if identity not in self._conversations:
            return
        row = self.list.get_option_index(identity)
        self.list.highlighted = row
        self.list.scroll_to_highlight()
        self._renaming = identity
        field = self.query_one(RenameField)
        field.value = sanitize_line(self._conversations[identity].title)
        field.styles.offset = (
            0,
            self.list.region.y - self.content_region.y + row - round(self.list.scroll_target_y),
        )
        field.add_class("-shown")
        field.focus()

    def deleted(self, conversation: Conversation | None) -> None:
        """Offer to take a deletion back, or with None stop offering it."""
        self._deleted = conversation
        bar = self.query_one(UndoBar)
        bar.set_class(conversation is not None, "-shown")
        if conversation is not None:
            title = sanitize_line(conversation.title) or UNTITLED
            said = f"Deleted “{_cut(title, 16)}”\n"
            bar.update(Content.assemble(said, ("u", "bold $text-accent"), " takes it back"))

    def find(self, conversation: str) -> Conversation | None:
        return self._conversations.get(conversation)

    def on_descendant_focus(self) -> None:
        self.add_class("-focused")

    def on_descendant_blur(self) -> None:
        self.remove_class("-focused")

    @on(Undelete)
    def _fill_in(self, event: Undelete) -> None:
        if not event.conversation:
            event.stop()
            if self._deleted is not None:
                self.post_message(Undelete(self._deleted.id))
                self.deleted(None)

    @on(OptionList.OptionSelected)
    def _open(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option.id is not None:
            self.post_message(Open(event.option.id))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._end_rename(event.value)

    @on(RenameField.Left)
    def _left(self, event: RenameField.Left) -> None:
        event.stop()
        self._end_rename(event.title)

    def _end_rename(self, title: str | None) -> None:
        conversation, self._renaming = self._renaming, None
        if conversation is None:
            return
        field = self.query_one(RenameField)
        if field.has_focus:
            self.list.focus()
        field.remove_class("-shown")
        clean = sanitize_line(title or "").strip()
        if clean and clean != self._conversations[conversation].title:
            self.post_message(Rename(conversation, clean))

    def _line(self, conversation: Conversation, shown: bool, active: bool) -> Content:
        mark = "▸ " if active else "• " if shown else "  "
        age = age_of(self._clock() - conversation.updated)
        title = sanitize_line(conversation.title) or UNTITLED
        room = LINE_WIDTH - len(mark) - len(age) - 1
        text = Content(title).truncate(room, ellipsis=True)
        gap = " " * (room - text.cell_length + 1)
        return Content.assemble(
            (mark, "$text-accent"),
            text.stylize("bold") if shown else text,
            (f"{gap}{age}", "$foreground 60%"),
        )


# Cells for one line: the sidebar without its padding and the bar that scrolls it.
LINE_WIDTH = 28


def age_of(seconds: float) -> str:
    """A time span in at most four characters."""
    for size, sign in ((31_536_000, "y"), (604_800, "w"), (86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{sign}"
    return "now"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"

"""The list of conversations with what belongs to it: filter, renaming in place, taking a deletion back."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from textual import events, on
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from deepseek_tui.history.store import Conversation
from deepseek_tui.text.sanitize import sanitize_line
from deepseek_tui.tui.widgets.conversation_list import (
    UNTITLED,
    ConversationList,
    Open,
    Organise,
    Rename,
    Undelete,
)
from deepseek_tui.tui.widgets.line_list import LineList

KEYS = "/ filter  p pin  f folder\nF2 name  a archive  d delete"
FOLDER_KEYS = "Name of the folder;\nempty: in none. Enter keeps it"
FILTER_KEYS = "Words of title or folder\nEnter open  Esc all"


class UndoBar(Static):
    """Says what was deleted and takes it back when clicked."""

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.post_message(Undelete(""))


class LineField(Input):
    """A title or folder being changed, over its line in the list."""

    BINDINGS = [Binding("escape", "leave", "Keep what was there", show=False)]

    @dataclass
    class Left(Message):
        """It is over; `text` is what was written, None to keep what was there."""

        text: str | None

    def action_leave(self) -> None:
        self.post_message(self.Left(None))

    def on_blur(self) -> None:
        self.post_message(self.Left(self.value))


class FilterField(Input):
    """What to look for in the list."""

    BINDINGS = [
        Binding("escape", "leave", "Show all again", show=False),
        Binding("down,up", "to_list", "Into the list", show=False),
    ]

    @dataclass
    class Left(Message):
        """`keep`: what is found stays in the list."""

        keep: bool

    def action_leave(self) -> None:
        self.post_message(self.Left(False))

    def action_to_list(self) -> None:
        self.post_message(self.Left(True))


class Sidebar(Vertical):
    """`clock` gives the time of day in seconds, for days and ages."""

    BINDINGS = [Binding("escape", "show_all", "Show all again", show=False)]

    def __init__(self, *, id: str | None = None, clock: Callable[[], float] = time.time) -> None:
        super().__init__(id=id)
        self._clock = clock
        self._deleted: Conversation | None = None
        self._writing: tuple[str, Literal["title", "folder"]] | None = None

    def compose(self) -> ComposeResult:
        yield Static("Conversations", id="sidebar-title", markup=False)
        yield FilterField(id="filter", compact=True, placeholder="Filter")
        yield Static("What you write about is listed here.", id="none-yet", markup=False)
        yield ConversationList(id="conversations", clock=self._clock)
        yield Static(KEYS, id="list-keys", markup=False)
        yield LineField(id="rename", compact=True)
        yield UndoBar(id="undo", markup=False)

    @property
    def list(self) -> ConversationList:
        return self.query_one(ConversationList)

    def show(self, conversations: Sequence[Conversation], shown: str | None, active: Sequence[str]) -> None:
        """Another content. `active`: those with a reply under way or in line, in that order."""
        self.set_class(not conversations, "-none")
        self.list.show(conversations, shown, active)

    def rename(self, conversation: str | None) -> None:
        """Let the user write another title, for `conversation` or the one meant in the list."""
        self._write(conversation or self.list.key, "title")

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
        return self.list.find(conversation)

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

    @on(LineList.Chosen)
    def _open(self, event: LineList.Chosen) -> None:
        event.stop()
        self._end_filter()
        self.post_message(Open(event.key))

    # --- filtering -------------------------------------------------------------------------------

    @on(ConversationList.Filter)
    def _begin_filter(self) -> None:
        field = self.query_one(FilterField)
        field.add_class("-shown")
        field.focus()
        self.list.led = True
        self._hint(FILTER_KEYS)

    @on(Input.Changed, "#filter")
    def _filter(self, event: Input.Changed) -> None:
        event.stop()
        self.list.filter(event.value)

    @on(Input.Submitted, "#filter")
    def _open_found(self, event: Input.Submitted) -> None:
        event.stop()
        if self.list.key:
            self.list.action_choose()

    @on(FilterField.Left)
    def _leave_filter(self, event: FilterField.Left) -> None:
        event.stop()
        self.list.focus()
        self.list.led = False
        if event.keep and self.query_one(FilterField).value:
            self._hint(KEYS)
        else:
            self._end_filter()

    def action_show_all(self) -> None:
        if not self.query_one(FilterField).has_class("-shown"):
            raise SkipAction
        self.list.focus()
        self._end_filter()

    def _end_filter(self) -> None:
        field = self.query_one(FilterField)
        field.clear()
        field.remove_class("-shown")
        self.list.led = False
        self._hint(KEYS)

    def _hint(self, text: str) -> None:
        self.query_one("#list-keys", Static).update(text)

    # --- writing over a line ---------------------------------------------------------------------

    @on(ConversationList.Folder)
    def _begin_folder(self) -> None:
        self._hint(FOLDER_KEYS)
        self._write(self.list.key, "folder")

    def _write(self, identity: str, what: Literal["title", "folder"]) -> None:
        found = self.list.find(identity)
        if found is None:
            return
        self.list.point_at(identity)
        self.list.scroll_to_highlight()
        self._writing = identity, what
        field = self.query_one(LineField)
        field.value = sanitize_line(getattr(found, what))
        field.placeholder = "Folder" if what == "folder" else UNTITLED
        line = self.list.line_of(self.list.index_of(identity))
        field.styles.offset = (0, self.list.region.y - self.content_region.y + line)
        field.add_class("-shown")
        field.focus()

    @on(Input.Submitted, "#rename")
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._end_writing(event.value)

    @on(LineField.Left)
    def _left(self, event: LineField.Left) -> None:
        event.stop()
        self._end_writing(event.text)

    def _end_writing(self, text: str | None) -> None:
        writing, self._writing = self._writing, None
        if writing is None:
            return
        field = self.query_one(LineField)
        if field.has_focus:
            self.list.focus()
        field.remove_class("-shown")
        self._hint(KEYS)
        identity, what = writing
        found = self.list.find(identity)
        if text is None or found is None or (clean := sanitize_line(text).strip()) == getattr(found, what):
            return
        if what == "folder":
            self.post_message(Organise(identity, folder=clean))
        elif clean:
            self.post_message(Rename(identity, clean))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"

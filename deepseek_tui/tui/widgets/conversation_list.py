"""The conversations as lines: by day, or those that match what is typed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual.binding import Binding
from textual.content import Content
from textual.message import Message

from deepseek_tui.history.shelf import folded
from deepseek_tui.history.store import Conversation
from deepseek_tui.text.sanitize import sanitize_line
from deepseek_tui.tui.grouping import by_day
from deepseek_tui.tui.widgets.line_list import LineList, Row

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


@dataclass
class Organise(Message):
    """What is not None is to be changed."""

    conversation: str
    pinned: bool | None = None
    archived: bool | None = None
    folder: str | None = None


class ConversationList(LineList):
    """One line each: a mark, the title, how old it is. `clock`: the time of day in seconds.

    | Key | What it does |
    | :- | :- |
    | enter | Open. |
    | / | Filter. |
    | p | Pin it, or take the pin out. |
    | f | Put it into a folder. |
    | a | Archive it, or bring it back. |
    | delete, d | Delete. |
    | u, ctrl+z | Take the deletion back. |
    """

    BINDINGS = [
        Binding("enter", "choose", "Open the conversation", id="list.open"),
        Binding("slash", "filter", "Filter by title and folder", id="list.filter"),
        Binding("p", "pin", "Pin the conversation, or unpin it", id="list.pin"),
        Binding("f", "folder", "Put it into a folder", id="list.folder"),
        Binding("a", "archive", "Archive it; the filter finds it still", id="list.archive"),
        Binding("delete,d", "delete", "Delete the conversation", id="list.delete"),
        Binding("u,ctrl+z", "undelete", "Take the deletion back", id="list.undo"),
    ]

    @dataclass
    class Filter(Message):
        """The user wants to type what to look for."""

    @dataclass
    class Folder(Message):
        """The user wants to write a folder for the conversation meant."""

    def __init__(self, *, id: str | None = None, clock: Callable[[], float] = time.time) -> None:
        super().__init__(id=id)
        self._clock = clock
        self._all: Sequence[Conversation] = ()
        self._lines: list[Conversation | str] = []
        self._folded: dict[tuple[str, str], str] = {}
        self._shown: str | None = None
        self._active: Sequence[str] = ()
        self._words: list[str] = []

    def show(self, conversations: Sequence[Conversation], shown: str | None, active: Sequence[str]) -> None:
        """Another content. The line that is meant stays the same while the user is in the list."""
        moved = shown != self._shown
        self._all, self._shown, self._active = conversations, shown, active
        self._arrange("" if self.has_focus and self.key and not moved else shown or "")

    def filter(self, text: str) -> None:
        """Only those with every word of `text` in title or folder; "" for all."""
        self._words = folded(text).split()
        self._arrange("")
        if self._words:
            self.action_first()

    def find(self, conversation: str) -> Conversation | None:
        at = self.index_of(conversation)
        found = self._lines[at] if at >= 0 else None
        return None if isinstance(found, str) else found

    def _arrange(self, here: str) -> None:
        lines: list[Conversation | str] = []
        rest = [c for c in self._all if not c.archived]
        if self._words:
            rest = [c for c in rest if self._matches(c)]
        for title, start, end in by_day(rest, self._clock()):
            lines += ["", title] if lines else [title]
            lines += rest[start:end]
        put_away = [c for c in self._all if c.archived and self._matches(c)] if self._words else []
        if put_away:
            lines += ["", "Archived"] if lines else ["Archived"]
            lines += put_away
        self._lines = lines
        self.set_rows([Row("" if isinstance(line, str) else line.id) for line in lines], here=here)

    def _matches(self, conversation: Conversation) -> bool:
        key = conversation.title, conversation.folder
        text = self._folded.get(key)
        if text is None:
            text = self._folded[key] = folded(f"{conversation.title} {conversation.folder}")
        return all(word in text for word in self._words)

    def draw(self, index: int, width: int) -> list[Content]:
        line = self._lines[index]
        if isinstance(line, str):
            return [Content(line)]
        shown = line.id == self._shown
        age = age_of(self._clock() - line.updated)
        title = Content(sanitize_line(line.title) or UNTITLED)
        if shown or line.unread:
            title = title.stylize("bold")
        if line.folder:
            title = Content.assemble((f"{sanitize_line(line.folder)}/ ", "$foreground 60%"), title)
        room = max(1, width - 2 - len(age) - 1)
        title = title.truncate(room, ellipsis=True, pad=True)
        return [
            Content.assemble((self._mark(line, shown), "$text-accent"), title, (f" {age}", "$foreground 60%"))
        ]

    def _mark(self, conversation: Conversation, shown: bool) -> str:
        if self._active and conversation.id == self._active[0]:
            return "▸ "
        if conversation.id in self._active:
            return "… "
        if conversation.unread and not shown:
            return "◆ "
        # Another app may be writing in it.
        return "▹ " if conversation.streaming else "• " if shown else "  "

    # Actions

    def action_delete(self) -> None:
        if self.key:
            self.post_message(Delete(self.key))

    def action_undelete(self) -> None:
        self.post_message(Undelete(""))

    def action_pin(self) -> None:
        if (found := self.find(self.key)) is not None:
            self.post_message(Organise(found.id, pinned=not found.pinned))

    def action_archive(self) -> None:
        if (found := self.find(self.key)) is not None:
            self.post_message(Organise(found.id, archived=not found.archived))

    def action_filter(self) -> None:
        self.post_message(self.Filter())

    def action_folder(self) -> None:
        if self.key:
            self.post_message(self.Folder())


def age_of(seconds: float) -> str:
    """A time span in at most four characters."""
    for size, sign in ((31_536_000, "y"), (604_800, "w"), (86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{sign}"
    return "now"

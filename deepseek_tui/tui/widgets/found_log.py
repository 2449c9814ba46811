"""The chat log with what is looked for in it: marked, counted, and gone to."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from deepseek_tui.tui.thinking import split
from deepseek_tui.tui.widgets.find_bar import Counted
from deepseek_tui.tui.widgets.found import Mark, marks_in
from deepseek_tui.tui.widgets.message import MessageBlock, MessageView
from deepseek_tui.tui.widgets.message_log import MessageLog


class Place(NamedTuple):
    """Place number `nth` in message number `at`."""

    at: int
    nth: int


class FoundLog(MessageLog):
    """Places are counted in the text of messages, all of them, and marked in the lines on the screen."""

    COMPONENT_CLASSES = {"chat-log--found", "chat-log--found-here"}
    DEFAULT_CSS = """
    FoundLog > .chat-log--found { background: $warning 35%; text-style: underline; }
    FoundLog > .chat-log--found-here { background: $warning; color: $background; text-style: bold; }
    FoundLog:ansi > .chat-log--found { text-style: underline bold; }
    FoundLog:ansi > .chat-log--found-here { text-style: reverse bold; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._pattern: re.Pattern[str] | None = None
        self._places: list[Place] = []
        self._here: Place | None = None
        self._from_search = False
        self._began = 0, 0  # the message at the top of the screen then, and which line of it
        # The message to go to once it is shown, and what to mark in it.
        self._sought: tuple[str, re.Pattern[str] | None] | None = None
        self._marks: dict[int, tuple[object, list[list[Mark]]]] = {}

    # What the screen calls

    def find(self, pattern: re.Pattern[str] | None) -> None:
        """Mark every place of the pattern and go to the first one on the screen or below; None: unmark.

        That is the screen as it was before anything was marked: each letter more looks on from there.
        """
        if pattern is None and self._pattern is None:
            return
        if self._pattern is None or self._from_search:
            top = max(0, min(bisect_right(self._tops, self.scroll_offset.y), len(self._blocks)) - 1)
            self._began = top, self.scroll_offset.y - self._tops[top]
        self._set_pattern(pattern)
        self._from_search = False
        self._here = None
        if self._places:
            self._go_to(self._first_place())
        self._tell()

    def step(self, step: int) -> None:
        """Go to the next place, or with -1 to the one before; after the last comes the first."""
        here = self._here
        self._set_pattern(self._pattern)
        if not self._places:
            return self._tell()
        if here is None:
            at = 0 if step > 0 else -1
        else:
            at = bisect_left(self._places, here) + step
        self._go_to(at % len(self._places))
        return self._tell()

    def seek(self, message: str, pattern: re.Pattern[str] | None) -> None:
        """When the conversation is shown next: go to this message and mark what was searched for."""
        self._sought = message, pattern

    def show_message(self, message: str) -> None:
        """Bring the first place in this message into view, or else its beginning."""
        index = next((at for at, block in enumerate(self._blocks) if block.id == message), None)
        if index is not None:
            self._here = Place(index, 0)
            self._bring_place(self._here)

    async def show(self, messages: Sequence[MessageView]) -> None:
        await super().show(messages)
        sought, self._sought = self._sought, None
        if sought is not None:
            self._set_pattern(sought[1])
            self._from_search = True
            self.call_after_refresh(self.show_message, sought[0])
        else:
            # What was searched for elsewhere is of no interest here; what the user looks for still is.
            self.find(None if self._from_search else self._pattern)

    # Inside

    def _set_pattern(self, pattern: re.Pattern[str] | None) -> None:
        self._pattern = pattern
        self._marks.clear()
        self._places = []
        if pattern is not None:
            for index, block in enumerate(self._blocks):
                count = sum(1 for match in pattern.finditer(_searched(block)) if match.group())
                self._places += [Place(index, nth) for nth in range(count)]
        self.refresh()

    def _tell(self) -> None:
        here = bisect_left(self._places, self._here) + 1 if self._here is not None and self._places else 0
        self.post_message(Counted(here, len(self._places)))

    def _first_place(self) -> int:
        """The first place from where the finding began, or else the last one before."""
        at, line = self._began
        first = bisect_left(self._places, Place(at, 0))
        while first < len(self._places) and self._places[first].at == at:
            if self._line_of(self._places[first]) >= line:
                break
            first += 1
        return min(first, len(self._places) - 1)

    def _go_to(self, at: int) -> None:
        self._here = self._places[at]
        self._bring_place(self._here)

    def _bring_place(self, place: Place) -> None:
        """Scroll as little as shows it; from afar to a third of the screen."""
        if not self._layout_width or place.at >= len(self._blocks):
            return
        rows = self.size.height
        # Messages on the way are measured only now, which moves what is below them.
        for _ in range(3):
            self._measure(place.at)
            y = self._tops[place.at] + self._line_of(place)
            if self.scroll_offset.y < y < self.scroll_offset.y + rows - 1:
                break
            self.following = False
            self._settle_around(max(0, min(y - rows // 3, self._tops[-1] - rows)))
        self.refresh()

    def _line_of(self, place: Place) -> int:
        marks = self._marks_of(place.at)
        return marks[min(place.nth, len(marks) - 1)][0].line if marks else 0

    def _marks_of(self, index: int) -> list[list[Mark]]:
        block = self._blocks[index]
        if self._pattern is None or block.role == "notice":
            return []
        lines = block.lay_out(self._layout_width)
        known = self._marks.get(index)
        if known is None or known[0] is not lines or block.streaming:
            known = self._marks[index] = lines, marks_in(lines, self._pattern)
        return known[1]

    def _marked(self, strip: Strip, y: int) -> Strip:
        if self._pattern is not None and 0 <= y < self._tops[-1]:
            index = bisect_right(self._tops, y) - 1
            found = self._marks_of(index)
            for nth, marks in enumerate(found):
                here = self._here is not None and self._here.at == index
                here = here and nth == min(self._here.nth if self._here else 0, len(found) - 1)
                for mark in marks:
                    if mark.line == y - self._tops[index]:
                        name = "chat-log--found-here" if here else "chat-log--found"
                        strip = _painted(strip, mark, self.get_component_rich_style(name))
        return super()._marked(strip, y)


def _searched(block: MessageBlock) -> str:
    """What is looked through: what can be seen of a message."""
    if block.role == "notice":
        return ""
    return split(block.text)[1] if block.role == "assistant" and block.folded else block.text


def _painted(strip: Strip, mark: Mark, style: Style) -> Strip:
    segments: list[Segment] = []
    at = 0
    for text, own, _ in strip:
        low = min(len(text), max(0, mark.start - at))
        high = min(len(text), max(low, mark.end - at))
        both = style if own is None else own + style
        segments += [Segment(text[:low], own), Segment(text[low:high], both), Segment(text[high:], own)]
        at += len(text)
    return Strip([segment for segment in segments if segment.text], strip.cell_length)

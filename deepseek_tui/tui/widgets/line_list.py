"""A list that draws only the lines on the screen, so that ten thousand rows cost what twenty do."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from textual import events
from textual.binding import Binding
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual

BAR = "▌"


class Row(NamedTuple):
    """A row `height` lines high. `key` names it; a heading has none and cannot be chosen."""

    key: str
    height: int = 1


class LineList(ScrollView, can_focus=True):
    """Rows to move over and choose from; a bar at the left says which one is meant.

    Whoever uses it overrides `draw`.

    | Key | What it does |
    | :- | :- |
    | up, down | The row before, the row after. |
    | pageup, pagedown | A screen of rows. |
    | home, end | The first row, the last one. |
    | enter | Choose the row. |
    """

    BINDINGS = [
        Binding("up", "move(-1)", "Row before", show=False),
        Binding("down", "move(1)", "Row after", show=False),
        Binding("pageup", "page(-1)", "Screen before", show=False),
        Binding("pagedown", "page(1)", "Screen after", show=False),
        Binding("home", "first", "First row", show=False),
        Binding("end", "last", "Last row", show=False),
        Binding("enter", "choose", "Choose", show=False),
    ]
    COMPONENT_CLASSES = {"line-list--here", "line-list--heading"}
    DEFAULT_CSS = Path(__file__).with_suffix(".tcss").read_text(encoding="utf-8")

    highlighted: reactive[int] = reactive(-1)
    # Moved from a field that has the focus: it looks as if it had it.
    led: reactive[bool] = reactive(False, toggle_class="-led")

    @dataclass
    class Chosen(Message):
        """The user wants the row with this key."""

        line_list: LineList
        key: str

        @property
        def control(self) -> LineList:
            """The list it is in."""
            return self.line_list

    @dataclass
    class Moved(Message):
        """Another row is meant now; "" for none."""

        line_list: LineList
        key: str

        @property
        def control(self) -> LineList:
            """The list it is in."""
            return self.line_list

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._rows: Sequence[Row] = ()
        self._tops: Sequence[int] = (0,)
        self._index: dict[str, int] = {}

    def draw(self, index: int, width: int) -> list[Content]:
        """The lines of row `index`, as many as it is high, at most `width` cells wide."""
        raise NotImplementedError

    # What users of the list call

    @property
    def rows(self) -> Sequence[Row]:
        return self._rows

    @property
    def key(self) -> str:
        """Of the row that is meant; "" for none."""
        return self._rows[self.highlighted].key if 0 <= self.highlighted < len(self._rows) else ""

    def set_rows(self, rows: Sequence[Row], *, here: str = "") -> None:
        """Other rows. The row `here` is meant then; without one, the row now meant stays where it was."""
        before, kept = self.highlighted, self.key
        self._rows = rows
        self._tops = [0, *accumulate(row.height for row in rows)]
        self._index = {row.key: at for at, row in enumerate(rows) if row.key}
        self.virtual_size = Size(0, self._tops[-1])
        at = self._index.get(here, self._index.get(kept, -1))
        if at < 0 and before >= 0:
            at = self._nearest(before)
        if at == before:
            self.refresh()
        self.highlighted = at

    def index_of(self, key: str) -> int:
        """Where the row with this key is, -1 for nowhere."""
        return self._index.get(key, -1)

    def line_of(self, index: int) -> int:
        """On which line of the widget row `index` begins."""
        return self._tops[index] - round(self.scroll_target_y)

    def point_at(self, key: str) -> None:
        """Mean the row with this key, where it is there."""
        self.highlighted = self._index.get(key, self.highlighted)

    def refresh_row(self, key: str) -> None:
        """Draw one row anew."""
        if (at := self.index_of(key)) >= 0:
            self._refresh_row(at)

    # Moving

    def watch_highlighted(self, old: int, new: int) -> None:
        for at in (old, new):
            if 0 <= at < len(self._rows):
                self._refresh_row(at)
        self.scroll_to_highlight()
        if old != new:
            self.post_message(self.Moved(self, self.key))

    def scroll_to_highlight(self) -> None:
        at = self.highlighted
        if not 0 <= at < len(self._rows):
            return
        top, bottom = self._tops[at], self._tops[at + 1]
        # A heading above the first row of its group comes along.
        while at > 0 and not self._rows[at - 1].key:
            at -= 1
            top = self._tops[at]
        self.scroll_to_region(Region(0, top, 1, bottom - top), animate=False, force=True, immediate=True)

    def action_move(self, step: int) -> None:
        at = self._step(self.highlighted, step)
        if at is not None:
            self.highlighted = at

    def action_page(self, step: int) -> None:
        if not self._rows:
            return
        line = self._tops[max(0, self.highlighted)] + step * max(1, self.size.height - 1)
        at = bisect_right(self._tops, max(0, min(line, self._tops[-1] - 1))) - 1
        self.highlighted = self._nearest(at)

    def action_first(self) -> None:
        self.highlighted = self._nearest(0)

    def action_last(self) -> None:
        self.highlighted = self._nearest(len(self._rows) - 1)

    def action_choose(self) -> None:
        if self.key:
            self.post_message(self.Chosen(self, self.key))

    def _step(self, start: int, step: int) -> int | None:
        at = start + step
        while 0 <= at < len(self._rows):
            if self._rows[at].key:
                return at
            at += step
        return None

    def _nearest(self, at: int) -> int:
        """The row at this place or the next one, or else the one before, that can be chosen."""
        at = max(0, min(at, len(self._rows) - 1))
        after = self._step(at - 1, 1)
        if after is None:
            after = self._step(at, -1)
        return -1 if after is None else after

    def on_focus(self) -> None:
        if self.highlighted < 0:
            self.highlighted = self._nearest(0)
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_resize(self) -> None:
        self.scroll_to_highlight()

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        at = bisect_right(self._tops, offset.y + self.scroll_offset.y) - 1
        if 0 <= at < len(self._rows) and self._rows[at].key:
            self.highlighted = at
            self.action_choose()

    # Painting

    def _refresh_row(self, at: int) -> None:
        top = self._tops[at] - self.scroll_offset.y
        self.refresh(Region(0, top, self.size.width, self._rows[at].height))

    def render_line(self, y: int) -> Strip:
        line, width = y + self.scroll_offset.y, self.scrollable_size.width
        at = bisect_right(self._tops, line) - 1
        if not 0 <= at < len(self._rows):
            return Strip.blank(width, self.rich_style)
        row, here = self._rows[at], at == self.highlighted
        names = ["line-list--here"] if here else [] if row.key else ["line-list--heading"]
        style = self.get_visual_style(*names)
        bar = (BAR, "$text-accent") if here and (self.has_focus or self.led) else " "
        content = Content.assemble(bar, self.draw(at, width - 1)[line - self._tops[at]])
        strips = Visual.to_strips(self, content, width, 1, style)
        return strips[0].extend_cell_length(width, style.rich_style).crop(0, width)

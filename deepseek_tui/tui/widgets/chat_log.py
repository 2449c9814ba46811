"""The chat log: the messages of a conversation, scrolled as one text.

Messages are lines, not widgets. Only those near the screen are laid out; the others have an estimated height
until they come near, and what is on the screen stays in its place when an estimate is corrected. So a
conversation of thousands of messages opens as fast as a short one, and a token of a streaming reply repaints
the line it is on.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from deepseek_tui.tui.widgets.message import MessageBlock, MessageView
from deepseek_tui.tui.widgets.message_lines import Line, Span, plain
from deepseek_tui.tui.widgets.message_markdown import warm_up

# Names of styles that lines use; each has a component class "chat-log--NAME".
STYLES = (
    "user",
    "user-bar",
    "label-user",
    "label-assistant",
    "label-system",
    "place",
    "thought",
    "system",
    "notice",
    "error",
    "note",
    "heading-1",
    "heading-2",
    "heading-3",
    "heading-mark",
    "strong",
    "emphasis",
    "strike",
    "code-inline",
    "link",
    "url",
    "quote-bar",
    "marker",
    "rule",
    "table-head",
    "table-rule",
    "code",
    "code-bar",
    "code-label",
    "code-comment",
    "code-string",
    "code-number",
    "code-keyword",
    "code-name",
    "code-builtin",
    "code-deleted",
)
# Longer lines of text are tiring to read; the rest of a wide screen stays empty.
WIDEST = 100
# A streaming reply that reaches the bottom is moved up by this many lines at once. Moving repaints the whole
# log, so line by line would cost several times as many bytes; and text that rests is easier to read.
SLACK = 4
# Messages this many screens away from the visible ones keep their lines.
KEEP_SCREENS = 4


class ChatLog(ScrollView, can_focus=True):
    """The messages of a conversation.

    | Key | Description |
    | :- | :- |
    | up, down | Scroll a line. |
    | pageup, pagedown | Scroll a screen. |
    | home, end | Go to the first message; to the latest. |
    """

    BINDINGS = [
        Binding("up", "scroll_up", "Scroll up", show=False),
        Binding("down", "scroll_down", "Scroll down", show=False),
        Binding("pageup", "page_up", "Page up", show=False),
        Binding("pagedown", "page_down", "Page down", show=False),
        Binding("home", "scroll_home", "First message", show=False),
        Binding("end", "jump_to_latest", "Latest message", show=False),
    ]

    COMPONENT_CLASSES = {f"chat-log--{name}" for name in STYLES}

    DEFAULT_CSS = Path(__file__).with_suffix(".tcss").read_text(encoding="utf-8")

    following: reactive[bool] = reactive(True, init=False)

    @dataclass
    class FollowingChanged(Message):
        """The log began or ceased to stay at the latest line."""

        chat_log: ChatLog
        following: bool

        @property
        def control(self) -> ChatLog:
            """The log it happened in."""
            return self.chat_log

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._blocks: list[MessageBlock] = []
        self._tops: list[int] = [0]  # where each block begins, and where the last one ends
        self._heights: list[int] = []
        self._laid_out: set[int] = set()
        self._layout_width = 0
        self._moving = False
        self._slack = 0  # empty lines below the end of a streaming reply
        self._styles_by_name: dict[str, Style] = {}
        self._notices = 0

    def on_mount(self) -> None:
        # What the first reply needs takes a quarter of a second to import: not before the first frame.
        self.call_after_refresh(self.run_worker, warm_up, thread=True, group="warm-up")

    # What TUI code calls

    async def show(self, messages: Sequence[MessageView]) -> None:
        """Replaces everything by these messages, the latest in view."""
        self._blocks = [MessageBlock(view) for view in messages]
        self._forget_layout()
        self.following = True
        self._settle()
        self.refresh()

    async def add(self, message: MessageView) -> MessageBlock:
        """Appends a message."""
        return self._append(MessageBlock(message))

    def add_notice(self, text: str, *, error: bool = False) -> MessageBlock:
        """Appends a quiet line of the app's own, or an error."""
        self._notices += 1
        return self._append(
            MessageBlock(MessageView(f"notice-{self._notices}", "error" if error else "notice", text))
        )

    def begin_reply(self, message_id: str, place: str = "") -> MessageBlock:
        """Appends an empty reply; its `append` and `finish` fill it."""
        view = MessageView(message_id, "assistant", "", place=place)
        return self._append(
            MessageBlock(view, streaming=True, changed=self._block_changed, schedule=self.set_timer)
        )

    def jump_to_latest(self) -> None:
        """Shows the latest line, and stays there."""
        self.following = True
        self._settle()

    def action_jump_to_latest(self) -> None:
        self.jump_to_latest()

    @property
    def blocks(self) -> Sequence[MessageBlock]:
        """The messages, oldest first."""
        return self._blocks

    @property
    def laid_out(self) -> int:
        """How many messages have their lines; the others are far from the screen."""
        return len(self._laid_out)

    def watch_following(self, following: bool) -> None:
        self.post_message(self.FollowingChanged(self, following))

    # Layout: which messages have lines, and where they are

    def _append(self, block: MessageBlock) -> MessageBlock:
        self._blocks.append(block)
        height = block.estimate(self._text_width)
        self._heights.append(height)
        self._tops.append(self._tops[-1] + height)
        if block.streaming and self._text_width > 0:
            self._measure(len(self._blocks) - 1)
        self._settle()
        self.refresh()
        return block

    @property
    def _text_width(self) -> int:
        return max(0, min(WIDEST, self.scrollable_size.width - 1))

    def _forget_layout(self) -> None:
        for index in self._laid_out:
            if index < len(self._blocks):
                self._blocks[index].release()
        self._laid_out.clear()
        self._layout_width = self._text_width
        self._heights = [block.estimate(self._layout_width) for block in self._blocks]
        self._tops = [0, *accumulate(self._heights)]

    def _measure(self, index: int) -> int:
        """Lays a message out if it is not; its height."""
        if index not in self._laid_out:
            self._laid_out.add(index)
            self._set_height(index, len(self._blocks[index].lay_out(self._layout_width)))
        return self._heights[index]

    def _set_height(self, index: int, height: int) -> None:
        if height != self._heights[index]:
            self._heights[index] = height
            self._tops[index + 1 :] = list(accumulate(self._heights[index:], initial=self._tops[index]))[1:]

    def _settle(self, growing: bool = False) -> None:
        """Lays out what is on the screen and a screen around it, and keeps in place what is seen.

        `growing`: the last message streams.
        """
        if not self._text_width or not self.size.height:
            return
        if not self._blocks:
            self._update_scroll(0)
            return
        if self.following:
            first, last = len(self._blocks), len(self._blocks) - 1
            missing = 2 * self.size.height
            while first > 0 and missing > 0:
                first -= 1
                missing -= self._measure(first)
            self._follow(growing)
        else:
            self._slack = 0
            first, last = self._settle_around(self.scroll_offset.y)
        self._release_far(first, last)

    def _follow(self, growing: bool) -> None:
        """Shows the end; where a reply grows, with room for its next lines."""
        rows, end = self.size.height, self._tops[-1]
        free = self.scroll_offset.y + rows - end
        if not growing or end <= rows:
            self._slack = 0
        else:
            self._slack = free if 0 <= free <= SLACK else min(SLACK, rows // 4)
        self._update_scroll(end)

    def _settle_around(self, y: int) -> tuple[int, int]:
        """The same where `y` is the first line on the screen; the first and last message laid out."""
        at = min(bisect_right(self._tops, y), len(self._blocks)) - 1
        offset = y - self._tops[at]
        if at not in self._laid_out and offset:
            # A message that comes into view from above: its last lines are what is seen.
            below = self._heights[at] - offset
            offset = max(0, self._measure(at) - below)
        last, missing = at, 2 * self.size.height + offset - self._measure(at)
        while missing > 0 and last < len(self._blocks) - 1:
            last += 1
            missing -= self._measure(last)
        first, missing = at, self.size.height
        while missing > 0 and first > 0:
            first -= 1
            missing -= self._measure(first)
        self._update_scroll(self._tops[at] + offset)
        return first, last

    def _release_far(self, first: int, last: int) -> None:
        if len(self._laid_out) <= 2 * (last - first + 1) + 16:
            return
        reach = KEEP_SCREENS * self.size.height
        low, high = self._tops[first] - reach, self._tops[last + 1] + reach
        for index in list(self._laid_out):
            block = self._blocks[index]
            if not block.streaming and not (self._tops[index + 1] >= low and self._tops[index] <= high):
                block.release()
                self._laid_out.discard(index)

    def _update_scroll(self, y: int) -> None:
        height = self._tops[-1] + self._slack
        if self.virtual_size.height != height or self.virtual_size.width != self.scrollable_size.width:
            # The scrollbar is always there, so a new height needs no new layout of the screen.
            self.set_reactive(ScrollView.virtual_size, Size(self.scrollable_size.width, height))
            self.vertical_scrollbar.window_virtual_size = height
        self._moving = True
        try:
            self.scroll_to(y=y, animate=False, force=True, immediate=True)
        finally:
            self._moving = False

    def _block_changed(self, block: MessageBlock) -> None:
        """A streaming reply has grown or ended."""
        index = next((at for at in reversed(range(len(self._blocks))) if self._blocks[at] is block), None)
        if index is None or not self._layout_width:
            return
        if not block.streaming or block.lines is None:
            self._laid_out.discard(index)
        self._measure(index)
        assert block.lines is not None
        self._set_height(index, len(block.lines))
        before = self.scroll_offset.y
        self._settle(growing=index == len(self._blocks) - 1)
        if not block.streaming:
            self.refresh()
        elif self.scroll_offset.y == before:
            self._refresh_from(self._tops[index] + block.changed_line - before, block)

    def _refresh_from(self, row: int, block: MessageBlock) -> None:
        """Repaints what the last flush changed, and no cell more: over a slow line each one counts."""
        width, cell = self.scrollable_size.width, block.changed_cell
        regions = Region(cell, row, width - cell, 1), Region(0, row + 1, width, block.changed_rows - 1)
        for region in regions:
            if visible := region.intersection(self.scrollable_size.region):
                self.refresh(visible)

    def on_resize(self, event: events.Resize) -> None:
        del event
        if self._text_width != self._layout_width:
            y = self.scroll_offset.y
            at = max(0, min(bisect_right(self._tops, y), len(self._blocks)) - 1)
            seen = (y - self._tops[at]) / self._heights[at] if self._blocks else 0.0
            self._forget_layout()
            if self._blocks and not self.following:
                offset = int(seen * self._measure(at))
                self._update_scroll(self._tops[at] + offset)
        self._settle()
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if not self._moving and round(old_value) != round(new_value):
            self.following = self.scroll_offset.y >= self.max_scroll_y
            self._settle()

    def _scroll_to(self, *args: Any, **options: Any) -> bool:
        # Each frame of an animation would repaint the whole log: too much for a slow line.
        options["animate"] = False
        return super()._scroll_to(*args, **options)

    # Painting

    def notify_style_update(self) -> None:
        self._styles_by_name.clear()
        super().notify_style_update()

    def _style(self, names: str) -> Style:
        style = self._styles_by_name.get(names)
        if style is None:
            style = self.rich_style
            for name in names.split():
                styles = self.get_component_styles(f"chat-log--{name}")
                full = styles.rich_style
                style += Style(
                    color=full.color if styles.has_rule("color") else None,
                    bgcolor=full.bgcolor if styles.has_rule("background") else None,
                )
                style += styles.text_style
            self._styles_by_name[names] = style
        return style

    def _line_at(self, y: int) -> Line | None:
        if not 0 <= y < self._tops[-1]:
            return None
        index = bisect_right(self._tops, y) - 1
        lines = self._blocks[index].lay_out(self._layout_width)
        offset = y - self._tops[index]
        return lines[offset] if offset < len(lines) else None

    def render_line(self, y: int) -> Strip:
        y += self.scroll_offset.y
        width = self.scrollable_size.width
        line = self._line_at(y)
        if line is None:
            return Strip.blank(width, self.rich_style)
        segments = [Segment(text, self._style(style)) for text, style in line.spans]
        strip = Strip(segments).simplify()
        if line.fill:
            strip = strip.adjust_cell_length(self._layout_width, self._style(line.fill))
        selection = self.text_selection
        if selection is not None and (span := selection.get_span(y)) is not None:
            strip = self._selected(strip, *span)
        strip = self._marked(strip.adjust_cell_length(width, self.rich_style), y)
        return strip.apply_offsets(0, y)

    def _marked(self, strip: Strip, y: int) -> Strip:
        """The line `y` with what a log adds to it, in the same width."""
        del y
        return strip

    def _selected(self, strip: Strip, start: int, end: int) -> Strip:
        """The strip with the characters [start, end) as selected; end -1 is the end of the line."""
        style = self.screen.get_component_rich_style("screen--selection")
        segments: list[Segment] = []
        at = 0
        for text, own, _ in strip:
            low = min(len(text), max(0, start - at))
            high = len(text) if end < 0 else min(len(text), max(low, end - at))
            both = style if own is None else own + style
            segments += [Segment(text[:low], own), Segment(text[low:high], both), Segment(text[high:], own)]
            at += len(text)
        return Strip([segment for segment in segments if segment.text])

    # Selection

    def selection_updated(self, selection: Selection | None) -> None:
        del selection
        self.refresh()

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text as it was written: soft wraps undone, decoration left out."""
        first = selection.start.y if selection.start else 0
        last = min(selection.end.y if selection.end else self._tops[-1], self._tops[-1] - 1)
        lines: list[Line] = []
        for y in range(first, last + 1):
            line = self._line_at(y)
            span = selection.get_span(y)
            if line is not None and span is not None:
                start, end = max(span[0], line.skip), None if span[1] < 0 else span[1]
                lines.append(Line((Span(line.text[start:end]),), line.joiner))
        return (plain(lines), "\n") if lines else None

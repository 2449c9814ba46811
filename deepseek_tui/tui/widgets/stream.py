"""A reply that grows: lays out what came new, keeps what is finished.

The text is cut into units (message_markdown). Once the line that begins a later unit is complete, the units
before it cannot change any more: their lines are frozen. Only the last unit is laid out again as text comes,
and a long one only in its last part (stream_open). So a token costs the same at any length of the reply.

`finish` cuts the whole text once more, laying out only units that came out differently.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from deepseek_tui.text.sanitize import sanitize
from deepseek_tui.tui.widgets.code_fence import language_of
from deepseek_tui.tui.widgets.message_lines import BLANK, Line
from deepseek_tui.tui.widgets.message_markdown import (
    Environment,
    Layout,
    Unit,
    code_lines,
    open_code_lines,
    units,
)
from deepseek_tui.tui.widgets.stream_open import PART, LongBlock, LongParagraph, OpenFence

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})([^\n]*)\n")
# The beginning of a mark whose meaning the next characters decide: kept back, or it would flicker.
_UNDECIDED = re.compile(r"[ \t]*(?:[-=*_#~+>|]+|`{1,2}|\d{1,9}[.)]?)[ \t]*")


def markdown_lines(text: str, width: int) -> list[Line]:
    """A whole text at once: the screen lines of its Markdown."""
    return MarkdownStream(width).finish(text)


class MarkdownStream:
    """The screen lines of a text that comes in pieces, `width` cells wide.

    `lines` are all lines so far; the first `frozen` of them do not change before `finish`. `layouts` counts
    the units laid out, which is the work done.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.lines: list[Line] = []
        self.frozen = 0
        self.layouts = 0
        self._changed = 0
        self._text: list[str] = []
        self._env: Environment = {}
        self._tail = ""  # the source of the last unit
        self._before: Unit | None = None
        self._blank_before = False
        self._fence: OpenFence | None = None
        self._long: LongParagraph | LongBlock | None = None
        self._seen: dict[tuple[str, int], list[Line]] = {}

    def feed(self, text: str) -> int:
        """Takes the next piece of the text; the index of the first line that it changed or added."""
        self._changed = len(self.lines)
        self._text.append(text)
        self._tail += text
        while self._fence is None or self._feed_fence(self._fence):
            if not self._advance():
                break
        return self._changed

    def finish(self, text: str | None = None) -> list[Line]:
        """The lines of the whole text (`text`, or all that was fed), as if it had come in one piece."""
        source = "".join(self._text) if text is None else text
        env: Environment = {}
        found = units(source, env)
        if env.get("references"):
            # A link may have been laid out before its definition came.
            self._seen.clear()
        self.lines, self.frozen = [], 0
        rows = source.split("\n")
        layout = Layout(rows, self.width, env)
        for unit in found:
            self._freeze(unit, rows, layout)
        return self.lines

    def _replace(self, start: int, lines: Sequence[Line]) -> None:
        """Puts `lines` in the place of all from `start` on, and notes from where on they differ."""
        at = 0
        for old, new in zip(self.lines[start:], lines, strict=False):
            if old != new:
                break
            at += 1
        self._changed = min(self._changed, start + at)
        self.lines[start + at :] = lines[at:]

    def _freeze(self, unit: Unit, rows: Sequence[str], layout: Layout) -> None:
        key = "\n".join(rows[unit.start : unit.end]).rstrip("\n"), unit.number
        lines = self._seen.get(key)
        if lines is None:
            self.layouts += 1
            lines = self._seen[key] = layout.unit(unit)
        self._replace(self.frozen, [BLANK, *lines] if unit.spaced else lines)
        self.frozen = len(self.lines)

    def _advance(self) -> bool:
        """Freezes what is finished in the tail and lays the rest out; true if that is an open fence."""
        text = self._decided()
        if self._long is not None and self._long.goes_on(text):
            self._feed_long(self._long, text)
            return False
        found = units(text, self._env, self._before, self._blank_before)
        rows = text.split("\n")
        # The last unit is open; so is the one before it while the line that began the last is incomplete.
        opened = len(found) - 1 if found and found[-1].start < len(rows) - 1 else len(found) - 2
        if opened > 0:
            layout = Layout(rows, self.width, self._env)
            for unit in found[:opened]:
                if self._long is not None:
                    self._freeze_as_shown(self._long, rows, unit)
                else:
                    self._freeze(unit, rows, layout)
            self._cut(rows, found[opened].start, found[opened - 1])
            return self._advance()
        if found and found[0].tokens[0].type == "fence" and (match := _FENCE.match(text.lstrip("\n"))):
            self._open_fence(match)
            return True
        self._lay_out_open(text, found, rows)
        return False

    def _cut(self, rows: Sequence[str], start: int, before: Unit) -> None:
        """Leaves in the tail only what begins with the row `start`."""
        self._blank_before = not rows[start - 1].strip()
        self._tail = self._tail[sum(len(row) + 1 for row in rows[:start]) :]
        self._before = before

    def _freeze_as_shown(self, long: LongParagraph | LongBlock, rows: Sequence[str], unit: Unit) -> None:
        """Keeps a long unit that has ended as it is on the screen, until `finish` lays it out anew."""
        self._feed_long(long, "\n".join(rows[: unit.end]))
        self.frozen = len(self.lines)
        self._long = None

    def _lay_out_open(self, text: str, found: Sequence[Unit], rows: Sequence[str]) -> None:
        if self._long is not None and len(found) == 1:
            self._feed_long(self._long, text)
            return
        self._long = None
        if len(found) == 1 and (long := self._begin_long(found[0], text, rows)) is not None:
            self._long = long
            self._feed_long(long, text)
            return
        layout = Layout(rows, self.width, self._env, open_ended=True)
        lines: list[Line] = []
        for unit in found:
            self.layouts += 1
            if unit.spaced:
                lines.append(BLANK)
            lines += layout.unit(unit)
        self._replace(self.frozen, lines)

    def _begin_long(self, unit: Unit, text: str, rows: Sequence[str]) -> LongParagraph | LongBlock | None:
        at = self.frozen + unit.spaced
        if unit.tokens[0].type == "paragraph_open" and len(text) > PART:
            self._replace(self.frozen, [BLANK] if unit.spaced else [])
            return LongParagraph(self.width, self._env, at)
        if LongBlock.suits(unit, text):
            block = LongBlock(unit, rows, self.width, self._env, at)
            self._replace(self.frozen, [BLANK, *block.shown] if unit.spaced else block.shown)
            block.at += len(block.shown)
            return block
        return None

    def _feed_long(self, long: LongParagraph | LongBlock, text: str) -> None:
        full, rest = long.take(text)
        self._replace(long.at, full + rest)
        long.at += len(full)
        self.layouts += 1

    def _decided(self) -> str:
        """The tail without a last line that is only the beginning of a mark."""
        last = self._tail[self._tail.rfind("\n") + 1 :]
        return self._tail.removesuffix(last) if _UNDECIDED.fullmatch(last) else self._tail

    def _open_fence(self, match: re.Match[str]) -> None:
        language = language_of(sanitize(match.group(2)))
        self._tail = self._tail.lstrip("\n")
        label = open_code_lines([], language, self.width)
        self._replace(self.frozen, [BLANK, *label] if self._before is not None else label)
        self._fence = OpenFence(match.group(1), language, match.end(), len(self.lines))

    def _feed_fence(self, fence: OpenFence) -> bool:
        """Takes what is new in the tail into the open fence; true when the fence has ended."""
        new, rest, end = fence.take(self._tail)
        lines = [line for row in new for line in code_lines(row, fence.language, self.width)]
        self._replace(fence.at, lines)
        fence.at += len(lines)
        if end is None:
            self._replace(fence.at, code_lines(rest, fence.language, self.width) if rest else [])
            return False
        source, self._tail = self._tail[:end], self._tail[end:]
        self._fence = None
        rows = source.split("\n")
        unit = units(source, self._env, self._before)[0]
        if len(source) <= 2 * PART:
            # Coloured once more, as a whole: a line by itself does not know that it is inside a long string.
            self._freeze(unit, rows, Layout(rows, self.width, self._env))
        self.frozen = len(self.lines)
        self._before = unit
        self._blank_before = False
        return True

"""A reply that grows: lays out what came new, keeps what is finished.

The text is cut into units (message_markdown). Once the line that begins a later unit is complete, the units before
it cannot change any more: their lines are frozen. Only the last unit is laid out again as text comes, and the two
that grow long while they are one unit have ways of their own: an open fence is coloured line by line, and a long
paragraph freezes the screen lines that it has filled. So a token costs the same at any length of the reply.

`finish` cuts the whole text once more, laying out only units that came out differently.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from deepseek_tui.text.sanitize import sanitize
from deepseek_tui.tui.widgets.code_fence import language_of
from deepseek_tui.tui.widgets.message_lines import BLANK, Line, Span, wrap
from deepseek_tui.tui.widgets.message_markdown import (
    Environment,
    Layout,
    Unit,
    code_lines,
    inline,
    open_code_lines,
    units,
)

# A paragraph longer than this while it grows is laid out in parts of about this size (characters).
LONG_PARAGRAPH = 1500
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})([^\n]*)\n")
# The beginning of a mark whose meaning the next characters decide: kept back, or it would flicker.
_ENDS_PARAGRAPH = re.compile(r"\n(?:[ \t]*\n| {0,3}(?:[#>~`|=*_+-]|\d))")
_UNDECIDED = re.compile(r"[ \t]*(?:[-=*_#~+>|]+|`{1,2}|\d{1,9}[.)]?)[ \t]*")


def markdown_lines(text: str, width: int) -> list[Line]:
    """A whole text at once: the screen lines of its Markdown."""
    return MarkdownStream(width).finish(text)


class MarkdownStream:
    """The screen lines of a text that comes in pieces, `width` cells wide.

    `lines` are all lines so far; the first `frozen` of them do not change before `finish`. `layouts` counts the
    units laid out, which is the work done.
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
        self._fence: _OpenFence | None = None
        self._paragraph: _LongParagraph | None = None
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
        if self._paragraph is not None:
            if self._paragraph.goes_on(text):
                self._feed_paragraph(self._paragraph, text)
                return False
            self._paragraph = None
        found = units(text, self._env, self._before, self._blank_before)
        rows = text.split("\n")
        # The last unit is open; so is the one before it, as long as the line that began the last is incomplete.
        opened = len(found) - 1 if found and found[-1].start < len(rows) - 1 else len(found) - 2
        if opened > 0:
            layout = Layout(rows, self.width, self._env)
            for unit in found[:opened]:
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

    def _lay_out_open(self, text: str, found: Sequence[Unit], rows: Sequence[str]) -> None:
        if len(found) == 1 and found[0].tokens[0].type == "paragraph_open" and len(text) > LONG_PARAGRAPH:
            at = self.frozen + found[0].spaced
            self._paragraph = _LongParagraph(self.width, self._env, at)
            self._feed_paragraph(self._paragraph, text)
            return
        layout = Layout(rows, self.width, self._env, open_ended=True)
        lines: list[Line] = []
        for unit in found:
            self.layouts += 1
            if unit.spaced:
                lines.append(BLANK)
            lines += layout.unit(unit)
        self._replace(self.frozen, lines)

    def _feed_paragraph(self, paragraph: _LongParagraph, text: str) -> None:
        full, rest = paragraph.take(text)
        self._replace(paragraph.at, full + rest)
        paragraph.at += len(full)
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
        self._fence = _OpenFence(match.group(1), language, match.end(), len(self.lines))

    def _feed_fence(self, fence: _OpenFence) -> bool:
        """Takes what is new in the tail into the open fence; true when the fence has ended."""
        rows, rest, end = fence.take(self._tail)
        lines = [line for row in rows for line in code_lines(row, fence.language, self.width)]
        self._replace(fence.at, lines)
        fence.at += len(lines)
        if end is None:
            self._replace(fence.at, code_lines(rest, fence.language, self.width) if rest else [])
            return False
        source, self._tail = self._tail[:end], self._tail[end:]
        self._fence = None
        # Coloured once more, as a whole: a line by itself does not know that it is inside a long string.
        found = source.split("\n")
        for unit in units(source, self._env, self._before):
            self._freeze(unit, found, Layout(found, self.width, self._env))
            self._before = unit
        self._blank_before = False
        return True


class _OpenFence:
    """A fence at the top level whose end has not come. `at`: the screen line where its next line goes."""

    def __init__(self, mark: str, language: str, taken: int, at: int) -> None:
        self.language = language
        self.at = at
        self._taken = taken  # characters of the source that are on the screen
        self._end = re.compile(rf" {{0,3}}{re.escape(mark[0])}{{{len(mark)},}}[ \t]*")
        self._maybe_end = re.compile(rf" {{0,3}}{re.escape(mark[0])}*[ \t]*")

    def take(self, source: str) -> tuple[list[str], str, int | None]:
        """What is new in the source: complete lines, the beginning of the next, and where the fence ends."""
        rows: list[str] = []
        while (stop := source.find("\n", self._taken)) >= 0:
            row = source[self._taken : stop]
            self._taken = stop + 1
            if self._end.fullmatch(row):
                return rows, "", self._taken
            rows.append(row)
        rest = source[self._taken :]
        return rows, "" if self._maybe_end.fullmatch(rest) else rest, None


class _LongParagraph:
    """A growing paragraph too long to lay out as a whole each time. `at`: the screen line it goes on in."""

    def __init__(self, width: int, env: Environment, at: int) -> None:
        self.at = at
        self._width = width
        self._env = env
        self._carried: tuple[Span, ...] = ()  # what the last line holds already
        self._taken = 0

    def goes_on(self, text: str) -> bool:
        """Whether `text`, which began as this paragraph, is still nothing else."""
        return not _ENDS_PARAGRAPH.search(text, max(0, self._taken - 1))

    def take(self, text: str) -> tuple[list[Line], list[Line]]:
        """Screen lines that are full and will not come again, and those that will."""
        full: list[Line] = []
        while len(text) - self._taken > LONG_PARAGRAPH:
            cut = text.rfind(" ", self._taken, self._taken + LONG_PARAGRAPH) + 1
            if cut <= self._taken:
                cut = self._taken + LONG_PARAGRAPH
            *lines, last = self._wrap(text[self._taken : cut])
            full += lines
            self._carried = last.spans
            self._taken = cut
        return full, self._wrap(text[self._taken :])

    def _wrap(self, part: str) -> list[Line]:
        rows = [list(row) for row in inline(part, "", self._env)]
        if part.endswith(" "):
            rows[-1].append(Span(" "))
        rows[0][:0] = self._carried
        return [line for row in rows for line in wrap(row, self._width)]

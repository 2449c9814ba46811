"""Screen lines of a message, and the wrapping that makes them.

A line is plain data: runs of text with the names of their styles. Colours come in when a line is painted, so
a change of theme needs no new layout, and a message can be laid out without a running app.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from rich.cells import cell_len, split_graphemes

TAB_SIZE = 4

# Characters known to be one cell wide: with these alone, cells and characters are the same number.
_NARROW = re.compile(r"[\x20-\x7e\xa0-\xac\xae-\u02ff\u0370-\u0482\u2010-\u2027\u2030-\u205e€\u2500-\u25fc]*")
# Scripts written without spaces: a line may be broken after each character, not before closing punctuation.
_WIDE = "\u2e80-\u2fff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff01-\uff60\U00020000-\U0003ffff"
_CLOSING = "、。，．！？；：）】」』》〉’”％"
_PIECE = re.compile(rf" +|[{_CLOSING}]+|[{_WIDE}][{_CLOSING}]*|[^ {_WIDE}]+")


class Span(NamedTuple):
    """A run of text in one style. `style`: names from `chat_log.STYLES`, separated by spaces."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the screen.

    `joiner`: what stood between this line and the next in the text: "\\n", or what a soft wrap dropped.
    `skip`: how many characters at the left are decoration that a copy leaves out.
    `fill`: the style that fills the rest of the line.
    """

    spans: tuple[Span, ...] = ()
    joiner: str = "\n"
    skip: int = 0
    fill: str = ""

    @property
    def text(self) -> str:
        """The characters of the line, decoration included."""
        return "".join(span.text for span in self.spans)

    def prefixed(self, prefix: Span) -> Line:
        """The same line after a piece of decoration."""
        return replace(self, spans=(prefix, *self.spans), skip=self.skip + len(prefix.text))


BLANK = Line()


class _Piece(NamedTuple):
    """Where a screen line lies in its text: [start, end), and where the next one begins."""

    start: int
    end: int
    next: int


@lru_cache(maxsize=8192)
def width_of(text: str) -> int:
    """Cells that `text` takes on the screen."""
    return len(text) if _NARROW.fullmatch(text) else cell_len(text)


def _narrow_pieces(text: str, width: int) -> list[_Piece]:
    pieces: list[_Piece] = []
    start, length = 0, len(text)
    while length - start > width:
        cut = text.rfind(" ", start, start + width + 1)
        if cut <= start or text[start:cut].isspace():
            pieces.append(_Piece(start, start + width, start + width))
            start += width
            continue
        end, after = cut, cut + 1
        while end > start and text[end - 1] == " ":
            end -= 1
        while after < length and text[after] == " ":
            after += 1
        pieces.append(_Piece(start, end, after))
        start = after
    pieces.append(_Piece(start, length, length))
    return pieces


def _wide_pieces(text: str, width: int) -> list[_Piece]:
    pieces: list[_Piece] = []
    start = used = 0
    for match in _PIECE.finditer(text):
        word, at = match.group(), match.start()
        cells = cell_len(word)
        if used + cells <= width:
            used += cells
            continue
        if word[0] == " " and used:
            pieces.append(_Piece(start, at, match.end()))
            start, used = match.end(), 0
            continue
        if used and cells <= width:
            stop = at
            while stop > start and text[stop - 1] == " ":
                stop -= 1
            pieces.append(_Piece(start, stop, at) if stop > start else _Piece(start, at, at))
            start, used = at, cells
            continue
        for first, _last, size in split_graphemes(word)[0]:
            if used and used + size > width:
                pieces.append(_Piece(start, at + first, at + first))
                start, used = at + first, 0
            used += size
    pieces.append(_Piece(start, len(text), len(text)))
    return pieces


def _fold_pieces(text: str, width: int) -> list[_Piece]:
    """Breaks at the width, whatever stands there: for code, where every space counts."""
    if _NARROW.fullmatch(text):
        cuts = [*range(0, len(text), width), len(text)] if text else [0, 0]
        return [_Piece(start, end, end) for start, end in pairwise(cuts)]
    pieces: list[_Piece] = []
    start = used = 0
    for first, _last, size in split_graphemes(text)[0]:
        if used and used + size > width:
            pieces.append(_Piece(start, first, first))
            start, used = first, 0
        used += size
    pieces.append(_Piece(start, len(text), len(text)))
    return pieces


def _slice(spans: Sequence[Span], pieces: Iterable[_Piece]) -> list[tuple[Span, ...]]:
    """Cuts the spans of a text at the pieces of it."""
    rows: list[tuple[Span, ...]] = []
    index, offset = 0, 0  # the span that holds the next character, and where that span begins
    for start, end, _next in pieces:
        row: list[Span] = []
        while index < len(spans) and offset + len(spans[index].text) <= start:
            offset += len(spans[index].text)
            index += 1
        while index < len(spans) and offset < end:
            text, style = spans[index]
            part = text[max(0, start - offset) : end - offset]
            if part:
                row.append(Span(part, style))
            if offset + len(text) > end:
                break
            offset += len(text)
            index += 1
        rows.append(tuple(row))
    return rows


def wrap(spans: Sequence[Span], width: int, *, fold: bool = False) -> list[Line]:
    """Breaks one line of text into screen lines of at most `width` cells; `fold` breaks inside words.

    The last line's joiner is a newline; the others keep what the break dropped, so that joining the lines
    with their joiners gives the text back. A character wider than `width` gets a line of its own.
    """
    text = "".join(span.text for span in spans)
    width = max(1, width)
    if len(text) * 2 <= width or (len(text) <= width and _NARROW.fullmatch(text)):
        return [Line(tuple(span for span in spans if span.text))]
    if fold:
        pieces = _fold_pieces(text, width)
    elif _NARROW.fullmatch(text):
        pieces = _narrow_pieces(text, width)
    else:
        pieces = _wide_pieces(text, width)
    rows = _slice(spans, pieces)
    last = len(rows) - 1
    return [
        Line(row, "\n" if at == last else text[piece.end : piece.next])
        for at, (row, piece) in enumerate(zip(rows, pieces, strict=True))
    ]


def wrap_text(text: str, width: int, style: str = "", *, fold: bool = False) -> list[Line]:
    """Wraps text of several lines, each as it stands: leading spaces kept, tabs made of spaces."""
    return [
        line
        for source in text.expandtabs(TAB_SIZE).split("\n")
        for line in wrap((Span(source, style),), width, fold=fold)
    ]


def prefix_lines(lines: Iterable[Line], first: Span, rest: Span) -> list[Line]:
    """Puts `first` before the first line and `rest` before the others."""
    return [line.prefixed(rest if at else first) for at, line in enumerate(lines)]


def plain(lines: Sequence[Line]) -> str:
    """The text of the lines as a copy would have it: no decoration, soft wraps undone."""
    parts = [part for line in lines for part in (line.text[line.skip :], line.joiner)]
    return "".join(parts[:-1])


def common_width(old: Line, new: Line) -> int:
    """Cells at the left that two lines have in common, up to the first run of text that differs."""
    if old.fill != new.fill:
        return 0
    width = 0
    for before, after in zip(old.spans, new.spans, strict=False):
        if before == after:
            width += width_of(after.text)
        elif before.style == after.style and after.text.startswith(before.text):
            return width + width_of(before.text)
        else:
            break
    return width

"""Tables of a message: columns that fit the screen, or one line per cell where none would."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from deepseek_tui.tui.widgets.message_lines import BLANK, Line, Span, prefix_lines, width_of, wrap

SEPARATOR = " │ "
CROSSING = "─┼─"
# Columns narrower than this are not worth reading; the table then becomes a list of its cells.
NARROWEST = 5


class Cell(NamedTuple):
    """A cell: runs of text, and "left", "right", "center" or "" as its column is aligned."""

    spans: tuple[Span, ...]
    align: str = ""

    @property
    def width(self) -> int:
        """Cells of the screen that the text takes in one line."""
        return sum(width_of(span.text) for span in self.spans)


def column_widths(natural: Sequence[int], available: int) -> list[int]:
    """Widths that sum up to at most `available`: what narrow columns leave is shared by the wide ones."""
    widths = [max(1, width) for width in natural]
    if sum(widths) <= available:
        return widths
    left, result = available, [0] * len(widths)
    for place, column in enumerate(sorted(range(len(widths)), key=lambda at: widths[at])):
        share = left // (len(widths) - place)
        result[column] = min(widths[column], max(1, share))
        left -= result[column]
    return result


def _pad(line: Line, width: int, align: str) -> tuple[Span, ...]:
    free = width - sum(width_of(span.text) for span in line.spans)
    before = {"right": free, "center": free // 2}.get(align, 0)
    return (Span(" " * before), *line.spans, Span(" " * (free - before)))


def _row(cells: Sequence[Cell], widths: Sequence[int]) -> list[Line]:
    columns = [wrap(cell.spans, width) for cell, width in zip(cells, widths, strict=True)]
    lines: list[Line] = []
    for at in range(max(len(column) for column in columns)):
        spans: list[Span] = []
        for cell, column, width in zip(cells, columns, widths, strict=True):
            if spans:
                spans.append(Span(SEPARATOR, "table-rule"))
            spans += _pad(column[at] if at < len(column) else BLANK, width, cell.align)
        while spans and not spans[-1].text.strip():
            spans.pop()
        lines.append(Line(tuple(span for span in spans if span.text)))
    return lines


def _records(rows: Sequence[Sequence[Cell]], width: int) -> list[Line]:
    """The table as a list, each cell after the name of its column."""
    lines: list[Line] = []
    head, *body = rows
    for row in body or [[]]:
        if lines:
            lines.append(BLANK)
        for name, cell in zip(head, row, strict=False):
            spans = (*name.spans, Span(": "), *cell.spans)
            lines += prefix_lines(wrap(spans, width - 2), Span(""), Span("  "))
    return lines or [line for cell in head for line in wrap(cell.spans, width)]


class Columns(NamedTuple):
    """How wide each column is; none where the table is too narrow for columns."""

    widths: Sequence[int]
    width: int


def columns_for(rows: Sequence[Sequence[Cell]], width: int) -> Columns:
    """Column widths for a table of these rows on a screen `width` cells wide."""
    count = len(rows[0])
    available = width - len(SEPARATOR) * (count - 1)
    natural = [max(row[at].width for row in rows) for at in range(count)]
    if available < sum(min(NARROWEST, width) for width in natural):
        return Columns((), width)
    return Columns(column_widths(natural, available), width)


def head_lines(head: Sequence[Cell], columns: Columns) -> list[Line]:
    """The names of the columns and the rule under them."""
    if not columns.widths:
        return []
    rule = Line((Span(CROSSING.join("─" * width for width in columns.widths), "table-rule"),))
    return [*_row(head, columns.widths), rule]


def body_lines(rows: Sequence[Sequence[Cell]], columns: Columns) -> list[Line]:
    """The rows of a table after the first, which is its head. Every row has as many cells as the head."""
    if not columns.widths:
        return _records(rows, columns.width)
    return [line for row in rows[1:] for line in _row(row, columns.widths)]

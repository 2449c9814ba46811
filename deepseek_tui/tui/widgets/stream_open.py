"""Units of a reply that grow long while they are open, and how they are shown until they end.

Each takes the source of its unit as it grows and gives the screen lines that are new: those that stay until
the unit ends, and those that the next piece of text may change. `at` is the screen line where these begin.
What is shown so may differ from the final layout in details (colours that span lines, column widths); the end
of the reply mends that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from deepseek_tui.tui.widgets.message_lines import BLANK, Line, Span, prefix_lines, wrap
from deepseek_tui.tui.widgets.message_markdown import Environment, Layout, Unit, inline, units
from deepseek_tui.tui.widgets.message_table import Columns

# Units longer than this while they grow (characters) are laid out in parts of about this size.
PART = 1500
_ENDS_PARAGRAPH = re.compile(r"\n(?:[ \t]*\n| {0,3}(?:[#>~`|=*_+-]|\d))")
_FENCE_MARK = re.compile(r"^[ \t>]*(?:```|~~~)", re.MULTILINE)


class OpenFence:
    """A fence at the top level whose end has not come. `at`: the screen line where its next line goes."""

    def __init__(self, mark: str, language: str, taken: int, at: int) -> None:
        self.language = language
        self.at = at
        self._taken = taken  # characters of the source that are on the screen
        self._end = re.compile(rf" {{0,3}}{re.escape(mark[0])}{{{len(mark)},}}[ \t]*")
        self._maybe_end = re.compile(rf" {{0,3}}{re.escape(mark[0])}*[ \t]*")

    def take(self, source: str) -> tuple[list[str], str, int | None]:
        """What is new in the source: complete rows, the beginning of the next, and where the fence ends."""
        rows: list[str] = []
        while (stop := source.find("\n", self._taken)) >= 0:
            row = source[self._taken : stop]
            self._taken = stop + 1
            if self._end.fullmatch(row):
                return rows, "", self._taken
            rows.append(row)
        rest = source[self._taken :]
        return rows, "" if self._maybe_end.fullmatch(rest) else rest, None


class LongParagraph:
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
        while len(text) - self._taken > PART:
            cut = text.rfind(" ", self._taken, self._taken + PART) + 1
            if cut <= self._taken:
                cut = self._taken + PART
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


class LongBlock:
    """A growing list item, quote or table too long to lay out as a whole each time."""

    def __init__(self, unit: Unit, rows: Sequence[str], width: int, env: Environment, at: int) -> None:
        self.at = at
        self.unit = unit
        self._width = width
        self._env = env
        self._taken = sum(len(row) + 1 for row in rows[:-1])
        self._is_table = unit.tokens[0].type == "table_open"
        self._columns: Columns | None = None
        layout = Layout(rows, width, env, open_ended=True)
        if self._is_table:
            self._head = "\n".join(rows[unit.start : unit.start + 2])
            self._columns = layout.columns(unit)
            self._goes_on = re.compile(r"[^\n]*\|")
        elif unit.tokens[0].type == "blockquote_open":
            self._goes_on = re.compile(r" {0,3}>|[ \t]*$")
        else:
            self._goes_on = re.compile(r"  |\t|[ \t]*$")
        self.shown = layout.unit(unit)

    @staticmethod
    def suits(unit: Unit, text: str) -> bool:
        """Whether this unit may be shown in parts; one with an open fence in it may not."""
        kinds = ("list_item_open", "blockquote_open", "table_open")
        return (
            len(text) > 2 * PART
            and text.endswith("\n")
            and unit.tokens[0].type in kinds
            and len(_FENCE_MARK.findall(text)) % 2 == 0
        )

    def goes_on(self, text: str) -> bool:
        """Whether what is new in `text` surely belongs to the unit; where not, it has to be parsed."""
        rows = text[self._taken :].split("\n")
        if self._is_table and rows and not rows[-1]:
            rows.pop()
        known = all(self._goes_on.match(row) for row in rows[:-1] if row or self._is_table)
        last = rows[-1] if rows else ""
        return known and (not last or self._is_table or self._goes_on.match(last) is not None)

    def take(self, text: str) -> tuple[list[Line], list[Line]]:
        """Screen lines that stay until the end of the unit, and those that may change."""
        full: list[Line] = []
        while (
            len(text) - self._taken > PART and (cut := text.rfind("\n", self._taken, self._taken + PART)) > 0
        ):
            full += self._lay_out(text[self._taken : cut + 1])
            self._taken = cut + 1
        return full, self._lay_out(text[self._taken :])

    def _lay_out(self, part: str) -> list[Line]:
        if not part.strip():
            return []
        if self._columns is not None:
            rows = f"{self._head}\n{part}".split("\n")
            found = units("\n".join(rows), self._env)
            return Layout(rows, self._width, self._env).table_rows(found[0], self._columns)
        rows = part.split("\n")
        indent = min(len(row) - len(row.lstrip(" ")) for row in rows if row.strip())
        rows = [row[indent:] for row in rows]
        layout = Layout(rows, self._width - indent, self._env, open_ended=True)
        lines: list[Line] = []
        for at, unit in enumerate(units("\n".join(rows), self._env)):
            if unit.spaced if at else not rows[0].strip(" >"):
                lines.append(BLANK)
            lines += layout.unit(unit)
        pad = Span(" " * indent)
        return prefix_lines(lines, pad, pad) if indent else lines

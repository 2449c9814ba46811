"""Markdown to screen lines: CommonMark with tables and strikethrough, laid out for a terminal.

A text is cut into units (a block at the top level, or an item of a list there) that are laid out one by one,
each from its own source alone. That is what lets a growing reply keep what is finished and lay out only its
last unit.

Nothing is hidden from the reader: the target of a link stands after its text, an image is its description,
HTML is text. Character references are resolved by the parser, so its output passes the filter for control
characters again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from deepseek_tui.text.sanitize import sanitize
from deepseek_tui.tui.widgets.code_fence import highlight, highlight_line, language_of
from deepseek_tui.tui.widgets.message_lines import BLANK, Line, Span, prefix_lines, wrap, wrap_text
from deepseek_tui.tui.widgets.message_table import Cell, Columns, body_lines, columns_for, head_lines

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

# Nested deeper than this, blocks get no narrower.
NARROWEST = 12
BULLETS = ("•", "◦", "▪")
CODE_BAR = "▏ "
QUOTE_BAR = "▎ "
# Definitions of link references that a text has made so far, as the parser keeps them.
Environment = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of a text that is laid out by itself.

    `start`, `end`: its lines in the text. `spaced`: a blank line stands before it on the screen.
    `family`: the kind and marker of the list it is an item of ("" if none); `number`: its place there, if
    that is an ordered one.
    """

    tokens: tuple[Token, ...]
    start: int
    end: int
    spaced: bool
    family: str = ""
    number: int = 0


@lru_cache(maxsize=1)
def parser() -> MarkdownIt:
    """The parser; inline text is left unparsed, as `inline` does that when a block is laid out."""
    # Imported here: the first frame needs no Markdown.
    from markdown_it import MarkdownIt

    md = MarkdownIt("commonmark").enable(["table", "strikethrough"]).disable("inline")
    # The first use compiles the rules, step by step; a second thread must not meet them half done.
    md.inline.parse("text", md, {}, [])
    md.parse("text")
    return md


def warm_up() -> None:
    """Imports and builds what the first layout needs, so that it need not wait for that."""
    source = "text\n\n| a |\n|---|\n\n```python\npass\n```"
    layout = Layout(source.split("\n"), NARROWEST, {})
    for unit in units(source, {}):
        layout.unit(unit)


def _close(tokens: Sequence[Token], at: int) -> int:
    """The index of the token that closes the one at `at`."""
    depth = 0
    for index in range(at, len(tokens)):
        depth += tokens[index].nesting
        if depth == 0:
            return index
    return len(tokens) - 1


def _groups(tokens: Sequence[Token]) -> Iterator[tuple[Token, Sequence[Token]]]:
    """The blocks in a run of tokens: the first token of each, and those inside it."""
    at = 0
    while at < len(tokens):
        end = _close(tokens, at)
        yield tokens[at], tokens[at + 1 : end]
        at = end + 1


def _is_list(token: Token) -> bool:
    return token.type in ("bullet_list_open", "ordered_list_open")


def _first_number(token: Token) -> int:
    start = token.attrGet("start")
    return 1 if start is None else int(start)


def units(
    source: str, env: Environment, before: Unit | None = None, blank_before: bool = False
) -> list[Unit]:
    """Cuts a text into units.

    `before`: the unit that came before this text, where the text is the rest of a longer one, so that its
    list goes on; `blank_before`: whether a blank line stands between.
    """
    lines = source.split("\n")
    found: list[Unit] = []
    for token, inner in _groups(parser().parse(source, env)):
        start, end = token.map or [0, 0]
        if not _is_list(token):
            previous = found[-1] if found else before
            found.append(Unit((token, *inner), start, end, previous is not None))
            continue
        family = f"{token.type} {token.markup}"
        goes_on = before is not None and not found and before.family == family
        number = before.number + 1 if before is not None and goes_on else _first_number(token)
        for at, (item, content) in enumerate(_groups(inner)):
            first, last = item.map or [start, end]
            if at or goes_on:
                spaced = not lines[first - 1].strip() if first else blank_before
            else:
                spaced = bool(found) or before is not None
            found.append(Unit((item, *content), first, last, spaced, family, number + at))
    return found


class Layout:
    """Lays units out in a given width.

    `lines`: the lines of the text that the units were cut from. `open_ended`: the text still grows, so that a
    fence without its end is coloured line by line instead of as a whole.
    """

    def __init__(self, lines: Sequence[str], width: int, env: Environment, open_ended: bool = False) -> None:
        self._lines = lines
        self._width = width
        self._env = env
        self._open_ended = open_ended

    def unit(self, unit: Unit) -> list[Line]:
        """The screen lines of a unit, without the blank line that may stand before it."""
        token, *inner = unit.tokens
        if unit.family:
            ordered = unit.family.startswith("ordered")
            return self._item(inner, self._width, f"{unit.number}." if ordered else BULLETS[0], 1)
        return self._block(token, inner, self._width, 0)

    def _blocks(self, tokens: Sequence[Token], width: int, depth: int) -> list[Line]:
        lines: list[Line] = []
        for token, inner in _groups(tokens):
            block = self._block(token, inner, width, depth)
            if lines and block and self._blank_before(token):
                lines.append(BLANK)
            lines += block
        return lines

    def _blank_before(self, token: Token) -> bool:
        start = token.map[0] if token.map else 0
        return start > 0 and not self._lines[start - 1].strip("> \t")

    def _block(self, token: Token, inner: Sequence[Token], width: int, depth: int) -> list[Line]:
        width = max(width, NARROWEST)
        match token.type:
            case "paragraph_open":
                return self._text(inner[0], width, "")
            case "heading_open":
                return self._heading(token, inner[0], width)
            case "bullet_list_open" | "ordered_list_open":
                return self._list(token, inner, width, depth)
            case "blockquote_open":
                bar = Span(QUOTE_BAR, "quote-bar")
                return prefix_lines(self._blocks(inner, width - len(QUOTE_BAR), depth), bar, bar)
            case "fence":
                language = language_of(sanitize(token.info))
                return self._code(token, language, width)
            case "code_block":
                return self._code(token, "", width)
            case "table_open":
                return self._table(inner, width)
            case "hr":
                return [Line((Span("─" * width, "rule"),))]
            case _:
                return wrap_text(token.content.rstrip("\n"), width)

    def _text(self, token: Token, width: int, style: str) -> list[Line]:
        rows = self._inline(token.content, style)
        return [line for row in rows for line in wrap(row, width)]

    def _heading(self, token: Token, text: Token, width: int) -> list[Line]:
        style = {"h1": "heading-1", "h2": "heading-2"}.get(token.tag, "heading-3")
        mark = Span("#" * int(token.tag[1:]) + " ", "heading-mark")
        return prefix_lines(self._text(text, width - len(mark.text), style), mark, Span(" " * len(mark.text)))

    def _list(self, token: Token, inner: Sequence[Token], width: int, depth: int) -> list[Line]:
        ordered = token.type == "ordered_list_open"
        number = _first_number(token)
        lines: list[Line] = []
        for at, (item, content) in enumerate(_groups(inner)):
            if lines and self._blank_before(item):
                lines.append(BLANK)
            bullet = BULLETS[min(depth, len(BULLETS) - 1)]
            lines += self._item(content, width, f"{number + at}." if ordered else bullet, depth + 1)
        return lines

    def _item(self, tokens: Sequence[Token], width: int, marker: str, depth: int) -> list[Line]:
        indent = len(marker) + 1
        lines = self._blocks(tokens, width - indent, depth) or [BLANK]
        first = Line((Span(f"{marker} ", "marker"), *lines[0].spans), lines[0].joiner, 0, lines[0].fill)
        return [first, *prefix_lines(lines[1:], Span(" " * indent), Span(" " * indent))]

    def _code(self, token: Token, language: str, width: int) -> list[Line]:
        code = token.content.removesuffix("\n")
        if self._open_ended and not self._closed(token):
            return open_code_lines(code.split("\n"), language, width)
        rows = highlight(code.expandtabs(4), language)
        return [*code_label(language), *(line for row in rows for line in code_row(row, width))]

    def _closed(self, token: Token) -> bool:
        if token.type != "fence":
            return True
        start, end = token.map or [0, 0]
        last = self._lines[end - 1].strip("> \t") if end else ""
        return end - start > 1 and last.startswith(token.markup) and not last.strip(token.markup[0])

    def columns(self, unit: Unit) -> Columns:
        """The column widths of a unit that is a table."""
        return columns_for(self._cells(unit.tokens[1:]), self._width)

    def table_rows(self, unit: Unit, columns: Columns) -> list[Line]:
        """The rows of a unit that is a table, without its head, in given columns."""
        return body_lines(self._cells(unit.tokens[1:]), columns)

    def _table(self, tokens: Sequence[Token], width: int) -> list[Line]:
        rows = self._cells(tokens)
        columns = columns_for(rows, width)
        return [*head_lines(rows[0], columns), *body_lines(rows, columns)]

    def _cells(self, tokens: Sequence[Token]) -> list[list[Cell]]:
        rows: list[list[Cell]] = []
        for token, content in _table_cells(tokens):
            if token.type == "tr_open":
                rows.append([])
                continue
            align = str(token.attrGet("style") or "").removeprefix("text-align:")
            style = "table-head" if token.type == "th_open" else ""
            spans = [span for row in self._inline(content, style) for span in row]
            rows[-1].append(Cell(tuple(spans), align))
        return rows

    def _inline(self, content: str, style: str) -> Sequence[tuple[Span, ...]]:
        if self._env.get("references"):
            return inline(content, style, self._env)
        return _cached_inline(content, style)


def _table_cells(tokens: Sequence[Token]) -> Iterator[tuple[Token, str]]:
    for at, token in enumerate(tokens):
        if token.type == "tr_open":
            yield token, ""
        elif token.type in ("th_open", "td_open"):
            yield token, tokens[at + 1].content


def code_label(language: str) -> list[Line]:
    """The line above a block of code that names its language; none where it names none."""
    if not language:
        return []
    spans = (Span(CODE_BAR, "code code-bar"), Span(language, "code code-label"))
    return [Line(spans, "", len(CODE_BAR) + len(language), "code")]


def code_row(row: Sequence[Span], width: int) -> list[Line]:
    """One line of coloured code; broken at the width, where it is longer."""
    bar = Span(CODE_BAR, "code code-bar")
    return [
        Line((bar, *line.spans), line.joiner, len(CODE_BAR), "code")
        for line in wrap(row, width - len(CODE_BAR) - 1, fold=True)
    ]


@lru_cache(maxsize=4096)
def code_lines(code: str, language: str, width: int) -> Sequence[Line]:
    """A line of code coloured by itself."""
    return code_row(highlight_line(code.expandtabs(4), language), width)


def open_code_lines(rows: Sequence[str], language: str, width: int) -> list[Line]:
    """Code whose end has not come: each line coloured by itself, so that it costs the same at any length."""
    lines = code_label(language)
    for row in rows:
        lines += code_lines(row, language, width)
    return lines


@lru_cache(maxsize=4096)
def _cached_inline(content: str, style: str) -> Sequence[tuple[Span, ...]]:
    return inline(content, style, {})


def inline(content: str, style: str, env: Environment) -> Sequence[tuple[Span, ...]]:
    """Inline Markdown as rows of runs: one row, and one more for each hard line break."""
    tokens: list[Token] = []
    md = parser()
    md.inline.parse(content, md, env, tokens)
    rows: list[list[Span]] = [[]]
    styles = [style] if style else []
    targets: list[tuple[str, int]] = []

    def text(value: str, extra: str = "") -> None:
        clean = sanitize(value) if "&" in content else value
        rows[-1].append(Span(clean.replace("\n", " ").expandtabs(4), " ".join((*styles, extra)).strip()))

    def link_end() -> None:
        target, start = targets.pop()
        shown = "".join(span.text for span in rows[-1][start:])
        if shown not in (target, target.removeprefix("mailto:")):
            text(f" ({target})", "url")

    for token in tokens:
        _inline_token(token, text, rows, styles, targets, link_end)
    return tuple(tuple(span for span in row if span.text) for row in rows)


_MARKS = {"strong": "strong", "em": "emphasis", "s": "strike", "link": "link"}


def _inline_token(
    token: Token,
    text: Callable[..., None],
    rows: list[list[Span]],
    styles: list[str],
    targets: list[tuple[str, int]],
    link_end: Callable[[], None],
) -> None:
    kind = token.type
    if kind == "softbreak":
        text(" ")
    elif kind == "hardbreak":
        rows.append([])
    elif kind == "code_inline":
        text(token.content, "code-inline")
    elif kind == "image":
        text(f"[image: {token.content}]", "link")
        text(f" ({token.attrGet('src')})", "url")
    elif kind.endswith("_open"):
        name = kind.removesuffix("_open")
        if name == "link":
            targets.append((str(token.attrGet("href")), len(rows[-1])))
        styles.append(_MARKS[name])
    elif kind.endswith("_close"):
        styles.pop()
        if kind == "link_close":
            link_end()
    else:
        text(token.content)

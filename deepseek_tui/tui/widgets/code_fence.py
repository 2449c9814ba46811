"""Colours for code: from a language and a source to runs of text with style names."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from deepseek_tui.tui.widgets.message_lines import Span

if TYPE_CHECKING:
    from pygments.lexer import Lexer

# Longer code is shown in one colour: a lexer needs about a second for each million characters.
LONGEST = 200_000

# Token types of Pygments by their names, most special first, and the styles of the log that they take.
_STYLES = {
    "Token.Comment": "code-comment",
    "Token.Literal.String.Doc": "code-comment",
    "Token.Literal.String": "code-string",
    "Token.Literal.Number": "code-number",
    "Token.Keyword.Constant": "code-number",
    "Token.Keyword": "code-keyword",
    "Token.Operator.Word": "code-keyword",
    "Token.Name.Function": "code-name",
    "Token.Name.Class": "code-name",
    "Token.Name.Tag": "code-keyword",
    "Token.Name.Attribute": "code-name",
    "Token.Name.Decorator": "code-name",
    "Token.Name.Builtin": "code-builtin",
    "Token.Generic.Inserted": "code-string",
    "Token.Generic.Deleted": "code-deleted",
    "Token.Generic.Heading": "code-keyword",
    "Token.Generic.Prompt": "code-comment",
}


@lru_cache(maxsize=512)
def _style(token_type: str) -> str:
    while token_type:
        if token_type in _STYLES:
            return f"code {_STYLES[token_type]}"
        token_type = token_type.rpartition(".")[0]
    return "code"


@lru_cache(maxsize=64)
def _lexer(language: str) -> Lexer | None:
    # Imported here: Pygments is not needed for the first frame.
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        lexer: Lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None
    return lexer


def language_of(info: str) -> str:
    """The language that a fence names ("```python title=x" is "python") in lower case, or ""."""
    words = info.replace(",", " ").replace("{", " ").replace("}", " ").split()
    return words[0].lstrip(".").lower() if words else ""


@lru_cache(maxsize=4096)
def highlight_line(code: str, language: str) -> tuple[Span, ...]:
    """Colours one line by itself; that it is inside a long string only `highlight` can know."""
    return highlight(code, language)[0]


def _add(row: list[Span], text: str, style: str) -> None:
    """Appends to a row. Few long runs are fewer bytes for a terminal; a space looks alike in any style."""
    if row and (row[-1].style == style or text.isspace()):
        row[-1] = Span(row[-1].text + text, row[-1].style)
    elif text:
        row.append(Span(text, style))


def highlight(code: str, language: str) -> list[tuple[Span, ...]]:
    """Colours code, one tuple of runs for each line; unknown languages in one colour."""
    lexer = _lexer(language) if language and len(code) <= LONGEST else None
    if lexer is None:
        return [(Span(line, "code"),) if line else () for line in code.split("\n")]
    rows: list[tuple[Span, ...]] = []
    row: list[Span] = []
    for token_type, text in lexer.get_tokens(code):
        style = _style(str(token_type))
        first, *others = text.split("\n")
        _add(row, first, style)
        for part in others:
            rows.append(tuple(row))
            row = []
            _add(row, part, style)
    rows.append(tuple(row))
    # A lexer may add or eat line ends; the number of lines on the screen is that of the source.
    expected = code.count("\n") + 1
    return rows[:expected] + [()] * (expected - len(rows))

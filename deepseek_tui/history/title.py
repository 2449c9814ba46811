"""The title of a conversation, made from its first message."""

from __future__ import annotations

import re

from deepseek_tui.text.sanitize import sanitize

LONGEST = 60

_BLOCK_MARK = re.compile(r"^(?:\s*(?:#{1,6}|>|[-*+]|\d{1,9}[.)])(?=\s))+\s*")
_NOTHING = re.compile(r"\s*(?:[-*_=#>+~`]*\s*|(?:```|~~~).*)")
_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*\)")
_EMPHASIS = re.compile(
    r"(?<![\w*])(\*{1,3})(?=\S)([^*]*\S)\1(?![\w*])|(?<![\w_])(_{1,3})(?=\S)([^_]*\S)\3(?![\w_])"
)
_CODE = re.compile(r"(`+)([^`]+)\1")


def title_from(text: str) -> str:
    """The first line with something on it, without Markdown's marks, at most `LONGEST` characters."""
    # A pasted book is not read to its end for one line.
    for line in sanitize(text[:4000]).splitlines():
        title = " ".join(_plain(line).split())
        if title:
            return _shortened(title)
    return ""


def _plain(line: str) -> str:
    if _NOTHING.fullmatch(line):
        return ""
    line = _BLOCK_MARK.sub("", line)
    line = _LINK.sub(r"\1", line)
    line = _CODE.sub(r"\2", line)
    return _EMPHASIS.sub(lambda m: m[2] or m[4], line)


def _shortened(title: str) -> str:
    if len(title) <= LONGEST:
        return title
    cut = title[:LONGEST]
    words, space, _ = cut.rpartition(" ")
    # A language without spaces, or one endless word, is cut anywhere.
    kept = words if space and len(words) >= LONGEST // 2 else cut[:-1]
    return kept.rstrip(" ,;:.-–—") + "…"

"""Where in the lines of a message something stands that is looked for."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from deepseek_tui.tui.widgets.message_lines import Line


class Mark(NamedTuple):
    """Characters [start, end) of line `line`."""

    line: int
    start: int
    end: int


def literally(text: str) -> re.Pattern[str] | None:
    """Finds `text` whatever the case, its spaces also where a line ends; None for nothing to find."""
    words = text.split()
    return re.compile(r"\s+".join(map(re.escape, words)), re.IGNORECASE) if words else None


def any_of(terms: Sequence[str]) -> re.Pattern[str] | None:
    """Finds each of the words or phrases, longer ones first; a word also as the beginning of one."""
    patterns = [p.pattern for term in sorted(terms, key=len, reverse=True) if (p := literally(term))]
    return re.compile("|".join(rf"(?<!\w){p}" for p in patterns), re.IGNORECASE) if patterns else None


def marks_in(lines: Sequence[Line], pattern: re.Pattern[str]) -> list[list[Mark]]:
    """For each place of the pattern its marks: several where a line was broken inside of it.

    What the app adds to a message, such as who speaks, is not looked at.
    """
    parts: list[str] = []
    starts: list[int] = []  # of each line in the text of all
    length = 0
    for line in lines:
        body = "" if _added(line) else line.text[line.skip :]
        starts.append(length)
        parts += (body, line.joiner)
        length += len(body) + len(line.joiner)
    found = []
    for match in pattern.finditer("".join(parts)):
        if match.end() > match.start():
            found.append(_marks(lines, starts, match.start(), match.end()))
    return found


def _marks(lines: Sequence[Line], starts: Sequence[int], start: int, end: int) -> list[Mark]:
    marks = []
    at = bisect_right(starts, start) - 1
    while at < len(lines) and starts[at] < end:
        skip = lines[at].skip
        low, high = max(start - starts[at], 0) + skip, min(end - starts[at] + skip, len(lines[at].text))
        if high > low:
            marks.append(Mark(at, low, high))
        at += 1
    return marks


def _added(line: Line) -> bool:
    return any(name in ("thought", "note") or name.startswith("label-") for _, name in line.spans)

"""What a search found, two lines each: where it stands, and the words around it."""

from __future__ import annotations

import time

from textual.content import Content

from deepseek_tui.history.records import Hit
from deepseek_tui.text.sanitize import sanitize_line
from deepseek_tui.tui.widgets.conversation_list import UNTITLED, age_of
from deepseek_tui.tui.widgets.line_list import LineList, Row

SPEAKERS = {"user": "You", "assistant": "Assistant", "system": "System"}


class HitList(LineList):
    """The best one first."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.led = True
        self.hits: list[Hit] = []

    def show(self, hits: list[Hit], *, here: str = "") -> None:
        """Other hits; the first one is meant unless `here` says another."""
        self.hits = hits
        self.set_rows([Row(hit.message, 2) for hit in hits], here=here or (hits[0].message if hits else ""))

    def hit(self) -> Hit | None:
        """The one that is meant."""
        at = self.index_of(self.key)
        return self.hits[at] if at >= 0 else None

    def draw(self, index: int, width: int) -> list[Content]:
        hit = self.hits[index]
        about = f"{SPEAKERS[hit.role]} · {age_of(time.time() - hit.created)}"
        title = Content.styled(sanitize_line(hit.title) or UNTITLED, "bold")
        title = title.truncate(max(1, width - len(about) - 2), ellipsis=True, pad=True)
        first = Content.assemble(title, "  ", (about, "$foreground 60%"))
        return [first, Content.assemble("  ", snippet(hit, max(1, width - 3)))]


def snippet(hit: Hit, width: int) -> Content:
    """As much around the first place as fits, each place marked."""
    # The filter may take characters out, and then the marks would be off: each piece goes through by itself.
    pieces: list[tuple[str, bool]] = []
    at = 0
    for start, end in hit.marks:
        pieces += [
            (sanitize_line(hit.snippet[at:start]), False),
            (sanitize_line(hit.snippet[start:end]), True),
        ]
        at = end
    pieces.append((sanitize_line(hit.snippet[at:]), False))
    before = len(pieces[0][0]) if len(pieces) > 1 else 0
    text = Content.assemble(*((p, "bold underline $text-warning") if marked else p for p, marked in pieces))
    start = max(0, min(before - width // 3, text.cell_length - width))
    if start:
        space = text.plain.find(" ", start, before)
        text = Content.assemble("…", text[space + 1 if space >= 0 else start :])
    return text.truncate(width, ellipsis=True)

"""The conversations that the sidebar lists, held in memory and kept up to date a little at a time.

Ten thousand of them take half a second to read, so all are read once, page by page; after a change only the
newest and the changed ones are read again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deepseek_tui.history.store import Conversation
    from deepseek_tui.tui.archive import Archive

# Read again after each change: what another app writes is among them.
NEWEST = 60
PAGE = 500
# A conversation that moves while pages are read must not fall between two of them.
_OVERLAP = 20


class Shelf:
    """All conversations that are not deleted, archived ones too, in the order of the store."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._known: dict[str, Conversation] = {}
        self._sorted: tuple[Conversation, ...] | None = None

    @property
    def conversations(self) -> tuple[Conversation, ...]:
        """Pinned ones first; in each part the one used last first."""
        if self._sorted is None:
            self._sorted = tuple(sorted(self._known.values(), key=_place, reverse=True))
        return self._sorted

    def get(self, conversation: str) -> Conversation | None:
        return self._known.get(conversation)

    async def look(self, *changed: str) -> None:
        """Read the newest ones, and those that `changed`."""
        newest = await self._archive.call(lambda s: s.conversations(NEWEST, archived=None))
        others = set(changed) - {c.id for c in newest}
        found = await self._archive.call(lambda s: s.listed(others)) if others else []
        gone = others - {c.id for c in found}
        if len(newest) < NEWEST:
            gone |= self._known.keys()
        else:
            last = _place(newest[-1])
            for conversation in self.conversations:
                if _place(conversation) < last:
                    break
                gone.add(conversation.id)
        self._take(newest + found, gone)

    async def page(self, offset: int) -> int | None:
        """Read a page; where the next one begins, or None after the last."""
        start = max(0, offset - _OVERLAP)
        found = await self._archive.call(lambda s: s.conversations(PAGE, start, archived=None))
        self._take(found)
        return start + PAGE if len(found) == PAGE else None

    def _take(self, found: list[Conversation], gone: set[str] | None = None) -> None:
        changed = False
        for identity in (gone or set()) - {c.id for c in found}:
            changed = self._known.pop(identity, None) is not None or changed
        for conversation in found:
            changed = changed or self._known.get(conversation.id) != conversation
            self._known[conversation.id] = conversation
        if changed:
            self._sorted = None


def _place(conversation: Conversation) -> tuple[bool, float]:
    return conversation.pinned, conversation.updated

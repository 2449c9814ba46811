"""The list of conversations: pages of it, filters, and what a person arranges."""

from __future__ import annotations

import json
import sqlite3
import unicodedata
from collections.abc import Collection
from typing import Any

from deepseek_tui.history.base import Base
from deepseek_tui.history.records import CONVERSATION_COLUMNS, Conversation, conversation_of, storable
from deepseek_tui.history.rows import gone


class Shelf(Base):
    """The part of `Store` that lists and arranges conversations."""

    def conversations(
        self,
        limit: int | None = None,
        offset: int = 0,
        *,
        text: str = "",
        folder: str | None = None,
        archived: bool | None = False,
    ) -> list[Conversation]:
        """Those not deleted: the pinned ones, then the others, in each the one used last first.

        `text`: only those with every word of it in their title or folder, whatever the case and accents.
        `folder`: only those in it ("": in none). `archived`: None gives both.
        """
        conditions, values = ["c.deleted IS NULL"], list[Any]()
        if archived is not None:
            conditions.append("c.archived = ?")
            values.append(int(archived))
        if folder is not None:
            conditions.append("c.folder = ?")
            values.append(folder)
        words = folded(text).split()
        if words:
            conditions.append("matches(c.title, c.folder)")
        # Which ones first, by the index alone: their messages are counted for no row that is not wanted.
        order = "ORDER BY c.pinned DESC, c.updated DESC, c.number DESC"
        statement = (
            f"SELECT {CONVERSATION_COLUMNS} FROM conversations c WHERE c.number IN"
            f" (SELECT c.number FROM conversations c WHERE {' AND '.join(conditions)} {order}"
            f" LIMIT ? OFFSET ?) {order}"
        )

        def matches(title: str, folder: str) -> bool:
            known = folded(f"{title} {folder}")
            return all(word in known for word in words)

        def work(db: sqlite3.Connection) -> list[Conversation]:
            if words:
                db.create_function("matches", 2, matches)
            page = (*values, -1 if limit is None else limit, offset)
            return [conversation_of(row) for row in db.execute(statement, page)]

        return self._read(work)

    def listed(self, ids: Collection[str]) -> list[Conversation]:
        """Those of the conversations `ids` that are not deleted, in no order."""
        statement = (
            f"SELECT {CONVERSATION_COLUMNS} FROM conversations c"
            " WHERE c.deleted IS NULL AND c.id IN (SELECT value FROM json_each(?))"
        )
        known = json.dumps(list(ids))
        return self._read(lambda db: [conversation_of(row) for row in db.execute(statement, (known,))])

    def organise(
        self,
        conversation_id: str,
        *,
        pinned: bool | None = None,
        archived: bool | None = None,
        folder: str | None = None,
        unread: bool | None = None,
    ) -> None:
        """Change where it stands in the list; None leaves a thing as it is. `updated` stays."""
        changes = {
            "pinned": pinned,
            "archived": archived,
            "folder": None if folder is None else " ".join(storable(folder).split()),
            "unread": unread,
        }
        self._change(conversation_id, **{k: v for k, v in changes.items() if v is not None})

    def folders(self) -> list[tuple[str, int]]:
        """The names of folders in use, in the order of the alphabet, with how many conversations each has."""
        statement = (
            "SELECT folder, count(*) FROM conversations WHERE deleted IS NULL AND folder <> ''"
            " GROUP BY folder"
        )
        return self._read(lambda db: sorted(db.execute(statement), key=lambda row: (folded(row[0]), row[0])))

    def draft(self, conversation_id: str) -> str:
        """What was typed there and not sent."""

        def work(db: sqlite3.Connection) -> str:
            row = db.execute("SELECT draft FROM conversations WHERE id = ?", (conversation_id,)).fetchone()
            if row is None:
                raise gone("conversation", conversation_id)
            return str(row[0])

        return self._read(work)

    def save_draft(self, conversation_id: str, text: str) -> None:
        """Keep what was typed and not sent; it does not move the conversation in the list."""
        self._change(conversation_id, draft=storable(text))


def folded(text: str) -> str:
    """`text` as it is compared: without case and accents."""
    if text.isascii():
        return text.lower()
    letters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in letters if not unicodedata.combining(c))

"""Whole conversations out of the history and into it, with branches and all that belongs to them."""

from __future__ import annotations

import dataclasses
import sqlite3
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

from deepseek_tui.history import index
from deepseek_tui.history.base import Base
from deepseek_tui.history.branches import all_messages, insert_message
from deepseek_tui.history.records import Conversation, Message, packed, storable
from deepseek_tui.history.rows import find_conversation


@dataclass(frozen=True)
class Whole:
    """A conversation with its messages, each after its parent. `shown` says in which order heads were."""

    conversation: Conversation
    messages: tuple[Message, ...]
    draft: str = ""
    shown: dict[str, int] = field(default_factory=dict)

    def path(self) -> list[Message]:
        """The branch shown."""
        by_id = {m.id: m for m in self.messages}
        found = []
        at = self.conversation.head
        while at is not None:
            found.append(by_id[at])
            at = by_id[at].parent
        return found[::-1]


class Transfer(Base):
    """The part of `Store` behind export and import."""

    def ids(self, start: str = "") -> list[str]:
        """Of the conversations not deleted whose id begins so, archived ones too, in the order of making."""
        statement = (
            "SELECT id FROM conversations WHERE deleted IS NULL AND substr(id, 1, ?) = ? ORDER BY number"
        )
        return self._read(lambda db: [row[0] for row in db.execute(statement, (len(start), start))])

    def whole(self, conversation_id: str) -> Whole:
        """The conversation with all that is not deleted of it; a reply being written counts as stopped."""

        def work(db: sqlite3.Connection) -> Whole:
            conversation = find_conversation(db, conversation_id)
            messages = tuple(
                dataclasses.replace(m, state="stopped") if m.state == "streaming" else m
                for m in all_messages(db, conversation_id)
            )
            shown = db.execute(
                "SELECT id, shown FROM messages WHERE conversation = ? AND deleted IS NULL AND shown > 0",
                (conversation_id,),
            ).fetchall()
            (draft,) = db.execute(
                "SELECT draft FROM conversations WHERE id = ?", (conversation_id,)
            ).fetchone()
            return Whole(conversation, messages, draft, dict(shown))

        return self._read(work)

    def add(self, wholes: Iterable[Whole]) -> int:
        """Take in conversations, in one transaction, and return how many were not there yet.

        One whose id is there stays as it is, so importing twice adds nothing; a deleted one gives way.
        """

        def work(db: sqlite3.Connection) -> int:
            with index.in_bulk(db):
                return sum(_add(db, whole) for whole in wholes)

        return self._write(work)


def _add(db: sqlite3.Connection, whole: Whole) -> bool:
    c = whole.conversation
    there = db.execute("SELECT deleted IS NOT NULL FROM conversations WHERE id = ?", (c.id,)).fetchone()
    if there is not None:
        if not there[0]:
            return False
        db.execute("DELETE FROM conversations WHERE id = ?", (c.id,))
    new_id = _new_ids(db, whole)
    db.execute(
        "INSERT INTO conversations (id, title, created, updated, model, system_prompt, settings, pinned,"
        " archived, folder, unread, origin, shows, draft) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            *(c.id, storable(c.title), c.created, c.updated, storable(c.model), storable(c.system_prompt)),
            *(packed(c.settings), c.pinned, c.archived, storable(c.folder), c.unread, c.origin),
            *(max(whole.shown.values(), default=0), storable(whole.draft)),
        ),
    )
    for m in whole.messages:
        parent = None if m.parent is None else new_id.get(m.parent, m.parent)
        copy = Message(
            *(new_id.get(m.id, m.id), c.id, parent, m.role, storable(m.text), m.state, m.created, m.updated),
            *(storable(m.model), m.settings, m.stats),
        )
        insert_message(db, copy)
    db.executemany(
        "UPDATE messages SET shown = ? WHERE id = ?",
        ((turn, new_id.get(one, one)) for one, turn in whole.shown.items()),
    )
    head = None if c.head is None else new_id.get(c.head, c.head)
    db.execute("UPDATE conversations SET head = ? WHERE id = ?", (head, c.id))
    return True


def _new_ids(db: sqlite3.Connection, whole: Whole) -> dict[str, str]:
    """Other ids for the messages where one of them is another conversation's."""
    query = "SELECT 1 FROM messages WHERE id = ?"
    if any(db.execute(query, (m.id,)).fetchone() for m in whole.messages):
        return {m.id: uuid.uuid4().hex for m in whole.messages}
    return {}

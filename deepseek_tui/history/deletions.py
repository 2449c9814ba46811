"""Deleting with a way back: a message, a branch, a conversation.

Each deletion has a row of its own and is taken back by its number, in any order, also after a restart, until
`purge_deleted` removes for good what is older than a time.

`delete_message` takes out that one message: what follows it stays and moves up to what came before it.
`delete_branch` takes the message with everything that follows it. Where the branch shown loses its end, the
variant before it is shown, or the one after it, or what is left of the branch.
"""

from __future__ import annotations

import sqlite3

from deepseek_tui.history import index
from deepseek_tui.history.base import Base
from deepseek_tui.history.errors import HistoryError
from deepseek_tui.history.records import Kind, Undo
from deepseek_tui.history.rows import find_conversation, find_message, gone, put_head, tree_of

# How long a deletion can be taken back: what the app gives to `purge_deleted` when it starts.
UNDO_SECONDS = 30 * 86400.0

_UNDO = (
    "SELECT d.number, d.conversation, d.kind, d.count, d.made, c.title"
    " FROM deletions d JOIN conversations c ON c.id = d.conversation"
)


class Deletions(Base):
    """The part of `Store` that deletes."""

    def delete_message(self, message_id: str) -> Undo:
        """Take out this message; what follows it stays."""
        return self._write(lambda db: self._delete(db, message_id, "message"))

    def delete_branch(self, message_id: str) -> Undo:
        """Take out this message and all that follow it."""
        return self._write(lambda db: self._delete(db, message_id, "branch"))

    def delete(self, conversation_id: str) -> Undo:
        """Take the conversation out of the list."""

        def work(db: sqlite3.Connection) -> Undo:
            conversation = find_conversation(db, conversation_id)
            _forget(db, conversation_id)
            now = self._clock()
            db.execute("UPDATE conversations SET deleted = ? WHERE id = ?", (now, conversation_id))
            number = _record(
                db, conversation_id, "conversation", conversation.message_count, now, conversation.head
            )
            return _undo(db, number)

        return self._write(work)

    def undo(self, undo_id: int) -> Undo:
        """Take a deletion back, show what it took, and return what it was.

        Raises HistoryError when it was taken back before or what it took is gone for good.
        """

        def work(db: sqlite3.Connection) -> Undo:
            undo = _undo(db, undo_id)
            (head,) = db.execute("SELECT head FROM deletions WHERE number = ?", (undo_id,)).fetchone()
            if undo.kind == "conversation":
                db.execute("UPDATE conversations SET deleted = NULL WHERE id = ?", (undo.conversation,))
            else:
                db.execute("UPDATE messages SET deleted = NULL WHERE deleted = ?", (undo_id,))
                if head in tree_of(db, undo.conversation):
                    put_head(db, undo.conversation, head)
            db.execute("DELETE FROM deletions WHERE number = ?", (undo_id,))
            return undo

        return self._write(work)

    def undelete(self, conversation_id: str) -> None:
        """Bring a deleted conversation back to its place in the list."""

        def work(db: sqlite3.Connection) -> None:
            find_conversation(db, conversation_id)
            db.execute("UPDATE conversations SET deleted = NULL WHERE id = ?", (conversation_id,))
            _forget(db, conversation_id)

        self._write(work)

    def undoable(self, conversation_id: str | None = None, limit: int = 20) -> list[Undo]:
        """The deletions that can be taken back, everywhere or in one conversation, the last one first."""
        where, values = (" WHERE d.conversation = ?", (conversation_id,)) if conversation_id else ("", ())
        statement = f"{_UNDO}{where} ORDER BY d.number DESC LIMIT ?"
        return self._read(lambda db: [Undo(*row) for row in db.execute(statement, (*values, limit))])

    def purge(self, conversation_id: str) -> None:
        """Remove one conversation for good, without undo."""

        def work(db: sqlite3.Connection) -> None:
            if db.execute("DELETE FROM conversations WHERE id = ?", (conversation_id,)).rowcount == 0:
                raise gone("conversation", conversation_id)

        self._write(work)

    def purge_deleted(self, older_than_seconds: float) -> int:
        """Remove for good what was deleted at least that long ago, and return how many conversations."""
        limit = self._clock() - older_than_seconds

        def work(db: sqlite3.Connection) -> int:
            count = db.execute("DELETE FROM conversations WHERE deleted <= ?", (limit,)).rowcount
            old = "SELECT number, conversation FROM deletions WHERE made <= ? AND kind <> 'conversation'"
            for number, conversation in db.execute(old, (limit,)).fetchall():
                _remove(db, number, conversation)
            return count

        return self._write(work)

    def tidy(self) -> None:
        """Rewrite the index of words, which otherwise keeps those of removed messages for a while.

        It takes seconds for a large history. Where SQLite has no index, there is nothing to do.
        """

        def work(db: sqlite3.Connection) -> None:
            if index.available(db):
                db.execute("INSERT INTO words (words) VALUES ('optimize')")

        self._write(work)

    def _delete(self, db: sqlite3.Connection, message_id: str, kind: Kind) -> Undo:
        conversation = find_conversation(db, find_message(db, message_id).conversation)
        tree = tree_of(db, conversation.id)
        lost = tree.subtree(message_id) if kind == "branch" else [message_id]
        number = _record(db, conversation.id, kind, len(lost), self._clock(), conversation.head)
        db.executemany("UPDATE messages SET deleted = ? WHERE id = ?", ((number, one) for one in lost))
        head = tree.head_without(conversation.head, message_id, tree.without(set(lost)))
        if head != conversation.head:
            put_head(db, conversation.id, head)
        return _undo(db, number)


def _record(
    db: sqlite3.Connection, conversation: str, kind: Kind, count: int, made: float, head: str | None
) -> int:
    done = db.execute(
        "INSERT INTO deletions (conversation, kind, count, made, head) VALUES (?, ?, ?, ?, ?)",
        (conversation, kind, count, made, head),
    )
    assert done.lastrowid is not None
    return done.lastrowid


def _undo(db: sqlite3.Connection, number: int) -> Undo:
    row = db.execute(f"{_UNDO} WHERE d.number = ?", (number,)).fetchone()
    if row is None:
        raise HistoryError(
            "That deletion cannot be taken back any more.", "It was taken back before, or removed for good."
        )
    return Undo(*row)


def _forget(db: sqlite3.Connection, conversation_id: str) -> None:
    db.execute("DELETE FROM deletions WHERE conversation = ? AND kind = 'conversation'", (conversation_id,))


def _remove(db: sqlite3.Connection, number: int, conversation_id: str) -> None:
    """Remove the messages of a deletion; what followed them in the file follows what came before them."""
    rows = db.execute(
        "SELECT id, parent, deleted IS ? FROM messages WHERE conversation = ? ORDER BY number",
        (number, conversation_id),
    ).fetchall()
    # The nearest message that stays, at or before each one.
    nearest: dict[str | None, str | None] = {None: None}
    moved = []
    for identity, parent, removed in rows:
        above = nearest.get(parent)
        nearest[identity] = above if removed else identity
        if not removed and above != parent:
            moved.append((above, identity))
    db.executemany("UPDATE messages SET parent = ? WHERE id = ?", moved)
    db.execute("DELETE FROM messages WHERE deleted = ?", (number,))
    db.execute("DELETE FROM deletions WHERE number = ?", (number,))

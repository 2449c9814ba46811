"""Reading and writing single rows, inside of a transaction that is open."""

from __future__ import annotations

import sqlite3

from deepseek_tui.history.errors import HistoryError
from deepseek_tui.history.records import (
    CONVERSATION_COLUMNS,
    MESSAGE_COLUMNS,
    Conversation,
    Message,
    conversation_of,
    message_of,
)
from deepseek_tui.history.tree import Node, Tree


def gone(kind: str, identity: str) -> HistoryError:
    """The error for what was asked for and is not there."""
    return HistoryError(
        f"There is no {kind} {identity[:8]} in the history any more.", "Another window may have removed it."
    )


def find_conversation(db: sqlite3.Connection, identity: str) -> Conversation:
    """The conversation, a deleted one too. Raises HistoryError."""
    statement = f"SELECT {CONVERSATION_COLUMNS} FROM conversations c WHERE c.id = ?"
    row = db.execute(statement, (identity,)).fetchone()
    if row is None:
        raise gone("conversation", identity)
    return conversation_of(row)


def find_message(db: sqlite3.Connection, identity: str) -> Message:
    """The message, unless it is deleted, with `parent` as it is in the file. Raises HistoryError."""
    statement = f"SELECT {MESSAGE_COLUMNS} FROM messages WHERE id = ? AND deleted IS NULL"
    row = db.execute(statement, (identity,)).fetchone()
    if row is None:
        raise gone("message", identity)
    return message_of(row)


def check_message(db: sqlite3.Connection, conversation_id: str, message_id: str) -> None:
    """Raises HistoryError unless the message is there and in that conversation."""
    statement = "SELECT 1 FROM messages WHERE id = ? AND conversation = ? AND deleted IS NULL"
    if db.execute(statement, (message_id, conversation_id)).fetchone() is None:
        raise gone("message", message_id)


def tree_of(db: sqlite3.Connection, conversation_id: str) -> Tree:
    """The tree of a conversation, from an index that holds all of it."""
    rows = db.execute(
        "SELECT number, id, parent, deleted IS NOT NULL, shown FROM messages"
        " WHERE conversation = ? ORDER BY number",
        (conversation_id,),
    )
    return Tree(Node(*row) for row in rows)


def put_head(db: sqlite3.Connection, conversation_id: str, message_id: str | None) -> None:
    """Make the message the head, and remember when it was."""
    db.execute(
        "UPDATE conversations SET head = ?, shows = shows + 1 WHERE id = ?", (message_id, conversation_id)
    )
    db.execute(
        "UPDATE messages SET shown = (SELECT shows FROM conversations WHERE id = ?) WHERE id = ?",
        (conversation_id, message_id),
    )

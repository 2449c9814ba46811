"""The shape of the history file, and the steps from each version of it to the next.

`PRAGMA user_version` counts the steps taken. A step is a list of statements that is never changed once
released: what comes next is a new step. Each is one transaction, so a stopped one leaves the version before.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from deepseek_tui.history.transaction import transaction

Step = Sequence[str]

_FIRST: Step = (
    # `number` gives order of creation, which is also that of siblings, and a row id that stays.
    """
    CREATE TABLE conversations (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        title TEXT NOT NULL,
        created REAL NOT NULL,
        updated REAL NOT NULL,
        deleted REAL,
        model TEXT NOT NULL,
        system_prompt TEXT NOT NULL,
        settings TEXT NOT NULL,
        head TEXT REFERENCES messages(id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED
    )
    """,
    # No cascade from parent to child: SQLite follows a thousand levels at most, and conversations are longer.
    # `owner` names the process that writes a message in state 'streaming' (see owner.py).
    """
    CREATE TABLE messages (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        conversation TEXT NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
        parent TEXT REFERENCES messages(id) DEFERRABLE INITIALLY DEFERRED,
        role TEXT NOT NULL CHECK (role IN ('system', 'user', 'assistant')),
        text TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('complete', 'streaming', 'stopped', 'failed', 'length')),
        created REAL NOT NULL,
        updated REAL NOT NULL,
        model TEXT NOT NULL,
        settings TEXT NOT NULL,
        stats TEXT NOT NULL,
        owner TEXT
    )
    """,
    "CREATE INDEX conversations_by_updated ON conversations(updated, number) WHERE deleted IS NULL",
    "CREATE INDEX conversations_by_head ON conversations(head)",
    "CREATE INDEX messages_by_conversation ON messages(conversation)",
    "CREATE INDEX messages_by_parent ON messages(parent)",
    "CREATE INDEX messages_streaming ON messages(owner) WHERE state = 'streaming'",
)

_SECOND: Step = (
    "ALTER TABLE conversations ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE conversations ADD COLUMN archived INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE conversations ADD COLUMN folder TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE conversations ADD COLUMN unread INTEGER NOT NULL DEFAULT 0",
    # The message this conversation was forked from; it may be gone.
    "ALTER TABLE conversations ADD COLUMN origin TEXT",
    # How often a head was set here: `messages.shown` counts by it.
    "ALTER TABLE conversations ADD COLUMN shows INTEGER NOT NULL DEFAULT 1",
    # Last, since it may be long, and what stands after a long text in a row is slow to read.
    "ALTER TABLE conversations ADD COLUMN draft TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE messages ADD COLUMN shown INTEGER NOT NULL DEFAULT 0",
    # The number of the deletion that took it.
    "ALTER TABLE messages ADD COLUMN deleted INTEGER",
    """
    CREATE TABLE deletions (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        conversation TEXT NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
        kind TEXT NOT NULL CHECK (kind IN ('message', 'branch', 'conversation')),
        count INTEGER NOT NULL,
        made REAL NOT NULL,
        head TEXT
    )
    """,
    "CREATE INDEX deletions_by_conversation ON deletions(conversation)",
    """
    INSERT INTO deletions (conversation, kind, count, made, head)
    SELECT id, 'conversation', (SELECT count(*) FROM messages WHERE conversation = c.id), deleted, head
    FROM conversations c WHERE deleted IS NOT NULL ORDER BY deleted
    """,
    "UPDATE messages SET shown = 1 WHERE id IN (SELECT head FROM conversations)",
    "DROP INDEX conversations_by_updated",
    "CREATE INDEX conversations_in_list ON conversations(archived, pinned, updated, number)"
    " WHERE deleted IS NULL",
    # All that a tree is made of, so that reading one does not pass through the texts.
    "DROP INDEX messages_by_conversation",
    "CREATE INDEX messages_in_tree ON messages(conversation, number, id, parent, deleted, shown)",
    "CREATE INDEX messages_deleted ON messages(deleted) WHERE deleted IS NOT NULL",
    "CREATE INDEX messages_live ON messages(conversation) WHERE state = 'streaming'",
)

STEPS: Sequence[Step] = (_FIRST, _SECOND)


class NewerFileError(Exception):
    """The file was written by a version of the app that knows more steps than this one."""


def migrate(connection: sqlite3.Connection, steps: Sequence[Step] = STEPS) -> None:
    """Take the steps that the file has not seen.

    The connection is in autocommit mode. Another process may migrate at the same time: the version is read
    again under the write lock of each step.
    Raises NewerFileError, or sqlite3.Error, with nothing changed.
    """
    while True:
        version = _version(connection)
        if version > len(steps):
            raise NewerFileError(f"version {version}, known are {len(steps)}")
        if version == len(steps):
            return
        with transaction(connection):
            if _version(connection) == version:
                for statement in steps[version]:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {version + 1}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])

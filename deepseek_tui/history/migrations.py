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

STEPS: Sequence[Step] = (_FIRST,)


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

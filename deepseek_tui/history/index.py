"""The index of words over all messages (SQLite's FTS5), kept by triggers and filled from the newest back.

It is made beside the schema, not by a step of it: a Python whose SQLite has no FTS5 can use the same file (it
takes the triggers away, which it could not run, and searches text by text), and one that has it makes the
index again. A file from before there was one is not read through at opening: `fill` does a little at a time.
A reply is indexed when it ends, not while it grows.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

from deepseek_tui.history.transaction import transaction

# Messages per transaction of `fill`: few enough that another app need not wait.
_BATCH = 200

_TRIGGERS = ("words_of_new", "words_of_changed", "words_of_removed")
_FORGET = "INSERT INTO words (words, rowid, text) VALUES ('delete', old.number, old.text)"
_INDEXED = "old.state <> 'streaming' AND old.number >= (SELECT first FROM words_from)"
_STATEMENTS = (
    # Messages from number `first` on are in the index. `waits` is set only inside of `in_bulk`.
    "DROP TABLE IF EXISTS words_from",
    "CREATE TABLE words_from (first INTEGER NOT NULL, waits INTEGER NOT NULL)",
    "INSERT INTO words_from SELECT coalesce(max(number), 0) + 1, 0 FROM messages",
    # The texts stay where they are; the index holds only words and places.
    """
    CREATE VIRTUAL TABLE words USING fts5(
        text, content = 'messages', content_rowid = 'number',
        tokenize = "unicode61 remove_diacritics 2", prefix = '1 2'
    )
    """,
    """
    CREATE TRIGGER words_of_new AFTER INSERT ON messages
    WHEN new.state <> 'streaming' AND NOT (SELECT waits FROM words_from)
    BEGIN INSERT INTO words (rowid, text) VALUES (new.number, new.text); END
    """,
    f"""
    CREATE TRIGGER words_of_removed AFTER DELETE ON messages WHEN {_INDEXED}
    BEGIN {_FORGET}; END
    """,
    # Two statements of one trigger, because the order of two triggers is not defined.
    """
    CREATE TRIGGER words_of_changed AFTER UPDATE OF text, state ON messages
    WHEN old.number >= (SELECT first FROM words_from)
        AND (old.state <> 'streaming' OR new.state <> 'streaming')
        AND (old.text <> new.text OR (old.state = 'streaming') <> (new.state = 'streaming'))
    BEGIN
        INSERT INTO words (words, rowid, text)
        SELECT 'delete', old.number, old.text WHERE old.state <> 'streaming';
        INSERT INTO words (rowid, text) SELECT new.number, new.text WHERE new.state <> 'streaming';
    END
    """,
)


def available(db: sqlite3.Connection) -> bool:
    """Whether this SQLite has FTS5."""
    return db.execute("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'").fetchone() is not None


def prepare(db: sqlite3.Connection) -> None:
    """Make the index, still empty, where there is none; take its triggers away where they cannot run."""
    if available(db):
        if not _kept(db):
            begin_anew(db)
    elif _kept(db):
        with transaction(db):
            _drop_triggers(db)


def begin_anew(db: sqlite3.Connection) -> None:
    """An empty index; `fill` fills it again. Not inside of a transaction."""
    with transaction(db):
        _drop_triggers(db)
        db.execute("DROP TABLE IF EXISTS words")
        for statement in _STATEMENTS:
            db.execute(statement)


def missing(db: sqlite3.Connection) -> int:
    """About how many messages are not in the index yet."""
    row = db.execute("SELECT first - 1 FROM words_from").fetchone() if _kept(db) else None
    return int(row[0]) if row else 0


def fill(db: sqlite3.Connection) -> int:
    """Take some older messages into the index, in the transaction that is open; about how many are left."""
    # Read under the lock: another app may be filling it too.
    if missing(db) == 0:
        return 0
    (first,) = db.execute("SELECT first FROM words_from").fetchone()
    numbers = db.execute(
        "SELECT number FROM messages WHERE number < ? ORDER BY number DESC LIMIT ?", (first, _BATCH)
    ).fetchall()
    lowest = numbers[-1][0] if len(numbers) == _BATCH else 1
    db.execute(
        "INSERT INTO words (rowid, text) SELECT number, text FROM messages"
        " WHERE number >= ? AND number < ? AND state <> 'streaming'",
        (lowest, first),
    )
    db.execute("UPDATE words_from SET first = ?", (lowest,))
    return int(lowest) - 1


@contextlib.contextmanager
def in_bulk(db: sqlite3.Connection) -> Iterator[None]:
    """In this block of an open transaction, messages that are inserted are indexed at its end, all at once.

    That is three times as fast: at every single one, SQLite writes out what FTS5 would gather.
    """
    if not _kept(db):
        yield
        return
    (last,) = db.execute("SELECT coalesce(max(number), 0) FROM messages").fetchone()
    db.execute("UPDATE words_from SET waits = 1")
    yield
    db.execute("UPDATE words_from SET waits = 0")
    db.execute(
        "INSERT INTO words (rowid, text) SELECT number, text FROM messages"
        " WHERE number > ? AND state <> 'streaming'",
        (last,),
    )


def _kept(db: sqlite3.Connection) -> bool:
    found = db.execute("SELECT count(*) FROM sqlite_schema WHERE name IN (?, ?, ?)", _TRIGGERS).fetchone()
    return bool(found[0] == len(_TRIGGERS))


def _drop_triggers(db: sqlite3.Connection) -> None:
    for name in _TRIGGERS:
        db.execute(f"DROP TRIGGER IF EXISTS {name}")

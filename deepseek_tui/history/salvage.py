"""Take over what can still be read of a damaged history file."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from deepseek_tui.history.records import MESSAGE_COLUMNS
from deepseek_tui.history.transaction import transaction

_TABLES = {
    "conversations": "id, title, created, updated, deleted, model, system_prompt, settings, head",
    "messages": f"{MESSAGE_COLUMNS}, owner",
}


def salvage(damaged: Path, connection: sqlite3.Connection) -> int:
    """Copy the readable rows of `damaged` into the new database and return how many messages those are.

    Messages whose conversation is lost come into one named for that; a message whose parent is lost begins
    the branch that is left.
    """
    rows = _readable(damaged)
    conversations = {row[0]: row for row in rows["conversations"]}
    messages = {row[0]: row for row in rows["messages"]}
    kept = 0
    try:
        with transaction(connection):
            for row in messages.values():
                home, created = row[1], row[6]
                if home not in conversations:
                    lost = (home, "Recovered conversation", created, created, None, "", "", "{}", None)
                    conversations[home] = lost
            last = {row[1]: row[0] for row in messages.values()}
            for identity, row in conversations.items():
                head = row[8] if row[8] in messages else last.get(identity)
                _insert(connection, "conversations", (*row[:8], head))
            for row in messages.values():
                parent = row[2] if row[2] in messages else None
                kept += _insert(connection, "messages", (*row[:2], parent, *row[3:]))
    except sqlite3.Error:
        # The damaged file is kept, so what does not fit here is not lost.
        return 0
    return kept


def _insert(connection: sqlite3.Connection, table: str, row: tuple[Any, ...]) -> int:
    places = ",".join("?" * len(row))
    # OR IGNORE: a row that damage made impossible is left out, the rest stays.
    statement = f"INSERT OR IGNORE INTO {table} ({_TABLES[table]}) VALUES ({places})"
    return connection.execute(statement, row).rowcount


def _readable(damaged: Path) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of each table, oldest first, read from both ends up to the damaged page."""
    found: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _TABLES}
    with contextlib.suppress(sqlite3.Error), contextlib.closing(_open_read_only(damaged)) as source:
        for table, columns in _TABLES.items():
            rows: dict[int, tuple[Any, ...]] = {}
            for order in ("ASC", "DESC"):
                with contextlib.suppress(sqlite3.Error):
                    # NOT INDEXED: an index may be what is damaged.
                    statement = f"SELECT number, {columns} FROM {table} NOT INDEXED ORDER BY number {order}"
                    for number, *row in source.execute(statement):
                        if number in rows and order == "DESC":
                            break
                        rows[number] = tuple(row)
            found[table] = [rows[number] for number in sorted(rows)]
    return found


def _open_read_only(damaged: Path) -> sqlite3.Connection:
    source = sqlite3.connect(f"{damaged.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    source.text_factory = lambda raw: raw.decode("utf-8", "replace")
    return source

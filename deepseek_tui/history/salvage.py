"""Take over what can still be read of a damaged history file."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from deepseek_tui.history.records import MESSAGE_COLUMNS
from deepseek_tui.history.transaction import transaction

Row = dict[str, Any]

# Those of them that the damaged file has; an older one has fewer.
_TABLES = {
    "conversations": "id, title, created, updated, deleted, model, system_prompt, settings, head,"
    " pinned, archived, folder, unread, origin, shows, draft",
    "messages": f"{MESSAGE_COLUMNS}, owner, shown, deleted",
    "deletions": "number, conversation, kind, count, made, head",
}


def salvage(damaged: Path, connection: sqlite3.Connection) -> int:
    """Copy the readable rows of `damaged` into the new database and return how many messages those are.

    Messages whose conversation is lost come into one named for that; a message whose parent is lost begins
    the branch that is left.
    """
    rows = _readable(damaged)
    conversations = {row["id"]: row for row in rows["conversations"]}
    messages = {row["id"]: row for row in rows["messages"]}
    kept = 0
    try:
        with transaction(connection):
            for row in messages.values():
                if row["conversation"] not in conversations:
                    conversations[row["conversation"]] = _lost(row)
            last = {row["conversation"]: row["id"] for row in messages.values()}
            for identity, row in conversations.items():
                if row["head"] not in messages:
                    row["head"] = last.get(identity)
                _insert(connection, "conversations", row)
            for row in messages.values():
                if row["parent"] not in messages:
                    row["parent"] = None
                kept += _insert(connection, "messages", row)
            for row in rows["deletions"]:
                if row["conversation"] in conversations:
                    _insert(connection, "deletions", row)
            # A message whose deletion is lost could never come back.
            connection.execute(
                "UPDATE messages SET deleted = NULL WHERE deleted NOT IN (SELECT number FROM deletions)"
            )
    except sqlite3.Error:
        # The damaged file is kept, so what does not fit here is not lost.
        return 0
    return kept


def _lost(message: Row) -> Row:
    """A conversation for the messages of one that cannot be read."""
    return {
        "id": message["conversation"],
        "title": "Recovered conversation",
        "created": message["created"],
        "updated": message["created"],
        "model": "",
        "system_prompt": "",
        "settings": "{}",
        "head": None,
    }


def _insert(connection: sqlite3.Connection, table: str, row: Row) -> int:
    places = ",".join("?" * len(row))
    # OR IGNORE: a row that damage made impossible is left out, the rest stays.
    statement = f"INSERT OR IGNORE INTO {table} ({', '.join(row)}) VALUES ({places})"
    return connection.execute(statement, tuple(row.values())).rowcount


def _readable(damaged: Path) -> dict[str, list[Row]]:
    """The rows of each table, oldest first, read from both ends up to the damaged page."""
    found: dict[str, list[Row]] = {table: [] for table in _TABLES}
    with contextlib.suppress(sqlite3.Error), contextlib.closing(_open_read_only(damaged)) as source:
        for table, known in _TABLES.items():
            there = {row[1] for row in source.execute(f"PRAGMA table_info({table})")}
            columns = [name for name in known.split(", ") if name in there]
            rows: dict[int, Row] = {}
            for order in ("ASC", "DESC"):
                with contextlib.suppress(sqlite3.Error):
                    # NOT INDEXED: an index may be what is damaged.
                    names = ", ".join(["number", *columns])
                    statement = f"SELECT {names} FROM {table} NOT INDEXED ORDER BY number {order}"
                    for number, *row in source.execute(statement):
                        if number in rows and order == "DESC":
                            break
                        rows[number] = dict(zip(columns, row, strict=True))
            found[table] = [rows[number] for number in sorted(rows)]
    return found


def _open_read_only(damaged: Path) -> sqlite3.Connection:
    source = sqlite3.connect(f"{damaged.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    source.text_factory = lambda raw: raw.decode("utf-8", "replace")
    return source

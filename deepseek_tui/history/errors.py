"""What can go wrong with the history, said to a person."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from deepseek_tui.errors import UserError


class HistoryError(UserError):
    """The history could not be read or written. Nothing that was stored before is lost."""


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the error says that the file is no sound database."""
    return _name(error).startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def is_index_damage(error: sqlite3.Error) -> bool:
    """Whether the error says that only the index of words is damaged."""
    return _name(error) == "SQLITE_CORRUPT_VTAB"


def explain(error: sqlite3.Error, path: Path | None) -> HistoryError:
    """The sentence for an error of SQLite."""
    where = f"The history file {path}" if path else "The history in memory"
    name = _name(error)
    if name.startswith("SQLITE_FULL"):
        return HistoryError(
            f"{where} cannot grow: the disk is full.", "Make room on it; the text is still on the screen."
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return HistoryError(f"{where} is held by another program.", "Close that program and try again.")
    if name.startswith(("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH")):
        return HistoryError(
            f"{where} cannot be written: it is read-only.", "Check the permissions of it and its folder."
        )
    if name.startswith("SQLITE_CANTOPEN"):
        return HistoryError(f"{where} cannot be opened.", "Check the permissions of it and its folder.")
    if name.startswith("SQLITE_IOERR"):
        return HistoryError(
            f"{where} cannot be read or written ({error}).", "Check the disk and its free space."
        )
    return HistoryError(f"{where} cannot be used: {error}.", "Move it away to begin a new one.")


def _name(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", "")

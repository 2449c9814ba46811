"""The open history file: transactions on it, from any thread, whatever happens to the file meanwhile."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar

from deepseek_tui.history import file, index
from deepseek_tui.history.errors import HistoryError, explain, is_damage, is_index_damage
from deepseek_tui.history.rows import gone
from deepseek_tui.history.transaction import transaction

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


class Base:
    """What every part of the store works with; see `Store`."""

    _connection: sqlite3.Connection
    _identity: tuple[int, int] | None = None

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.time) -> None:
        self.location = path
        self.recovered: Path | None = None
        self.salvaged = 0
        self._clock = clock
        self._lock = threading.RLock()
        self._closed = False
        self._open()

    def close(self) -> None:
        """Let go of the file. Further calls, other than this one, raise HistoryError."""
        with self._lock:
            self._closed = True
            self._connection.close()

    def copy_in_memory(self) -> Self:
        """All that is stored, in memory: what goes on when the file cannot be written any more."""
        copy = type(self)(None, self._clock)
        with self._lock, copy._lock:
            try:
                self._connection.backup(copy._connection)
            except sqlite3.Error as error:
                raise explain(error, self.location) from error
        return copy

    def _change(self, conversation_id: str, **changes: Any) -> None:
        if not changes:
            return
        columns = ", ".join(f"{name} = ?" for name in changes)

        def work(db: sqlite3.Connection) -> None:
            values = (*changes.values(), conversation_id)
            if db.execute(f"UPDATE conversations SET {columns} WHERE id = ?", values).rowcount == 0:
                raise gone("conversation", conversation_id)

        self._write(work)

    def _read(self, work: Work[T]) -> T:
        return self._run(work, "BEGIN", durable=False)

    def _write(self, work: Work[T], durable: bool = False) -> T:
        return self._run(work, "BEGIN IMMEDIATE", durable)

    def _run(self, work: Work[T], begin: str, durable: bool) -> T:
        with self._lock:
            if self._closed:
                raise HistoryError("The history is closed.")
            try:
                if self._replaced():
                    self._connection.close()
                    self._open()
                return self._attempt(work, begin, durable)
            except sqlite3.Error as error:
                if is_index_damage(error):
                    # Made from the messages, so it can be made again.
                    index.begin_anew(self._connection)
                elif not is_damage(error) or self.location is None:
                    raise explain(error, self.location) from error
                else:
                    self._connection.close()
                    self._open(thorough=True)
            try:
                return self._attempt(work, begin, durable)
            except sqlite3.Error as error:
                raise explain(error, self.location) from error

    def _attempt(self, work: Work[T], begin: str, durable: bool) -> T:
        db = self._connection
        if durable:
            db.execute("PRAGMA synchronous = FULL")
        try:
            with transaction(db, begin):
                return work(db)
        finally:
            if durable:
                with contextlib.suppress(sqlite3.Error):
                    db.execute("PRAGMA synchronous = NORMAL")

    def _open(self, thorough: bool = False) -> None:
        if self.location is None:
            self._connection = file.connect(None)
            return
        self._connection, aside, salvaged = file.open_sound(self.location, thorough)
        if aside:
            self.recovered, self.salvaged = aside, salvaged
        self._identity = file.identity(self.location)

    def _replaced(self) -> bool:
        """Whether the file was deleted or set aside under us: writing on would go to nowhere."""
        return self.location is not None and file.identity(self.location) != self._identity

"""The history as the event loop uses it: one worker thread, calls in order, memory when the disk fails."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from deepseek_tui.history.store import HistoryError, Message, Store
from deepseek_tui.text.sanitize import sanitize_line

T = TypeVar("T")


class Archive:
    """Runs every call of the store on one thread, so that they happen in the order they were asked for.

    `problem` is called with a sentence, on the event loop, when the file cannot be used (any more); from then
    on conversations are kept in memory.
    """

    def __init__(self, path: Path, problem: Callable[[str], None]) -> None:
        self._path = path
        self._problem = problem
        self._worker = ThreadPoolExecutor(1, "history")
        self._store: Store | None = None
        self._told: Path | None = None
        self._closed = False

    async def call(self, function: Callable[[Store], T]) -> T:
        """`function(store)` on the worker. Raises HistoryError only where memory fails too."""
        if self._closed:
            raise HistoryError("The history is closed.")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._worker, self._call, function, loop)

    async def path_to(self, conversation: str, message: str | None) -> list[Message]:
        """The messages from the first one down to `message`."""

        def walk(store: Store) -> list[Message]:
            by_id = {m.id: m for m in store.messages(conversation)}
            path: list[Message] = []
            at = message
            while at is not None and at in by_id:
                path.append(by_id[at])
                at = by_id[at].parent
            return path[::-1]

        return await self.call(walk)

    async def close(self) -> None:
        """Finish what was asked for and close the file."""
        self._closed = True
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._worker, self._close)
        self._worker.shutdown()

    def _call(self, function: Callable[[Store], T], loop: asyncio.AbstractEventLoop) -> T:
        store = self._store = self._open(loop) if self._store is None else self._store
        try:
            return function(store)
        except HistoryError as error:
            if store.location is None or not _is_lost(error):
                raise
            self._tell(loop, f"{error} Going on in memory: nothing more is saved.")
            self._store = store.copy_in_memory()
            store.close()
            return function(self._store)
        finally:
            self._tell_of_recovery(loop)

    def _open(self, loop: asyncio.AbstractEventLoop) -> Store:
        try:
            store = Store(self._path)
            store.recover_streaming()
            return store
        except HistoryError as error:
            self._tell(loop, f"{error} Conversations are kept in memory and gone after quitting.")
            return Store(None)

    def _tell_of_recovery(self, loop: asyncio.AbstractEventLoop) -> None:
        aside = self._store.recovered if self._store else None
        if aside is not None and aside != self._told:
            self._told = aside
            self._tell(
                loop,
                f"The history file was damaged. It is kept as {aside}; a new one was begun, "
                f"with {self._store.salvaged if self._store else 0} messages taken over.",
            )

    def _tell(self, loop: asyncio.AbstractEventLoop, sentence: str) -> None:
        loop.call_soon_threadsafe(self._problem, sanitize_line(sentence))

    def _close(self) -> None:
        if self._store is not None:
            self._store.close()


def _is_lost(error: HistoryError) -> bool:
    """Whether the file is of no more use, rather than busy for a while or asked for what is not there."""
    cause = error.__cause__
    passing = getattr(cause, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
    return isinstance(cause, (sqlite3.Error, OSError)) and not passing

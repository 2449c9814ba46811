"""The history file as a file: opened, brought up to date, and set aside when it is damaged."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from deepseek_tui import paths
from deepseek_tui.errors import UserError
from deepseek_tui.history import index
from deepseek_tui.history.errors import HistoryError, explain, is_damage
from deepseek_tui.history.migrations import NewerFileError, migrate
from deepseek_tui.history.salvage import salvage

# A check of every page costs 3 to 4 milliseconds per megabyte; past this size damage shows at first use.
CHECKED_BYTES = 8 * 2**20
BUSY_SECONDS = 10.0


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Only one process at a time opens, migrates or sets aside the file at `path`."""
    descriptor = paths.open_private(path.with_name(path.name + ".lock"))
    try:
        # A file system without locks leaves what SQLite does itself.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def connect(path: Path | None, thorough: bool = False) -> sqlite3.Connection:
    """A connection to the file, or to a new database in memory, of the newest version.

    With `thorough` every page and index is checked, whatever the size.
    Raises HistoryError for a file of a newer app, sqlite3.Error for what SQLite says.
    """
    if path:
        # Made here, because SQLite would make it readable to others.
        os.close(paths.open_private(path))
    connection = sqlite3.connect(
        path or ":memory:", timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        connection.text_factory = _text
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA journal_mode = WAL")
        # Commits outlive the process in any case; `Store` asks for more where they must outlive the machine.
        connection.execute("PRAGMA synchronous = NORMAL")
        # In KiB. The indexes of ids are met in random order, and thrash in the 2 MB that SQLite takes.
        connection.execute("PRAGMA cache_size = -16384")
        # What is removed for good is overwritten, as far as that costs no more writing.
        connection.execute("PRAGMA secure_delete = FAST")
        if path and (thorough or path.stat().st_size <= CHECKED_BYTES):
            check = "integrity_check" if thorough else "quick_check"
            verdict = connection.execute(f"PRAGMA {check}(1)").fetchone()[0]
            if verdict != "ok":
                raise _damage(verdict)
        migrate(connection)
        index.prepare(connection)
    except NewerFileError as error:
        connection.close()
        raise HistoryError(
            f"The history file {path} was written by a newer deepseek-tui ({error}).",
            f"Update the app, or set {paths.HOME_VARIABLE} to another folder to begin a new history.",
        ) from error
    except BaseException:
        connection.close()
        raise
    return connection


def open_sound(path: Path, thorough: bool = False) -> tuple[sqlite3.Connection, Path | None, int]:
    """A connection to the file at `path`, which is begun anew when it is damaged.

    Returns it, where the damaged file is now (None when all was well), and how many messages came over.
    Raises HistoryError.
    """
    try:
        paths.ensure(path.parent)
        with alone(path):
            try:
                return connect(path, thorough), None, 0
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
            aside = _set_aside(path)
            connection = connect(path)
            return connection, aside, salvage(aside, connection)
    except sqlite3.Error as error:
        raise explain(error, path) from error
    except HistoryError:
        raise
    except UserError as error:
        raise HistoryError(error.message, error.hint) from error
    except OSError as error:
        raise HistoryError(f"The history file {path} cannot be used: {error}.") from error


def identity(path: Path) -> tuple[int, int] | None:
    """Which file is at `path`; None for none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _set_aside(path: Path) -> Path:
    """Rename the file with its -wal and -shm, so that nothing in them is lost, and return its new name."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    count = 1
    while aside.exists():
        count += 1
        aside = path.with_name(f"{path.name}.corrupt-{stamp}-{count}")
    for tail in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + tail).rename(aside.with_name(aside.name + tail))
    return aside


def _damage(verdict: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(verdict)
    error.sqlite_errorname = "SQLITE_CORRUPT"
    return error


def _text(raw: bytes) -> str:
    # One damaged character must not make the whole conversation unreadable.
    return raw.decode("utf-8", "replace")

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from deepseek_tui.history.migrations import STEPS, NewerFileError, migrate


def version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def test_steps_are_taken_once_and_in_order(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    steps = [["CREATE TABLE a (x)", "INSERT INTO a VALUES (1)"], ["INSERT INTO a SELECT x + 1 FROM a"]]
    migrate(db, steps[:1])
    assert version(db) == 1
    migrate(db, steps)
    migrate(db, steps)
    assert version(db) == 2
    assert db.execute("SELECT x FROM a").fetchall() == [(1,), (2,)]
    with pytest.raises(NewerFileError, match="version 2, known are 1"):
        migrate(db, steps[:1])
    db.close()


def test_a_step_that_fails_leaves_the_version_before(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    steps = [["CREATE TABLE a (x)"], ["INSERT INTO a VALUES (1)", "INSERT INTO nothing VALUES (1)"]]
    with pytest.raises(sqlite3.OperationalError):
        migrate(db, steps)
    assert version(db) == 1
    assert db.execute("SELECT x FROM a").fetchall() == []
    assert not db.in_transaction
    db.close()


def test_a_step_that_another_process_took_meanwhile_is_not_taken_twice(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)

    def take_first(statement: str) -> None:
        if statement == "BEGIN IMMEDIATE" and version(other) == 0:
            migrate(other)

    db.set_trace_callback(take_first)
    migrate(db)
    assert version(db) == len(STEPS)
    db.close()
    other.close()

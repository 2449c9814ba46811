from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from deepseek_tui.history.migrations import STEPS, NewerFileError, migrate
from deepseek_tui.history.store import Place, Store


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


def first_file(path: Path) -> None:
    """A history as the first release wrote it."""
    db = sqlite3.connect(path)
    for statement in STEPS[0]:
        db.execute(statement)
    db.execute("PRAGMA user_version = 1")
    conversations = [
        ("c1", "Kept", 1.0, 5.0, None, "tiny", "Be brief.", '{"temp":0.5}', "m3"),
        ("c2", "Deleted", 2.0, 4.0, 900.0, "", "", "{}", "m4"),
    ]
    db.executemany(
        "INSERT INTO conversations (id, title, created, updated, deleted, model, system_prompt, settings,"
        " head) VALUES (?,?,?,?,?,?,?,?,?)",
        conversations,
    )
    for identity, home, parent, role, text in (
        ("m1", "c1", None, "user", "crème brûlée?"),
        ("m2", "c1", "m1", "assistant", "first try"),
        ("m3", "c1", "m1", "assistant", "second try"),
        ("m4", "c2", None, "user", "deleted words"),
    ):
        db.execute(
            "INSERT INTO messages (id, conversation, parent, role, text, state, created, updated, model,"
            " settings, stats) VALUES (?,?,?,?,?,'complete',1,1,'','{}','{\"n\":1}')",
            (identity, home, parent, role, text),
        )
    db.commit()
    db.close()


def test_a_file_of_the_first_release_has_everything_and_what_came_since(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    first_file(path)
    store = Store(path)
    assert store.recovered is None
    (kept,) = store.conversations()
    assert (kept.id, kept.title, kept.settings, kept.head) == ("c1", "Kept", {"temp": 0.5}, "m3")
    assert (kept.pinned, kept.archived, kept.folder, kept.unread, kept.origin) == (
        False,
        False,
        "",
        False,
        None,
    )
    assert [m.text for m in store.path("c1")] == ["crème brûlée?", "second try"]
    assert store.path("c1")[1].stats == {"n": 1}
    assert store.places("c1") == {"m3": Place(1, 2)}
    assert [hit.message for hit in store.search("creme")] == ["m1"]
    assert store.search("deleted") == []
    (undo,) = store.undoable()
    assert (undo.conversation, undo.kind, undo.title) == ("c2", "conversation", "Deleted")
    store.undo(undo.id)
    assert [hit.message for hit in store.search("deleted")] == ["m4"]
    store.walk("m3", -1)
    assert store.get("c1").head == "m2"
    store.close()


def test_the_words_of_an_old_file_are_read_a_little_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    first_file(path)
    db = sqlite3.connect(path)
    db.executemany(
        "INSERT INTO messages (id, conversation, role, text, state, created, updated, model, settings, stats)"
        " VALUES (?, 'c1', 'user', 'word ' || ?, 'complete', 1, 1, '', '{}', '{}')",
        [(f"n{n}", n) for n in range(500)],
    )
    db.commit()
    db.close()
    store = Store(path)
    assert "504 older messages are not searched yet" in store.search_note()
    store.update_message("n7", text="changed before it was read")
    store.update_message("n499", text="also changed")
    left = [store.index_more(0)]
    while left[-1]:
        left.append(store.index_more(0))
    assert left == [304, 104, 0]
    assert store.search_note() == ""
    assert len(store.search("word", limit=1000)) == 498
    assert {hit.message for hit in store.search("changed")} == {"n7", "n499"}
    store._connection.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")
    store.close()

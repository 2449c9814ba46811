"""Files and disks that fail: a sentence, and nothing lost that could be kept."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from deepseek_tui.history import file
from deepseek_tui.history.errors import explain
from deepseek_tui.history.salvage import salvage
from deepseek_tui.history.store import HistoryError, Store

PAGE = 4096


def filled(path: Path, conversations: int = 20, messages: int = 20) -> int:
    """Write a history and return how many messages are in it."""
    store = Store(path)
    for c in range(conversations):
        conversation = store.create_conversation(system_prompt=f"prompt {c}")
        for m in range(messages):
            store.add_message(
                conversation.id, "assistant" if m % 2 else "user", f"text {c}-{m} " + "word " * 60
            )
    store.close()
    return conversations * messages


def overwrite(path: Path, page: int) -> None:
    with path.open("r+b") as raw:
        raw.seek(page * PAGE)
        raw.write(b"\xa5" * PAGE)


def texts(store: Store) -> set[str]:
    return {m.text for c in store.conversations() for m in store.messages(c.id)}


def root_page(path: Path, name: str) -> int:
    """The first page of a table, counted from 0."""
    db = sqlite3.connect(path)
    page: int = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).fetchone()[0]
    db.close()
    return page - 1


@pytest.mark.parametrize(
    "content", [b"this is no database at all" * 400, b"SQLite format 3\x00" + b"\xff" * 5000]
)
def test_a_file_that_is_no_database_is_set_aside(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    store = Store(path)
    assert store.recovered is not None
    assert store.recovered.name.startswith("history.db.corrupt-")
    assert store.recovered.read_bytes() == content
    assert store.salvaged == 0
    store.create_conversation()
    assert len(store.conversations()) == 1
    store.close()
    again = Store(path)
    assert again.recovered is None, "the new file is sound"
    again.close()


def test_a_second_damaged_file_does_not_replace_the_first(path: Path) -> None:
    path.parent.mkdir()
    names = set()
    for content in (b"one" * 400, b"two" * 400, b"three" * 400):
        path.write_bytes(content)
        store = Store(path)
        assert store.recovered is not None
        assert store.recovered.read_bytes() == content
        names.add(store.recovered)
        store.close()
    assert len(names) == 3


def test_a_damaged_page_costs_only_what_was_on_it(path: Path) -> None:
    count = filled(path)
    # A page of texts, not of an index.
    overwrite(path, path.read_bytes().index(b"text 10-5 word") // PAGE)
    store = Store(path)
    assert store.recovered is not None
    assert count * 0.8 < store.salvaged < count
    assert len(texts(store)) == store.salvaged
    assert store._connection.execute("PRAGMA foreign_key_check").fetchall() == []
    for conversation in store.conversations():
        assert conversation.head is not None
        store.path(conversation.id)
        store.add_message(conversation.id, "user", "going on")
    store.close()


def test_deletions_can_be_taken_back_after_a_rescue(path: Path) -> None:
    filled(path, 3, 4)
    store = Store(path)
    first, second, _ = store.conversations()
    store.delete_message(store.path(first.id)[1].id)
    store.organise(second.id, pinned=True, folder="Work")
    store.save_draft(second.id, "draft")
    store.close()
    overwrite(path, root_page(path, "messages_by_parent"))
    store = Store(path)
    assert store.recovered is not None
    assert store.get(second.id).pinned
    assert store.draft(second.id) == "draft"
    assert len(store.path(first.id)) == 3
    store.undo(store.undoable()[0].id)
    assert len(store.path(first.id)) == 4
    assert len(store.search("word")) == 12
    store.close()


def test_messages_outlive_the_table_of_conversations(path: Path) -> None:
    count = filled(path, 3, 4)
    overwrite(path, root_page(path, "conversations"))
    store = Store(path)
    assert store.salvaged == count
    assert [c.title for c in store.conversations()] == ["Recovered conversation"] * 3
    assert all(len(store.path(c.id)) == 4 for c in store.conversations())
    store.close()


def test_a_disk_too_full_to_take_anything_over(path: Path) -> None:
    filled(path)
    db = file.connect(None)
    db.execute("PRAGMA max_page_count = 30")
    assert salvage(path, db) == 0
    assert db.execute("SELECT count(*) FROM conversations").fetchone() == (0,)
    db.close()


def test_damage_met_only_at_use_is_mended_then(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(path, 3, 4)
    monkeypatch.setattr(file, "CHECKED_BYTES", -1)
    overwrite(path, root_page(path, "messages"))
    store = Store(path)
    assert store.recovered is None
    assert len(store.conversations()) == 3, "the call that met it gives its answer all the same"
    assert [m.text for c in store.conversations() for m in store.path(c.id)] == []
    assert store.recovered is not None
    store.close()


def test_an_app_that_has_a_damaged_file_open_follows_to_the_new_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(path, 2, 2)
    first = Store(path)
    first.close()
    monkeypatch.setattr(file, "CHECKED_BYTES", -1)
    overwrite(path, root_page(path, "messages"))
    one, two = Store(path), Store(path)
    for store in (one, two):
        conversation = store.create_conversation()
        store.add_message(conversation.id, "user", "new")
    assert one.recovered is not None
    assert two.recovered is None
    assert len(one.conversations()) == len(two.conversations()) == 4
    one.close()
    two.close()


def test_damage_that_does_not_go_away_is_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(db: sqlite3.Connection) -> None:
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorname = "SQLITE_CORRUPT"
        raise error

    with pytest.raises(HistoryError, match=r"cannot be used: .*malformed.* Move it away"):
        store._read(broken)
    assert store.recovered is None, "a file that passes every check is not set aside"
    assert store.conversations() == []


def test_damaged_values_do_not_hide_the_rest(store: Store) -> None:
    conversation = store.create_conversation(settings={"a": 1})
    store.add_message(conversation.id, "user", "good", stats={"a": 1})
    store.add_message(conversation.id, "assistant", "reply", stats={"a": 1})
    store._connection.execute("UPDATE messages SET text = CAST(x'ff41' AS TEXT) WHERE role = 'user'")
    store._connection.execute("UPDATE messages SET stats = '[]' WHERE role = 'user'")
    store._connection.execute("UPDATE conversations SET settings = '{'")
    assert store.get(conversation.id).settings == {}
    assert [(m.text, m.stats) for m in store.path(conversation.id)] == [("\ufffdA", {}), ("reply", {"a": 1})]


def test_a_file_of_a_newer_app_is_left_alone(path: Path) -> None:
    Store(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(HistoryError, match=r"newer deepseek-tui.*Update the app"):
        Store(path)
    assert [p.name for p in path.parent.glob("*corrupt*")] == []


def test_a_full_disk_is_said_and_the_store_works_on(store: Store) -> None:
    conversation = store.create_conversation()
    store.add_message(conversation.id, "user", "kept")
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    for _ in range(2):
        with pytest.raises(
            HistoryError, match=r"history\.db cannot grow: the disk is full\. .*on the screen"
        ):
            store.add_message(conversation.id, "user", "x" * 100_000)
    assert [m.text for m in store.path(conversation.id)] == ["kept"]
    store._connection.execute("PRAGMA max_page_count = 1000000")
    store.add_message(conversation.id, "user", "room again")
    assert [m.text for m in store.path(conversation.id)] == ["kept", "room again"]


def test_a_disk_that_refuses_to_write(path: Path) -> None:
    code = """
import resource, signal, sys
from pathlib import Path
from deepseek_tui.history.salvage import salvage
from deepseek_tui.history.store import HistoryError, Store
store = Store(Path(sys.argv[1]))
c = store.create_conversation()
store.add_message(c.id, "user", "kept")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (250_000, resource.RLIM_INFINITY))
try:
    store.add_message(c.id, "user", "x" * 1_000_000)
except HistoryError as error:
    print(error)
assert [m.text for m in store.path(c.id)] == ["kept"]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.add_message(c.id, "user", "again")
store.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert "history.db" in done.stdout
    store = Store(path)
    assert texts(store) == {"kept", "again"}
    store.close()


def test_a_read_only_file(store: Store) -> None:
    conversation = store.create_conversation()
    store._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(HistoryError, match=r"read-only.*permissions"):
        store.add_message(conversation.id, "user", "x")
    assert store.path(conversation.id) == []


def test_a_directory_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(HistoryError, match="file/data cannot be made"):
        Store(tmp_path / "file" / "data" / "history.db")
    (tmp_path / "history.db").mkdir()
    with pytest.raises(HistoryError, match=r"history\.db cannot be opened"):
        Store(tmp_path / "history.db")


def test_a_file_that_cannot_be_moved_aside(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database" * 400)

    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(HistoryError, match=r"history\.db cannot be used: .*not permitted"):
        Store(path)


def test_a_file_held_by_another_program(store: Store, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store._connection.execute("PRAGMA busy_timeout = 1")
    with pytest.raises(HistoryError, match="held by another program"):
        store.create_conversation()
    other.execute("ROLLBACK")
    other.close()
    store.create_conversation()


def test_a_foreign_database_is_not_touched(path: Path) -> None:
    path.parent.mkdir()
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE messages (theirs TEXT)")
    db.close()
    with pytest.raises(HistoryError, match="already exists"):
        Store(path)
    db = sqlite3.connect(path)
    assert db.execute("SELECT name FROM sqlite_schema").fetchall() == [("messages",)]
    db.close()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("SQLITE_CANTOPEN", "cannot be opened"),
        ("SQLITE_IOERR_READ", "Check the disk"),
        ("SQLITE_READONLY_DIRECTORY", "read-only"),
        ("SQLITE_LOCKED", "another program"),
        ("SQLITE_MISUSE", "Move it away"),
    ],
)
def test_every_error_has_its_sentence(name: str, words: str) -> None:
    error = sqlite3.OperationalError("odd")
    error.sqlite_errorname = name
    assert words in str(explain(error, Path("history.db")))
    assert str(explain(error, None)).startswith("The history in memory")

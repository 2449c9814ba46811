from __future__ import annotations

from pathlib import Path

import pytest

from deepseek_tui.history.store import UNDO_SECONDS, HistoryError, Store
from tests.history.conftest import Clock
from tests.history.test_branches import shown, talk


def test_a_message_goes_and_what_follows_it_stays(store: Store) -> None:
    conversation = talk(store, "q1", "a1", "q2", "a2")
    a1 = store.path(conversation)[1]
    undo = store.delete_message(a1.id)
    assert (undo.kind, undo.count, undo.conversation, undo.title) == ("message", 1, conversation, "q1")
    assert shown(store, conversation) == ["q1", "q2", "a2"]
    assert store.get(conversation).message_count == 3
    messages = store.path(conversation)
    assert messages[1].parent == messages[0].id
    store.undo(undo.id)
    assert shown(store, conversation) == ["q1", "a1", "q2", "a2"]


def test_a_branch_goes_with_all_that_follows_and_the_variant_beside_it_is_shown(store: Store) -> None:
    conversation = talk(store, "q1", "a1", "q2")
    q1 = store.path(conversation)[0]
    again = store.add_message(conversation, "assistant", "a1 again", parent=q1.id)
    store.add_message(conversation, "user", "q3")
    undo = store.delete_branch(again.id)
    assert undo.count == 2
    assert shown(store, conversation) == ["q1", "a1", "q2"]
    second = store.delete_branch(q1.id)
    assert (second.count, shown(store, conversation)) == (3, [])
    assert [u.id for u in store.undoable(conversation)] == [second.id, undo.id]
    store.undo(second.id)
    store.undo(undo.id)
    assert shown(store, conversation) == ["q1", "a1 again", "q3"]


def test_of_several_variants_the_one_before_is_shown_and_at_the_start_the_one_after(store: Store) -> None:
    conversation = talk(store, "q", "first")
    question = store.path(conversation)[0].id
    for text in ("second", "third", "fourth"):
        store.add_message(conversation, "assistant", text, parent=question)
    ids = {m.text: m.id for m in store.messages(conversation)}
    store.walk(ids["fourth"], -1)
    store.delete_branch(ids["third"])
    assert shown(store, conversation) == ["q", "second"]
    store.walk(ids["second"], -1)
    store.delete_message(ids["first"])
    assert shown(store, conversation) == ["q", "second"]
    store.delete_message(ids["fourth"])
    assert shown(store, conversation) == ["q", "second"], "what is shown stays"


def test_deletions_can_be_taken_back_after_a_restart_for_a_while(path: Path, clock: Clock) -> None:
    store = Store(path, clock)
    conversation = talk(store, "q1", "a1", "q2")
    other = talk(store, "other")
    store.delete_message(store.path(conversation)[1].id)
    clock.now += 10
    store.delete(other)
    store.close()
    store = Store(path, clock)
    last, first = store.undoable()
    assert (last.kind, first.kind) == ("conversation", "message")
    clock.now += UNDO_SECONDS - 5
    assert store.purge_deleted(UNDO_SECONDS) == 0
    assert [u.id for u in store.undoable()] == [last.id]
    with pytest.raises(HistoryError, match="cannot be taken back any more"):
        store.undo(first.id)
    assert shown(store, conversation) == ["q1", "q2"]
    assert [m.text for m in store.messages(conversation)] == ["q1", "q2"]
    store.undo(last.id)
    assert [c.title for c in store.conversations()] == ["other", "q1"]
    with pytest.raises(HistoryError, match="cannot be taken back"):
        store.undo(last.id)
    store.close()


def test_a_conversation_deleted_twice_is_brought_back_once(store: Store) -> None:
    conversation = talk(store, "q")
    store.delete(conversation)
    undo = store.delete(conversation)
    assert [u.id for u in store.undoable()] == [undo.id]
    store.add_message(conversation, "user", "written on")
    assert store.undoable() == [], "it came back by itself"


def test_words_of_removed_messages_leave_the_index(store: Store, path: Path) -> None:
    conversation = talk(store, "plain", "xylophonesecret")
    store.purge(conversation)
    store.tidy()
    words = store._connection.execute("SELECT block FROM words_data").fetchall()
    assert not any(b"xylophonesecret" in block for (block,) in words)

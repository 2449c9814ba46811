from __future__ import annotations

import pytest

from deepseek_tui.history.store import HistoryError, Store
from tests.history.conftest import Clock
from tests.history.test_branches import talk


def titles(store: Store, **filters: object) -> list[str]:
    return [c.title for c in store.conversations(**filters)]  # type: ignore[arg-type]  # by name


def test_pinned_ones_come_first_on_every_page(store: Store) -> None:
    ids = [talk(store, name) for name in ("one", "two", "three")]
    store.organise(ids[0], pinned=True)
    assert titles(store) == ["one", "three", "two"]
    assert titles(store, limit=2) == ["one", "three"]
    assert titles(store, limit=2, offset=2) == ["two"]
    store.organise(ids[0], pinned=False)
    assert titles(store) == ["three", "two", "one"]


def test_what_is_typed_filters_by_title_and_folder(store: Store) -> None:
    ids = [talk(store, name) for name in ("Crème brûlée recipe", "Python lists", "Recipe for bread")]
    store.organise(ids[1], folder="Work")
    assert titles(store, text="recipe") == ["Recipe for bread", "Crème brûlée recipe"]
    assert titles(store, text="  CREME rec") == ["Crème brûlée recipe"]
    assert titles(store, text="work") == ["Python lists"]
    assert titles(store, text="recipe", limit=1, offset=1) == ["Crème brûlée recipe"]
    assert titles(store, text="100%") == []


def test_archive_and_folders(store: Store) -> None:
    ids = [talk(store, name) for name in ("one", "two", "three")]
    store.organise(ids[0], archived=True, folder=" Work \n stuff ")
    store.organise(ids[1], folder="älter")
    assert titles(store) == ["three", "two"]
    assert titles(store, archived=True) == ["one"]
    assert titles(store, archived=None, folder="Work stuff") == ["one"]
    assert titles(store, archived=None, folder="") == ["three"]
    assert store.folders() == [("älter", 1), ("Work stuff", 1)]
    assert store.get(ids[0]).archived


def test_arranging_does_not_move_a_conversation_in_time(store: Store, clock: Clock) -> None:
    conversation = talk(store, "one")
    before = store.get(conversation).updated
    clock.now += 1
    store.organise(conversation, unread=True)
    store.save_draft(conversation, "half a \ud800 thought")
    now = store.get(conversation)
    assert (now.updated, now.unread) == (before, True)
    assert store.draft(conversation) == "half a \ufffd thought"
    store.organise(conversation)
    assert store.get(conversation) == now
    for call in (
        lambda: store.draft("nothing"),
        lambda: store.save_draft("nothing", ""),
        lambda: store.organise("nothing", pinned=True),
    ):
        with pytest.raises(HistoryError, match="no conversation"):
            call()


def test_a_reply_being_written_marks_its_conversation(store: Store) -> None:
    conversation = talk(store, "q")
    reply = store.add_message(conversation, "assistant", "", state="streaming")
    assert store.conversations()[0].streaming
    store.update_message(reply.id, state="complete")
    assert not store.conversations()[0].streaming


def test_some_are_listed_by_their_ids_unless_deleted(store: Store) -> None:
    ids = [talk(store, name) for name in ("one", "two", "three")]
    store.delete(ids[1])
    store.organise(ids[2], archived=True)
    assert {c.title for c in store.listed([*ids, "unknown"])} == {"one", "three"}
    assert store.listed([]) == []

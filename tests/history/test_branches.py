from __future__ import annotations

import pytest

from deepseek_tui.history.store import HistoryError, Place, Store
from tests.history.conftest import Clock


def talk(store: Store, *texts: str) -> str:
    conversation = store.create_conversation()
    for number, text in enumerate(texts):
        store.add_message(conversation.id, "assistant" if number % 2 else "user", text)
    return conversation.id


def shown(store: Store, conversation: str) -> list[str]:
    return [m.text for m in store.path(conversation)]


def test_walking_comes_back_to_where_one_was(store: Store) -> None:
    conversation = talk(store, "q1", "a1", "q2", "a2")
    q1, _, q2, a2 = store.path(conversation)
    other = store.edit(q1.id, "q1 other")
    store.add_message(conversation, "assistant", "a1 other")
    assert shown(store, conversation) == ["q1 other", "a1 other"]
    assert store.places(conversation) == {other.id: Place(1, 2)}
    back = store.walk(other.id, -1)
    assert back == q1
    assert shown(store, conversation) == ["q1", "a1", "q2", "a2"]
    store.add_message(conversation, "assistant", "a2 again", parent=q2.id)
    store.walk(q1.id, 1)
    store.walk(other.id, -1)
    assert shown(store, conversation) == ["q1", "a1", "q2", "a2 again"]
    assert store.walk(q1.id, -1) is None
    assert store.walk(a2.id, 2) is None
    assert shown(store, conversation) == ["q1", "a1", "q2", "a2 again"]


def test_what_was_found_is_shown(store: Store) -> None:
    conversation = talk(store, "q1", "a1", "q2")
    q1, a1, q2 = store.path(conversation)
    store.add_message(conversation, "assistant", "a1 again", parent=q1.id)
    store.show(q1.id)
    assert shown(store, conversation) == ["q1", "a1 again"], "it is on the branch shown already"
    store.show(a1.id)
    assert shown(store, conversation) == ["q1", "a1", "q2"]
    assert [m.text for m in store.path_to(q2.id)] == ["q1", "a1", "q2"]


def test_an_edited_reply_keeps_how_it_came_but_not_its_figures(store: Store, clock: Clock) -> None:
    conversation = talk(store, "q")
    reply = store.add_message(
        conversation, "assistant", "half", state="stopped", model="m", settings={"seed": 1}, stats={"n": 9}
    )
    clock.now += 5
    edited = store.edit(reply.id, "better half \ud800", "streaming")
    assert (edited.text, edited.state, edited.role) == ("better half \ufffd", "streaming", "assistant")
    assert (edited.model, edited.settings, edited.stats) == ("m", {"seed": 1}, {})
    assert edited.created == store.get(conversation).updated == clock.now
    assert store.recover_streaming() == 0, "this process writes it"
    assert [m.text for m in store.siblings(edited.id)] == ["half", "better half \ufffd"]


def test_a_stopped_reply_is_continued_in_place(store: Store) -> None:
    conversation = talk(store, "q1", "a1", "q2")
    q1, a1, _ = store.path(conversation)
    resumed = store.resume(a1.id)
    assert (resumed.id, resumed.text, resumed.state) == (a1.id, "a1", "streaming")
    assert shown(store, conversation) == ["q1", "a1"]
    assert store.get(conversation).streaming
    with pytest.raises(HistoryError, match=r"still being written\. Stop it first"):
        store.resume(a1.id)
    store.update_message(a1.id, text="a1 and more", state="complete")
    store.show(store.messages(conversation)[2].id)
    assert shown(store, conversation) == ["q1", "a1 and more", "q2"]
    with pytest.raises(HistoryError, match="Only a reply can be continued"):
        store.resume(q1.id)


def test_a_fork_has_its_own_messages(store: Store, clock: Clock) -> None:
    conversation = store.create_conversation("m", "Be brief.", {"temp": 1})
    store.organise(conversation.id, pinned=True, folder="Work")
    store.add_message(conversation.id, "user", "q1")
    a1 = store.add_message(conversation.id, "assistant", "a1", state="streaming", stats={"n": 1})
    store.add_message(conversation.id, "user", "q2")
    clock.now += 1
    fork = store.fork(a1.id)
    assert (fork.title, fork.model, fork.system_prompt, fork.settings) == (
        "q1",
        "m",
        "Be brief.",
        {"temp": 1},
    )
    assert (fork.folder, fork.pinned, fork.created, fork.origin) == ("Work", False, clock.now, a1.id)
    copies = store.path(fork.id)
    assert [(m.text, m.state, m.stats) for m in copies] == [
        ("q1", "complete", {}),
        ("a1", "stopped", {"n": 1}),
    ]
    store.update_message(copies[0].id, text="changed")
    store.purge(conversation.id)
    assert shown(store, fork.id) == ["changed", "a1"]
    assert store.get(fork.id).origin == a1.id


def test_messages_that_are_gone_are_said(store: Store) -> None:
    conversation = talk(store, "q", "a")
    gone = store.path(conversation)[1].id
    store.delete_message(gone)
    for call in (
        lambda: store.show(gone),
        lambda: store.walk(gone, 1),
        lambda: store.siblings(gone),
        lambda: store.edit(gone, "x"),
        lambda: store.resume(gone),
        lambda: store.fork(gone),
        lambda: store.path_to(gone),
        lambda: store.delete_message(gone),
        lambda: store.delete_branch(gone),
        lambda: store.set_head(conversation, gone),
        lambda: store.add_message(conversation, "user", "x", parent=gone),
        lambda: store.places("nothing"),
    ):
        with pytest.raises(HistoryError, match="There is no"):
            call()

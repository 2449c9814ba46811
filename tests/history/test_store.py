from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from deepseek_tui.history.store import HistoryError, Store
from tests.history.conftest import Clock


def talk(store: Store, *texts: str) -> str:
    """A conversation in which user and assistant took turns; its id."""
    conversation = store.create_conversation()
    for number, text in enumerate(texts):
        store.add_message(conversation.id, "assistant" if number % 2 else "user", text)
    return conversation.id


def shown(store: Store, conversation: str) -> list[str]:
    return [m.text for m in store.path(conversation)]


def listed(store: Store) -> list[str]:
    return [c.title for c in store.conversations()]


def test_everything_is_there_after_a_restart(store: Store, path: Path) -> None:
    made = store.create_conversation("tiny", "Be brief.", {"temp": 0.5})
    store.add_message(made.id, "user", "Hello\x00 [red] 👩‍👩‍👧 \x1b[31m")
    reply = store.add_message(
        made.id, "assistant", "Hi.", model="tiny", settings={"seed": 1}, stats={"generation_tps": 40.5}
    )
    before = (store.get(made.id), store.path(made.id))
    store.close()
    again = Store(path)
    assert (again.get(made.id), again.path(made.id)) == before
    conversation, messages = before
    assert (conversation.model, conversation.system_prompt, conversation.settings) == (
        *("tiny", "Be brief."),
        {"temp": 0.5},
    )
    assert conversation.head == reply.id
    assert conversation.message_count == 2
    assert [m.text for m in messages] == ["Hello\x00 [red] 👩‍👩‍👧 \x1b[31m", "Hi."]
    assert messages[1] == reply
    assert (reply.parent, reply.settings, reply.stats) == (
        *(messages[0].id, {"seed": 1}),
        {"generation_tps": 40.5},
    )
    assert again.recovered is None
    again.close()


def test_the_file_is_closed_to_others(store: Store, path: Path) -> None:
    talk(store, "secret")
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_list_has_the_one_used_last_first(store: Store, clock: Clock) -> None:
    first, second, third = (talk(store, word) for word in ("one", "two", "three"))
    assert listed(store) == ["three", "two", "one"]
    clock.now += 1
    store.add_message(first, "assistant", "again")
    assert listed(store) == ["one", "three", "two"]
    assert [c.id for c in store.conversations(limit=1)] == [first]
    assert [c.id for c in store.conversations(limit=5, offset=1)] == [third, second]


def test_a_reply_grows_in_place(store: Store, clock: Clock) -> None:
    conversation = talk(store, "question")
    reply = store.add_message(conversation, "assistant", "", state="streaming")
    updated = store.get(conversation).updated
    clock.now += 1
    store.update_message(reply.id, text="half")
    store.update_message(reply.id, stats={"n": 1})
    assert (store.path(conversation)[-1].text, store.path(conversation)[-1].stats) == ("half", {"n": 1})
    assert store.get(conversation).updated == updated, "a journal entry does not move it in the list"
    store.update_message(reply.id, text="whole", state="length", stats={"n": 2}, settings={"seed": 3})
    last = store.path(conversation)[-1]
    assert (last.text, last.state, last.stats, last.settings) == ("whole", "length", {"n": 2}, {"seed": 3})
    assert last.updated == store.get(conversation).updated == clock.now


def test_branches(store: Store) -> None:
    conversation = talk(store, "q1", "a1", "q2", "a2")
    q1, a1, q2, _ = store.path(conversation)
    store.add_message(conversation, "assistant", "a2 again", parent=q2.id)
    assert shown(store, conversation) == ["q1", "a1", "q2", "a2 again"]
    store.add_message(conversation, "user", "another beginning", parent=None)
    assert shown(store, conversation) == ["another beginning"]
    store.set_head(conversation, a1.id)
    assert shown(store, conversation) == ["q1", "a1"]
    store.set_head(conversation, None)
    assert shown(store, conversation) == []
    assert store.add_message(conversation, "user", "third beginning").parent is None
    assert [m.text for m in store.messages(conversation)] == [
        *("q1", "a1", "q2", "a2", "a2 again", "another beginning", "third beginning")
    ]
    assert store.get(conversation).message_count == 7
    assert q1.parent is None


def test_titles_come_from_the_first_question_and_stay_when_given(store: Store) -> None:
    conversation = store.create_conversation()
    store.add_message(conversation.id, "system", "You are brief.")
    assert store.get(conversation.id).title == ""
    store.add_message(conversation.id, "user", "# How *fast* is it?\nmore")
    assert store.get(conversation.id).title == "How fast is it?"
    store.rename(conversation.id, "Speed \ud800")
    store.add_message(conversation.id, "user", "another")
    assert store.get(conversation.id).title == "Speed \ufffd"


def test_settings_of_a_conversation_change_one_by_one(store: Store) -> None:
    conversation = store.create_conversation("a", "b", {"temp": 1})
    store.configure(conversation.id)
    assert store.get(conversation.id) == conversation
    store.configure(conversation.id, model="m")
    store.configure(conversation.id, system_prompt="")
    store.configure(conversation.id, settings={"top_k": 3})
    now = store.get(conversation.id)
    assert (now.model, now.system_prompt, now.settings) == ("m", "", {"top_k": 3})


def test_delete_and_undo(store: Store, clock: Clock) -> None:
    keep, gone = talk(store, "keep"), talk(store, "gone")
    store.delete(gone)
    assert listed(store) == ["keep"]
    assert store.prompts(9) == ["keep"]
    store.undelete(gone)
    assert listed(store) == ["gone", "keep"]
    store.delete(gone)
    clock.now += 100
    assert store.purge_deleted(101) == 0
    assert store.purge_deleted(100) == 1
    with pytest.raises(HistoryError, match="no conversation"):
        store.get(gone)
    assert shown(store, keep) == ["keep"]


def test_removing_one_for_good_leaves_the_undo_of_others(store: Store) -> None:
    deleted, gone = talk(store, "deleted"), talk(store, "gone")
    store.delete(deleted)
    store.purge(gone)
    store.undelete(deleted)
    assert listed(store) == ["deleted"]


def test_writing_on_in_a_deleted_conversation_brings_it_back(store: Store) -> None:
    conversation = talk(store, "question")
    store.delete(conversation)
    store.add_message(conversation, "user", "still here")
    assert listed(store) == ["question"]


def test_recall_gives_what_was_asked_newest_first(store: Store) -> None:
    talk(store, "one", "reply", "two", "reply", "one")
    talk(store, "three")
    assert store.prompts(10) == ["three", "one", "two"]
    assert store.prompts(2) == ["three", "one"]
    assert store.prompts(0) == []


def test_what_is_not_there_is_said(store: Store) -> None:
    conversation, other = talk(store, "x"), talk(store, "y")
    foreign = store.path(other)[0].id
    for call in (
        lambda: store.get("nothing"),
        lambda: store.path("nothing"),
        lambda: store.messages("nothing"),
        lambda: store.rename("nothing", "x"),
        lambda: store.delete("nothing"),
        lambda: store.purge("nothing"),
        lambda: store.add_message("nothing", "user", "x"),
        lambda: store.set_head("nothing", None),
        lambda: store.update_message("nothing", text="x"),
        lambda: store.add_message(conversation, "user", "x", parent="nothing"),
        lambda: store.add_message(conversation, "user", "x", parent=foreign),
        lambda: store.set_head(conversation, foreign),
    ):
        with pytest.raises(HistoryError, match=r"There is no (conversation|message) .*window"):
            call()
    assert shown(store, conversation) == ["x"]


def test_a_store_can_be_used_from_many_threads(store: Store) -> None:
    conversation = talk(store, "start")

    def write(name: int) -> None:
        for number in range(20):
            store.add_message(conversation, "user", f"{name}-{number}")

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.path(conversation)) == 81


def test_a_store_in_memory_for_when_there_is_no_disk() -> None:
    store = Store(None)
    conversation = talk(store, "a", "b")
    assert shown(store, conversation) == ["a", "b"]
    store.close()


def test_a_copy_in_memory_goes_on_without_the_file(store: Store) -> None:
    conversation = talk(store, "a", "b")
    copy = store.copy_in_memory()
    store.close()
    copy.add_message(conversation, "user", "c")
    assert shown(copy, conversation) == ["a", "b", "c"]
    assert copy.location is None
    copy.close()
    with pytest.raises(HistoryError, match=r"history\.db cannot be used"):
        store.copy_in_memory()


def test_a_conversation_of_thousands_of_messages_opens_and_goes(store: Store) -> None:
    conversation = talk(store, *("x" for _ in range(2_500)))
    assert len(store.path(conversation)) == 2_500
    store.delete(conversation)
    assert store.purge_deleted(0) == 1
    assert store.conversations() == []
    assert store._connection.execute("SELECT count(*) FROM messages").fetchone() == (0,)


def test_a_closed_store_says_so(store: Store) -> None:
    store.close()
    store.close()
    with pytest.raises(HistoryError, match="closed"):
        store.conversations()


def test_a_million_characters_survive(store: Store) -> None:
    text = "zażółć 漢字 👩‍👩‍👧\n" * 60_000
    conversation = talk(store, text)
    assert shown(store, conversation) == [text]


def test_the_model_of_a_message_can_be_another_than_was_meant(store: Store) -> None:
    conversation = store.create_conversation(model="first")
    reply = store.add_message(conversation.id, "assistant", "", state="streaming", model="first")
    store.update_message(reply.id, text="Done", state="complete", model="second")
    assert store.path(conversation.id)[0].model == "second"

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepseek_tui.history import index
from deepseek_tui.history.snippet import Snippets
from deepseek_tui.history.store import HistoryError, Store
from tests.history.test_branches import talk


def found(store: Store, text: str, conversation: str | None = None) -> list[str]:
    return [hit.snippet for hit in store.search(text, conversation=conversation)]


def marked(store: Store, text: str) -> list[list[str]]:
    return [[hit.snippet[a:b] for a, b in hit.marks] for hit in store.search(text)]


@pytest.fixture(params=["index", "no index"])
def either(store: Store, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store with the index of words, and one whose SQLite cannot have one."""
    if request.param == "no index":
        monkeypatch.setattr(index, "available", lambda db: False)
        index.prepare(store._connection)
    return store


def test_all_words_must_be_there_as_beginnings_in_any_case(either: Store) -> None:
    talk(either, "How do I SORT a list?", "Use sorted(list).", "Thanks")
    assert found(either, "sor lis") == found(either, "LIST sort")
    assert set(found(either, "sort list")) == {"How do I SORT a list?", "Use sorted(list)."}
    assert found(either, "sort thanks") == []
    assert found(either, "thank") == ["Thanks"]
    assert found(either, "") == found(either, ' "" *** ') == []


def test_what_is_found_is_marked(either: Store) -> None:
    talk(either, "one two", "two three")
    assert sorted(marked(either, "two")) == [["two"], ["two"]]
    assert marked(either, "two one") == [["one", "two"]]


def test_words_in_a_row(either: Store) -> None:
    talk(either, "a big red house", "a red big house")
    assert found(either, '"big red"') == ["a big red house"]
    assert found(either, '"big red') == ["a big red house"], "the closing quote may still come"


def test_writing_without_spaces_is_found_inside(either: Store) -> None:
    talk(either, "我喜欢编程语言", "日本語のテキスト")
    assert marked(either, "编程") == [["编程"]]
    assert marked(either, "テキスト") == [["テキスト"]]


def test_nothing_that_is_typed_is_an_error(either: Store) -> None:
    talk(either, "x AND y OR (z) NOT * ^ : 100% a_b")
    for text in (
        "AND",
        "(z)",
        "x:",
        "NEAR(x y)",
        "*",
        "^x",
        '"',
        "a'b",
        "-",
        "col:x",
        "x\x00y",
        "%",
        "a_b",
        "\\",
    ):
        either.search(text)
    assert len(found(either, "100%")) == 1
    assert len(found(either, "a_b")) == 1


def test_deleted_and_growing_messages_are_not_found(either: Store) -> None:
    conversation = talk(either, "apple question")
    reply = either.add_message(conversation, "assistant", "", state="streaming")
    either.update_message(reply.id, text="apple grows")
    assert found(either, "apple") == ["apple question"]
    either.update_message(reply.id, text="apple has grown", state="complete")
    assert len(found(either, "apple")) == 2
    undo = either.delete_message(reply.id)
    assert found(either, "apple") == ["apple question"]
    either.undo(undo.id)
    assert len(found(either, "apple")) == 2
    either.update_message(reply.id, text="pear")
    assert found(either, "apple") == ["apple question"]
    gone = either.delete(conversation)
    assert found(either, "apple") == []
    either.undo(gone.id)
    either.purge(conversation)
    assert found(either, "pear") == []


def test_search_in_one_conversation_follows_its_order_on_all_branches(either: Store) -> None:
    conversation = talk(either, "word one", "word two word")
    talk(either, "word elsewhere")
    either.edit(either.path(conversation)[0].id, "word three")
    assert found(either, "word", conversation) == ["word one", "word two word", "word three"]
    with pytest.raises(HistoryError, match="no conversation"):
        either.search("word", conversation="nothing")


def test_the_best_come_first_and_page_by_page(store: Store) -> None:
    talk(store, "apple " + "filler " * 50, "apple apple", "nothing")
    first = store.search("apple", limit=1)
    assert [hit.snippet for hit in first] == ["apple apple"]
    (second,) = store.search("apple", limit=5, offset=1)
    assert second.snippet.startswith("apple filler")
    assert (second.role, second.title) == ("user", store.conversations()[0].title)


def test_accents_do_not_matter(store: Store) -> None:
    talk(store, "Crème brûlée in der Straße", "Ünïcode")
    assert marked(store, "creme brulee") == [["Crème", "brûlée"]]
    assert marked(store, "UNICODE") == [["Ünïcode"]]


def test_a_python_without_the_index_shares_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(path)
    conversation = talk(store, "before")
    assert store.search_note() == ""
    store.close()
    monkeypatch.setattr(index, "available", lambda db: False)
    store = Store(path)
    store.add_message(conversation, "user", "meanwhile")
    store.update_message(store.path(conversation)[0].id, text="changed meanwhile")
    assert "no FTS5" in store.search_note()
    store.tidy()
    assert len(store.search("meanwhile")) == 2
    store.close()
    monkeypatch.undo()
    store = Store(path)
    assert len(store.search("meanwhile")) == 2
    assert store.search("before") == []
    store._connection.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")
    store.close()


def test_a_damaged_index_is_made_again_and_nothing_else_is_touched(store: Store) -> None:
    talk(store, *(f"word{n} and more" for n in range(50)))
    store._connection.execute("UPDATE words_data SET block = x'ffffffffffffffff' WHERE id > 10")
    assert store.search("word7") == [] or found(store, "word7") == ["word7 and more"]
    while store.index_more():
        pass
    assert found(store, "word7") == ["word7 and more"]
    assert store.recovered is None
    talk(store, "and it goes on")
    assert found(store, "goes") == ["and it goes on"]


def test_an_index_that_another_app_fills_is_not_filled_twice(path: Path) -> None:
    store = Store(path)
    talk(store, *(f"word {n}" for n in range(300)))
    index.begin_anew(store._connection)
    other = Store(path)
    assert store.index_more(0) == 100
    assert other.index_more(0) == 0
    assert store._write(index.fill) == 0
    assert len(store.search("word", limit=1000)) == 300
    other._connection.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")
    other.close()
    store.close()


def test_a_search_goes_on_where_the_index_cannot_be_filled(store: Store) -> None:
    talk(store, "old words")
    index.begin_anew(store._connection)
    talk(store, "new words")
    store._connection.execute("PRAGMA query_only = ON")
    assert found(store, "words") == ["new words"]
    store._connection.execute("PRAGMA query_only = OFF")
    assert len(found(store, "words")) == 2


def test_snippets_show_the_place_with_most_of_the_words() -> None:
    text = "apple " + "x " * 300 + "then apple and pear together " + "y " * 300
    snippet, marks = Snippets(["apple", "pear"]).of(text)
    assert [snippet[a:b] for a, b in marks] == ["apple", "pear"]
    assert snippet.startswith("…")
    assert snippet.endswith("…")
    assert len(snippet) < 170


@given(st.text(), st.text(max_size=5))
def test_marks_are_inside_of_every_snippet(text: str, term: str) -> None:
    snippet, marks = Snippets([term]).of(text)
    assert "\n" not in snippet
    assert all(0 <= a < b <= len(snippet) for a, b in marks)

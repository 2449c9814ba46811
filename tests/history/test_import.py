from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepseek_tui.history import import_file
from deepseek_tui.history.import_file import Imported, import_data
from deepseek_tui.history.store import HistoryError, Store
from tests.history.test_branches import shown, talk

NOW = 5000.0


def taken(store: Store, value: Any, name: str = "file.json") -> Imported:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return import_data(store, data, name, NOW)


def node(identity: str, parent: str | None, children: list[str], role: str, *parts: Any, **more: Any) -> Any:
    message = {
        "author": {"role": role},
        "content": {"content_type": "text", "parts": list(parts)},
        "create_time": 1000.5,
        "metadata": {"model_slug": "gpt-x"} if role == "assistant" else {},
        **more,
    }
    return {"id": identity, "parent": parent, "children": children, "message": message}


CHATGPT = {
    "title": "Sorting",
    "create_time": 1000.0,
    "update_time": 2000.0,
    "conversation_id": "6f1e-chat",
    "current_node": "a1",
    "mapping": {
        "root": {"id": "root", "parent": None, "children": ["sys"], "message": None},
        "sys": node("sys", "root", ["note"], "system", "Be kind."),
        "note": node(
            "note", "sys", ["q1"], "user", "hidden", metadata={"is_visually_hidden_from_conversation": True}
        ),
        "q1": node("q1", "note", ["call", "a2"], "user", "How?", {"content_type": "image_asset_pointer"}),
        "call": node("call", "q1", ["tool"], "assistant", "search()", recipient="browser"),
        "tool": node("tool", "call", ["a1"], "tool", "results"),
        "a1": node("a1", "tool", [], "assistant", "First."),
        "a2": node("a2", "q1", ["q2"], "assistant", "", content={"content_type": "code", "text": "x = 1"}),
        "q2": node("q2", "a2", [], "user", "Thanks"),
    },
}

CLAUDE = {
    "uuid": "u1",
    "name": "",
    "created_at": "2024-05-01T10:00:00.000000Z",
    "updated_at": "2024-05-02T10:00:00+02:00",
    "chat_messages": [
        {
            "uuid": "m1",
            "sender": "human",
            "text": "old form",
            "content": [{"type": "text", "text": "Read this."}, {"type": "tool_use"}],
            "attachments": [{"file_name": "notes.txt", "extracted_content": "the notes"}],
            "files": [{"file_name": "cat.png"}],
            "created_at": "2024-05-01T10:00:01Z",
        },
        {"uuid": "m2", "sender": "assistant", "text": "Read.", "created_at": "2024-05-01T10:00:02"},
        {"uuid": "m3", "sender": "assistant", "text": "Read again.", "parent_message_uuid": "m1"},
        {"uuid": "m4", "sender": "human", "text": ""},
    ],
}

ROLES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi"},
    {"role": "tool", "content": "42"},
    {"role": "assistant", "content": [{"type": "text", "text": "Hello"}, {"type": "image_url"}]},
]


def test_chatgpt(store: Store) -> None:
    assert taken(store, [CHATGPT]) == Imported(1, 0)
    (c,) = store.conversations()
    assert (c.title, c.created, c.updated, c.system_prompt) == ("Sorting", 1000.0, 2000.0, "Be kind.")
    assert shown(store, c.id) == ["How?\n\n[picture]", "First."]
    question, reply = store.path(c.id)
    assert (reply.model, reply.created, question.model) == ("gpt-x", 1000.5, "")
    store.walk(reply.id, 1)
    assert shown(store, c.id) == ["How?\n\n[picture]", "```\nx = 1\n```", "Thanks"]
    assert taken(store, CHATGPT) == Imported(0, 1), "alone or in a list, it is the same one"


def test_claude(store: Store) -> None:
    assert taken(store, [CLAUDE]) == Imported(1, 0)
    (c,) = store.conversations()
    assert (c.title, c.created, c.updated) == ("Read this.", 1714557600.0, 1714636800.0)
    assert [m.text for m in store.messages(c.id)] == [
        "Read this.\n\n[notes.txt]\n\nthe notes\n\n[cat.png]",
        "Read.",
        "Read again.",
    ]
    assert len(store.places(c.id)) == 1
    assert store.path(c.id)[0].created == 1714557601.0


@pytest.mark.parametrize(
    "value", [ROLES, [ROLES], {"messages": ROLES, "model": "llama3"}, [{"messages": ROLES}]]
)
def test_lists_of_roles(store: Store, value: Any) -> None:
    assert taken(store, value) == Imported(1, 0)
    (c,) = store.conversations()
    assert (c.title, c.system_prompt, c.created) == ("Hi", "Be brief.", NOW)
    assert shown(store, c.id) == ["Hi", "Hello\n\n[picture]"]
    assert taken(store, ROLES) == Imported(0, 1), "the same words are the same conversation"


def test_a_zip_file_as_it_was_sent(store: Store) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("user.json", "{}")
        archive.writestr(
            "export/conversations.json", json.dumps([CHATGPT, CLAUDE | {"mapping": CHATGPT["mapping"]}])
        )
    assert taken(store, packed.getvalue()).added == 2
    empty = io.BytesIO()
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("user.json", "{}")
    with pytest.raises(HistoryError, match=r"zip file without a conversations\.json"):
        taken(store, empty.getvalue())
    with pytest.raises(HistoryError, match="zip file that cannot be read"):
        taken(store, packed.getvalue()[:200])


def test_a_deleted_conversation_comes_back_by_import(store: Store) -> None:
    taken(store, ROLES)
    (c,) = store.conversations()
    store.delete(c.id)
    assert taken(store, ROLES) == Imported(1, 0)
    assert shown(store, c.id) == ["Hi", "Hello\n\n[picture]"]
    assert store.undoable() == []


def test_messages_whose_ids_are_taken_get_others(store: Store) -> None:
    original = talk(store, "q", "a")
    whole = ours(store)
    whole["conversations"][0]["id"] = "another"
    assert taken(store, whole).added == 1
    assert shown(store, "another") == shown(store, original) == ["q", "a"]
    assert {m.id for m in store.path("another")}.isdisjoint(m.id for m in store.path(original))


def test_nothing_in_it_is_nothing_imported(store: Store) -> None:
    nothing: list[Any] = [
        [],
        {"format": "deepseek-tui history", "version": 1, "conversations": []},
        {"messages": []},
    ]
    for value in nothing:
        assert taken(store, value) == Imported(0, 0)
    assert store.conversations() == []


def test_ours_in_any_layout(store: Store) -> None:
    conversation = talk(store, "q", "a")
    whole = ours(store)
    for layout in (
        json.dumps(whole, indent=2),
        json.dumps(whole, sort_keys=True),
        "\ufeff " + json.dumps(whole),
    ):
        other = Store(None)
        assert taken(other, layout.encode()).added == 1
        assert shown(other, conversation) == ["q", "a"]
        other.close()


def ours(store: Store) -> dict[str, Any]:
    from deepseek_tui.history.export import export

    return dict(json.loads("".join(export(map(store.whole, store.ids()), "json"))))


def wrong(place: str, value: Any) -> bytes:
    """Our export with one thing in it replaced."""
    source = Store(None)
    talk(source, "first")
    talk(source, "q", "a")
    whole = ours(source)
    source.close()
    *way, last = [int(p) if p.isdigit() else p for p in place.split("/")]
    at: Any = whole["conversations"]
    for step in way:
        at = at[step]
    if value is KeyError:
        del at[last]
    else:
        at[last] = value
    return json.dumps(whole).encode()


@pytest.mark.parametrize(
    ("way", "value", "sentence"),
    [
        (
            "1/messages/1/role",
            "robot",
            "conversation 2, message 2: role is 'robot' and must be one of system, user",
        ),
        (
            "1/messages/1/parent",
            "zzz",
            "conversation 2, message 2: parent is 'zzz', and no message before it",
        ),
        ("1/messages/0/id", "a b", "message 1: id is 'a b' and must be letters, digits"),
        ("1/messages/0/text", 5, "message 1: text is 5 and must be a text"),
        ("1/messages/0/text", KeyError, "message 1: there is no text"),
        ("1/messages/0/created", "now", "created is 'now' and must be a number of seconds"),
        ("1/messages/0/created", 1e300, "which is no time between 1970 and 9999"),
        ("1/messages/0/shown", -1, "shown is -1 and must be a whole number"),
        ("1/messages/0/stats", [], "stats is a list of 0 and must be an object"),
        ("1/messages/0", None, "message 1: it is null and must be an object"),
        ("1/messages", "x", "conversation 2: messages is 'x' and must be a list"),
        ("1/head", "zzz", "conversation 2: head is 'zzz', and there is no such message"),
        ("1/pinned", 1, "conversation 2: pinned is 1 and must be true or false"),
        ("1/settings", {"a": {}}, ""),
        (
            "1/settings",
            {"a": [[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]},
            "settings is nested deeper than 20 levels",
        ),
        ("1", 7, "conversation 2: it is 7 and must be an object"),
    ],
)
def test_what_is_wrong_and_where(store: Store, way: str, value: Any, sentence: str) -> None:
    data = wrong(way, value)
    if not sentence:
        assert taken(store, data).added == 2
        return
    with pytest.raises(HistoryError) as caught:
        taken(store, data)
    assert str(caught.value).startswith("file.json: conversation 2")
    assert sentence in caught.value.message
    assert caught.value.hint == "Nothing was imported."
    assert store.conversations() == []


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "line 1, column 1: expecting value"),
        (b'[{"mapping": {}},\n {"mapping" }]', "line 2, column 13: expecting ':'"),
        (b'[{"mapping": {}} {}]', "column 18: a comma or the end of the list is missing"),
        (b'[{"mapping": {}}] x', "column 19: there is more after its end"),
        (b'{"format": "deepseek-tui history", "version": 1, "conversations": []', "column 69: } is missing"),
        (
            b'{"format": "deepseek-tui history", "version": 2, "conversations": []}',
            "version 2, and this app reads",
        ),
        (b'{"version": "x", "format": "deepseek-tui history"}', "version 'x', and this app reads"),
        (b'{"version": 1, "format": "deepseek-tui history"}', "without conversations"),
        (b"[" * 100_000, "nested too deeply"),
        (b'[{"mapping": ' + b"1" * 5000 + b"}]", "too long"),
        (b"\xff\xfe", "not a text in UTF-8"),
        (b"7", "no export of conversations that can be read: it begins with 7"),
        (b'{"a": 1, "b": 2}', "it begins with an object with a, b"),
        (b'[["x"]]', "it begins with a list of 1"),
        (b'[{"mapping": []}]', "conversation 1: mapping is a list of 0 and must be an object"),
        (b'[{"mapping": {"a": 1}}]', "node 'a' is 1 and must be an object"),
        (b'[{"chat_messages": [{"sender": "cat", "text": "x"}]}]', "message 1: sender is 'cat'"),
        (b'[{"chat_messages": [], "created_at": "soon"}]', "created_at is 'soon' and must be a date"),
        (b'[{"role": 5, "content": "x"}]', "message 1: role is 5 and must be a text"),
        (b'[{"role": "user", "content": 5}]', "message 1: content is 5 and must be a text"),
    ],
)
def test_files_that_cannot_be_used(store: Store, data: bytes, sentence: str) -> None:
    with pytest.raises(HistoryError) as caught:
        taken(store, data)
    assert sentence in str(caught.value)
    assert caught.value.hint
    assert store.conversations() == []


def test_a_tree_that_bites_its_tail_is_refused(store: Store) -> None:
    mapping = {
        "r": {"parent": None, "children": []},
        "a": node("a", "b", ["b"], "user", "x"),
        "b": node("b", "a", ["a"], "user", "y"),
    }
    with pytest.raises(HistoryError, match="is below itself"):
        taken(store, [{"mapping": mapping}])


def test_a_long_conversation_needs_no_deep_stack(store: Store) -> None:
    mapping = {
        f"n{i}": node(
            f"n{i}", f"n{i - 1}" if i else None, [f"n{i + 1}"], "user" if i % 2 else "assistant", f"m{i}"
        )
        for i in range(3000)
    }
    taken(store, [{"mapping": mapping}])
    (c,) = store.conversations()
    assert len(store.path(c.id)) == 3000


def test_a_file_that_is_too_large_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", " " * 3_000_000)
    monkeypatch.setattr(import_file, "LARGEST", 2 << 20)
    for data in (b" " * 3_000_000, packed.getvalue()):
        with pytest.raises(HistoryError, match="larger than 2 MB"):
            taken(store, data)


def test_progress_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_file, "_BATCH", 1)
    told: list[tuple[int, int]] = []
    data = json.dumps([CHATGPT, CHATGPT | {"conversation_id": "other"}]).encode()
    import_data(store, data, "x", NOW, lambda done, total: told.append((done, total)))
    assert len(told) == 2
    assert 0 < told[0][0] < told[1][0] < told[1][1] == len(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                (
                    *("mapping", "message", "author", "role", "content", "parts", "parent", "children"),
                    *("chat_messages", "sender", "text", "messages", "create_time", "current_node"),
                    *("id", "title", "attachments"),
                )
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_json_is_taken_or_refused_with_a_sentence(value: Any) -> None:
    store = Store(None)
    refused = ""
    try:
        taken(store, value)
    except HistoryError as error:
        refused = str(error)
    store.close()
    assert refused == "" or refused.startswith("file.json")

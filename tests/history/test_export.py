from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from deepseek_tui.history.export import Format, export, file_name, markdown, text
from deepseek_tui.history.import_file import import_data
from deepseek_tui.history.store import Store
from tests.history.conftest import Clock
from tests.history.test_branches import talk

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</div></section></article></body><style>body{display:none}</style>",
    "[a](javascript:alert(1)) [b](data:text/html;base64,PHNjcmlwdD4=) [c](vbscript:x) [d](file:///etc/passwd)",
    "![track](http://example.org/x.png)",
    '<http://example.org/?a="onmouseover=alert(1)>',
    "```html\n</code></pre><script>alert(2)</script>\n",
    '| <script> |\n|---|\n| "><script>alert(3)</script> |',
    "`</code><script>`",
    "\x1b]0;title\x07 \x00 \u202e",
    "<!-- --><iframe src=//example.org></iframe>",
    '[x]: http://example.org "</a><script>"\n\n[x]',
]


def everything(store: Store, clock: Clock) -> None:
    """Conversations with all that one can have."""
    made = store.create_conversation("tiny", "Be brief.", {"temp": 0.1, "stop": ["\ud800"]})
    q1 = store.add_message(made.id, "user", "Hello ünï 👩‍👩‍👧 \x00\x1b[31m\u2028 end")
    clock.now += 1 / 3
    store.add_message(made.id, "assistant", "half", state="stopped", model="tiny", stats={"tps": 1e-9})
    store.edit(q1.id, "edited")
    store.add_message(made.id, "assistant", "", state="streaming", stats={"nan": float("nan"), "a": [1, {}]})
    store.walk(q1.id, 0)
    store.organise(made.id, pinned=True, folder="Work / 1", unread=True)
    store.save_draft(made.id, "half a thought")
    store.rename(made.id, 'Title "quoted" </title>')
    other = talk(store, "q1", "a1", "q2", "a2")
    store.delete_message(store.path(other)[1].id)
    store.organise(other, archived=True)
    store.fork(store.path(other)[1].id)
    store.create_conversation()
    store.delete(talk(store, "deleted"))


def as_json(store: Store) -> bytes:
    return "".join(export(map(store.whole, store.ids()), "json")).encode()


def test_json_comes_back_byte_for_byte(store: Store, clock: Clock, tmp_path: Path) -> None:
    everything(store, clock)
    data = as_json(store)
    other = Store(tmp_path / "other.db", clock)
    assert import_data(other, data, "x", 0.0).added == 4
    assert as_json(other) == data
    assert import_data(other, data, "x", 0.0) == type(import_data(other, data, "x", 0.0))(0, 4)
    assert as_json(other) == data
    assert [c.title for c in other.conversations()] == [c.title for c in store.conversations()]
    assert len(other.search("half")) == 1
    # What is in it is JSON for everybody, one conversation a line.
    body = json.loads(data, parse_constant=pytest.fail)
    assert [c["title"] for c in body["conversations"]] == ['Title "quoted" </title>', "q1", "q1", ""]
    assert len(data.splitlines()) == 6
    assert b"deleted" not in data
    other.close()


def test_walking_is_the_same_after_an_import(store: Store, clock: Clock) -> None:
    everything(store, clock)
    other = Store(None)
    import_data(other, as_json(store), "x", 0.0)
    for conversation in store.ids():
        for message in store.messages(conversation):
            store.show(message.id)
            other.show(message.id)
            assert [m.id for m in store.path(conversation)] == [m.id for m in other.path(conversation)]
    other.close()


def test_markdown_closes_what_a_message_left_open(store: Store) -> None:
    conversation = store.create_conversation("tiny", "Be brief.")
    store.add_message(conversation.id, "user", "Show\n```python\nx")
    store.add_message(conversation.id, "assistant", "````\n```\ninner\n```\n````\nfine", state="length")
    lines = markdown(store.whole(conversation.id)).splitlines()
    assert lines[0] == "# Show"
    assert lines[2].endswith(", tiny_")
    assert [line for line in lines if line.startswith("## ")] == ["## System", "## You", "## Model (cut off)"]
    assert lines[lines.index("x") + 1] == "```"
    assert lines[-1] == "fine"


def test_plain_text_has_the_words_as_they_are(store: Store) -> None:
    conversation = talk(store, "**question**", "answer")
    out = text(store.whole(conversation))
    assert "--- You ---\n**question**\n" in out
    assert "--- Model ---\nanswer\n" in out


class Page(HTMLParser):
    """What a browser would see: elements, their attributes, and text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.links: list[str] = []
        self.open: list[str] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {(tag, name) for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag not in ("meta", "br", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def test_hostile_text_is_inert_in_html(store: Store) -> None:
    for title in ("</title><script>alert(0)</script>", "second"):
        conversation = store.create_conversation("<b>model", HOSTILE[0])
        for number, words in enumerate(HOSTILE):
            store.add_message(conversation.id, "assistant" if number % 2 else "user", words)
        store.add_message(conversation.id, "assistant", "<think>" + HOSTILE[0])
        store.rename(conversation.id, title)
    whole = "".join(export(map(store.whole, store.ids()), "html"))
    page = Page()
    page.feed(whole)
    page.close()
    assert page.open == []
    assert page.tags.isdisjoint({"script", "img", "iframe", "object", "link", "form", "input", "base", "b"})
    assert {name for _, name in page.attributes} <= {
        *(
            "lang",
            "charset",
            "http-equiv",
            "content",
            "name",
            "id",
            "class",
            "href",
            "title",
            "start",
            "style",
        )
    }
    assert ("p", "style") not in page.attributes
    assert all(link.startswith(("http://example.org", "#c")) for link in page.links), page.links
    assert "<script>alert(1)</script>" in page.words
    assert "\x1b" not in whole
    assert "\u202e" not in whole
    assert "default-src 'none'" in whole


def test_html_folds_what_a_model_thought(store: Store) -> None:
    conversation = talk(store, "q", "<think>first *this*</think>\n\nThen **that**.")
    page = "".join(export([store.whole(conversation)], "html"))
    assert "<summary>Thinking</summary>\n<p>first <em>this</em></p>" in page
    assert "<p>Then <strong>that</strong>.</p>" in page


@pytest.mark.parametrize("form", ["json", "markdown", "html", "text"])
def test_several_conversations_are_one_file(store: Store, form: Format) -> None:
    ids = [talk(store, "first question"), talk(store, "second question")]
    out = "".join(export(map(store.whole, ids), form))
    assert out.index("first question") < out.index("second question")
    assert "".join(export([], form)).count("question") == 0


def test_file_names_are_safe_everywhere(store: Store) -> None:
    conversation = store.create_conversation()
    for title, start in (
        ("../../etc/passwd\x00", "etc-passwd-"),
        ("Ünï: what?", "ünï-what-"),
        ("", "untitled-"),
        ("漢" * 200, "漢" * 40 + "-"),
    ):
        store.rename(conversation.id, title)
        assert file_name(store.whole(conversation.id), "markdown") == f"{start}{conversation.id[:8]}.md"

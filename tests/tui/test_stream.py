"""A reply that streams ends as if it had come in one piece, and costs the same at any length."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepseek_tui.tui.widgets.message_lines import plain
from deepseek_tui.tui.widgets.stream import MarkdownStream, markdown_lines
from tests.tui.chat_texts import RICH

WIDTH = 56

pieces = st.lists(st.integers(1, 60), min_size=1, max_size=40)
marks = st.lists(
    st.sampled_from(
        [
            "- a",
            "  - b",
            "1. x",
            "2) y",
            "```",
            "```py",
            "~~~",
            "> q",
            "| a | b |",
            "|---|---|",
            "text **b**",
            "# h",
            "",
            "",
            "---",
            "===",
            "    code",
            "[l]: http://x",
            "[l]",
            "<div>",
            "`",
            "*",
            "\tt",
            "a  ",
            "&#x1b;",
            "```` x",
        ]
    ),
    max_size=14,
)


def stream(text: str, sizes: list[int]) -> MarkdownStream:
    growing, at, turn = MarkdownStream(WIDTH), 0, 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        growing.feed(text[at : at + size])
        at, turn = at + size, turn + 1
    return growing


@given(sizes=pieces)
@settings(max_examples=20, deadline=None)
def test_a_rich_reply_looks_the_same_streamed_and_at_once(sizes: list[int]) -> None:
    at_once = markdown_lines(RICH, WIDTH)
    growing = stream(RICH, sizes)
    assert growing.lines == at_once
    assert growing.finish() == at_once


@given(lines=marks, sizes=pieces)
@settings(max_examples=120, deadline=None)
def test_any_markdown_ends_as_if_it_had_come_at_once(lines: list[str], sizes: list[int]) -> None:
    text = "\n".join(lines)
    assert stream(text, sizes).finish() == markdown_lines(text, WIDTH)


@given(lines=marks, sizes=pieces)
@settings(max_examples=60, deadline=None)
def test_frozen_lines_stay_and_changes_are_told(lines: list[str], sizes: list[int]) -> None:
    text = "\n".join(lines)
    growing, at, turn = MarkdownStream(WIDTH), 0, 0
    while at < len(text):
        before, frozen = list(growing.lines), growing.frozen
        size = sizes[turn % len(sizes)]
        changed = growing.feed(text[at : at + size])
        assert growing.lines[:changed] == before[:changed]
        assert changed >= frozen
        at, turn = at + size, turn + 1


LONG = {
    "prose": "The **quick** brown fox jumps over the `lazy` dog.\n\n" * 600,
    "one paragraph": "The **quick** brown fox jumps over the `lazy` dog. " * 600,
    "code": "```python\n" + "    x = foo(bar, 'baz') + 1  # comment\n" * 800,
    "list": "- an item with **bold** and `code`, as long as items are\n" * 550,
    "nested list": "- start\n" + "  - an item with **bold** and `code`\n" * 800,
    "quote": "> a line with **bold** and `code` and some more words\n" * 550,
    "table": "| a | b |\n|---|---|\n" + "| **x** and words | some `code` and so on |\n" * 700,
}


@pytest.mark.parametrize("kind", LONG)
def test_a_flush_lays_out_as_much_at_the_end_as_at_the_beginning(kind: str) -> None:
    text = LONG[kind][:30_000]
    growing = MarkdownStream(WIDTH)
    layouts: list[int] = []
    changed: list[int] = []
    for at in range(0, len(text), 50):
        before = growing.layouts
        first = growing.feed(text[at : at + 50])
        layouts.append(growing.layouts - before)
        changed.append(len(growing.lines) - first)
    early, late = slice(50, 150), slice(-100, None)
    # The units and parts laid out, and the lines that changed with them, do not grow with the text.
    assert max(layouts[late]) <= max(2, *layouts[early])
    assert max(changed[late]) <= max(90, *changed[early])
    assert len(growing.lines) > len(text) / WIDTH / 2


def test_a_code_block_is_coloured_before_it_ends() -> None:
    growing = MarkdownStream(WIDTH)
    growing.feed("```python\nreturn 1\nret")
    styles = {span.style for line in growing.lines for span in line.spans}
    assert "code code-keyword" in styles
    assert growing.lines[-1].text.endswith("ret")


@pytest.mark.parametrize("mark", ["-", "#", "``", "**", "1.", "=="])
def test_the_beginning_of_a_mark_waits_for_its_meaning(mark: str) -> None:
    growing = MarkdownStream(WIDTH)
    growing.feed("Before\n\n")
    growing.feed(mark)
    assert [line.text for line in growing.lines] == ["Before"]


def test_a_link_whose_target_comes_last_is_resolved_at_the_end() -> None:
    growing = stream("See [the page].\n\nMore text.\n\n[the page]: https://example.com\n", [5])
    assert plain(growing.finish()) == "See the page (https://example.com).\n\nMore text."

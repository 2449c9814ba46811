"""Ctrl+F: in the conversation shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepseek_tui.history.store import Store
from deepseek_tui.tui.widgets.find_bar import FindBar
from deepseek_tui.tui.widgets.found import any_of, literally, marks_in
from deepseek_tui.tui.widgets.message_lines import wrap_text
from tests.tui.helpers import NARROW, Screen, make_app, running


def write(home: Path, *texts: str) -> str:
    """One conversation of these turns."""
    store = Store(home / "data" / "history.db")
    conversation = store.create_conversation()
    for at, text in enumerate(texts):
        store.add_message(conversation.id, "assistant" if at % 2 else "user", text)
    store.close()
    return conversation.id


def count(screen: Screen) -> str:
    return str(screen.chat.query_one(FindBar).query_one("#find-count").render())


FILLER = "\n\n".join(f"Paragraph {n} of many that say nothing." for n in range(30))
TALK = (
    "Where is the heron?",
    f"A HERON stands there.\n\n{FILLER}\n\nThe **heron** flies.",
    "Good",
    "No bird",
)


async def test_places_are_counted_and_gone_to_one_after_the_other(tmp_path: Path) -> None:
    write(tmp_path, *TALK)
    async with running(make_app(tmp_path), NARROW) as screen:
        await screen.sees("No bird")
        await screen.press("ctrl+f", *"heron")
        await screen.until(lambda: count(screen) == "3/3")
        await screen.sees("The heron flies.")
        await screen.press("enter")
        await screen.until(lambda: count(screen) == "1/3")
        await screen.sees("Where is the heron?")
        await screen.press("enter")
        await screen.until(lambda: count(screen) == "2/3")
        await screen.sees("A HERON stands there.")
        await screen.press("up", "up")
        await screen.until(lambda: count(screen) == "3/3")
        await screen.sees("The heron flies.")
        await screen.press("escape")
        assert screen.prompt.has_focus
        assert not screen.chat.query_one(FindBar).display
        assert "The heron flies." in screen.text


async def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    write(tmp_path, *TALK)
    async with running(make_app(tmp_path), NARROW) as screen:
        await screen.sees("No bird")
        await screen.press("ctrl+f", *"ostrich", "enter")
        await screen.until(lambda: count(screen) == "not found")
        await screen.press("ctrl+u")
        await screen.until(lambda: count(screen) == "")


async def test_places_look_different_without_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    write(tmp_path, "heron heron", "none")
    async with running(make_app(tmp_path), NARROW) as screen:
        await screen.sees("heron heron")
        await screen.press("ctrl+f", *"heron")
        await screen.until(lambda: count(screen) == "1/2")
        strips = screen.app.screen._compositor.render_strips()
        found = [s.style for strip in strips for s in strip if s.text == "heron" and s.style]
        assert [bool(style.underline) for style in found[:2]] == [False, True]
        assert found[0].bold


async def test_the_bar_opens_again_with_what_was_looked_for(tmp_path: Path) -> None:
    write(tmp_path, *TALK)
    async with running(make_app(tmp_path), NARROW) as screen:
        await screen.sees("No bird")
        await screen.press("ctrl+f", *"heron", "escape", "ctrl+f")
        await screen.until(lambda: count(screen).endswith("/3"))
        await screen.press(*"bird")
        await screen.until(lambda: count(screen) == "1/1")


@pytest.mark.parametrize("size", [(40, 12), (60, 18)])
async def test_finding_works_on_a_small_screen(tmp_path: Path, size: tuple[int, int]) -> None:
    write(tmp_path, *TALK)
    async with running(make_app(tmp_path), size) as screen:
        await screen.sees("No bird")
        await screen.press("ctrl+f", *"stands there")
        await screen.until(lambda: count(screen) == "1/1")
        await screen.sees("HERON stands there.")


async def test_a_place_in_two_thousand_messages_is_shown(tmp_path: Path) -> None:
    store = Store(tmp_path / "data" / "history.db")
    conversation = store.create_conversation()
    for at in range(600):
        word = "needle" if at in (50, 300) else "straw"
        store.add_message(conversation.id, "user", f"{at} {word} " + "and more of it " * (at % 17))
    store.close()
    async with running(make_app(tmp_path), NARROW) as screen:
        await screen.sees("599 straw")
        await screen.press("ctrl+f", *"needle")
        await screen.until(lambda: count(screen) == "2/2")
        await screen.sees("300 needle")
        await screen.press("up")
        await screen.sees("50 needle")
        await screen.press("ctrl+end")
        await screen.sees("599 straw")


@given(
    st.text(st.sampled_from("ab \n"), max_size=60),
    st.integers(3, 12),
    st.text(st.sampled_from("ab "), max_size=4),
)
def test_what_a_line_break_cuts_is_found_whole(text: str, width: int, wanted: str) -> None:
    pattern = literally(wanted)
    if pattern is None:
        return
    lines = wrap_text(text, width)
    found = marks_in(lines, pattern)
    assert len(found) == len(list(pattern.finditer(text)))
    for marks in found:
        pieces = "".join(lines[m.line].text[m.start : m.end] for m in marks)
        assert re.sub(r"\s", "", pieces) == wanted.replace(" ", "")


def test_terms_of_a_search_are_found_at_the_beginning_of_words() -> None:
    pattern = any_of(["her", "flies away"])
    assert pattern is not None
    assert pattern.findall("A Heron flies\naway, other") == ["Her", "flies\naway"]
    assert any_of([]) is None

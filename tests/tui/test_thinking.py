"""Thinking blocks: told from the answer however the text is cut, folded, timed, kept from the model."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepseek_tui.history.records import Message, Role
from deepseek_tui.tui.reply import chat_messages
from deepseek_tui.tui.thinking import Thinking, ThinkingClock, split, thought_label
from tests.tui.helpers import NARROW, make_app, running, stored

THINKS = ["<thi", "nk>\nTwo and two", " make four.", "\n</thi", "nk>\n\n", "It is ", "**four**."]


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("Plain", "", "Plain"),
        ("", "", ""),
        ("<think>a\n</think>\n\nb", "a", "b"),
        ("\n <think>never closed", "never closed", ""),
        ("opened by the template\n</think>\n\nb", "opened by the template", "b"),
        ("Close it with `</think>` please", "", "Close it with `</think>` please"),
        ("A tag like <think>\n</think>\nin an answer", "", "A tag like <think>\n</think>\nin an answer"),
        ("<think></think>b", "", "b"),
        ("<thinking>is another tag</thinking>", "", "<thinking>is another tag</thinking>"),
    ],
)
def test_a_reply_is_split(text: str, thought: str, answer: str) -> None:
    assert split(text) == (thought, answer)


@given(
    st.lists(
        st.sampled_from(["<think>", "</think>", "<", "/think>", "a ", "\n", "</", "thi", "nk>"]), max_size=8
    ),
    st.lists(st.integers(0, 40), max_size=6),
)
def test_pieces_are_split_as_the_whole_is(parts: list[str], cuts: list[int]) -> None:
    text = "<think>" + "".join(parts)
    whole = Thinking()
    answer = whole.feed(text)
    edges = [0, *sorted(min(c, len(text)) for c in cuts), len(text)]
    pieces = Thinking()
    joined = "".join(pieces.feed(text[a:b]) for a, b in itertools.pairwise(edges))
    assert (joined, pieces.thought) == (answer, whole.thought)
    if "</think>" in text:
        assert (whole.thought.strip(), answer) == split(text)


def test_the_clock_stops_when_the_thinking_does() -> None:
    times = iter([10.0, 10.5, 11.0, 13.2])
    clock = ThinkingClock(lambda: next(times))
    for count, piece in enumerate(["<think>", "a</think>", "b", "c"], 1):
        clock.saw(piece, count * 10)
    assert clock.figures == {"thinking_seconds": 1.0, "thinking_tokens": 20}
    assert thought_label("a", clock.figures) == "thought for 1.0 s, 20 tokens"
    assert thought_label("a b", {}) == "thought, 2 words"


def test_a_plain_reply_has_no_thinking_time() -> None:
    clock = ThinkingClock()
    clock.saw("Hello <think>", 1)
    assert clock.figures == {}


def message(role: Role, text: str) -> Message:
    return Message(f"{role} {text}", "c", None, role, text, "complete", 0.0, 0.0, "", {}, {})


def test_the_model_is_not_given_its_old_thinking() -> None:
    path = [message("user", "One?"), message("assistant", "<think>\nhm\n</think>\n\nOne.")]
    later = [*path, message("user", "Is <think> a tag?")]
    assert [m.content for m in chat_messages("", later)] == ["One?", "One.", "Is <think> a tag?"]
    assert chat_messages("", path, continued=True)[-1].content == path[-1].text


async def test_thinking_is_one_line_while_it_goes_on_and_afterwards(tmp_path: Path) -> None:
    script = {"replies": [{"pieces": THINKS[:3], "hold_after": 3}, {"pieces": THINKS}]}
    async with running(make_app(tmp_path, script), NARROW) as screen:
        await screen.ready()
        await screen.send("Two and two?")
        await screen.sees("thinking… 5 words")
        assert "make four" not in screen.text
        await screen.press("escape")
        await screen.idle()
        await screen.press("ctrl+r")
        await screen.idle()
        await screen.sees("It is four.")
        await screen.sees("thought for")
        assert "make four" not in screen.text
        assert "think>" not in screen.text
        await screen.press("ctrl+up", "t")
        await screen.sees("Two and two make four.")
        await screen.press("t")
        await screen.gone("Two and two make four.")
    assert stored(tmp_path)[-1].text == "".join(THINKS)
    # Pieces may come several in one event.
    assert 5 <= stored(tmp_path)[-1].stats["thinking_tokens"] <= 7


async def test_thinking_is_opened_by_a_click_and_while_it_goes_on(tmp_path: Path) -> None:
    script = {"replies": [{"pieces": THINKS[:3], "hold_after": 3}]}
    async with running(make_app(tmp_path, script), NARROW) as screen:
        await screen.ready()
        await screen.send("Two and two?")
        await screen.sees("thinking… 5 words")
        row = next(y for y, line in enumerate(screen.text.split("\n")) if "thinking…" in line)
        await screen.pilot.click(offset=(10, row))
        await screen.sees("Two and two make four.")
        await screen.press("escape", "escape")
        await screen.idle()

"""Stop strings, however the text is cut into tokens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deepseek_tui.engine.stop import StopMatcher


@given(
    text=st.text(alphabet="abc\n", max_size=40),
    stops=st.lists(st.text(alphabet="abc\n", min_size=1, max_size=5), max_size=3),
    cuts=st.lists(st.integers(1, 5)),
)
def test_the_text_ends_before_the_first_stop_string(text: str, stops: list[str], cuts: list[int]) -> None:
    matcher = StopMatcher(stops)
    out, at = "", 0
    for cut in [*cuts, len(text)]:
        out += matcher.feed(text[at : at + cut])
        at += cut
        if matcher.stopped:
            break
        # Held back is only what could still become a stop string.
        held = text[: min(at, len(text))].removeprefix(out)
        assert any(stop.startswith(held) for stop in stops) or not held
    ends = [text.find(stop) for stop in stops if stop in text[:at]]
    assert matcher.stopped == bool(ends)
    seen = text[: max(at, 0)]
    assert out + matcher.flush() == (earliest(seen, stops) if ends else seen)


def earliest(text: str, stops: list[str]) -> str:
    return text[: min(place for place in (text.find(stop) for stop in stops) if place >= 0)]


def test_nothing_comes_after_a_stop() -> None:
    matcher = StopMatcher(["##"])
    assert matcher.feed("a #") == "a "
    assert matcher.feed("# b") == ""
    assert matcher.stopped
    assert matcher.feed("c") == ""
    assert matcher.flush() == ""


def test_an_empty_stop_string_stops_nothing() -> None:
    matcher = StopMatcher([""])
    assert matcher.feed("abc") == "abc"
    assert not matcher.stopped

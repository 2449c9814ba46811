from __future__ import annotations

import itertools
import unicodedata

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepseek_tui.text.sanitize import MAX_MARKS, Sanitizer, sanitize, sanitize_line

ESC = "\x1b"


CASES = pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain [red]text[/red] **bold**\n\ttab", "plain [red]text[/red] **bold**\n\ttab"),
        (f"{ESC}[31mred{ESC}[0m", "␛[31mred␛[0m"),
        (f"{ESC}]52;c;aGk=\x07after", "␛]52;c;aGk=␇after"),
        (f"{ESC}]0;title{ESC}\\after", "␛]0;title␛\\after"),
        (f"{ESC}Pq#0{ESC}\\", "␛Pq#0␛\\"),
        (f"lone {ESC}", "lone ␛"),
        (f"{ESC}[ never ended, and the rest of the reply", "␛[ never ended, and the rest of the reply"),
        ("\x9b2J\x9d0;t\x9c\x90\x98\x9e\x9f", "␛[2J␛]0;t␛\\␛P␛X␛^␛_"),
        ("a\r\nb\rc\r\r\nd", "a\nb\nc\n\nd"),
        ("a\x85b\u2028c\u2029d", "a\nb\nc\nd"),
        ("\x00\x07\x08\x0b\x0c\x0e\x7f", "␀␇␈␋␌␎␡"),
        ("user\u202etxt.exe\u202c", "user‹U+202E›txt.exe‹U+202C›"),
        ("\u2066a\u2069\u200e\u200f\u061cb", "‹U+2066›a‹U+2069›b"),
        ("hi\U000e0001\U000e0068\U000e0065\U000e0079\U000e007f", "hihey"),
        ("\ufeffa\u200bb\xadc\u2060d\ufff9e\ufffaf\ufffbg\u180eh", "abcdefgh"),
        ("\ud83d x \udc00", "\ufffd x \ufffd"),
    ],
)


@CASES
def test_shown_as_text(raw: str, shown: str) -> None:
    assert sanitize(raw) == shown


@CASES
def test_and_so_when_it_comes_a_character_at_a_time(raw: str, shown: str) -> None:
    sanitizer = Sanitizer()
    assert "".join(map(sanitizer.feed, raw)) == shown


@pytest.mark.parametrize(
    "text",
    [
        "👩‍👩‍👧‍👦 👍🏽 🇩🇪 ❤️ 1️⃣",
        "نص عربي مع تَشْكِيل",
        "בְּרֵאשִׁ֖ית בָּרָ֣א",
        "क्‍ष हिन्दी",
        "漢字かな한글 ภาษาไทยที่นี่",
        "żółć é à ñ ệ e\u0301",
        "┌──┬──┐ │ ░▒▓ ⠿⠿⠿ ✓✗ →→→→→→→→→→→→ ══════════════",
        "«»„“”…—–  · ••••••••••••••••••",
    ],
)
def test_every_script_stays_as_it_is(text: str) -> None:
    assert sanitize(text) == text


@pytest.mark.parametrize(
    "mark", ["\u0301", "\u0e47", "\u20dd", "\ufe0f", "\U000e0100", "\u200d", "\u0301\u200d"]
)
def test_stacks_of_marks_are_bounded(mark: str) -> None:
    out = sanitize("a" + mark * 500 + "b")
    assert len(out) == MAX_MARKS + 2
    assert out[0] + out[-1] == "ab"


def test_every_kind_of_mark_is_bounded() -> None:
    marks = [c for c in map(chr, range(0x110000)) if unicodedata.category(c) in ("Mn", "Me")]
    out = sanitize("".join("a" + c * (MAX_MARKS + 1) for c in marks))
    assert len(out) <= len(marks) * (MAX_MARKS + 1)


def test_a_terminal_shows_it_and_obeys_nothing() -> None:
    screen = pyte.Screen(60, 4)
    stream = pyte.Stream(screen)
    stream.feed("first\r\n")
    stream.feed(sanitize(f"{ESC}[2J{ESC}]0;owned\x07\x9b1;1Hsecond{ESC}[31m"))
    assert screen.display[0].rstrip() == "first"
    assert screen.display[1].rstrip() == "␛[2J␛]0;owned␇␛[1;1Hsecond␛[31m"
    assert screen.title == ""


# Everything the filter knows, far more often than chance would bring it.
HOSTILE = st.text(
    st.one_of(
        st.sampled_from(
            "\x1b\r\n\t[]\\\x07\x9b\x9cab\u0301\u0302\u200d\ufe0f\u202e\ufeff\ud800\U000e0041 👩"
        ),
        st.characters(),
    ),
    max_size=60,
)


@given(HOSTILE, st.lists(st.integers(0, 60), max_size=6))
def test_cut_anywhere_it_gives_the_same(text: str, cuts: list[int]) -> None:
    sanitizer = Sanitizer()
    edges = [0, *sorted(cuts), len(text)]
    pieces = [sanitizer.feed(text[a:b]) for a, b in itertools.pairwise(edges)]
    assert "".join(pieces) + sanitizer.flush() == sanitize(text)
    assert sanitizer.feed("\nx") == "\nx", "after flush a new text begins"


@given(st.lists(HOSTILE, max_size=5))
def test_nothing_unsafe_gets_out(pieces: list[str]) -> None:
    sanitizer = Sanitizer()
    out = "".join(map(sanitizer.feed, pieces))
    for char in out:
        assert char in "\n\t\u200c\u200d" or unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp")
        assert unicodedata.bidirectional(char) not in (
            *("LRE", "RLE", "LRO", "RLO"),
            *("LRI", "RLI", "FSI", "PDI"),
        )
    out.encode("utf-8")
    assert sanitize(out) == out


@settings(max_examples=50)
@given(st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S", "Zs")), max_size=200))
def test_plain_text_is_untouched(text: str) -> None:
    assert sanitize(text) == text


def test_a_line_stays_one_line() -> None:
    assert sanitize_line("a\r\nb\tc\u2028d\x1b[A") == "a b c d␛[A"

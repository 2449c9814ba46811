"""What the checks of the chat suite accept and what they do not."""

from __future__ import annotations

from typing import Any

import pytest

from deepseek_tui.evaluation.checks import entries, loops, passes


@pytest.mark.parametrize(
    ("check", "right", "wrong"),
    [
        ({"any": ["Paris"]}, "It is Paris.", "The comparison is hard."),
        ({"all": ["bread", "eggs"]}, "Bread and eggs.", "Bread."),
        ({"none": ["south"]}, "In the north.", "In the south."),
        ({"exact": "I like green tea"}, "“I like green tea.”", "I like green tea too."),
        ({"number": 7}, "3 + 4 = 7.", "7 apples or 8"),
        ({"number": 12}, "That makes twelve.", "That makes eleven."),
        ({"yes": True}, "Yes, it is.", "No, and yes."),
        ({"yes": False}, "No.", "Nobody knows."),
        (
            {"items": 3, "of": ["apple", "pear", "fig"]},
            "1. Apple\n2. Pear\n3. Fig",
            "1. Apple\n2. Pear\n3. Car",
        ),
        (
            {"items": 3, "of": ["apple", "pear", "fig"]},
            "Three fruits: apple, pear and fig.",
            "Apple, apple, fig",
        ),
        ({"max_words": 3}, "One two three.", "One two three four."),
        ({"sentences": 2}, "It rains. I stay in.", "It rains."),
        ({"max_sentences": 1}, "It rains.", "It rains. I stay."),
        ({"starts": "b"}, "Banana", "A banana"),
        ({"ordered": ["3", "5", "8"]}, "3, 5, 8", "5, 3, 8"),
        ({"english": True}, "This is a cat and it is mine.", "Das Haus steht dort drüben."),
    ],
)
def test_checks(check: dict[str, Any], right: str, wrong: str) -> None:
    assert passes(right, check)
    assert not passes(wrong, check)


def test_lists_are_found_in_any_form() -> None:
    assert entries("Here you are:\n- red\n- blue") == ["red", "blue"]
    assert entries("1) one\n2) two") == ["one", "two"]
    assert entries("Red, blue, and green.") == ["Red", "blue", "green"]


def test_loops_are_seen() -> None:
    assert loops("no, " * 40)
    assert loops("The cat sits on the mat. " * 3)
    assert loops("A line.\nA line.\nOther.\nA line.")
    assert not loops("One, two, three, four, five, six, seven, eight, nine, ten.")

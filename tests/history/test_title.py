from __future__ import annotations

import pytest

from deepseek_tui.history.title import LONGEST, title_from


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("What is MLX?", "What is MLX?"),
        ("\n\n   \n  two   spaces\tand more \nsecond line", "two spaces and more"),
        ("# A **bold** `code` _word_", "A bold code word"),
        ("- [ ] > ## nested", "[ ] > ## nested"),
        ("> ## quoted heading", "quoted heading"),
        ("1. first point", "first point"),
        ("see [the docs](https://example.org) and ![a picture](x.png)", "see the docs and a picture"),
        ("```python\nprint(1)\n```", "print(1)"),
        ("---\n***\n", ""),
        ("snake_case_name and 2*3*4", "snake_case_name and 2*3*4"),
        ("#hashtag -5 degrees", "#hashtag -5 degrees"),
        ("a\x1b[31mred", "a␛[31mred"),
        ("", ""),
        ("x" * LONGEST, "x" * LONGEST),
        ("x" * (LONGEST + 1), "x" * (LONGEST - 1) + "…"),
        ("漢" * 100, "漢" * (LONGEST - 1) + "…"),
        ("short " + "x" * 80, "short " + "x" * (LONGEST - 7) + "…"),
    ],
)
def test_titles(text: str, title: str) -> None:
    assert title_from(text) == title


def test_a_long_line_ends_at_a_word() -> None:
    title = title_from(
        "Please explain, in a few words, how latent attention differs from grouped-query attention"
    )
    assert title == "Please explain, in a few words, how latent attention…"
    assert len(title) <= LONGEST


def test_a_pasted_book_is_no_trouble() -> None:
    assert title_from("word " * 1_000_000).startswith("word word")
    assert title_from("*" * 100_000) == ""
    assert title_from("[" * 100_000).startswith("[")

"""Wrapping loses nothing and fits."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from deepseek_tui.tui.widgets.message_lines import Span, plain, wrap
from deepseek_tui.tui.widgets.message_table import column_widths

texts = st.lists(
    st.sampled_from([" ", "  ", "word", "a", "averylongword" * 3, "中文", "，", "é", "👩‍💻", "—", "שלום"])
).map("".join)


@given(text=texts, width=st.integers(2, 40), fold=st.booleans())
@settings(max_examples=150, deadline=None)
def test_wrapped_lines_fit_and_join_to_the_text(text: str, width: int, fold: bool) -> None:
    half = len(text) // 2
    lines = wrap((Span(text[:half], "a"), Span(text[half:], "b")), width, fold=fold)
    assert all(cell_len(line.text) <= width for line in lines)
    assert plain(lines) == text


@given(natural=st.lists(st.integers(0, 60), min_size=1, max_size=6), available=st.integers(6, 100))
def test_columns_fit_and_small_ones_keep_their_width(natural: list[int], available: int) -> None:
    widths = column_widths(natural, available)
    assert sum(widths) <= max(available, len(natural))
    share = available // len(natural)
    assert all(width >= min(wanted, share) for width, wanted in zip(widths, natural, strict=True))

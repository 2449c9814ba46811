"""Intervals and comparisons against values worked out elsewhere."""

from __future__ import annotations

import pytest

from deepseek_tui.evaluation.statistics import bootstrap_mean, compare, mcnemar, wilson


def test_wilson() -> None:
    # Newcombe 1998, table I: 81 of 263.
    found = wilson(81, 263)
    assert found.value == pytest.approx(0.308, abs=1e-3)
    assert found.low == pytest.approx(0.2553, abs=1e-4)
    assert found.high == pytest.approx(0.3662, abs=1e-4)
    assert wilson(0, 20).low == 0
    assert wilson(0, 0).high == 1


def test_mcnemar() -> None:
    assert mcnemar(0, 0) == 1
    assert mcnemar(0, 5) == pytest.approx(2 / 32)
    assert mcnemar(5, 5) == 1


def test_a_paired_comparison_sees_what_totals_hide() -> None:
    first = [True] * 30 + [False] * 10
    second = [True] * 20 + [False] * 20
    found = compare(first, second)
    assert (found.only_first, found.only_second) == (10, 0)
    assert found.difference.value == pytest.approx(0.25)
    assert 0 < found.difference.low < 0.25 < found.difference.high
    assert found.p < 0.01
    with pytest.raises(ValueError, match="same items"):
        compare(first, second[1:])


def test_weights_count_in_a_mean() -> None:
    assert bootstrap_mean([1.0, 3.0], [3.0, 1.0]).value == 1.5

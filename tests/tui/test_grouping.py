"""Conversations under days and months."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from deepseek_tui.history.store import Conversation
from deepseek_tui.tui.grouping import by_day

NOW = datetime(2026, 3, 12, 15, 30)


def conversation(at: datetime, pinned: bool = False) -> Conversation:
    stamp = at.timestamp()
    return Conversation("x", "", stamp, stamp, "", "", {}, None, 0, pinned=pinned)


def titles(*ages: timedelta) -> list[str]:
    found = [conversation(NOW - age) for age in ages]
    return [group.title for group in by_day(found, NOW.timestamp())]


def test_days_end_at_midnight() -> None:
    assert titles(timedelta(hours=15)) == ["Today"]
    assert titles(timedelta(hours=16)) == ["Yesterday"]
    assert titles(timedelta(days=6)) == ["This week"]
    assert titles(timedelta(days=7)) == ["March"]
    assert titles(timedelta(days=12)) == ["February"]
    assert titles(timedelta(days=90)) == ["December 2025"]


def test_what_was_changed_by_a_clock_that_goes_ahead_is_of_today() -> None:
    assert titles(-timedelta(days=3), timedelta(0)) == ["Today"]


@given(st.lists(st.tuples(st.booleans(), st.integers(-10_000, 100_000_000))))
def test_every_conversation_is_in_one_group(parts: list[tuple[bool, int]]) -> None:
    found = [conversation(NOW - timedelta(seconds=age), pinned) for pinned, age in parts]
    found.sort(key=lambda c: (c.pinned, c.updated), reverse=True)
    groups = list(by_day(found, NOW.timestamp()))
    places = [at for group in groups for at in range(group.start, group.end)]
    assert places == list(range(len(found)))
    assert len({group.title for group in groups}) == len(groups)

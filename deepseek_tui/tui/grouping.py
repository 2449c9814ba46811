"""Days and months for the list of conversations."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from deepseek_tui.history.store import Conversation


class Group(NamedTuple):
    """Conversations from place `start` up to `end` under one heading."""

    title: str
    start: int
    end: int


def by_day(conversations: Sequence[Conversation], now: float) -> Iterator[Group]:
    """Pinned, Today, Yesterday, This week, then month by month.

    The conversations come pinned ones first, and each part with the one used last first; then only the ends
    of groups are looked at, not every conversation. `now` in seconds since 1970, days as they are here.
    """
    pinned = bisect_right(conversations, False, key=lambda c: not c.pinned)
    if pinned:
        yield Group("Pinned", 0, pinned)
    today = datetime.fromtimestamp(now).date()
    start = pinned
    while start < len(conversations):
        title, first = _heading(datetime.fromtimestamp(conversations[start].updated).date(), today)
        since = datetime.combine(first, datetime.min.time()).timestamp()
        # Negated, since bisect wants what it looks through to grow.
        end = bisect_right(conversations, -since, lo=start, key=lambda c: -c.updated)
        end = max(end, start + 1)
        yield Group(title, start, end)
        start = end


def _heading(day: date, today: date) -> tuple[str, date]:
    """What the group of `day` is called, and the first day in it."""
    if day >= today:
        return "Today", today
    if day == today - timedelta(1):
        return "Yesterday", day
    week = today - timedelta(6)
    if day >= week:
        return "This week", week
    title = f"{day:%B}" if day.year == today.year else f"{day:%B %Y}"
    return title, day.replace(day=1)

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deepseek_tui.history.store import Store


class Clock:
    """Time that passes only when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "history.db"


@pytest.fixture
def store(path: Path, clock: Clock) -> Iterator[Store]:
    opened = Store(path, clock)
    yield opened
    opened.close()

"""The cache grows in steps, forgets by the token, and can be taken out and put back."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import pytest

from deepseek_tui.models.cache import KVCache


def rows(start: int, count: int, heads: int = 2, size: int = 3) -> Any:
    return mx.broadcast_to(
        mx.arange(start, start + count, dtype=mx.float32)[:, None], (1, heads, count, size)
    )


@pytest.mark.parametrize("pieces", [[1, 1, 1], [255, 1, 1], [256, 1], [300, 300, 5], [1, 600, 1]])
def test_everything_appended_is_returned_in_order(pieces: list[int]) -> None:
    cache, total = KVCache(), 0
    for count in pieces:
        keys, values = cache.update_and_fetch(rows(total, count), rows(total, count, 1, 5))
        total += count
        assert keys.shape == (1, 2, total, 3)
        assert values.shape == (1, 1, total, 5)
        assert keys[0, 1, :, 2].tolist() == list(range(total))
        assert values[0, 0, :, 4].tolist() == list(range(total))
    assert cache.offset == total
    assert cache.nbytes == -(-total // 256) * 256 * (2 * 3 + 5) * 4


def test_what_was_trimmed_is_overwritten() -> None:
    cache = KVCache()
    cache.update_and_fetch(rows(0, 10), rows(0, 10))
    assert cache.trim(4) == 4
    keys, _ = cache.update_and_fetch(rows(100, 2), rows(100, 2))
    assert keys[0, 0, :, 0].tolist() == [0, 1, 2, 3, 4, 5, 100, 101]
    assert cache.trim(99) == 8
    assert cache.offset == 0


def test_a_cache_restored_from_its_state_goes_on() -> None:
    cache, other = KVCache(), KVCache()
    assert cache.state == ()
    assert cache.nbytes == 0
    cache.update_and_fetch(rows(0, 7), rows(0, 7))
    other.state = cache.state
    keys, _ = other.update_and_fetch(rows(7, 3), rows(7, 3))
    assert keys[0, 0, :, 0].tolist() == list(range(10))
    other.state = ()
    assert other.offset == 0

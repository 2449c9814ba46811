"""Finds where sampled text begins to repeat itself, and rows that say what they should not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_BASE = np.uint64(0x9E3779B97F4A7C15)


def loop_start(rows: np.ndarray, words: int = 8, times: int = 3) -> np.ndarray:
    """rows [B, T] of ids -> [B]: where the `times`-th occurrence of any `words` tokens in a row ends,
    T where there is none."""
    count, length = rows.shape
    if length < words + times - 1:
        return np.full(count, length)
    keys = np.zeros((count, length - words + 1), np.uint64)
    with np.errstate(over="ignore"):
        for place in range(words):
            part = rows[:, place : place + keys.shape[1]].astype(np.uint64)
            keys = (keys ^ (part + np.uint64(1))) * _BASE
            keys ^= keys >> np.uint64(29)
    order = np.argsort(keys, axis=1, kind="stable")
    ordered = np.take_along_axis(keys, order, axis=1)
    again = ordered[:, times - 1 :] == ordered[:, : ordered.shape[1] - times + 1]
    starts = np.where(again, order[:, times - 1 :], length)
    first = starts.min(axis=1)
    found: np.ndarray = np.where(first < length, np.minimum(first + words, length), length)
    return found


def contains(rows: np.ndarray, pattern: Sequence[int]) -> np.ndarray:
    """bool [B]: the row holds these ids one after the other."""
    places = rows.shape[1] - len(pattern) + 1
    if places < 1 or not pattern:
        return np.zeros(len(rows), bool)
    hit = np.ones((len(rows), places), bool)
    for offset, token in enumerate(pattern):
        hit &= rows[:, offset : offset + places] == token
    return np.asarray(hit.any(axis=1))

"""How sure a score is, and whether two models differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_Z = 1.959963984540054
_RESAMPLES = 10_000


@dataclass(frozen=True)
class Interval:
    """A figure and the bounds of its 95% interval."""

    value: float
    low: float
    high: float


def wilson(passed: int, total: int) -> Interval:
    """A share of successes with Wilson's score interval (1927); 0 of 0 is anything."""
    if not total:
        return Interval(0.0, 0.0, 1.0)
    share, z2 = passed / total, _Z * _Z
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = _Z * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total)) / (1 + z2 / total)
    return Interval(share, max(centre - half, 0.0), min(centre + half, 1.0))


def bootstrap_mean(
    values: Sequence[float], weights: Sequence[float] | None = None, seed: int = 0
) -> Interval:
    """The (weighted) mean with its percentile interval over resampled items (Efron 1979)."""
    x = np.asarray(values, np.float64)
    w = np.ones_like(x) if weights is None else np.asarray(weights, np.float64)
    mean = float((x * w).sum() / w.sum())
    if len(x) < 2:
        return Interval(mean, mean, mean)
    rng = np.random.default_rng(seed)
    chosen = rng.integers(0, len(x), (_RESAMPLES, len(x)))
    means = (x * w)[chosen].sum(1) / w[chosen].sum(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(mean, float(low), float(high))


@dataclass(frozen=True)
class Paired:
    """Two models on the same items: `difference` of their shares (first minus second), how many items only
    one of them passed, and `p`, the chance of so uneven a split if they were equally good
    (McNemar, exact)."""

    difference: Interval
    only_first: int
    only_second: int
    p: float


def compare(first: Sequence[bool], second: Sequence[bool], seed: int = 0) -> Paired:
    """`first` and `second`: whether each model passed each item, in the same order."""
    if len(first) != len(second):
        raise ValueError("two models can be compared on the same items only")
    difference = bootstrap_mean([float(a) - float(b) for a, b in zip(first, second, strict=True)], seed=seed)
    only_first = sum(a and not b for a, b in zip(first, second, strict=True))
    only_second = sum(b and not a for a, b in zip(first, second, strict=True))
    return Paired(difference, only_first, only_second, mcnemar(only_first, only_second))


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact binomial probability (McNemar 1947)."""
    total, least = only_first + only_second, min(only_first, only_second)
    tail: float = sum(math.comb(total, i) for i in range(least + 1)) / 2**total
    return min(1.0, 2 * tail)

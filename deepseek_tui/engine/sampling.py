"""Choosing the next token: filters and penalties with mlx-lm's names, meanings and order.

Penalties work on logits, in the order bias, repetition, presence, frequency; then top_p, min_p, xtc and top_k
each take tokens out; what is left is drawn from at the temperature. All of it is indifferent to a constant
added to the logits, so nothing here needs them normalised.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import mlx.core as mx
import numpy as np

from deepseek_tui.errors import UserError

LogitsProcessor = Callable[[Any, Any], Any]
"""(ids so far [N], logits [1, V]) -> logits [1, V]."""

FloatRow = np.ndarray[Any, np.dtype[np.float32]]
IdRow = np.ndarray[Any, np.dtype[np.int64]]

_BLOCK = 256
_GOLDEN = 0x9E3779B97F4A7C15


class SamplingError(UserError):
    """A sampling setting out of its range: which, what was given, what it may be."""


class Sampler:
    """Maps logits or log-probabilities [..., V] to ids [...]. Made by `make_sampler`.

    Draw n of a seed is the same whatever else in the process draws: keys are made from seed and n alone.
    """

    def __init__(
        self,
        temp: float,
        top_p: float,
        min_p: float,
        min_tokens_to_keep: int,
        top_k: int,
        xtc_probability: float,
        xtc_threshold: float,
        xtc_special_tokens: Sequence[int],
        seed: int,
    ) -> None:
        self.temp = temp
        self.seed = seed
        self._top_p = top_p if 0 < top_p < 1 else 0.0
        self._min_p = min_p
        self._keep = min_tokens_to_keep
        self._top_k = top_k
        self._xtc = (xtc_probability, xtc_threshold)
        self._special = list(xtc_special_tokens)
        self._drawn = 0

    def __call__(self, logits: Any) -> Any:
        if self.temp == 0:
            return mx.argmax(logits, axis=-1)
        self._drawn += 1
        if logits.size == logits.shape[-1] and mx.default_device() == mx.cpu:
            return self._in_numpy(logits)
        return self._draw(self.filter(logits))

    def filter(self, logits: Any) -> Any:
        """Logits [..., V] with -inf for every token that may not be drawn."""
        return self._thin(self._cut(logits))

    def _in_numpy(self, logits: Any) -> Any:
        """The same for one row on a CPU, where numpy sorts a vocabulary twenty times as fast as MLX.

        What MLX takes for top_p there is as much as a small model takes for a token.
        """
        row = np.array(logits.astype(mx.float32)).reshape(-1)
        ids = self.survivors(row)
        if ids is not None:
            row = row[ids]
        weights = np.exp((row - row.max()) / np.float32(self.temp))
        fate: Any = mx.random.uniform(shape=(), key=self._key(0)).item()
        place = _reach(weights, fate, "right")
        return mx.full(logits.shape[:-1], place if ids is None else int(ids[place]), dtype=mx.uint32)

    def survivors(self, row: FloatRow) -> IdRow | None:
        """Ids [n] of the tokens that may be drawn, from logits [V]; None for all of them."""
        ids = None
        if self._top_p or self._min_p:
            ids = np.flatnonzero(row >= self._threshold(row))
            row = row[ids]
        if self._xtc[0] > 0:
            known = np.arange(row.size) if ids is None else ids
            thinned = np.array(self._thin(mx.array(row), mx.array(known.astype(np.uint32))))
            return known[thinned > -math.inf]
        if 0 < self._top_k < row.size:
            best = np.sort(np.argpartition(row, -self._top_k)[-self._top_k :])
            return best if ids is None else ids[best]
        return ids

    def _threshold(self, row: FloatRow) -> float:
        """The least logit that top_p and min_p let through."""
        ordered = -np.sort(-row)
        kept = row.size
        if self._top_p:
            kept = 1 + _reach(np.exp(ordered - ordered[0]), self._top_p, "left")
        least = float(ordered[min(kept, row.size) - 1])
        if self._min_p:
            # No rounding here that the other way does not have.
            cut = float(ordered[0] + np.float32(math.log(self._min_p)))
            least = max(least, min(cut, float(ordered[min(self._keep, row.size) - 1])))
        return least

    def _cut(self, logits: Any) -> Any:
        """top_p and min_p."""
        if self._top_p:
            logits = _top_p(logits, self._top_p)
        if self._min_p:
            logits = _min_p(logits, self._min_p, self._keep)
        return logits

    def _thin(self, logits: Any, ids: Any | None = None) -> Any:
        """xtc and top_k. `ids`: the tokens that the columns stand for, None where column is id."""
        probability, threshold = self._xtc
        if probability > 0:
            fate = mx.random.uniform(shape=(), key=self._key(1))
            thinned = _xtc(logits, threshold, self._special, ids)
            logits = mx.where(fate > probability, logits, thinned)
        if 0 < self._top_k < logits.shape[-1]:
            logits = _top_k(logits, self._top_k)
        return logits

    def _draw(self, logits: Any) -> Any:
        return mx.random.categorical(logits * (1.0 / self.temp), axis=-1, key=self._key(0))

    def _key(self, purpose: int) -> Any:
        return mx.random.key((self.seed + (2 * self._drawn + purpose) * _GOLDEN) % (1 << 64))


def _reach(weights: FloatRow, share: float, side: Literal["left", "right"]) -> int:
    """Where the running sum of `weights` reaches ("left") or passes ("right") a share of the whole."""
    # In two steps, blocks and then one block: a running sum of doubles over all takes four times longer.
    padded = np.zeros(-(-weights.size // _BLOCK) * _BLOCK, np.float32)
    padded[: weights.size] = weights
    sums = padded.reshape(-1, _BLOCK).sum(axis=1, dtype=np.float64)
    ends = np.cumsum(sums)
    wanted = share * ends[-1]
    block = min(int(np.searchsorted(ends, wanted, side)), ends.size - 1)
    inside = ends[block] - sums[block] + np.cumsum(padded[block * _BLOCK :][:_BLOCK], dtype=np.float64)
    place = min(block * _BLOCK + int(np.searchsorted(inside, wanted, side)), weights.size - 1)
    # Rounding may end on a token that has no weight: back to the last that has.
    while weights[place] == 0:
        place -= 1
    return place


def make_sampler(
    temp: float = 0.0,
    top_p: float = 0.0,
    min_p: float = 0.0,
    min_tokens_to_keep: int = 1,
    top_k: int = 0,
    xtc_probability: float = 0.0,
    xtc_threshold: float = 0.1,
    xtc_special_tokens: Sequence[int] | None = None,
    *,
    seed: int | None = None,
) -> Sampler:
    """A sampler with mlx-lm's settings; 0 turns a filter off, as does top_p = 1.

    `temp` 0: the most likely token. `top_p`: the fewest tokens that hold this share of the probability
    (Holtzman 2019). `min_p`: at least this share of the most likely token's probability (Nguyen 2024), though
    never fewer than `min_tokens_to_keep`. `top_k`: so many tokens. `xtc_probability`: how often all tokens
    above `xtc_threshold` but the least of them are taken out, `xtc_special_tokens` excepted. `seed`: None for
    a random one. Raises SamplingError for a value out of range.
    """
    _check("temp", temp, 0, math.inf)
    _check("top_p", top_p, 0, 1)
    _check("min_p", min_p, 0, 1)
    _check("min_tokens_to_keep", min_tokens_to_keep, 1, math.inf, whole=True)
    _check("top_k", top_k, 0, math.inf, whole=True)
    _check("xtc_probability", xtc_probability, 0, 1)
    _check("xtc_threshold", xtc_threshold, 0, 0.5)
    if seed is None:
        seed = secrets.randbits(32)
    _check("seed", seed, 0, (1 << 64) - 1, whole=True)
    return Sampler(
        temp,
        top_p,
        min_p,
        min_tokens_to_keep,
        top_k,
        xtc_probability,
        xtc_threshold,
        xtc_special_tokens or (),
        seed,
    )


def make_logits_processors(
    logit_bias: Mapping[int, float] | None = None,
    repetition_penalty: float | None = None,
    repetition_context_size: int | None = 20,
    presence_penalty: float | None = None,
    presence_context_size: int | None = 20,
    frequency_penalty: float | None = None,
    frequency_context_size: int | None = 20,
) -> list[LogitsProcessor]:
    """What changes logits before sampling; each looks at the last `..._context_size` ids, prompt included.

    `logit_bias`: added, by id. `repetition_penalty`: logits of ids seen are divided by it where positive,
    multiplied where negative (Keskar 2019). `presence_penalty`: subtracted once from each id seen.
    `frequency_penalty`: subtracted once per time seen. None and 0 leave a penalty out, as does a
    `repetition_penalty` of 1. Raises SamplingError for a value out of range.
    """
    found: list[LogitsProcessor] = []
    if logit_bias:
        for token, bias in logit_bias.items():
            _check("logit_bias token", token, 0, math.inf, whole=True)
            _check("logit_bias", bias, -math.inf, math.inf)
        found.append(_bias(logit_bias))
    for name, penalty, size, make in (
        ("repetition", repetition_penalty, repetition_context_size, _repetition),
        ("presence", presence_penalty, presence_context_size, _presence),
        ("frequency", frequency_penalty, frequency_context_size, _frequency),
    ):
        if not penalty or (name == "repetition" and penalty == 1):
            continue
        _check(f"{name}_penalty", penalty, 0 if name == "repetition" else -math.inf, math.inf)
        size = 20 if size is None else size
        _check(f"{name}_context_size", size, 1, math.inf, whole=True)
        found.append(make(penalty, size))
    return found


def _check(name: str, value: Any, low: float, high: float, *, whole: bool = False) -> None:
    kinds = (int,) if whole else (int, float)
    right = isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
    if right and low <= value <= high:
        return
    kind = "a whole number" if whole else "a number"
    if math.isinf(low) and math.isinf(high):
        rule = kind
    elif math.isinf(high):
        rule = f"{kind} of at least {low}"
    else:
        rule = f"{kind} from {low} to {high}"
    raise SamplingError(f"{name} is {value!r}, which should be {rule}.")


# --- filters: logits [..., V] -> the same with -inf where a token is out ---


def _top_p(logits: Any, top_p: float) -> Any:
    ordered = mx.sort(logits, axis=-1)
    probabilities = mx.softmax(ordered.astype(mx.float32), axis=-1)
    above = mx.cumsum(probabilities, axis=-1, reverse=True, inclusive=False)
    dropped = (above >= top_p).sum(axis=-1, keepdims=True)
    last = logits.shape[-1] - 1
    threshold = mx.take_along_axis(ordered, mx.minimum(dropped, last), axis=-1)
    return mx.where(logits < threshold, -math.inf, logits)


def _min_p(logits: Any, min_p: float, keep: int) -> Any:
    out = logits < logits.max(axis=-1, keepdims=True) + math.log(min_p)
    if 1 < keep < logits.shape[-1]:
        best = mx.argpartition(logits, kth=-keep, axis=-1)[..., -keep:]
        out = mx.put_along_axis(out, best, mx.array(False), axis=-1)
    elif keep >= logits.shape[-1]:
        return logits
    return mx.where(out, -math.inf, logits)


def _xtc(logits: Any, threshold: float, special: list[int], ids: Any | None) -> Any:
    """Exclude top choices (p-e-w 2024): of the tokens above the threshold only the least likely stays."""
    p = mx.softmax(logits, axis=-1)
    out = p > mx.where(p > threshold, p, math.inf).min(axis=-1, keepdims=True)
    if special:
        columns = mx.arange(logits.shape[-1]) if ids is None else ids
        out = out & ~(columns[..., None] == mx.array(special)).any(axis=-1)
    return mx.where(out, -math.inf, logits)


def _top_k(logits: Any, top_k: int) -> Any:
    out = mx.argpartition(-logits, kth=top_k - 1, axis=-1)[..., top_k:]
    return mx.put_along_axis(logits, out, mx.array(-math.inf, logits.dtype), axis=-1)


# --- penalties ---


def _bias(logit_bias: Mapping[int, float]) -> LogitsProcessor:
    items = sorted(logit_bias.items())

    def process(_: Any, logits: Any) -> Any:
        known = [(token, bias) for token, bias in items if token < logits.shape[-1]]
        ids = mx.array([token for token, _ in known], dtype=mx.int32)
        return logits.at[:, ids].add(mx.array([bias for _, bias in known], dtype=logits.dtype))

    return process


def _repetition(penalty: float, size: int) -> LogitsProcessor:
    def process(tokens: Any, logits: Any) -> Any:
        seen = tokens[-size:][None]
        values = mx.take_along_axis(logits, seen, axis=-1)
        values = mx.where(values < 0, values * penalty, values / penalty)
        return mx.put_along_axis(logits, seen, values, axis=-1)

    return process


def _presence(penalty: float, size: int) -> LogitsProcessor:
    def process(tokens: Any, logits: Any) -> Any:
        seen = tokens[-size:][None]
        return mx.put_along_axis(logits, seen, mx.take_along_axis(logits, seen, axis=-1) - penalty, axis=-1)

    return process


def _frequency(penalty: float, size: int) -> LogitsProcessor:
    def process(tokens: Any, logits: Any) -> Any:
        return logits.at[:, tokens[-size:]].subtract(penalty)

    return process

"""Rotary position embedding (Su et al. 2021) and the ways of stretching it that published models use.

`inv_freq` is written out for each kind as transformers defines it; the rotation itself is mx.fast.rope.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mlx.core as mx

from deepseek_tui.models.base import ModelConfigError

Rope = Callable[[Any, int], Any]
"""rope(x[B, heads, T, dims], offset) -> the same with every pair turned by its position."""

_KINDS = "default, linear, dynamic, llama3, yarn"


def mscale(factor: float, weight: float) -> float:
    """YaRN's correction of attention for a context `factor` times longer (Peng et al. 2023)."""
    return 0.1 * weight * math.log(factor) + 1.0 if factor > 1 else 1.0


def rope_kind(scaling: dict[str, Any] | None) -> str:
    """The kind of scaling that a config's rope_scaling asks for, "default" for none."""
    if not scaling:
        return "default"
    kind = scaling.get("rope_type") or scaling.get("type") or "default"
    return "yarn" if kind == "deepseek_yarn" else str(kind)


def make_rope(
    dims: int,
    base: float,
    scaling: dict[str, Any] | None,
    max_positions: int,
    *,
    interleaved: bool = False,
) -> Rope:
    """The rotation for heads (or parts of heads) of `dims` numbers.

    `interleaved`: pairs are neighbours (DeepSeek), not halves (Llama). `scaling`: config's rope_scaling.
    Raises `ModelConfigError` for an unknown kind or a missing or impossible number in it.
    """
    kind = rope_kind(scaling)
    if kind == "default":
        return _plain(dims, base, interleaved, 1.0)
    assert scaling is not None
    if kind == "linear":
        return _plain(dims, base, interleaved, 1.0 / _number(scaling, "factor"))
    if kind == "dynamic":
        return _dynamic(dims, base, _number(scaling, "factor"), max_positions, interleaved)
    wavelengths = base ** (mx.arange(0, dims, 2, dtype=mx.float32) / dims)
    if kind == "llama3":
        return _stretched(dims, _llama3(wavelengths, scaling, max_positions), 1.0, interleaved)
    if kind == "yarn":
        factor = yarn_factor(scaling, max_positions)
        freqs = _yarn(wavelengths, scaling, factor, dims, base, max_positions)
        return _stretched(dims, freqs, _yarn_attention_factor(scaling, factor), interleaved)
    raise ModelConfigError(f"The rope_scaling type {kind!r} is not supported.", f"Known types: {_KINDS}.")


def rotation(
    dims: int, base: float, scaling: dict[str, Any] | None, max_positions: int
) -> tuple[Any, float] | None:
    """(angles [dims / 2] of one step, what the turned numbers are multiplied by): `make_rope` for code that
    turns for itself. None for "dynamic", whose angles depend on the length seen so far."""
    kind = rope_kind(scaling)
    steps = mx.exp(mx.arange(0, -(dims // 2), -1, dtype=mx.float32) * (math.log(base) / (dims // 2)))
    if kind == "default":
        return steps, 1.0
    if kind == "dynamic":
        return None
    assert scaling is not None
    if kind == "linear":
        return steps / _number(scaling, "factor"), 1.0
    wavelengths = base ** (mx.arange(0, dims, 2, dtype=mx.float32) / dims)
    if kind == "llama3":
        return 1.0 / _llama3(wavelengths, scaling, max_positions), 1.0
    if kind == "yarn":
        factor = yarn_factor(scaling, max_positions)
        freqs = _yarn(wavelengths, scaling, factor, dims, base, max_positions)
        return 1.0 / freqs, _yarn_attention_factor(scaling, factor)
    return None


def yarn_factor(scaling: dict[str, Any], max_positions: int) -> float:
    """How many times longer than in pretraining the context is."""
    if scaling.get("factor") is None:
        return max_positions / _number(scaling, "original_max_position_embeddings", max_positions)
    return _number(scaling, "factor")


def _number(scaling: dict[str, Any], key: str, default: float | None = None) -> float:
    value = scaling.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ModelConfigError(
            f"config.json's rope_scaling needs {key}, a number above 0, and has {value!r}."
        )
    return float(value)


def _plain(dims: int, base: float, interleaved: bool, scale: float) -> Rope:
    def rope(x: Any, offset: int) -> Any:
        return mx.fast.rope(x, dims, traditional=interleaved, base=base, scale=scale, offset=offset)

    return rope


def _dynamic(dims: int, base: float, factor: float, max_positions: int, interleaved: bool) -> Rope:
    # The base follows the length seen so far, so keys already cached keep the base they were turned with.
    def rope(x: Any, offset: int) -> Any:
        length = max(offset + x.shape[-2], max_positions)
        stretch = factor * length / max_positions - (factor - 1)
        grown = base * stretch ** (dims / (dims - 2))
        return mx.fast.rope(x, dims, traditional=interleaved, base=grown, scale=1.0, offset=offset)

    return rope


def _stretched(dims: int, wavelengths: Any, attention_factor: float, interleaved: bool) -> Rope:
    def rope(x: Any, offset: int) -> Any:
        if attention_factor != 1.0:
            x = x * attention_factor
        return mx.fast.rope(
            x, dims, traditional=interleaved, base=None, scale=1.0, offset=offset, freqs=wavelengths
        )

    return rope


def _llama3(wavelengths: Any, scaling: dict[str, Any], max_positions: int) -> Any:
    """Llama 3.1: slow rotations are slowed by `factor`, fast ones kept, a smooth passage between."""
    factor = _number(scaling, "factor")
    low = _number(scaling, "low_freq_factor", 1.0)
    high = _number(scaling, "high_freq_factor", 4.0)
    length = _number(scaling, "original_max_position_embeddings", max_positions)
    if low == high:
        raise ModelConfigError("config.json's rope_scaling gives low_freq_factor and high_freq_factor alike.")
    turn = 2 * math.pi * wavelengths
    smooth = (length / turn - low) / (high - low)
    between = wavelengths / ((1 - smooth) / factor + smooth)
    slow = mx.where(turn > length / low, wavelengths * factor, between)
    return mx.where(turn < length / high, wavelengths, slow)


def _yarn(
    wavelengths: Any, scaling: dict[str, Any], factor: float, dims: int, base: float, max_positions: int
) -> Any:
    """YaRN: pairs that turn often keep their frequency, pairs that hardly turn are interpolated."""
    length = _number(scaling, "original_max_position_embeddings", max_positions)

    def pair_turning(times: float) -> float:
        return dims * math.log(length / (times * 2 * math.pi)) / (2 * math.log(base))

    low = pair_turning(_number(scaling, "beta_fast", 32))
    high = pair_turning(_number(scaling, "beta_slow", 1))
    if scaling.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, dims - 1)
    if low == high:
        high += 0.001
    ramp = mx.clip((mx.arange(dims // 2, dtype=mx.float32) - low) / (high - low), 0, 1)
    return 1.0 / (ramp / (factor * wavelengths) + (1 - ramp) / wavelengths)


def _yarn_attention_factor(scaling: dict[str, Any], factor: float) -> float:
    if scaling.get("attention_factor") is not None:
        return _number(scaling, "attention_factor")
    if scaling.get("mscale") and scaling.get("mscale_all_dim"):
        return mscale(factor, _number(scaling, "mscale")) / mscale(factor, _number(scaling, "mscale_all_dim"))
    return mscale(factor, 1.0)

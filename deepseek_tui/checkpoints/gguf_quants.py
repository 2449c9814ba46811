"""GGUF tensors as MLX arrays.

Q4_0, Q4_1 and Q8_0 become MLX's affine quantization with groups of 32 and no loss: a block of theirs holds
32 weights w = d*q + m, which is what MLX computes, only packed in another order. Plain floats stay as they
are. The other types (K-quants, Q5, IQ) are dequantized by the `gguf` package, an extra.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np

from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.gguf_reader import BLOCK_TYPES, GGUFFile, TensorInfo

GROUP_SIZE = 32
PACKED_BITS = {"Q4_0": 4, "Q4_1": 4, "Q8_0": 8}
"""The types that stay quantized, and MLX's number of bits for them."""

FLOATS = {"F32": np.float32, "F16": np.float16, "F64": np.float64}
# Bounds the float32 scratch space of a dequantization, in weights: 64 MB.
_CHUNK = 1 << 24

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Weights:
    """A tensor: floats alone in `values`, or codes in `values` with `scales` and `biases` per group of 32."""

    values: Any
    scales: Any = None
    biases: Any = None

    def map(self, change: Callable[[Any], Any]) -> Weights:
        """The same change of rows made to all parts; `change` must leave the last axis alone."""
        if self.scales is None:
            return Weights(change(self.values))
        return Weights(change(self.values), change(self.scales), change(self.biases))


def read_weights(file: GGUFFile, name: str, *, packed: bool = True) -> Weights:
    """The tensor `name`. `packed`: let Q4_0, Q4_1 and Q8_0 stay quantized; False gives float16.

    Raises CheckpointError for NaN or infinite weights and for types that need the extra `gguf`.
    """
    info = file.tensors[name]
    rows = file.raw(name)
    kind = info.type_name
    if packed and kind in PACKED_BITS and len(info.shape) > 1:
        codes, scales, biases = _repack(rows.reshape(-1, BLOCK_TYPES[info.kind].bytes), kind)
        _check_finite(file, info, scales, biases)
        lead = info.shape[:-1]
        return Weights(
            *(mx.array(part.reshape(*lead, -1)) for part in (codes.view(np.uint32), scales, biases))
        )
    if kind == "BF16":
        bits = rows.view(np.uint16).reshape(info.shape)
        if ((bits & 0x7F80) == 0x7F80).any():
            raise _not_finite(file, info)
        return Weights(mx.array(bits).view(mx.bfloat16))
    if kind in FLOATS:
        floats = rows.view(FLOATS[kind]).reshape(info.shape)
        _check_finite(file, info, floats)
        return Weights(mx.array(floats.astype(np.float32) if kind == "F64" else floats))
    floats = _dequantized(rows, info)
    _check_finite(file, info, floats)
    return Weights(mx.array(floats))


def _repack(blocks: Bytes, kind: str) -> tuple[Array, Array, Array]:
    """Codes in MLX's order, scales and biases (float16 or wider) of blocks [N, block bytes]."""
    scales = blocks[:, 0:2].copy().view(np.float16)
    if kind == "Q8_0":
        # A signed code q is the unsigned code q + 128 with the bias -128 d.
        return blocks[:, 2:] ^ 0x80, *_scaled(scales, -128)
    start = 4 if kind == "Q4_1" else 2
    halves = blocks[:, start:]
    # The low halves of a block's bytes are its weights 0..15, the high ones 16..31; MLX joins neighbours.
    codes = np.concatenate([halves & 0x0F, halves >> 4], axis=1)
    codes = codes[:, 0::2] | (codes[:, 1::2] << 4)
    if kind == "Q4_1":
        return codes, scales, blocks[:, 2:4].copy().view(np.float16)
    return codes, *_scaled(scales, -8)


def _scaled(scales: Array, factor: int) -> tuple[Array, Array]:
    """Scales, and biases factor*scales: a power of two, so exact; float32 where float16 would overflow."""
    biases = scales.astype(np.float32) * factor
    # Not "larger than": what is no number shall not be narrowed either, it is refused later.
    if not np.abs(biases).max(initial=0) <= np.finfo(np.float16).max:
        return scales.astype(np.float32), biases
    return scales, biases.astype(np.float16)


def _dequantized(rows: Bytes, info: TensorInfo) -> Array:
    """Weights as float16, a few rows at a time; as float32 when one is too large for float16."""
    dequantize = _dequantizer(info)
    step = max(1, _CHUNK // info.shape[-1])
    out = np.empty((len(rows), info.shape[-1]), np.float16)
    for start in range(0, len(rows), step):
        chunk = dequantize(rows[start : start + step])
        if out.dtype == np.float16 and np.abs(chunk).max(initial=0) > np.finfo(np.float16).max:
            out = out.astype(np.float32)
        out[start : start + step] = chunk
    return out.reshape(info.shape)


def _dequantizer(info: TensorInfo) -> Callable[[Bytes], Array]:
    if info.type_name in PACKED_BITS:
        return lambda rows: _plain(rows, info)
    try:
        from gguf import GGMLQuantizationType, dequantize
    except ImportError:
        raise CheckpointError(
            f"The tensor {info.name} is quantized as {info.type_name}, which needs the package gguf.",
            "Install it with: pip install 'deepseek-tui[gguf]'.",
        ) from None
    kind = GGMLQuantizationType(info.kind)

    def run(rows: Bytes) -> Array:
        try:
            floats: Array = dequantize(rows, kind)
        except NotImplementedError:
            raise CheckpointError(
                f"The tensor {info.name} is quantized as {info.type_name}, which cannot be read.",
                "Get the model in another quantization, such as Q4_K_M or Q8_0.",
            ) from None
        return floats

    return run


def _plain(rows: Bytes, info: TensorInfo) -> Array:
    """float32 weights [rows, columns] of a type in PACKED_BITS."""
    codes, scales, biases = _repack(rows.reshape(-1, BLOCK_TYPES[info.kind].bytes), info.type_name)
    if PACKED_BITS[info.type_name] == 4:
        codes = np.stack([codes & 0x0F, codes >> 4], axis=-1).reshape(len(codes), -1)
    floats: Array = codes.astype(np.float32) * scales.astype(np.float32) + biases.astype(np.float32)
    return floats.reshape(len(rows), -1)


def _check_finite(file: GGUFFile, info: TensorInfo, *parts: Array) -> None:
    if not all(np.isfinite(part).all() for part in parts):
        raise _not_finite(file, info)


def _not_finite(file: GGUFFile, info: TensorInfo) -> CheckpointError:
    return CheckpointError(
        f"The tensor {info.name} of {file.path} holds values that are not numbers.",
        "The file is damaged: get it again.",
    )

"""What a source checkpoint says, read for checking: every tensor under its own name, as plain numbers.

Apart from taking bytes out of files nothing here is shared with the conversion: block formats and 8-bit
floats are decoded by their definitions, so that a mistake there is found and not repeated.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.gguf_reader import GGUFFile
from deepseek_tui.checkpoints.quantization import quantization_settings
from deepseek_tui.checkpoints.sources import FolderSource, GGUFSource, OriginalSource, Source

Array = np.ndarray[Any, Any]
Parts = tuple[Any, Any, Any]
"""Codes, scales and biases."""

PACKED = (".scales", ".biases")


class Truth(ABC):
    """The tensors of a source by their own names."""

    names: list[str]

    @abstractmethod
    def value(self, name: str) -> Any:
        """The numbers of a tensor: in their own type, unpacked ones in float32."""

    def parts(self, name: str) -> Parts | None:  # noqa: ARG002 - most sources pack nothing
        """Codes, scales and biases of a tensor that the source holds in MLX's packing."""
        return None


def truth_of(source: Source) -> Truth:
    """The truth in an open source."""
    if isinstance(source, GGUFSource):
        return _GGUF(source)
    if isinstance(source, OriginalSource):
        return _Original(source)
    assert isinstance(source, FolderSource)
    return FolderTruth(source)


class FolderTruth(Truth):
    def __init__(self, source: FolderSource) -> None:
        self.source = source
        held = source.tensors
        self.packed = {n.removesuffix(".scales") for n in held if n.endswith(".scales")}
        self.scaled = {n.removesuffix("_scale_inv") for n in held if n.endswith(".weight_scale_inv")}
        self.names = [n for n in held if not n.endswith((*PACKED, ".weight_scale_inv"))]
        self.settings = quantization_settings(source.config)

    def parts(self, name: str) -> Parts | None:
        path = name.removesuffix(".weight")
        if path not in self.packed or path == name:
            return None
        scales, biases = self.source.read(f"{path}.scales"), self.source.read(f"{path}.biases")
        return self.source.read(name), scales, biases

    def value(self, name: str) -> Any:
        if (parts := self.parts(name)) is not None:
            return unpacked(parts, self.bits(name))
        array = self.source.read(name)
        if name not in self.scaled:
            return array
        block = (self.source.config.get("quantization_config") or {}).get("weight_block_size") or [128, 128]
        scale = np.array(self.source.read(f"{name}_scale_inv").astype(mx.float32))
        codes = np.array(array)
        rows, columns = np.arange(codes.shape[0]) // block[0], np.arange(codes.shape[1]) // block[1]
        return mx.array(E4M3[codes] * scale[np.ix_(rows, columns)])

    def bits(self, name: str) -> int:
        own = self.settings.get(name.removesuffix(".weight"))
        found = own.get("bits") if isinstance(own, dict) else self.settings.get("bits")
        if not isinstance(found, int):
            raise CheckpointError(f"config.json of {self.source.path} does not say how {name} is packed.")
        return found


def unpacked(parts: Parts, bits: int) -> Any:
    """The float32 numbers of MLX's packing; the group size follows from the shapes."""
    codes, scales, biases = parts
    group = codes.shape[-1] * 32 // bits // scales.shape[-1]
    wide = scales.astype(mx.float32), biases.astype(mx.float32)
    return mx.dequantize(codes, *wide, group_size=group, bits=bits)


def _e4m3() -> Array:
    """The 256 values of the 8-bit float with 4 bits of exponent; NaN where all bits are set, no infinity."""
    codes = np.arange(256)
    exponent, fraction = codes >> 3 & 15, codes & 7
    normal = (1 + fraction / 8) * 2.0 ** (exponent - 7.0)
    values = np.where(exponent == 0, fraction / 8 * 2.0**-6, normal)
    values[(codes & 127) == 127] = np.nan
    return np.where(codes >= 128, -values, values).astype(np.float32)


E4M3 = _e4m3()


class _Original(Truth):
    def __init__(self, source: OriginalSource) -> None:
        self.checkpoint = source.checkpoint
        self.names = list(source.checkpoint.tensors)

    def value(self, name: str) -> Any:
        tensor = self.checkpoint.tensors[name]
        values = self.checkpoint.read(tensor)
        if tensor.dtype == "bfloat16":
            return mx.array(values).view(mx.bfloat16)
        return mx.array(values.astype(np.float32) if tensor.dtype == "float64" else values)


class _GGUF(Truth):
    def __init__(self, source: GGUFSource) -> None:
        self.file: GGUFFile = source.file
        self.names = list(self.file.tensors)

    def value(self, name: str) -> Any:
        info = self.file.tensors[name]
        rows = self.file.raw(name)
        if info.type_name == "BF16":
            return mx.array(rows.view(np.uint16).reshape(info.shape)).view(mx.bfloat16)
        if info.type_name in ("F32", "F16"):
            kind = np.float32 if info.type_name == "F32" else np.float16
            return mx.array(rows.view(kind).reshape(info.shape))
        decode = _BLOCKS.get(info.type_name)
        floats = decode(rows) if decode else _by_gguf(rows, info.kind, name)
        return mx.array(floats.astype(np.float32).reshape(info.shape))


def _by_gguf(rows: Array, kind: int, name: str) -> Array:
    try:
        from gguf import GGMLQuantizationType, dequantize
    except ImportError:
        raise CheckpointError(
            f"Checking {name} needs the package gguf.", "Install it: pip install 'deepseek-tui[gguf]'."
        ) from None
    floats: Array = dequantize(rows, GGMLQuantizationType(kind))
    return floats


def _half(blocks: Array, at: int) -> Array:
    """The float16 at a place of every block, as a column of float32."""
    column: Array = blocks[:, at : at + 2].copy().view(np.float16).astype(np.float32)
    return column


def _nibbles(blocks: Array, at: int) -> Array:
    """16 bytes of every block as 32 codes: the low halves first."""
    packed = blocks[:, at : at + 16]
    return np.concatenate([packed % 16, packed // 16], axis=1).astype(np.float32)


def _q8_0(rows: Array) -> Array:
    blocks = rows.reshape(-1, 34)
    codes: Array = blocks[:, 2:].copy().view(np.int8).astype(np.float32)
    numbers: Array = _half(blocks, 0) * codes
    return numbers


def _q4_0(rows: Array) -> Array:
    blocks = rows.reshape(-1, 18)
    numbers: Array = _half(blocks, 0) * (_nibbles(blocks, 2) - 8)
    return numbers


def _q4_1(rows: Array) -> Array:
    blocks = rows.reshape(-1, 20)
    numbers: Array = _half(blocks, 0) * _nibbles(blocks, 4) + _half(blocks, 2)
    return numbers


_BLOCKS = {"Q8_0": _q8_0, "Q4_0": _q4_0, "Q4_1": _q4_1}


def folder_of(path: Path) -> tuple[FolderSource, FolderTruth]:
    """The converted directory, read the same way."""
    source = FolderSource(path)
    return source, FolderTruth(source)

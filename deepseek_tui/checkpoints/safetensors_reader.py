"""The head of a safetensors file, read and checked before any of its data is believed.

Format: 8 bytes little-endian length, that many bytes of JSON {name: {dtype, shape, data_offsets}}, the data.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepseek_tui.checkpoints.errors import CheckpointError

MAX_HEADER = 100_000_000
"""Bytes; the limit that the format's own library sets."""

DTYPE_BITS = {
    "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8,
    "I64": 64, "I32": 32, "I16": 16, "I8": 8,
    "U64": 64, "U32": 32, "U16": 16, "U8": 8, "BOOL": 8,
}  # fmt: skip
"""Types that can be read, with their size."""


@dataclass(frozen=True)
class TensorInfo:
    """Where a tensor lies: offsets in bytes from the start of the data."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def read_header(path: Path) -> dict[str, TensorInfo]:
    """The tensors of a safetensors file by name, every size and offset checked against the file.

    Memory and time are bounded by the header, at most 100 MB. Raises `CheckpointError`.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > size - 8:
                raise _damaged(path, f"it is {size:,} bytes long and its header alone should be {length:,}")
            if length > MAX_HEADER:
                raise _damaged(path, f"its header claims {length:,} bytes")
            raw = file.read(length)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
    return _check_layout(path, _parse(path, raw), size - 8 - length)


def _damaged(path: Path, why: str) -> CheckpointError:
    return CheckpointError(f"{path} is damaged or not a safetensors file: {why}.", "Fetch or copy it again.")


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("a name occurs twice")
    return entries


def _parse(path: Path, raw: bytes) -> dict[str, Any]:
    try:
        header = json.loads(raw, object_pairs_hook=_no_twins)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "its header is not valid JSON") from error
    if not isinstance(header, dict):
        raise _damaged(path, "its header is not a table of tensors")
    header.pop("__metadata__", None)
    return header


def _check_layout(path: Path, header: dict[str, Any], data_size: int) -> dict[str, TensorInfo]:
    tensors = {name: _tensor(path, name, entry) for name, entry in header.items()}
    previous, name_before = 0, ""
    for name, info in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].end)):
        if info.end > data_size:
            raise _damaged(
                path,
                f"{name} should end at byte {info.end:,} of the data and there are {data_size:,}, "
                "so the file was cut short",
            )
        if info.start < previous:
            raise _damaged(path, f"{name} and {name_before} overlap")
        previous, name_before = info.end, name
    return tensors


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62


def _tensor(path: Path, name: str, entry: Any) -> TensorInfo:
    if not isinstance(entry, dict):
        raise _damaged(path, f"the entry of {name} is not a table")
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in DTYPE_BITS:
        raise CheckpointError(
            f"{path} holds {name} as {str(dtype)[:40]}, which cannot be read.",
            f"Known types: {', '.join(DTYPE_BITS)}.",
        )
    if not isinstance(shape, list) or len(shape) > 8 or not all(_is_size(n) and n < 1 << 31 for n in shape):
        raise _damaged(path, f"the shape of {name} makes no sense")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_is_size, offsets)):
        raise _damaged(path, f"the offsets of {name} make no sense")
    start, end = offsets
    if end - start != math.prod(shape) * DTYPE_BITS[dtype] // 8:
        raise _damaged(path, f"the size of {name} does not fit its shape {shape}")
    return TensorInfo(dtype, tuple(shape), start, end)

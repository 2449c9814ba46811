"""Writes safetensors files tensor by tensor, so that never more than one of them is in memory.

The format has its table in front of the data. Room for the table is kept, and filled when the data is there:
blanks at its end belong to the format.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import mlx.core as mx

from deepseek_tui.checkpoints.folder import INDEX, PREDICTION
from deepseek_tui.checkpoints.quantization import quantization_settings

SHARD_BYTES = 5 << 30
"""A weight file holds at most this much, unless one tensor alone is larger."""

PART = ".part"
"""Ending of a file that is being written."""

_CHUNK = 16 << 20
_DTYPES = {
    mx.float32: "F32", mx.float16: "F16", mx.bfloat16: "BF16",
    mx.int64: "I64", mx.int32: "I32", mx.int16: "I16", mx.int8: "I8",
    mx.uint64: "U64", mx.uint32: "U32", mx.uint16: "U16", mx.uint8: "U8", mx.bool_: "BOOL",
}  # fmt: skip
_ENTRY_BYTES = 160
"""More than an entry of the table takes beside its name: type, shape and two offsets."""


@dataclass(frozen=True)
class Written:
    """A tensor in a file: `start` and `end` in bytes from the beginning of the data."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


class _File:
    """One safetensors file that grows."""

    def __init__(self, path: Path, names: Iterable[str]) -> None:
        self.path = path
        room = sum(len(json.dumps(name)) + _ENTRY_BYTES for name in names) + 64
        self.room = -(-room // 8) * 8
        self.entries: dict[str, Written] = {}
        self.size = 0
        self._file: BinaryIO = path.open("wb")
        self._file.seek(8 + self.room)

    def add(self, name: str, array: Any, on_bytes: Callable[[int], None] | None) -> None:
        # Seen as bytes, so that types which Python's buffers do not know (bfloat16) need no exception.
        flat: Any = mx.contiguous(array).reshape(-1).view(mx.uint8)
        mx.eval(flat)
        data = memoryview(flat)
        for start in range(0, len(data), _CHUNK):
            written = self._file.write(data[start : start + _CHUNK])
            if on_bytes is not None:
                on_bytes(written)
        end = self.size + len(data)
        self.entries[name] = Written(_DTYPES[array.dtype], tuple(array.shape), self.size, end)
        self.size = end

    def finish(self) -> None:
        table: dict[str, Any] = {"__metadata__": {"format": "mlx"}}
        for name, entry in sorted(self.entries.items()):
            table[name] = {
                "data_offsets": [entry.start, entry.end],
                "dtype": entry.dtype,
                "shape": entry.shape,
            }
        head = json.dumps(table, separators=(",", ":")).encode()
        self._file.seek(0)
        self._file.write(self.room.to_bytes(8, "little") + head.ljust(self.room))
        self._file.flush()
        os.fsync(self._file.fileno())
        self.close()

    def close(self) -> None:
        self._file.close()


class WeightWriter:
    """The weight files of a model directory, in shards as mlx-lm makes them, and their index.

    `names`: all tensors that will come, in any order; those in `prediction` go to mtp.safetensors, which
    other readers leave alone and the index does not list. Files carry the ending .part until `finish`.
    """

    def __init__(
        self,
        folder: Path,
        names: Iterable[str],
        prediction: Callable[[str], bool],
        *,
        shard_bytes: int = SHARD_BYTES,
        on_bytes: Callable[[int], None] | None = None,
    ) -> None:
        self.folder, self.shard_bytes, self.on_bytes = folder, shard_bytes, on_bytes
        names = list(names)
        self.is_prediction = prediction
        self._ahead = [name for name in names if prediction(name)]
        self._left = dict.fromkeys(name for name in names if not prediction(name))
        self._shards: list[_File] = []
        self._extra: _File | None = None

    def add(self, name: str, array: Any) -> None:
        """Evaluates and writes one tensor. Raises OSError as files do, KeyError for one never announced."""
        if self.is_prediction(name):
            if self._extra is None:
                self._extra = _File(self.folder / (PREDICTION + PART), self._ahead)
            self._extra.add(name, array, self.on_bytes)
            return
        last = self._shards[-1] if self._shards else None
        if last is None or (last.entries and last.size + array.nbytes > self.shard_bytes):
            if last is not None:
                last.finish()
            last = _File(self.folder / f"{len(self._shards) + 1}{PART}", self._left)
            self._shards.append(last)
        del self._left[name]
        last.add(name, array, self.on_bytes)

    def finish(self, config: dict[str, Any]) -> None:
        """Closes the files, gives them their names and writes the index; `config` counts the parameters."""
        weight_map: dict[str, str] = {}
        entries: dict[str, Written] = {}
        if self._shards:
            self._shards[-1].finish()
        for number, shard in enumerate(self._shards, 1):
            name = "model.safetensors"
            if len(self._shards) > 1:
                name = f"model-{number:05d}-of-{len(self._shards):05d}.safetensors"
            shard.path.rename(self.folder / name)
            weight_map.update(dict.fromkeys(shard.entries, name))
            entries.update(shard.entries)
        if self._extra is not None:
            self._extra.finish()
            self._extra.path.rename(self.folder / PREDICTION)
        metadata = {
            "total_size": sum(shard.size for shard in self._shards),
            "total_parameters": count_parameters(entries, config),
        }
        write_json(
            self.folder / INDEX, {"metadata": metadata, "weight_map": dict(sorted(weight_map.items()))}
        )

    def close(self) -> None:
        """Lets go of the files, finished or not."""
        for file in (*self._shards, self._extra):
            if file is not None:
                file.close()


def count_parameters(weights: dict[str, Written], config: dict[str, Any]) -> int:
    """Numbers in the model, a packed one counted once and its scales not at all."""
    settings = quantization_settings(config)
    total = 0
    for name, tensor in weights.items():
        path, _, part = name.rpartition(".")
        packed = f"{path}.scales" in weights
        if packed and part == "weight":
            own = settings.get(path)
            bits = own.get("bits") if isinstance(own, dict) else None
            total += tensor.size * 32 // int(bits or settings.get("bits") or 4)
        elif not packed or part == "bias":
            total += tensor.size
    return total


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes `content` to the disk itself, indented as mlx-lm does."""
    with path.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=4)
        file.flush()
        os.fsync(file.fileno())

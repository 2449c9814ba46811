"""The head of a GGUF file: its metadata and its table of tensors, read in bounded time and memory.

Format: the GGUF specification, versions 2 and 3, little-endian. A file comes from strangers, so that
every count, length and offset is checked against the size of the file before anything is allocated.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from deepseek_tui.checkpoints.errors import CheckpointError

# A value of the metadata: numbers in arrays stay packed (numpy), to cost what they cost in the file.
Value: TypeAlias = "str | int | float | bool | np.ndarray[Any, Any] | list[Any]"

MAGIC = b"GGUF"
# Far above any real file (a 256,000-entry vocabulary with its merges takes about 15 MB).
MAX_HEADER_BYTES = 256 << 20
MAX_KEYS = 1 << 16
MAX_TENSORS = 1 << 17
MAX_STRINGS = 1 << 21
MAX_NAME_BYTES = 1 << 16
MAX_ARRAY_DEPTH = 3
MAX_DIMENSIONS = 4
MAX_ALIGNMENT = 1 << 20
MAX_PARTS = 1000

SPLIT = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
"""How the name of a part of a model ends: which of how many."""

STRING, ARRAY = 8, 9
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


@dataclass(frozen=True)
class BlockType:
    """How a tensor type lies in a file: `bytes` bytes hold `values` values."""

    name: str
    values: int
    bytes: int


BLOCK_TYPES: dict[int, BlockType] = {
    number: BlockType(name, values, size)
    for number, name, values, size in [
        (0, "F32", 1, 4), (1, "F16", 1, 2), (2, "Q4_0", 32, 18), (3, "Q4_1", 32, 20), (6, "Q5_0", 32, 22),
        (7, "Q5_1", 32, 24), (8, "Q8_0", 32, 34), (9, "Q8_1", 32, 40), (10, "Q2_K", 256, 84),
        (11, "Q3_K", 256, 110), (12, "Q4_K", 256, 144), (13, "Q5_K", 256, 176), (14, "Q6_K", 256, 210),
        (15, "Q8_K", 256, 292), (16, "IQ2_XXS", 256, 66), (17, "IQ2_XS", 256, 74), (18, "IQ3_XXS", 256, 98),
        (19, "IQ1_S", 256, 50), (20, "IQ4_NL", 32, 18), (21, "IQ3_S", 256, 110), (22, "IQ2_S", 256, 82),
        (23, "IQ4_XS", 256, 136), (24, "I8", 1, 1), (25, "I16", 1, 2), (26, "I32", 1, 4), (27, "I64", 1, 8),
        (28, "F64", 1, 8), (29, "IQ1_M", 256, 56), (30, "BF16", 1, 2), (34, "TQ1_0", 256, 54),
        (35, "TQ2_0", 256, 66), (39, "MXFP4", 32, 17),
    ]
}  # fmt: skip


@dataclass(frozen=True)
class TensorInfo:
    """One row of the table. `shape`: outermost dimension first; `offset`: from the start of the file."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int
    nbytes: int

    @property
    def type_name(self) -> str:
        """The name of the tensor's type, such as "Q4_0"."""
        return BLOCK_TYPES[self.kind].name


class GGUFFile:
    """An open GGUF file: `metadata` and `tensors` are read, the weights wait in the memory map.

    A model split over several files is opened by any of them; the others lie beside it.
    Raises CheckpointError when a file cannot be opened or is not a sound GGUF file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._maps: dict[str, mmap.mmap] = {}
        self.version = 0
        self.metadata: dict[str, Value] = {}
        self.tensors: dict[str, TensorInfo] = {}
        parts = _parts(self.path)
        for part in parts:
            data = _mapped(part)
            head = _Head(data, part)
            if len(parts) > 1 and head.metadata.get("split.count") != len(parts):
                raise CheckpointError(f"{part} does not say that it is one of {len(parts)} files.")
            if twice := self.tensors.keys() & head.tensors.keys():
                raise CheckpointError(f"The tensor {min(twice)[:80]!r} is in two files of {self.path}.")
            # The first file carries the metadata, the others only their number.
            self.metadata = head.metadata | self.metadata
            self.version = self.version or head.version
            self.tensors.update(head.tensors)
            self._maps.update(dict.fromkeys(head.tensors, data))
        count = self.metadata.get("split.count", 1)
        if isinstance(count, int) and count > 1 and len(parts) == 1:
            raise CheckpointError(
                f"{self.path} is one of {count} files, which its name does not tell.",
                f"Name them NAME-00001-of-{count:05d}.gguf and so on.",
            )

    def raw(self, name: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """The bytes of a tensor as a read-only view of the file, shape [rows, bytes per row]."""
        info = self.tensors[name]
        flat = np.frombuffer(self._maps[name], np.uint8, info.nbytes, info.offset)
        rows = 1
        for extent in info.shape[:-1]:
            rows *= extent
        return flat.reshape(rows, -1)


def gguf_in(folder: Path) -> Path | None:
    """The GGUF file of a folder that holds one (the first, where a model is split over several)."""
    files = sorted(folder.glob("*.gguf"))
    models = {SPLIT.sub("", file.name): file for file in reversed(files)}
    return next(iter(models.values())) if len(models) == 1 else None


def _parts(path: Path) -> list[Path]:
    match = SPLIT.search(path.name)
    if match is None or not 0 < int(match[2]) <= MAX_PARTS:
        return [path]
    parts = [
        path.with_name(f"{path.name[: match.start()]}-{n:05d}-of-{match[2]}.gguf")
        for n in range(1, int(match[2]) + 1)
    ]
    if missing := [part.name for part in parts if not part.is_file()]:
        raise CheckpointError(
            f"{path.parent} lacks {missing[0]}, a part of the model.", "Get all parts of it."
        )
    return parts


def _mapped(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size < 24:
                raise CheckpointError(f"{path} is not a GGUF file: it has only {size} bytes.")
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from None


class _Head:
    """The reading position in the head of a file, and what was read so far."""

    def __init__(self, data: mmap.mmap, path: Path) -> None:
        self.data, self.path, self.at = data, path, 0
        self.end = min(len(data), MAX_HEADER_BYTES)
        self.strings = 0
        self.version = self._version()
        tensor_count, key_count = self._scalar("Q"), self._scalar("Q")
        # The least bytes that one entry takes: 13 a key, 25 a tensor.
        if key_count > min(MAX_KEYS, self.end // 13) or tensor_count > min(MAX_TENSORS, self.end // 25):
            raise self._broken(f"it claims {key_count} metadata entries and {tensor_count} tensors")
        self.metadata = dict(self._entries(key_count))
        self.tensors = self._table(tensor_count)

    def _broken(self, what: str) -> CheckpointError:
        hint = "The file is damaged or not whole: get it again."
        return CheckpointError(f"{self.path} is not a sound GGUF file: {what}.", hint)

    def _version(self) -> int:
        if self._take(4) != MAGIC:
            raise CheckpointError(f"{self.path} is not a GGUF file: it does not begin with GGUF.")
        version = self._scalar("I")
        if version in (2, 3):
            return int(version)
        if version & 0xFFFF == 0:
            raise CheckpointError(
                f"{self.path} is a big-endian GGUF file, which is not supported.",
                "Get the little-endian one.",
            )
        raise CheckpointError(
            f"{self.path} is GGUF version {version}; versions 2 and 3 are supported.",
            "Get a newer file of the model.",
        )

    def _take(self, count: int) -> bytes:
        if count > self.end - self.at:
            raise self._broken(f"its head ends in the middle of an entry, at byte {self.at}")
        self.at += count
        return self.data[self.at - count : self.at]

    def _scalar(self, code: str) -> Any:
        return struct.unpack("<" + code, self._take(struct.calcsize("<" + code)))[0]

    def _text(self, limit: int) -> str:
        length = self._scalar("Q")
        if length > limit:
            raise self._broken(f"a text at byte {self.at - 8} claims {length} bytes")
        return self._take(length).decode("utf-8", errors="replace")

    def _entries(self, count: int) -> Iterator[tuple[str, Value]]:
        seen: set[str] = set()
        for _ in range(count):
            key = self._text(MAX_NAME_BYTES)
            if key in seen:
                raise self._broken(f"the metadata key {key[:80]!r} occurs twice")
            seen.add(key)
            yield key, self._value(self._scalar("I"), key, 0)

    def _value(self, kind: int, key: str, depth: int) -> Value:
        if kind in SCALARS:
            value: Value = self._scalar(SCALARS[kind])
            return value
        if kind == STRING:
            return self._text(self.end)
        if kind != ARRAY:
            raise self._broken(f"the metadata key {key[:80]!r} has the unknown type {kind}")
        return self._array(key, depth + 1)

    def _array(self, key: str, depth: int) -> Value:
        if depth > MAX_ARRAY_DEPTH:
            raise self._broken(f"the arrays of the metadata key {key[:80]!r} are nested too deep")
        kind, count = self._scalar("I"), self._scalar("Q")
        if kind in SCALARS:
            dtype = np.dtype(SCALARS[kind]).newbyteorder("<")
            # The count is compared before it is multiplied out into a request for memory.
            if count > (self.end - self.at) // dtype.itemsize:
                raise self._broken(f"the metadata key {key[:80]!r} claims {count} values")
            return np.frombuffer(self._take(count * dtype.itemsize), dtype)
        if kind not in (STRING, ARRAY):
            raise self._broken(f"the metadata key {key[:80]!r} is an array of the unknown type {kind}")
        self.strings += count
        if count > (self.end - self.at) // 8 or self.strings > MAX_STRINGS:
            raise self._broken(f"the metadata key {key[:80]!r} claims {count} values")
        if kind == STRING:
            return self._texts(count)
        return [self._array(key, depth + 1) for _ in range(count)]

    def _texts(self, count: int) -> list[Any]:
        """`count` texts in a row: vocabularies have hundreds of thousands, so this loop is tight."""
        data, at, end = self.data, self.at, self.end
        length_at = struct.Struct("<Q").unpack_from
        texts = []
        for _ in range(count):
            stop = at + 8 + length_at(data, at)[0] if at + 8 <= end else end + 1
            if stop > end:
                raise self._broken(f"a text at byte {at} reaches past its head")
            texts.append(data[at + 8 : stop].decode("utf-8", errors="replace"))
            at = stop
        self.at = at
        return texts

    def _table(self, count: int) -> dict[str, TensorInfo]:
        rows = [self._row() for _ in range(count)]
        alignment = self.metadata.get("general.alignment", 32)
        if (
            not isinstance(alignment, int)
            or not 0 < alignment <= MAX_ALIGNMENT
            or alignment & (alignment - 1)
        ):
            raise self._broken(f"its alignment is {str(alignment)[:40]}, not a power of two")
        start = -(-self.at // alignment) * alignment
        tensors: dict[str, TensorInfo] = {}
        end, before = start, ""
        for row in sorted(rows, key=lambda row: row.offset):
            info = TensorInfo(row.name, row.shape, row.kind, row.offset + start, row.nbytes)
            if row.offset % alignment:
                raise self._broken(
                    f"the tensor {row.name[:80]!r} does not begin at a multiple of {alignment} bytes"
                )
            if info.offset < end:
                raise self._broken(f"the tensors {before[:80]!r} and {row.name[:80]!r} overlap")
            end, before = info.offset + info.nbytes, row.name
            if end > len(self.data):
                raise self._broken(f"the tensor {row.name[:80]!r} reaches past the end of the file")
            if row.name in tensors:
                raise self._broken(f"the tensor {row.name[:80]!r} occurs twice")
            tensors[row.name] = info
        return {row.name: tensors[row.name] for row in rows}

    def _row(self) -> TensorInfo:
        name = self._text(MAX_NAME_BYTES)
        dimensions = self._scalar("I")
        if not 1 <= dimensions <= MAX_DIMENSIONS:
            raise self._broken(f"the tensor {name[:80]!r} claims {dimensions} dimensions")
        shape = struct.unpack(f"<{dimensions}Q", self._take(8 * dimensions))
        kind, offset = self._scalar("I"), self._scalar("Q")
        if kind not in BLOCK_TYPES:
            raise CheckpointError(
                f"The tensor {name[:80]!r} of {self.path} has the type {kind}, which is not known.",
                "Get the model in another quantization, such as Q4_0, Q4_K_M or Q8_0.",
            )
        block, values = BLOCK_TYPES[kind], 1
        for extent in shape:
            values *= extent
        if values == 0 or values // block.values * block.bytes > len(self.data) or shape[0] % block.values:
            raise self._broken(f"the tensor {name[:80]!r} claims the shape {list(shape)} in {block.name}")
        return TensorInfo(name, shape[::-1], kind, offset, values // block.values * block.bytes)

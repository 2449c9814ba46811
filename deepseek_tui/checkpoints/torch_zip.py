"""The zip container of PyTorch files, read in place.

torch.save writes its entries uncompressed, so a tensor is a range of the file: nothing is ever inflated, no
entry can be larger than its file, and no two may share bytes.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from deepseek_tui.checkpoints.errors import CheckpointError

MAX_ENTRIES = 200_000
MAX_DIRECTORY = 64 << 20

_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF


@dataclass(frozen=True)
class Entry:
    """Where an entry's bytes lie in the file, and their checksum."""

    name: str
    start: int
    size: int
    crc: int
    is_plain: bool
    """Neither compressed nor encrypted; only such entries are read."""


class TorchZip:
    """The entries of a zip file by name, and their bytes without a copy.

    Raises `CheckpointError` for anything that torch.save would not have written: overlapping entries, names
    that leave the archive, directories that do not fit the file, and for reading a compressed entry.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[str, Entry] = {}
        self._checked: set[str] = set()
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is empty"
            raise CheckpointError(f"{path} cannot be read: {why}.") from error
        try:
            self._read_directory()
        except BaseException:
            self._map.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the file; arrays made from `view` must not outlive this."""
        self._map.close()

    @property
    def size(self) -> int:
        """Length of the file in bytes."""
        return len(self._map)

    def view(self, entry: Entry) -> memoryview:
        """The bytes of an entry in place, checked against its checksum the first time; release it soon."""
        if not entry.is_plain:
            raise CheckpointError(
                f"{self.path} holds {entry.name} compressed or encrypted, which torch.save never does.",
                "Save the checkpoint again with torch.save.",
            )
        part = memoryview(self._map)[entry.start : entry.start + entry.size]
        if entry.name not in self._checked:
            if zlib.crc32(part) != entry.crc:
                part.release()
                raise CheckpointError(
                    f"{self.path} is damaged: the checksum of its entry {entry.name} does not match.",
                    "Copy or download the file again.",
                )
            self._checked.add(entry.name)
        return part

    def read(self, entry: Entry) -> bytes:
        """A copy of the bytes of an entry."""
        with self.view(entry) as part:
            return bytes(part)

    def _damaged(self, what: str) -> CheckpointError:
        return CheckpointError(
            f"{self.path} is no whole PyTorch file: {what}.", "Copy or download the file again."
        )

    def _unpack(self, layout: struct.Struct, at: int, signature: bytes) -> tuple[int, ...]:
        if at < 0 or at + layout.size > self.size:
            raise self._damaged("its directory points outside of it")
        found, *fields = layout.unpack_from(self._map, at)
        if found != signature:
            raise self._damaged("its directory is broken")
        return tuple(fields)

    def _read_directory(self) -> None:
        end = self._map.rfind(b"PK\x05\x06", max(0, self.size - _END.size - _FULL16))
        if end < 0:
            raise self._damaged("it has no directory at its end")
        _, _, _, count, length, start, _ = self._unpack(_END, end, b"PK\x05\x06")
        if count == _FULL16 or length == _FULL32 or start == _FULL32:
            _, end64, _ = self._unpack(_END64_LOCATOR, end - _END64_LOCATOR.size, b"PK\x06\x07")
            *_, count, length, start = self._unpack(_END64, end64, b"PK\x06\x06")
        if count > MAX_ENTRIES or length > MAX_DIRECTORY:
            raise self._damaged(f"its directory claims {count:,} entries in {length:,} bytes")
        if start + length > end:
            raise self._damaged("its directory points outside of it")
        at = start
        for _ in range(count):
            at = self._read_entry(at, start)
        self._refuse_overlaps()

    def _read_entry(self, at: int, limit: int) -> int:
        fields = self._unpack(_CENTRAL, at, b"PK\x01\x02")
        _, _, flags, method, _, _, crc, packed, size, name_size, extra_size, note_size = fields[:12]
        header = fields[-1]
        at += _CENTRAL.size
        raw = self._map[at : at + name_size]
        extra = self._map[at + name_size : at + name_size + extra_size]
        if size == _FULL32 or packed == _FULL32 or header == _FULL32:
            size, packed, header = self._wide_sizes(extra, size, packed, header)
        name = self._entry_name(raw)
        if name in self.entries:
            raise self._damaged(f"it holds {name} twice")
        *_, local_name_size, local_extra_size = self._unpack(_LOCAL, header, b"PK\x03\x04")
        body = header + _LOCAL.size
        start = body + local_name_size + local_extra_size
        if self._map[body : body + local_name_size] != raw or start + packed > limit:
            raise self._damaged(f"its directory and its entry {name} disagree")
        self.entries[name] = Entry(name, start, packed, crc, method == 0 and packed == size and not flags & 1)
        return at + name_size + extra_size + note_size

    def _wide_sizes(self, extra: bytes, size: int, packed: int, header: int) -> tuple[int, int, int]:
        """Sizes over 4 GiB stand in an extra field, those that overflowed only, in this order."""
        at = 0
        while at + 4 <= len(extra):
            kind, length = struct.unpack_from("<2H", extra, at)
            if kind == 1:
                numbers = [
                    int.from_bytes(extra[i : i + 8], "little") for i in range(at + 4, at + 4 + length, 8)
                ]
                wide = [
                    numbers.pop(0) if value == _FULL32 and numbers else value
                    for value in (size, packed, header)
                ]
                return wide[0], wide[1], wide[2]
            at += 4 + length
        return size, packed, header

    def _entry_name(self, raw: bytes) -> str:
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise self._damaged("an entry's name is not text") from None
        if not name.isprintable() or "\\" in name or name.startswith("/") or ".." in name.split("/"):
            raise CheckpointError(
                f"{self.path} holds an entry named {name[:80]!a}, which torch.save never writes."
            )
        return name

    def _refuse_overlaps(self) -> None:
        reached = 0
        for entry in sorted(self.entries.values(), key=lambda entry: (entry.start, entry.size)):
            if entry.start < reached:
                raise self._damaged(f"its entry {entry.name} shares bytes with another")
            reached = entry.start + entry.size

"""SHA256SUMS beside a model: which of its files are not as they were published."""

from __future__ import annotations

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deepseek_tui.checkpoints.errors import CheckpointError

NAME = "SHA256SUMS"
_CHUNK = 1 << 20
_MAX_LIST = 1 << 20
_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")


def read_sums(folder: Path) -> dict[str, str]:
    """File name -> SHA-256 in hexadecimal, from `folder`/SHA256SUMS; empty where there is no such file.

    Raises `CheckpointError` for a list that cannot be read or names files outside the folder.
    """
    path = folder / NAME
    if not path.is_file():
        return {}
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_LIST + 1).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read.", "Fetch the model again.") from error
    if len(text) > _MAX_LIST:
        raise CheckpointError(f"{path} is no list of checksums: it is longer than {_MAX_LIST:,} bytes.")
    sums: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.rstrip())
        if match is None:
            raise CheckpointError(f"{path} has a line that is no checksum: {line[:60]!r}.")
        name = match[2].removeprefix("./")
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise CheckpointError(f"{path} names a file outside its folder: {name[:100]!r}.")
        sums[name] = match[1].lower()
    return sums


def sha256(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal, read in pieces of 1 MiB."""
    digest = hashlib.sha256()
    buffer = bytearray(_CHUNK)
    view = memoryview(buffer)
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(view[:count])
    return digest.hexdigest()


def check_sums(folder: Path) -> None:
    """Compares every file that SHA256SUMS lists, two at a time.

    Raises `CheckpointError` naming the files that are damaged or missing. Does nothing without a list.
    """
    sums = read_sums(folder)
    missing = [name for name in sums if not (folder / name).is_file()]
    if missing:
        raise CheckpointError(
            f"{', '.join(missing)} should be in {folder} and is not there ({NAME} lists it).",
            "Fetch or copy the model again.",
        )
    try:
        with ThreadPoolExecutor(2) as pool:
            found = pool.map(lambda name: sha256(folder / name), sums)
            damaged = [name for name, now in zip(sums, found, strict=True) if now != sums[name]]
    except OSError as error:
        raise CheckpointError(f"{error.filename} cannot be read: {error.strerror}.") from error
    if damaged:
        raise CheckpointError(
            f"{', '.join(damaged)} in {folder} is damaged: its checksum is not the one in {NAME}.",
            "Fetch or copy the model again.",
        )

"""Prepared data: rows of equal length in memory-mapped files, read in an order that a seed decides.

A folder holds tokens.bin (uint16, or uint32 for large vocabularies), weights.bin (float16: the weight of
predicting that token), segments.bin where rows hold several documents (uint16: 1, 2, ... by document,
0 for padding), and rows.json, written last.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from deepseek_tui.training.errors import TrainingError

INDEX = "rows.json"
_VERSION = 1


@dataclass(frozen=True)
class RowsInfo:
    """What rows.json says. `tokenizer`: SHA-256 of the tokenizer.json that made the ids."""

    rows: int
    length: int
    vocab_size: int
    dtype: str
    segments: bool
    tokenizer: str
    tokens: int
    """Tokens that are no padding."""
    documents: int
    weight: float
    """Sum of all weights."""
    version: int = _VERSION


def fingerprint(path: Path) -> str:
    """SHA-256 of a tokenizer.json."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


class RowsWriter:
    """Writes rows to a folder as they come; `close` makes them a data set. A context manager."""

    def __init__(self, folder: Path, length: int, vocab_size: int, tokenizer: str, segments: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / INDEX).unlink(missing_ok=True)
        self._folder, self._length, self._tokenizer = folder, length, tokenizer
        self._vocabulary = vocab_size
        self._dtype = np.dtype(np.uint16 if vocab_size <= 1 << 16 else np.uint32)
        names = ("tokens", "weights", *(("segments",) if segments else ()))
        self._files: dict[str, IO[bytes]] = {name: (folder / f"{name}.bin").open("wb") for name in names}
        self._rows = self._tokens = self._documents = 0
        self._weight = 0.0

    def add(
        self, tokens: np.ndarray, weights: np.ndarray, segments: np.ndarray | None, documents: int = 1
    ) -> None:
        """Rows [n, length] (or one [length]). `segments` None means one document a row, without padding."""
        count = tokens.size // self._length
        if tokens.size != count * self._length or tokens.shape != weights.shape:
            raise ValueError(f"rows of {self._length} tokens were to come, not an array of {tokens.shape}")
        self._files["tokens"].write(tokens.astype(self._dtype).tobytes())
        self._files["weights"].write(weights.astype(np.float16).tobytes())
        if segments is not None:
            self._files["segments"].write(segments.astype(np.uint16).tobytes())
        self._rows += count
        self._tokens += int(tokens.size if segments is None else (segments > 0).sum())
        self._weight += float(weights.sum(dtype=np.float64))
        self._documents += documents

    def close(self) -> RowsInfo:
        """Finishes the files and writes rows.json."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
            file.close()
        info = RowsInfo(
            rows=self._rows,
            length=self._length,
            vocab_size=self._vocabulary,
            dtype=self._dtype.name,
            segments="segments" in self._files,
            tokenizer=self._tokenizer,
            tokens=self._tokens,
            documents=self._documents,
            weight=self._weight,
        )
        write_json(self._folder / INDEX, asdict(info))
        return info


@dataclass
class Batch:
    """Rows as arrays [n, length]: int32 ids, float32 weights of predicting them, documents (or None)."""

    tokens: np.ndarray
    weights: np.ndarray
    segments: np.ndarray | None


class Rows:
    """A prepared data set, memory-mapped. Raises TrainingError for a folder that holds none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.info = _read_info(folder)
        shape = (self.info.rows, self.info.length)
        self._tokens = self._map("tokens", np.dtype(self.info.dtype), shape)
        self._weights = self._map("weights", np.dtype(np.float16), shape)
        self._segments = self._map("segments", np.dtype(np.uint16), shape) if self.info.segments else None

    def _map(self, name: str, dtype: np.dtype[Any], shape: tuple[int, int]) -> np.ndarray:
        path = self.folder / f"{name}.bin"
        if not path.is_file() or path.stat().st_size != dtype.itemsize * shape[0] * shape[1]:
            raise TrainingError(f"{path} is missing or not as long as rows.json says.", "Prepare it again.")
        return np.memmap(path, dtype, "r", shape=shape)

    def __len__(self) -> int:
        return self.info.rows

    def take(self, rows: np.ndarray) -> Batch:
        """The rows of these numbers."""
        segments = None if self._segments is None else self._segments[rows].astype(np.int32)
        return Batch(self._tokens[rows].astype(np.int32), self._weights[rows].astype(np.float32), segments)


class Order:
    """Which rows come when: every epoch a permutation of its own, all decided by `seed`.

    Stateless: `rows(start, count)` are the rows at positions start.. of the endless sequence, so a position
    is all that a checkpoint has to keep. The first `held_out` of one more permutation are never given.
    """

    def __init__(self, total: int, seed: int, held_out: int = 0) -> None:
        if total - held_out < 1:
            raise TrainingError(
                f"{held_out} of {total} rows held out leave none to train on.", "Prepare more, hold out less."
            )
        mixed = np.random.Generator(np.random.PCG64([seed, 0])).permutation(total)
        self.held_out = np.sort(mixed[:held_out])
        self._kept = np.sort(mixed[held_out:])
        self._seed = seed
        self._epoch = -1
        self._current = self._kept

    @property
    def epoch_length(self) -> int:
        return len(self._kept)

    def rows(self, start: int, count: int) -> np.ndarray:
        found = []
        while count > 0:
            epoch, offset = divmod(start, len(self._kept))
            part = self._epoch_order(epoch)[offset : offset + count]
            found.append(part)
            start, count = start + len(part), count - len(part)
        return np.concatenate(found) if found else np.zeros(0, np.int64)

    def _epoch_order(self, epoch: int) -> np.ndarray:
        if epoch != self._epoch:
            random = np.random.Generator(np.random.PCG64([self._seed, 1, epoch]))
            self._current = random.permutation(self._kept)
            self._epoch = epoch
        return self._current


def _read_info(folder: Path) -> RowsInfo:
    path = folder / INDEX
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        info = RowsInfo(**body)
    except FileNotFoundError as error:
        raise TrainingError(
            f"{folder} holds no prepared rows (no {INDEX}).", "Prepare them first."
        ) from error
    except (OSError, ValueError, TypeError) as error:
        raise TrainingError(f"{path} cannot be read ({error}).", "Prepare the rows again.") from error
    if info.version != _VERSION or info.dtype not in ("uint16", "uint32"):
        raise TrainingError(f"{path} is of a kind that this version does not know.", "Prepare it again.")
    return info


def write_json(path: Path, body: dict[str, Any]) -> None:
    """Writes a JSON file whole or not at all."""
    work = path.with_name(path.name + ".partial")
    with work.open("w", encoding="utf-8") as file:
        json.dump(body, file, indent=2, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    work.replace(path)

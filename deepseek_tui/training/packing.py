"""Documents into rows of equal length, so that no computing goes into padding.

Attention does not cross from one document into another: each row says which token belongs to which. Positions
are not restarted, and need not be: rotary embeddings know only the distance between two tokens.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deepseek_tui.training.encoding import Encoded
from deepseek_tui.training.rows import RowsInfo, RowsWriter

_OPEN_ROWS = 32
"""Rows filled at the same time: each document goes into the fullest one that has room."""


@dataclass(eq=False)
class _Row:
    documents: list[Encoded] = field(default_factory=list)
    used: int = 0


def pack(
    documents: Iterable[Encoded],
    folder: Path,
    *,
    length: int,
    vocab_size: int,
    tokenizer: str,
    pad: int = 0,
    split_long: bool = True,
) -> RowsInfo:
    """Writes `documents` as rows of `length` tokens to `folder`.

    A document longer than a row is cut into rows where `split_long` (plain text), else only its beginning is
    kept (a chat without its beginning teaches nonsense). `tokenizer`: fingerprint, kept in rows.json.
    """
    writer = RowsWriter(folder, length, vocab_size, tokenizer, segments=True)
    rows: list[_Row] = []
    for document in documents:
        for part in _parts(document, length, split_long):
            _place(part, rows, length, writer, pad)
    for row in rows:
        _write(row, length, writer, pad)
    return writer.close()


def _parts(document: Encoded, length: int, split_long: bool) -> list[Encoded]:
    # One token alone predicts nothing.
    if len(document.ids) < 2:
        return []
    end = len(document.ids) if split_long else min(len(document.ids), length)
    cuts = range(0, end, length)
    parts = [Encoded(document.ids[c : c + length], document.weights[c : c + length]) for c in cuts]
    return [part for part in parts if len(part.ids) > 1]


def _place(part: Encoded, rows: list[_Row], length: int, writer: RowsWriter, pad: int) -> None:
    fitting = [row for row in rows if row.used + len(part.ids) <= length]
    row = max(fitting, key=lambda row: row.used, default=None)
    if row is None:
        if len(rows) == _OPEN_ROWS:
            fullest = max(rows, key=lambda row: row.used)
            rows.remove(fullest)
            _write(fullest, length, writer, pad)
        row = _Row()
        rows.append(row)
    row.documents.append(part)
    row.used += len(part.ids)
    if row.used > length - 2:
        rows.remove(row)
        _write(row, length, writer, pad)


def _write(row: _Row, length: int, writer: RowsWriter, pad: int) -> None:
    tokens = np.full(length, pad, np.uint32)
    weights = np.zeros(length, np.float32)
    segments = np.zeros(length, np.uint16)
    start = 0
    for number, document in enumerate(row.documents, 1):
        end = start + len(document.ids)
        tokens[start:end], segments[start:end] = document.ids, number
        weights[start:end] = document.weights
        # Nothing comes before the first token of a document, so nothing predicts it.
        weights[start] = 0
        start = end
    writer.add(tokens, weights, segments, documents=len(row.documents))

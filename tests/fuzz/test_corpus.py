"""The files that coverage-guided fuzzing kept: each loads or is refused in a sentence, in bounded memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from tests.fuzz.targets import READERS, survives

CORPUS = Path(__file__).parent / "corpus"
MOST_BYTES = 64 << 20
"""What reading any of these small files may take. The largest honest use is far below."""


@pytest.mark.parametrize("reader", READERS)
def test_every_kept_file_loads_or_is_refused(reader: str) -> None:
    files = sorted((CORPUS / reader).iterdir())
    assert len(files) > 10
    sentences = set()
    tracemalloc.start()
    try:
        for file in files:
            sentences.add(survives(reader, file.read_bytes()))
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()
    # Both ends of the road are in it: sound files, and many ways of being broken.
    assert "" in sentences
    assert len(sentences) > 5


@pytest.mark.parametrize("reader", READERS)
def test_every_beginning_of_a_kept_file_loads_or_is_refused(reader: str) -> None:
    for file in sorted((CORPUS / reader).iterdir())[::8]:
        data = file.read_bytes()
        for length in range(0, len(data), max(1, len(data) // 20)):
            survives(reader, data[:length])

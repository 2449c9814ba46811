"""Damaged and hostile GGUF files: refused in a sentence, in bounded time and memory."""

from __future__ import annotations

import contextlib
import struct
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.gguf_names import layout
from deepseek_tui.checkpoints.gguf_quants import read_weights
from deepseek_tui.checkpoints.gguf_reader import GGUFFile
from deepseek_tui.checkpoints.gguf_tokenizer import tokenizer_files_of
from tests.checkpoints import gguf_files as made

METADATA: dict[str, Any] = {
    "general.architecture": "llama",
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.tokens": ["a", "b", "ab", "<s>"],
    "tokenizer.ggml.token_type": np.array([1, 1, 1, 3], np.int32),
    "tokenizer.ggml.merges": ["a b"],
    "tokenizer.ggml.bos_token_id": 3,
}
TENSORS: made.Tensors = {
    "token_embd.weight": made.quantized(np.ones((4, 32), np.float32), made.Q8_0),
    "output_norm.weight": made.plain(np.ones(32)),
}
GOOD = made.gguf_bytes(METADATA, TENSORS)
HEAD = len(GOOD) - 32 * 4 - 160


def opened(raw: bytes) -> GGUFFile:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.gguf"
        path.write_bytes(raw)
        return GGUFFile(path)


def test_a_sound_file_is_read() -> None:
    file = opened(GOOD)
    assert file.version == 3
    assert file.metadata["tokenizer.ggml.tokens"] == ["a", "b", "ab", "<s>"]
    assert file.tensors["token_embd.weight"].shape == (4, 32)
    assert file.tensors["token_embd.weight"].type_name == "Q8_0"
    assert opened(made.gguf_bytes(METADATA | {"general.alignment": 256}, TENSORS, alignment=256)).tensors


def string_array(count: int) -> bytes:
    return made.text("k") + struct.pack("<IIQ", 9, 8, count)


def head(keys: int = 1, tensors: int = 0, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys)


NESTED = made.text("k") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 2000 + struct.pack("<IQ", 0, 0)


def row(name: str, shape: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
    raw = made.text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return raw + struct.pack("<IQ", kind, offset)


PAD = bytes(4096)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "only 0 bytes"),
        (b"PK\3\4" + PAD, "does not begin with GGUF"),
        (head(version=1) + PAD, "version 1"),
        (head(version=0x03000000) + PAD, "big-endian"),
        (head(keys=1 << 60) + PAD, "claims"),
        (head(keys=0, tensors=1 << 63) + PAD, "claims"),
        (head() + struct.pack("<Q", 1 << 62) + PAD, "a text .* claims"),
        (head() + string_array(1 << 61) + PAD, "claims"),
        (head() + made.text("k") + struct.pack("<IIQ", 9, 10, 1 << 61) + PAD, "claims"),
        (head() + NESTED + PAD, "nested too deep"),
        (head() + made.text("k") + struct.pack("<I", 77) + PAD, "unknown type 77"),
        (head(2) + (made.text("k") + made.typed(1)) * 2 + PAD, "occurs twice"),
        (made.gguf_bytes({"general.alignment": 24}, TENSORS), "alignment"),
        (made.gguf_bytes({"general.alignment": "x"}, TENSORS), "alignment"),
        (head(0, 1) + row("w", (1 << 40, 1 << 40)) + PAD, "claims the shape"),
        (head(0, 1) + row("w", (0, 4)) + PAD, "claims the shape"),
        (head(0, 1) + row("w", (33,), made.Q8_0) + PAD, "claims the shape"),
        (head(0, 1) + row("w", (1, 1, 1, 1, 1)) + PAD, "5 dimensions"),
        (head(0, 1) + row("w", (4,), 5) + PAD, "type 5"),
        (head(0, 1) + row("w", (4,), offset=8192) + PAD, "past the end"),
        (head(0, 1) + row("w", (4,), offset=(1 << 64) - 32) + PAD, "past the end"),
        (head(0, 1) + row("w", (4,), offset=7) + PAD, "multiple of 32"),
        (head(0, 2) + row("v", (16,)) + row("w", (16,), offset=32) + PAD, "'v' and 'w' overlap"),
        (head(0, 2) + row("w", (8,)) + row("w", (8,), offset=32) + PAD, "occurs twice"),
        (GOOD[: HEAD - 40], "ends in the middle"),
        (GOOD[:-8], "past the end"),
    ],
)
def test_what_is_wrong_is_said(raw: bytes, said: str) -> None:
    with pytest.raises(CheckpointError, match=said) as refused:
        opened(raw)
    assert "\n" not in str(refused.value)


def test_claims_cost_no_memory() -> None:
    """Millions of empty texts fit a small file; they are refused before they are made."""
    raw = head() + string_array(3_000_000) + bytes(24_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match="claims 3000000"):
            opened(raw)
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()


def use(raw: bytes) -> None:
    """Everything that is done with a file before a model is built."""
    file = opened(raw)
    for action in (layout, tokenizer_files_of):
        with contextlib.suppress(CheckpointError):
            action(file)
    for name in file.tensors:
        with contextlib.suppress(CheckpointError):
            read_weights(file, name)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_changed_bytes_are_read_or_refused(changes: list[tuple[int, int]]) -> None:
    raw = bytearray(GOOD)
    for place, value in changes:
        raw[place] = value
    with contextlib.suppress(CheckpointError):
        use(bytes(raw))


NUMBERS = st.sampled_from(
    [0, 1, 2, 8, 9, 31, 32, 255, 1 << 20, 1 << 31, (1 << 32) - 1, 1 << 40, (1 << 63) + 1]
)


@settings(max_examples=200, deadline=None)
@given(st.integers(4, HEAD - 8), NUMBERS, st.integers(0, len(GOOD)))
@example(16, 1 << 40, len(GOOD))
def test_wrong_numbers_and_cut_files_are_read_or_refused(place: int, number: int, length: int) -> None:
    raw = bytearray(GOOD)
    raw[place : place + 8] = struct.pack("<Q", number)
    for candidate in (bytes(raw), bytes(raw[:length])):
        with contextlib.suppress(CheckpointError):
            use(candidate)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_after_the_magic_are_read_or_refused(tail: bytes) -> None:
    with contextlib.suppress(CheckpointError):
        use(b"GGUF\3\0\0\0" + tail)

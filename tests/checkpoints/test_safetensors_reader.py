"""Headers of safetensors files, honest and otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.safetensors_reader import read_header


def write(path: Path, header: Any, data: bytes = b"", length: int | None = None) -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(raw) if length is None else length).to_bytes(8, "little") + raw + data)
    return path


def entry(dtype: Any = "F32", shape: Any = (2,), start: Any = 0, end: Any = 8) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def test_what_was_written_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    mx.save_safetensors(
        str(path), {"x": mx.zeros((3, 4)), "y": mx.zeros((5,), mx.bfloat16)}, metadata={"format": "mlx"}
    )
    header = read_header(path)
    assert {name: (info.dtype, info.shape) for name, info in header.items()} == {
        "x": ("F32", (3, 4)),
        "y": ("BF16", (5,)),
    }
    assert sum(info.end - info.start for info in header.values()) == 58


BAD: dict[str, tuple[Any, bytes, int | None, str]] = {
    "a header longer than the file": ({"x": entry()}, bytes(8), 10_000, "its header alone should be"),
    "a header of a gigabyte": ({}, b"", 1 << 30, "its header alone should be"),
    "a header of 2^64": ({}, b"", (1 << 64) - 1, "its header alone should be"),
    "no JSON": (b"{nonsense", b"", None, "not valid JSON"),
    "no UTF-8": (b'{"\xff\xfe": 1}', b"", None, "not valid JSON"),
    "a list": ([], b"", None, "not a table"),
    "nested 100,000 deep": (b"[" * 100_000, b"", None, "not valid JSON"),
    "an entry that is none": ({"x": 5}, b"", None, "the entry of x"),
    "an unknown type": ({"x": entry("F13")}, bytes(8), None, "as F13, which cannot be read"),
    "a type that is no text": ({"x": entry(["F32"])}, bytes(8), None, "cannot be read"),
    "no shape": ({"x": entry(shape=None)}, bytes(8), None, "the shape of x"),
    "a negative size": ({"x": entry(shape=[-2])}, bytes(8), None, "the shape of x"),
    "a size that is true": ({"x": entry(shape=[True, 2])}, bytes(8), None, "the shape of x"),
    "a size of 2^40": ({"x": entry(shape=[1 << 40])}, bytes(8), None, "the shape of x"),
    "too many sizes": ({"x": entry(shape=[1] * 9)}, bytes(8), None, "the shape of x"),
    "one offset": (
        {"x": {"dtype": "F32", "shape": [2], "data_offsets": [0]}},
        bytes(8),
        None,
        "offsets of x",
    ),
    "offsets turned round": ({"x": entry(start=8, end=0)}, bytes(8), None, "does not fit its shape"),
    "more bytes than the shape": ({"x": entry(end=12)}, bytes(12), None, "does not fit its shape"),
    "past the end": ({"x": entry(start=8, end=16)}, bytes(12), None, "cut short"),
    "overlapping": ({"x": entry(), "y": entry(start=4, end=12)}, bytes(12), None, "y and x overlap"),
    "a name twice": (b'{"x": {}, "x": {}}', b"", None, "not valid JSON"),
}


@pytest.mark.parametrize("name", BAD)
def test_each_lie_has_its_sentence(tmp_path: Path, name: str) -> None:
    header, data, length, words = BAD[name]
    path = write(tmp_path / "bad.safetensors", header, data, length)
    with pytest.raises(CheckpointError) as caught:
        read_header(path)
    assert words in str(caught.value)
    assert "bad.safetensors" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_sparse_file_cannot_make_us_read_a_gigabyte(tmp_path: Path) -> None:
    path = write(tmp_path / "big.safetensors", {}, length=1 << 30)
    with path.open("r+b") as file:
        file.truncate(2 << 30)
    with pytest.raises(CheckpointError, match="claims 1,073,741,824 bytes"):
        read_header(path)


@pytest.mark.parametrize("size", [0, 3, 8])
def test_hardly_a_file(tmp_path: Path, size: int) -> None:
    path = tmp_path / "short.safetensors"
    path.write_bytes(b"\x01" * size)
    with pytest.raises(CheckpointError, match="damaged"):
        read_header(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read: No such file"):
        read_header(tmp_path / "none.safetensors")

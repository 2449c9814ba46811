"""What is fuzzed: each reader as one function over bytes. Needs NumPy alone, so that it starts anywhere.

A reader may accept the bytes or raise `CheckpointError` with a sentence fit for a terminal; anything else,
and anything that takes long or much memory, is a finding.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.gguf_reader import GGUFFile
from deepseek_tui.checkpoints.gguf_tokenizer import tokenizer_files_of
from deepseek_tui.checkpoints.safetensors_reader import read_header
from deepseek_tui.checkpoints.torch_pickle import TorchCheckpoint


def _read_pt(path: Path) -> None:
    with TorchCheckpoint(path) as checkpoint:
        for tensor in checkpoint.tensors.values():
            checkpoint.read(tensor)


def _read_gguf(path: Path) -> None:
    file = GGUFFile(path)
    for name in file.tensors:
        file.raw(name)
    tokenizer_files_of(file)


def _read_safetensors(path: Path) -> None:
    read_header(path)


READERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "pt": (".pt", _read_pt),
    "gguf": (".gguf", _read_gguf),
    "safetensors": (".safetensors", _read_safetensors),
}
"""Reader -> ending of its files, and the function that reads one whole."""


def survives(reader: str, data: bytes) -> str:
    """Reads `data` as a file of that kind; returns the sentence that refused it, "" if it was accepted."""
    ending, read = READERS[reader]
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        path = Path(folder) / f"model{ending}"
        path.write_bytes(data)
        refusal = ""
        try:
            read(path)
        except CheckpointError as error:
            refusal = str(error)
    assert not refusal or refusal.isprintable(), refusal
    return refusal.replace(str(path), "FILE")

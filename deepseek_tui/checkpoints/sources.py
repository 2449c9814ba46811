"""Where the weights of a conversion come from: one face for the three kinds of checkpoints.

A source knows name, shape and type of every tensor without reading it, and reads them one at a time.
"""

from __future__ import annotations

import json
import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.folder import Kind, locate, read_config, read_headers
from deepseek_tui.checkpoints.foreign import is_foreign
from deepseek_tui.checkpoints.gguf import read_placed
from deepseek_tui.checkpoints.gguf_names import Placement, layout
from deepseek_tui.checkpoints.gguf_quants import GROUP_SIZE, PACKED_BITS
from deepseek_tui.checkpoints.gguf_reader import GGUFFile
from deepseek_tui.checkpoints.gguf_tokenizer import tokenizer_files_of
from deepseek_tui.checkpoints.original import describe, find_original, read_array, weight_names
from deepseek_tui.checkpoints.torch_pickle import TorchCheckpoint

PAPERS = re.compile(
    r"generation_config\.json|tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|"
    r"added_tokens\.json|vocab\.json|merges\.txt|tokenizer\.model|chat_template\.(?:jinja|json)|"
    r"(?:README|MODEL_CARD)[\w.-]*|(?:LICEN[CS]E|NOTICE|COPYING|USE_POLICY)[\w.-]*",
    re.IGNORECASE,
)
"""The files beside the weights that belong to a model: tokenizer, template, sampling, card, licence."""

_STORED = {
    "F32": mx.float32, "F16": mx.float16, "BF16": mx.bfloat16, "F8_E4M3": mx.uint8,
    "I64": mx.int64, "I32": mx.int32, "I16": mx.int16, "I8": mx.int8,
    "U64": mx.uint64, "U32": mx.uint32, "U16": mx.uint16, "U8": mx.uint8, "BOOL": mx.bool_,
}  # fmt: skip
_TORCH = {"float64": mx.float32, "float32": mx.float32, "float16": mx.float16, "bfloat16": mx.bfloat16}
_GGUF = {"F32": mx.float32, "F64": mx.float32, "BF16": mx.bfloat16}


@dataclass(frozen=True)
class Held:
    """A tensor of a source: its shape, the type it is read as, and the bytes it takes where it lies."""

    shape: tuple[int, ...]
    dtype: Any
    nbytes: int


class Source(ABC):
    """A checkpoint that can be read tensor by tensor; use it in a `with` or close it."""

    kind: Kind
    path: Path
    config: dict[str, Any]
    """As config.json has it, `model_type` included."""
    tensors: dict[str, Held]
    """By the names that the architecture's `sanitize` takes."""

    @abstractmethod
    def read(self, name: str) -> Any:
        """One tensor as an array, bit for bit. Raises `CheckpointError` where it is damaged."""

    def papers(self) -> dict[str, bytes]:
        """The files that go with the weights, by name."""
        folder = self.path if self.path.is_dir() else self.path.parent
        return _papers(folder)

    def close(self) -> None:  # noqa: B027 - most sources hold nothing open
        """Lets go of the files."""


def open_source(path: str | Path, *, n_experts_per_token: int | None = None) -> Source:
    """The checkpoint at `path`: a model directory, an original checkpoint (or its folder), or a GGUF file.

    `n_experts_per_token`: what an original checkpoint does not tell. Raises `CheckpointError`.
    """
    kind, found = locate(Path(path).expanduser())
    if kind == "gguf":
        return GGUFSource(found, folder=Path(path).expanduser())
    if kind == "original":
        return OriginalSource(found, n_experts_per_token)
    return FolderSource(found)


def _papers(folder: Path) -> dict[str, bytes]:
    found = (path for path in sorted(folder.iterdir()) if PAPERS.fullmatch(path.name) and path.is_file())
    return {path.name: path.read_bytes() for path in found}


class FolderSource(Source):
    """A Hugging Face or MLX directory."""

    kind = "directory"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = read_config(path)
        if not isinstance(self.config.get("model_type"), str):
            raise CheckpointError(
                f"{path / 'config.json'} has no model_type, so the architecture is unknown."
            )
        if is_foreign(self.config):
            raise CheckpointError(
                f"{path} is a {str(self.config['model_type'])[:80]} model, which is not converted here.",
                "Types other than our own run through mlx-lm, which converts them too: mlx_lm.convert.",
            )
        self._files: dict[str, Path] = {}
        self._open: dict[Path, dict[str, Any]] = {}
        self.tensors = {}
        for file, header in read_headers(path).items():
            for name, info in header.items():
                self.tensors[name] = Held(info.shape, _STORED[info.dtype], info.end - info.start)
                self._files[name] = file

    def read(self, name: str) -> Any:
        # An array of mx.load is read from the file when it is first used, and then stays in memory as long as
        # anybody holds it: so it is given away, and the table opened again should it be wanted twice.
        file = self._files[name]
        if name not in self._open.get(file, {}):
            try:
                arrays: Any = mx.load(str(file))
            except (RuntimeError, ValueError) as error:
                raise CheckpointError(f"{file} cannot be read: {error}.", "Fetch it again.") from error
            self._open[file] = dict(arrays)
        return self._open[file].pop(name)

    def close(self) -> None:
        self._open.clear()


class OriginalSource(Source):
    """A checkpoint of the original PyTorch trainer."""

    kind = "original"

    def __init__(self, path: Path, n_experts_per_token: int | None) -> None:
        file = find_original(path)
        if file is None:
            raise CheckpointError(f"{path} holds no .pt or .pth checkpoint.")
        self.path = path
        self.checkpoint = TorchCheckpoint(file)
        try:
            self.config = describe(self.checkpoint, n_experts_per_token)
        except BaseException:
            self.checkpoint.close()
            raise
        self.tensors = {}
        for name in weight_names(self.checkpoint):
            tensor = self.checkpoint.tensors[name]
            self.tensors[name] = Held(tensor.shape, _TORCH[tensor.dtype], tensor.nbytes)

    def read(self, name: str) -> Any:
        return read_array(self.checkpoint, name)

    def close(self) -> None:
        self.checkpoint.close()


class GGUFSource(Source):
    """A GGUF file: its tensors under the names of the published layout, Q4_0, Q4_1 and Q8_0 left packed."""

    kind = "gguf"

    def __init__(self, path: Path, folder: Path) -> None:
        self.path, self._folder = path, folder
        self.file = GGUFFile(path)
        plan = layout(self.file)
        self.config = plan.config
        self.placements: dict[str, Placement] = {}
        self.tensors = {}
        self._last: tuple[str, dict[str, Any]] = ("", {})
        for placement in plan.placements:
            for name, held in self._parts(placement).items():
                self.tensors[name] = held
                self.placements[name] = placement

    def _parts(self, placement: Placement) -> dict[str, Held]:
        info = self.file.tensors[placement.source]
        bits = PACKED_BITS.get(info.type_name)
        if placement.how == "plain" or bits is None or len(info.shape) < 2:
            dtype = _GGUF.get(info.type_name, mx.float16)
            return {placement.target: Held(info.shape, dtype, info.nbytes)}
        rows, columns = info.shape[:-1], info.shape[-1]
        groups = (*rows, columns // GROUP_SIZE)
        stem = placement.target.removesuffix("weight")
        codes = math.prod(info.shape) * bits // 8
        return {
            placement.target: Held((*rows, columns * bits // 32), mx.uint32, codes),
            stem + "scales": Held(groups, mx.float16, info.nbytes - codes),
            stem + "biases": Held(groups, mx.float16, 0),
        }

    def read(self, name: str) -> Any:
        placement = self.placements[name]
        if self._last[0] != placement.target or name not in self._last[1]:
            weights = read_placed(self.file, placement)
            stem = placement.target.removesuffix("weight")
            parts = {placement.target: weights.values}
            if weights.scales is not None:
                parts |= {stem + "scales": weights.scales, stem + "biases": weights.biases}
            self._last = (placement.target, parts)
        return self._last[1].pop(name)

    def papers(self) -> dict[str, bytes]:
        """The tokenizer from the metadata; the files beside it where the folder was named, not the file."""
        files = _papers(self._folder) if self._folder.is_dir() else {}
        try:
            made = tokenizer_files_of(self.file)
        except CheckpointError:
            made = {}
        files.update({name: text.encode() for name, text in made.items()})
        licence = self.file.metadata.get("general.license")
        if isinstance(licence, str) and licence and "README.md" not in files:
            files["README.md"] = f"---\nlicense: {json.dumps(licence)}\n---\n".encode()
        return files


def placeholder(held: Held) -> Any:
    """An array of that shape and type which takes no memory as long as nobody evaluates it."""
    return mx.zeros(held.shape, dtype=held.dtype)


def check_finite(name: str, array: Any, path: Path) -> None:
    """Raises `CheckpointError` where a tensor holds NaN or infinity."""
    if mx.issubdtype(array.dtype, mx.floating) and not mx.isfinite(array).all().item():
        raise CheckpointError(
            f"The tensor {name} of {path} holds numbers that are not finite (NaN or infinity).",
            "The file is damaged or its training failed: fetch it again or take another.",
        )


def as_bytes(array: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The bytes of an array in row order."""
    return np.array(mx.contiguous(array).reshape(-1).view(mx.uint8), copy=False)

"""The figures of checkpoints that are one file: original PyTorch ones and GGUF."""

from __future__ import annotations

from pathlib import Path

from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.gguf_names import layout
from deepseek_tui.checkpoints.gguf_reader import GGUFFile
from deepseek_tui.checkpoints.info import Head, Tensor, licence_of, tokenizer_of
from deepseek_tui.checkpoints.original import describe, find_original, weight_names
from deepseek_tui.checkpoints.torch_pickle import TorchCheckpoint


def original(path: Path, n_experts_per_token: int | None) -> Head:
    """Raises `CheckpointError` where `path` holds no original checkpoint."""
    file = find_original(path)
    if file is None:
        raise CheckpointError(f"{path} holds no .pt or .pth checkpoint.")
    with TorchCheckpoint(file) as checkpoint:
        config = describe(checkpoint, n_experts_per_token)
        names = weight_names(checkpoint)
        tensors = [Tensor(n, checkpoint.tensors[n].size, len(checkpoint.tensors[n].shape) > 1) for n in names]
        stored = sum(checkpoint.tensors[name].nbytes for name in names)
        kinds = [checkpoint.tensors[name].dtype for name in names]
    template, size = tokenizer_of(file.parent)
    precision = max(set(kinds), key=kinds.count)
    return Head("original", config, tensors, stored, precision, template, size, licence_of(file.parent))


def gguf(path: Path) -> Head:
    """Raises `CheckpointError` where the file is damaged or of an unknown architecture."""
    file = GGUFFile(path)
    plan = layout(file)
    tensors = []
    sizes: dict[str, int] = {}
    for placement in plan.placements:
        info = file.tensors[placement.source]
        count = 1
        for extent in info.shape:
            count *= extent
        tensors.append(Tensor(placement.target, count, len(info.shape) > 1))
        sizes[info.type_name] = sizes.get(info.type_name, 0) + info.nbytes
    tokens = file.metadata.get("tokenizer.ggml.tokens")
    licence = file.metadata.get("general.license")
    return Head(
        kind="gguf",
        config=plan.config,
        tensors=tensors,
        stored_bytes=sum(sizes.values()),
        precision=max(sizes, key=lambda kind: sizes[kind]),
        has_template=isinstance(file.metadata.get("tokenizer.chat_template"), str),
        tokenizer=len(tokens) if isinstance(tokens, list) else None,
        licence=licence if isinstance(licence, str) else None,
    )

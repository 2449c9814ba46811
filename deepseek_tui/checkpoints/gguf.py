"""Models from GGUF files: loaded to run, or given out parameter by parameter to be converted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx

from deepseek_tui.checkpoints.build import LoadedModel, Progress, build_model
from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.gguf_names import Layout, Placement, layout
from deepseek_tui.checkpoints.gguf_quants import Weights, read_weights
from deepseek_tui.checkpoints.gguf_reader import GGUFFile


def load_gguf(
    path: str | Path,
    *,
    dtype: Any | None = None,
    lazy: bool = False,
    on_progress: Progress | None = None,
) -> LoadedModel:
    """The model in a GGUF file, ready to run; the arguments are those of `build_model`.

    Raises CheckpointError for a file that is damaged or describes what cannot be run as it was meant.
    """
    file = GGUFFile(path)
    plan = layout(file)
    weights = dict(_arrays(file, plan, on_progress))
    return build_model(plan.config, weights, dtype=dtype, lazy=lazy, path=file.path)


def convert_gguf(
    path: str | Path, *, on_progress: Progress | None = None
) -> tuple[dict[str, Any], Iterator[tuple[str, Any]]]:
    """config.json's contents and the arrays by name, read one at a time as the iterator is asked for them."""
    file = GGUFFile(path)
    plan = layout(file)
    return plan.config, _arrays(file, plan, on_progress)


def _arrays(file: GGUFFile, plan: Layout, on_progress: Progress | None) -> Iterator[tuple[str, Any]]:
    total = sum(file.tensors[placement.source].nbytes for placement in plan.placements)
    done = 0
    for placement in plan.placements:
        weights = read_placed(file, placement)
        yield placement.target, weights.values
        if weights.scales is not None:
            stem = placement.target.removesuffix("weight")
            yield stem + "scales", weights.scales
            yield stem + "biases", weights.biases
        done += file.tensors[placement.source].nbytes
        if on_progress is not None:
            on_progress(done, total)


def read_placed(file: GGUFFile, placement: Placement) -> Weights:
    """One parameter as an array, or as codes, scales and biases. Raises CheckpointError."""
    weights = read_weights(file, placement.source, packed=placement.how != "plain")
    if placement.how != "rotary":
        return weights
    rows, heads = file.tensors[placement.source].shape[0], placement.heads
    if rows % (2 * heads):
        raise CheckpointError(
            f"The tensor {placement.source} of {file.path} does not divide into {heads} heads."
        )

    def halves(part: Any) -> Any:
        # GGUF keeps the two rows that rotate together side by side; the published weights keep the first rows
        # of all pairs in one half of the head and the second rows in the other.
        pairs = part.reshape(heads, rows // heads // 2, 2, *part.shape[1:])
        return mx.contiguous(pairs.swapaxes(1, 2).reshape(part.shape))

    return weights.map(halves)

"""Opens a model directory of an architecture that mlx-lm has the code for (see models/foreign.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten

from deepseek_tui.checkpoints.build import LoadedModel, Progress, materialise, precision_of
from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.models import foreign
from deepseek_tui.models.base import on_cpu
from deepseek_tui.models.foreign_types import knows, unsupported
from deepseek_tui.models.registry import MODEL_TYPES


def is_foreign(config: dict[str, Any]) -> bool:
    """Whether the `model_type` of a config.json is none of ours."""
    return str(config.get("model_type", "")) not in MODEL_TYPES


def load_foreign(
    path: Path,
    config: dict[str, Any],
    weights: dict[str, Any],
    *,
    lazy: bool = False,
    on_progress: Progress | None = None,
    dtype: Any | None = None,
    quantized: bool | None = None,
) -> LoadedModel:
    """Loads the directory through mlx-lm. `config` and `weights` (unread arrays): as they were checked.

    The rest as for `load_model`. Raises `CheckpointError` where mlx-lm is absent or makes nothing of it.
    """
    model_type = str(config["model_type"])
    if not knows(model_type):
        wrong, remedy = unsupported(model_type)
        raise CheckpointError(f"{path}: {wrong}", remedy)
    stored = sum(array.nbytes for array in weights.values())
    precision = precision_of(config, weights)
    try:
        inner = foreign.build(path)
    except Exception as error:
        raise CheckpointError(
            f"{path}: mlx-lm cannot load this {model_type} model: {_sentence(error)}.",
            "Its config.json and its weights may not belong together, or a newer mlx-lm is needed.",
        ) from error
    parameters = _count(inner)
    if not (not on_cpu() if quantized is None else quantized):
        inner = foreign.unpacked(inner)
    if dtype is None and on_cpu():
        dtype = mx.float32
    if dtype is not None:
        inner.set_dtype(dtype)
    inner.eval()
    arrays = dict(tree_flatten(inner.parameters()))
    size = sum(array.nbytes for array in arrays.values())
    if not lazy:
        materialise(arrays, stored, on_progress)
    return LoadedModel(foreign.Model(inner, config), config, path, size, precision, parameters)


def _count(model: Any) -> int:
    total = 0
    for _, module in model.named_modules():
        bits = getattr(module, "bits", None) if "scales" in module else None
        for name, array in module.items():
            if not isinstance(array, mx.array) or (bits and name in ("scales", "biases")):
                continue
            total += array.size * 32 // bits if bits and name == "weight" else array.size
    return int(total)


def _sentence(error: Exception) -> str:
    """The first line of what was raised, of bounded length and without its full stop."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[0][:200].rstrip(".:")

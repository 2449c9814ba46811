"""From a configuration and a dictionary of arrays to a model that can run.

Every reader (MLX directories, original .pt checkpoints, GGUF) ends here, so the checks of names and shapes,
quantization and the choice of precision are made in one place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_unflatten

from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.quantization import packed_layers, quantization_settings, unpack, unpack_fp8
from deepseek_tui.models.base import ModelConfigError, on_cpu
from deepseek_tui.models.registry import model_class
from deepseek_tui.native import wrap
from deepseek_tui.native.build import library

Progress = Callable[[int, int], None]
"""Called as `on_progress(bytes_done, bytes_total)` while weights are read."""

_BATCH = 4 << 20
"""Bytes made ready between two reports of progress."""

_ALWAYS_FLOAT32 = ("e_score_correction_bias", ".expert_bias")
"""Differences of 0.001 in them decide which expert is chosen: they are never narrowed."""


@dataclass
class LoadedModel:
    """A model ready to run, and what is known of it."""

    model: Any
    config: dict[str, Any]
    path: Path
    weight_bytes: int
    """Bytes the weights hold in memory."""
    precision: str
    """As stored, for people: "4-bit", "bfloat16", "float32"."""
    parameters: int
    """Number of weights, a quantized one counted once."""


def build_model(
    config: dict[str, Any],
    weights: dict[str, Any],
    *,
    strict: bool = True,
    dtype: Any | None = None,
    quantized: bool | None = None,
    on_progress: Progress | None = None,
    lazy: bool = False,
    path: Path | None = None,
) -> LoadedModel:
    """Builds the model that `config` (config.json's contents, `model_type` decides) describes.

    `weights`: arrays by checkpoint name, as the architecture's `sanitize` takes them; quantized layers as
    `.weight`/`.scales`/`.biases` with `config["quantization"]` saying how. `dtype`: floating type wanted
    (None: float32 on a CPU, as stored on a GPU). `quantized`: keep packed layers so (None: on a GPU only).
    `strict`: missing or unexpected tensors are errors. `path` is only named in messages and the result.
    Raises `CheckpointError` for missing, unexpected or misshapen tensors and for a config that will not do.
    """
    try:
        return _Builder(config, weights, path).build(strict, dtype, quantized, on_progress, lazy)
    except (CheckpointError, ModelConfigError) as error:
        where = f"{path}: " if path is not None and str(path) not in error.message else ""
        raise CheckpointError(where + error.message, error.hint) from error


class _Builder:
    def __init__(self, config: dict[str, Any], weights: dict[str, Any], path: Path | None) -> None:
        self.config, self.path = config, path
        self.stored_bytes = sum(array.nbytes for array in weights.values())
        self.precision = precision_of(config, weights)
        self.is_fp8 = any(name.endswith(".weight_scale_inv") for name in weights)
        self.weights = weights

    def build(
        self,
        strict: bool,
        dtype: Any | None,
        quantized: bool | None,
        on_progress: Progress | None,
        lazy: bool,
    ) -> LoadedModel:
        settings = quantization_settings(self.config)
        model = self._make_model(unpack_fp8(self.weights, self.config))
        layers = packed_layers(settings, self.weights, _quantizable(model))
        as_it_likes = dtype is None and quantized is None and not lazy
        native = as_it_likes and bool(layers) and on_cpu() and library() is not None
        if dtype is None and not native:
            dtype = mx.float32 if on_cpu() else mx.bfloat16 if self.is_fp8 else None
        keep = native or not on_cpu() if quantized is None else quantized
        parameters = _count(self.weights, layers)
        if not keep:
            unpack(self.weights, layers, dtype or mx.float32)
        elif layers:
            nn.quantize(model, class_predicate=lambda name, _: layers.get(name, False))
        self._check(model, strict)
        arrays = {name: _cast(name, array, dtype) for name, array in self.weights.items()}
        self.weights.clear()
        model.update(tree_unflatten(list(arrays.items())))
        model.eval()
        size = sum(array.nbytes for array in arrays.values())
        if not lazy:
            materialise(arrays, self.stored_bytes, on_progress)
        if native:
            model = wrap(model)
        path = self.path if self.path is not None else Path()
        return LoadedModel(model, self.config, path, size, self.precision, parameters)

    def _make_model(self, weights: dict[str, Any]) -> Any:
        model_type, args_type = model_class(self.config)
        args = args_type.from_dict(args_type.adapt(self.config, list(weights)))
        # Every layer has tensors: more layers than tensors is a mistake, or a trap for the memory.
        for key in ("num_hidden_layers", "n_layer"):
            if getattr(args, key, 0) > max(len(weights), 1):
                raise CheckpointError(
                    f"config.json counts {getattr(args, key):,} layers ({key}); the file has "
                    f"{len(weights):,} tensors in all."
                )
        model = model_type(args)
        self.weights = dict(model.sanitize(weights))
        return model

    def _check(self, model: Any, strict: bool) -> None:
        expected = dict(tree_flatten(model.parameters()))
        missing = sorted(expected.keys() - self.weights.keys())
        unexpected = sorted(self.weights.keys() - expected.keys())
        if strict and (missing or unexpected):
            lacks = f"lacks {_some(missing)}" if missing else ""
            holds = f"holds {_some(unexpected)} that this architecture has no place for" if unexpected else ""
            raise CheckpointError(
                f"The checkpoint {' and '.join(filter(None, (lacks, holds)))}.",
                "Its config.json and its weights do not belong together, or a file is missing.",
            )
        for name in unexpected:
            del self.weights[name]
        for name, array in self.weights.items():
            if array.shape != expected[name].shape:
                raise CheckpointError(
                    f"The tensor {name} has the shape {list(array.shape)} and config.json calls for "
                    f"{list(expected[name].shape)}.",
                    "Its config.json and its weights do not belong together.",
                )


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return f"{len(names)} tensor{'s' if len(names) > 1 else ''} ({shown})"


def _quantizable(model: Any) -> dict[str, int]:
    """Module path -> input size, for every module whose weight may be stored packed."""
    return {
        path: module.weight.shape[-1]
        for path, module in model.named_modules()
        if hasattr(module, "to_quantized")
    }


def _count(weights: dict[str, Any], layers: dict[str, dict[str, Any]]) -> int:
    total = 0
    for name, array in weights.items():
        path, _, part = name.rpartition(".")
        if path in layers and part == "weight":
            total += array.size * 32 // layers[path]["bits"]
        elif path not in layers or part == "bias":
            total += array.size
    return int(total)


def is_always_float32(name: str) -> bool:
    """Whether a parameter is kept in float32 whatever type is asked for."""
    return name.endswith(_ALWAYS_FLOAT32)


def _cast(name: str, array: Any, dtype: Any | None) -> Any:
    if not mx.issubdtype(array.dtype, mx.floating):
        return array
    if is_always_float32(name):
        return array.astype(mx.float32)
    return array if dtype is None else array.astype(dtype)


def precision_of(config: dict[str, Any], weights: dict[str, Any]) -> str:
    settings = quantization_settings(config)
    if any(name.endswith(".scales") for name in weights):
        return f"{settings['bits']}-bit" if isinstance(settings.get("bits"), int) else "quantized"
    if any(name.endswith(".weight_scale_inv") for name in weights):
        return "8-bit float"
    sizes: dict[str, int] = {}
    for array in weights.values():
        kind = str(array.dtype).removeprefix("mlx.core.")
        sizes[kind] = sizes.get(kind, 0) + array.nbytes
    return max(sizes, key=lambda kind: sizes[kind]) if sizes else "empty"


def materialise(arrays: dict[str, Any], stored: int, on_progress: Progress | None) -> None:
    """Reads the arrays into memory in batches, reporting stored bytes; refuses what is not finite."""
    total = sum(array.nbytes for array in arrays.values())
    done, waiting, batch = 0, 0, list[tuple[str, Any]]()
    names = list(arrays)
    for position, name in enumerate(names, 1):
        batch.append((name, arrays.pop(name)))
        waiting += batch[-1][1].nbytes
        if waiting < _BATCH and position < len(names):
            continue
        _evaluate(batch)
        done += waiting
        waiting = 0
        batch.clear()
        if on_progress is not None:
            on_progress(stored * done // total if done < total else stored, stored)


def _evaluate(batch: list[tuple[str, Any]]) -> None:
    # In float32: half floats end at 65,504, which the sum of sound numbers may pass.
    sums = {
        name: array.astype(mx.float32).sum()
        for name, array in batch
        if mx.issubdtype(array.dtype, mx.floating)
    }
    mx.eval([array for _, array in batch], list(sums.values()))
    for name, total in sums.items():
        if not math.isfinite(total.item()):
            raise CheckpointError(
                f"The tensor {name} holds numbers that are not finite (NaN or infinity).",
                "The file is damaged or its training failed: fetch it again or take another.",
            )

"""From a configuration and a dictionary of arrays to a model that can run.

Every reader (MLX directories, original .pt checkpoints, GGUF) ends here, so the checks of names and shapes,
quantization and the choice of precision are made in one place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Progress = Callable[[int, int], None]
"""Called as `on_progress(bytes_done, bytes_total)` while weights are read."""


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
    `.weight`/`.scales`/`.biases` with `config["quantization"]` saying how. `dtype`: floating type wanted, None:
    float32 on a CPU, as stored on a GPU. `quantized`: keep quantized layers packed (None: on a GPU only).
    `strict`: missing or unexpected tensors are errors. `path` is only named in messages and the result.
    Raises `CheckpointError` for missing, unexpected or misshapen tensors and for a config that will not do.
    """
    raise NotImplementedError

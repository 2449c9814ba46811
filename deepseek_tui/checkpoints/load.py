"""Opens a model: an MLX or Hugging Face directory, an original checkpoint directory or a GGUF file."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mlx.core as mx

from deepseek_tui.checkpoints.build import LoadedModel, Progress, build_model
from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.folder import locate, read_config, read_headers
from deepseek_tui.checkpoints.foreign import is_foreign, load_foreign
from deepseek_tui.checkpoints.sums import check_sums


def load_model(
    path: str | Path,
    adapter_path: str | Path | None = None,
    lazy: bool = False,
    on_progress: Progress | None = None,
    dtype: Any | None = None,
    quantized: bool | None = None,
) -> LoadedModel:
    """Reads a model and makes it ready to run.

    `path`: a directory with config.json and *.safetensors (as mlx-lm or transformers write it), one with an
    original state.pt or best_deepseek_v3.pt, or a .gguf file (or a directory with one). Types that are not
    ours run through mlx-lm where it is installed. `lazy` leaves the
    weights unread until used. `dtype`: floating type to run in (None: float32 on a CPU, as stored on a GPU);
    `quantized`: keep packed weights packed (None: on a GPU only). `on_progress(done, total)` in bytes of the
    files.
    Where the directory has a SHA256SUMS, the files are compared with it. Raises `CheckpointError`.
    """
    path = Path(path).expanduser()
    if adapter_path is not None:
        raise CheckpointError("Adapters cannot be loaded yet.", "Load the model without one.")
    if not path.is_dir():
        return _load(path, lazy, on_progress, dtype, quantized)
    with ThreadPoolExecutor(1) as pool:
        # Hashing needs no interpreter lock, so it costs nothing beside the reading.
        sums = pool.submit(check_sums, path)
        try:
            loaded = _load(path, lazy, on_progress, dtype, quantized)
        except CheckpointError as error:
            raise _first_cause(sums, error) from error
        sums.result()
    return loaded


def _first_cause(sums: Future[None], error: CheckpointError) -> CheckpointError:
    """A damaged file explains whatever else went wrong."""
    damage = sums.exception()
    return damage if isinstance(damage, CheckpointError) else error


def _load(
    path: Path, lazy: bool, on_progress: Progress | None, dtype: Any | None, quantized: bool | None
) -> LoadedModel:
    kind, found = locate(path)
    if kind == "gguf":
        from deepseek_tui.checkpoints.gguf import load_gguf

        return load_gguf(found, lazy=lazy, on_progress=on_progress, dtype=dtype)
    if kind == "original":
        from deepseek_tui.checkpoints.original import load_original

        return load_original(found, lazy=lazy, on_progress=on_progress, dtype=dtype)
    config = read_config(path)
    if not isinstance(config.get("model_type"), str):
        raise CheckpointError(f"{path / 'config.json'} has no model_type, so the architecture is unknown.")
    weights = read_weights(path)
    if is_foreign(config):
        return load_foreign(
            path, config, weights, lazy=lazy, on_progress=on_progress, dtype=dtype, quantized=quantized
        )
    return build_model(
        config,
        weights,
        dtype=dtype,
        quantized=quantized,
        on_progress=on_progress,
        lazy=lazy,
        path=path,
    )


def read_weights(folder: Path) -> dict[str, Any]:
    """All tensors of a model directory by name, not yet read from disk. Raises `CheckpointError`."""
    weights: dict[str, Any] = {}
    for path in read_headers(folder):
        try:
            arrays: Any = mx.load(str(path))
        except (RuntimeError, ValueError) as error:
            raise CheckpointError(f"{path} cannot be read: {error}.", "Fetch it again.") from error
        weights.update(arrays)
    return weights

"""Writes a model directory exactly as mlx-lm writes it, whole or not at all."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import mlx.core as mx

from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.folder import INDEX, PREDICTION
from deepseek_tui.checkpoints.quantization import quantization_settings

SHARD_BYTES = 5 << 30
"""A weight file holds at most this much, unless one tensor alone is larger."""

_NOT_KEPT = ("_name_or_path", "vision_config", "quantization_config")


def save_model_dir(
    path: str | Path,
    weights: dict[str, Any],
    config: dict[str, Any],
    *,
    files: Iterable[Path] = (),
    replace: bool = False,
    shard_bytes: int = SHARD_BYTES,
) -> Path:
    """Writes `weights` (arrays by the model's own parameter names) and `config` as the directory `path`.

    Prediction layers go to mtp.safetensors, which mlx-lm leaves alone. `files` (tokenizer, template, card)
    are copied in. Everything is written beside `path` first and moved there at the end, so `path` never holds
    half a model. Raises `CheckpointError` where it exists already (unless `replace`) or cannot be written.
    """
    path = Path(path).expanduser().absolute()
    if not replace and path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise CheckpointError(f"{path} exists already.", "Choose another name or remove it first.")
    work: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
        work.chmod(0o755)
        _write_weights(work, weights, config, shard_bytes)
        _write_json(work / "config.json", _clean(config))
        for file in files:
            shutil.copyfile(file, work / file.name)
        _put_in_place(work, path)
    except (OSError, RuntimeError) as error:
        # MLX reports a full disk as a RuntimeError.
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"The model cannot be written to {path}: {reason}.") from error
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
    return path


def _put_in_place(work: Path, path: Path) -> None:
    if not path.exists():
        work.rename(path)
        return
    before = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
    path.rename(before / path.name)
    try:
        work.rename(path)
    except OSError:
        (before / path.name).rename(path)
        raise
    finally:
        shutil.rmtree(before, ignore_errors=True)


def _clean(config: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in config.items() if key not in _NOT_KEPT}
    if config.get("quantization") is not None:
        kept["quantization_config"] = config["quantization"]
    return dict(sorted(kept.items()))


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with path.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=4)
        file.flush()
        os.fsync(file.fileno())


def _write_weights(folder: Path, weights: dict[str, Any], config: dict[str, Any], shard_bytes: int) -> None:
    trunk, prediction = _split_prediction(weights, config)
    shards: list[dict[str, Any]] = []
    room = 0
    for name, array in trunk.items():
        if not shards or array.nbytes > room:
            shards.append({})
            room = shard_bytes
        shards[-1][name] = array
        room -= array.nbytes
    weight_map: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        file = "model.safetensors"
        if len(shards) > 1:
            file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        mx.save_safetensors(str(folder / file), shard, metadata={"format": "mlx"})
        weight_map.update(dict.fromkeys(shard, file))
    if prediction:
        mx.save_safetensors(str(folder / PREDICTION), prediction, metadata={"format": "mlx"})
    metadata = {
        "total_size": sum(array.nbytes for array in trunk.values()),
        "total_parameters": count_parameters(trunk, config),
    }
    _write_json(folder / INDEX, {"metadata": metadata, "weight_map": dict(sorted(weight_map.items()))})


def _split_prediction(
    weights: dict[str, Any], config: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    last = config.get("num_hidden_layers")
    prediction = {}
    for name, array in weights.items():
        match = re.match(r"model\.layers\.(\d+)\.", name)
        if match and isinstance(last, int) and int(match[1]) >= last:
            prediction[name] = array
    return {name: array for name, array in weights.items() if name not in prediction}, prediction


def count_parameters(weights: dict[str, Any], config: dict[str, Any]) -> int:
    """Numbers in the model, a packed one counted once and its scales not at all."""
    settings = quantization_settings(config)
    total = 0
    for name, array in weights.items():
        path, _, part = name.rpartition(".")
        packed = f"{path}.scales" in weights
        if packed and part == "weight":
            own = settings.get(path)
            bits = own.get("bits") if isinstance(own, dict) else None
            total += array.size * 32 // int(bits or settings.get("bits") or 4)
        elif not packed or part == "bias":
            total += array.size
    return total

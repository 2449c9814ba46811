"""What a model's folder holds, found out without reading weights: no MLX is needed for it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal

from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.gguf_reader import gguf_in
from deepseek_tui.checkpoints.safetensors_reader import TensorInfo, read_header

INDEX = "model.safetensors.index.json"
PREDICTION = "mtp.safetensors"
"""Prediction layers, in a file of their own: other readers of the directory refuse what they do not know."""
_TORCH = (".pt", ".pth")
_MAX_JSON = 64 << 20

Kind = Literal["directory", "original", "gguf"]


def locate(path: Path) -> tuple[Kind, Path]:
    """What kind of model `path` is, and where it lies: a GGUF file is looked for in its folder.

    "directory": config.json and *.safetensors; "original": a PyTorch checkpoint or its folder. Raises
    `CheckpointError` where there is nothing that could be a model.
    """
    if path.is_file():
        suffix = path.suffix.lower()
        if suffix == ".gguf":
            return "gguf", path
        if suffix in _TORCH:
            return "original", path
        raise CheckpointError(
            f"{path} is no model.", "Give the folder that holds config.json, or a .gguf file."
        )
    if not path.is_dir():
        raise CheckpointError(f"There is no model at {path}.", "Give the folder of a model, or a .gguf file.")
    if not _weight_names(path):
        if (gguf := gguf_in(path)) is not None:
            return "gguf", gguf
        if any(file.suffix in _TORCH for file in path.iterdir()):
            return "original", path
    return "directory", path


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object. Raises `CheckpointError` saying what is wrong with it."""
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_JSON + 1)
        if len(raw) > _MAX_JSON:
            raise CheckpointError(f"{path} is larger than {_MAX_JSON >> 20} MB, which no such file is.")
        found = json.loads(raw)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
    except RecursionError as error:
        raise CheckpointError(f"{path} is nested too deeply to be meant.") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}.", "Fetch it again.") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path} should hold an object and holds a {type(found).__name__}.")
    return found


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a model directory; generation_config.json's end-of-text ids go before its own.

    Raises `CheckpointError`; also for a config that asks to run code from the directory (`model_file`).
    """
    path = folder / "config.json"
    if not path.is_file():
        empty = not any(folder.iterdir())
        what = "is empty" if empty else "has no config.json, so it is no model"
        raise CheckpointError(f"{folder} {what}.", "Give a folder with config.json and *.safetensors.")
    config = read_json(path)
    if config.get("model_file") is not None:
        raise CheckpointError(
            f"{path} asks to run code from the model's folder (model_file), which is never done.",
            "Take a model of a known type.",
        )
    generation = folder / "generation_config.json"
    if generation.is_file() and (end := read_json(generation).get("eos_token_id")):
        config["eos_token_id"] = end
    return config


def weight_files(folder: Path) -> dict[Path, set[str] | None]:
    """The safetensors files of a model directory -> the tensors an index promises there (None: no index).

    Raises `CheckpointError` where there are none, or the index names a file that is absent or lies outside.
    """
    files: dict[Path, set[str] | None] = {}
    if (folder / INDEX).is_file():
        files.update(_indexed(folder))
    else:
        files.update(dict.fromkeys(folder / name for name in _weight_names(folder)))
    if not files:
        raise CheckpointError(f"{folder} has no weights (model.safetensors).", "Fetch the model again.")
    if (folder / PREDICTION).is_file():
        files.setdefault(folder / PREDICTION, None)
    return files


def _weight_names(folder: Path) -> list[str]:
    names = sorted(path.name for path in folder.glob("*.safetensors"))
    # The older layout: weights.safetensors, or weights.00.safetensors and so on.
    older = [name for name in names if re.fullmatch(r"weights(\.\d+)?\.safetensors", name)]
    return [name for name in names if name.startswith("model")] or older


def _indexed(folder: Path) -> dict[Path, set[str] | None]:
    path = folder / INDEX
    weight_map = read_json(path).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(file, str) for file in weight_map.values()):
        raise CheckpointError(f"{path} has no weight_map of tensor names to file names.")
    files: dict[Path, set[str] | None] = {}
    for name in sorted(set(weight_map.values())):
        if Path(name).name != name or "\\" in name or not name.endswith(".safetensors"):
            raise CheckpointError(f"{path} names {name[:100]!r}, which is no weight file of this folder.")
        if not (folder / name).is_file():
            raise CheckpointError(
                f"{path} names {name}, which is not in the folder.", "Fetch the model again."
            )
        files[folder / name] = {tensor for tensor, file in weight_map.items() if file == name}
    return files


def read_headers(folder: Path) -> dict[Path, dict[str, TensorInfo]]:
    """The checked headers of all weight files of a model directory. Raises `CheckpointError`."""
    headers: dict[Path, dict[str, TensorInfo]] = {}
    seen: dict[str, Path] = {}
    for path, promised in weight_files(folder).items():
        header = headers[path] = read_header(path)
        lacking = sorted((promised or set()) - header.keys())
        if lacking:
            raise CheckpointError(
                f"{path} lacks {len(lacking)} tensors that {INDEX} promises there ({lacking[0]} first).",
                "Fetch the model again.",
            )
        for name in header:
            if name in seen:
                raise CheckpointError(f"Both {seen[name].name} and {path.name} in {folder} hold {name}.")
            seen[name] = path
    return headers

"""Writes a model directory as mlx-lm writes it, whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.weight_writer import SHARD_BYTES, WeightWriter, write_json

PARTIAL = ".partial"
"""Ending of the hidden folder that a model is written into."""

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
    with new_model_dir(path, replace=replace) as (target, work):
        ahead = prediction_names(config)
        with contextlib.closing(WeightWriter(work, weights, ahead, shard_bytes=shard_bytes)) as writer:
            for name, array in weights.items():
                writer.add(name, array)
            writer.finish(config)
        for file in files:
            shutil.copyfile(file, work / file.name)
        write_config(work, config)
    return target


@contextlib.contextmanager
def new_model_dir(path: str | Path, *, replace: bool = False) -> Iterator[tuple[Path, Path]]:
    """(`path`, a folder to write into): the folder takes the place of `path` when the block ends well.

    What an earlier, killed process left of the same model is cleared away first. Raises `CheckpointError`
    where `path` exists already (unless `replace`), and for any OSError in the block.
    """
    path = Path(path).expanduser().absolute()
    if not replace and path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise CheckpointError(f"{path} exists already.", "Choose another name or remove it first.")
    work: Path | None = None
    lock: int | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear_leftovers(path)
        work = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=PARTIAL, dir=path.parent))
        lock = _locked(work)
        work.chmod(0o755)
        yield path, work
        _put_in_place(work, path)
    except (OSError, RuntimeError) as error:
        # MLX reports a full disk as a RuntimeError.
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"The model cannot be written to {path}: {reason}.") from error
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _locked(folder: Path) -> int | None:
    """A lock on the folder that lives as long as this process, or None where another one holds it."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _clear_leftovers(path: Path) -> None:
    for folder in path.parent.glob(f".{glob.escape(path.name)}.*{PARTIAL}"):
        handle = _locked(folder) if folder.is_dir() and not folder.is_symlink() else None
        if handle is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(handle)


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


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """config.json, cleaned and sorted as mlx-lm does. Written last: a folder without it is no model."""
    kept = {key: value for key, value in config.items() if key not in _NOT_KEPT}
    if config.get("quantization") is not None:
        kept["quantization_config"] = config["quantization"]
    write_json(folder / "config.json", dict(sorted(kept.items())))


def prediction_names(config: dict[str, Any]) -> Callable[[str], bool]:
    """Which tensors belong to prediction layers: those of layers past the ones that config.json counts."""
    last = config.get("num_hidden_layers")

    def is_ahead(name: str) -> bool:
        match = re.match(r"model\.layers\.(\d+)\.", name)
        return match is not None and isinstance(last, int) and int(match[1]) >= last

    return is_ahead

"""The state of a run on disk: whole or not at all, and enough of it to go on as if nothing had happened."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlx.core as mx

from deepseek_tui.training.errors import TrainingError
from deepseek_tui.training.network import Weights
from deepseek_tui.training.rows import write_json

_STATE = "state.json"
_VERSION = 1


@dataclass
class RunState:
    """Everything that a step changes. `step`: how many are done. `positions`: rows taken from each source.

    No random state is among it: the order of rows is a function of seed and position, and nothing else in a
    step is left to chance."""

    trained: Weights
    fixed: Weights
    optimizer: Weights
    step: int = 0
    positions: dict[str, int] = field(default_factory=dict)
    average: float = 0.0
    """Of the loss, by which a sudden rise is known."""


def save_state(folder: Path, state: RunState, recipe: str, keep: int = 2) -> Path:
    """Writes `folder`/step-N and removes all but the newest `keep`. `recipe`: what the run was configured as.

    Raises TrainingError where it cannot be written; then nothing of it is left and the older ones stay.
    """
    target = folder / f"step-{state.step:08d}"
    work: Path | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
        mx.save_safetensors(str(work / "trained.safetensors"), state.trained)
        mx.save_safetensors(str(work / "fixed.safetensors"), state.fixed)
        mx.save_safetensors(str(work / "optimizer.safetensors"), state.optimizer)
        write_json(
            work / _STATE,
            {
                "version": _VERSION,
                "step": state.step,
                "positions": state.positions,
                "average": state.average.hex(),
                "recipe": recipe,
            },
        )
        if target.exists():
            shutil.rmtree(target)
        work.rename(target)
    except (OSError, RuntimeError) as error:
        # MLX reports a full disk as a RuntimeError.
        reason = getattr(error, "strerror", None) or error
        raise TrainingError(f"The checkpoint {target} cannot be written: {reason}.") from error
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
    for old in checkpoints(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def checkpoints(folder: Path) -> list[Path]:
    """The finished checkpoints below `folder`, oldest first."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if re.fullmatch(r"step-\d{8}", path.name)]
    return sorted(path for path in found if (path / _STATE).is_file())


def load_state(path: Path, recipe: str | None = None) -> RunState:
    """Reads a checkpoint. Raises TrainingError where it is damaged or, with `recipe`, of another run."""
    try:
        body: dict[str, Any] = json.loads((path / _STATE).read_text(encoding="utf-8"))
        state = RunState(
            trained=_arrays(path / "trained.safetensors"),
            fixed=_arrays(path / "fixed.safetensors"),
            optimizer=_arrays(path / "optimizer.safetensors"),
            step=int(body["step"]),
            positions=dict(body["positions"]),
            average=float.fromhex(body["average"]),
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise TrainingError(
            f"The checkpoint {path} cannot be read ({error}).", "Remove it: the one before is taken then."
        ) from error
    if recipe is not None and body.get("recipe") != recipe:
        raise TrainingError(
            f"The checkpoint {path} was made with other settings than these.",
            "Go on with the settings it was made with, or choose another folder for the run.",
        )
    return state


def _arrays(path: Path) -> Weights:
    loaded: Any = mx.load(str(path))
    found: Weights = dict(loaded)
    # Read now: what is read lazily later may have been replaced by then.
    mx.eval(found)
    return found

"""Which model types mlx-lm has the code for, found out without importing it or MLX where that can be."""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path
from typing import Any

EXTRA = "pip install 'deepseek-tui[mlx-lm]'"

_CONTEXT_KEYS = (
    "max_position_embeddings",
    "n_positions",
    "n_ctx",
    "max_sequence_length",
    "max_seq_len",
    "seq_length",
    "model_max_length",
    "max_context_length",
)
UNBOUNDED_CONTEXT = 32_768
"""Tokens allowed where a config names no end: state-space models have none but what they were trained on."""


def is_installed() -> bool:
    """Whether mlx-lm is there; it is not imported."""
    return importlib.util.find_spec("mlx_lm") is not None


def knows(model_type: str) -> bool:
    """Whether the installed mlx-lm has a model of that type. Names that are no plain word never are."""
    found = importlib.util.find_spec("mlx_lm")
    if found is None or not found.submodule_search_locations or not re.fullmatch(r"[\w-]{1,80}", model_type):
        return False
    folder = Path(found.submodule_search_locations[0]) / "models"
    if _is_model(folder / f"{model_type}.py"):
        return True
    utils: Any = importlib.import_module("mlx_lm.utils")
    renamed = getattr(utils, "MODEL_REMAPPING", {}).get(model_type)
    return isinstance(renamed, str) and _is_model(folder / f"{renamed}.py")


def _is_model(path: Path) -> bool:
    return path.is_file() and re.search(r"^class Model\(", path.read_text("utf-8"), re.MULTILINE) is not None


def unsupported(model_type: str) -> tuple[str, str]:
    """What is wrong with a type that nothing here can run, and what to do about it."""
    if is_installed():
        return (
            f"The model_type {model_type[:80]!r} is known neither here nor to the installed mlx-lm.",
            "A newer mlx-lm may know it; `deepseek-tui models list` names models that run.",
        )
    return (
        f"The model_type {model_type[:80]!r} is none that this program has the code for.",
        f"Many other types run through mlx-lm: {EXTRA}",
    )


def context_length(config: dict[str, Any]) -> int | None:
    """Positions the model was made for, as its config.json (or the text part of it) says."""
    inner = config.get("text_config")
    for place in (config, inner if isinstance(inner, dict) else {}):
        for key in _CONTEXT_KEYS:
            value = place.get(key)
            if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 31:
                return value
    return None

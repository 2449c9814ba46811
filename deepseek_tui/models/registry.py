"""Which model_type is which architecture."""

from __future__ import annotations

import importlib
from typing import Any

from deepseek_tui.models.base import ModelConfigError

MODEL_TYPES: dict[str, str] = {
    "deepseek_v3": "deepseek_tui.models.deepseek_v3",
    "deepseek_v2": "deepseek_tui.models.deepseek_v3",
    "llama": "deepseek_tui.models.llama",
    "mistral": "deepseek_tui.models.llama",
    "qwen3": "deepseek_tui.models.qwen3",
    "scratch": "deepseek_tui.models.scratch",
}
"""`model_type` of config.json -> the module that holds its `Model` and `ModelArgs`."""


def model_class(config: dict[str, Any]) -> tuple[Any, Any]:
    """The `Model` and `ModelArgs` classes for a config.json's contents.

    Raises `ModelConfigError` for a missing or unknown `model_type`, naming the known ones.
    """
    known = ", ".join(sorted(MODEL_TYPES))
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or not model_type:
        raise ModelConfigError("config.json has no model_type.", f"Known types: {known}.")
    module = MODEL_TYPES.get(model_type)
    if module is None:
        raise ModelConfigError(
            f"The model_type {model_type[:80]!r} is not supported here.", f"Known types: {known}."
        )
    found = importlib.import_module(module)
    return found.Model, found.ModelArgs

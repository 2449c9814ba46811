"""What is told about a loaded model: its figures, and the sampling settings that its authors chose."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx

from deepseek_tui import paths
from deepseek_tui.checkpoints.build import LoadedModel
from deepseek_tui.engine.protocol import ModelInfo, Sampling
from deepseek_tui.engine.tokenizer import Tokenizer

_INTEGERS = {
    "max_new_tokens": "max_tokens",
    "top_k": "top_k",
    "repetition_context_size": "repetition_context_size",
}
_NUMBERS = {
    "temperature": "temp",
    "top_p": "top_p",
    "min_p": "min_p",
    "repetition_penalty": "repetition_penalty",
}


def describe(loaded: LoadedModel, tokenizer: Tokenizer | None, path: Path) -> ModelInfo:
    """The figures of a loaded model. Runs it over one token, which also warms it up."""
    cache = loaded.model.make_cache()
    mx.eval(loaded.model(mx.array([[0]]), cache=cache))
    generation = path / "generation_config.json" if path.is_dir() else path.parent / "generation_config.json"
    return ModelInfo(
        name=_name(path),
        path=str(path),
        model_type=str(loaded.config.get("model_type", "")),
        parameters=loaded.parameters,
        weight_bytes=loaded.weight_bytes,
        context_length=int(loaded.model.context_length),
        precision=loaded.precision,
        has_chat_template=tokenizer is not None and tokenizer.chat_template is not None,
        defaults=default_sampling(_read(generation)),
        kv_bytes_per_token=sum(
            int(array.nbytes) for entry in cache for array in getattr(entry, "growing", entry.state)
        ),
        draft_heads=_draft_heads(loaded.model),
    )


def default_sampling(generation_config: Mapping[str, Any]) -> Sampling:
    """Sampling settings in the contents of a generation_config.json; `do_sample: false` is temperature 0."""
    found: dict[str, Any] = {}
    for keys, kinds in ((_INTEGERS, int), (_NUMBERS, int | float)):
        for key, name in keys.items():
            value = generation_config.get(key)
            if isinstance(value, kinds) and not isinstance(value, bool):
                found[name] = float(value) if keys is _NUMBERS else value
    if generation_config.get("do_sample") is False:
        found["temp"] = 0.0
    return Sampling(**found)


def _draft_heads(model: Any) -> int:
    """Prediction layers that can draft tokens ahead."""
    return int(getattr(model, "prediction_layers", 0) or getattr(model.args, "mtp_num_heads", 0))


def _name(path: Path) -> str:
    built_in = paths.builtin_model()
    if built_in is not None and path.resolve() == built_in.resolve():
        return "built-in"
    return path.stem if path.suffix == ".gguf" else path.resolve().name


def _read(path: Path) -> dict[str, Any]:
    # The loader has read this file already and complained where it is broken.
    try:
        body = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}

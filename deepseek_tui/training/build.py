"""Models to train: from a folder, or from a config alone, and back into a folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_unflatten

from deepseek_tui.checkpoints.load import load_model
from deepseek_tui.checkpoints.recipes import Recipe
from deepseek_tui.checkpoints.save import save_model_dir
from deepseek_tui.checkpoints.sums import NAME as SUMS
from deepseek_tui.checkpoints.sums import sha256
from deepseek_tui.models.registry import model_class
from deepseek_tui.training.errors import TrainingError
from deepseek_tui.training.network import Weights, parameters
from deepseek_tui.training.rounding import STORED, packed, rounding_plan

_KEPT = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
    "chat_template.jinja",
    "NOTICE",
    "LICENSE",
)
_INITIAL = 0.02


def open_model(path: Path, dtype: Any = mx.float32) -> tuple[Any, dict[str, Any]]:
    """(model, config) of a model folder, its weights unpacked and in `dtype`."""
    loaded = load_model(path, dtype=dtype, quantized=False)
    return loaded.model, loaded.config


def new_model(config: dict[str, Any], seed: int) -> Any:
    """A model of `config` (config.json's contents) with random weights: normal with deviation 0.02, what
    writes into the residual stream smaller by the root of twice the layers (Radford et al. 2019)."""
    model_type, args_type = model_class(config)
    model = model_type(args_type.from_dict(config))
    key = mx.random.key(seed)
    depth = (2 * len(model.layers)) ** -0.5
    weights: Weights = {}
    for name, array in parameters(model).items():
        if array.ndim < 2:
            weights[name] = array.astype(mx.float32)
            continue
        key, own = mx.random.split(key)
        size = _INITIAL * (depth if name.endswith(("o_proj.weight", "down_proj.weight")) else 1.0)
        weights[name] = mx.random.normal(array.shape, key=own) * size
    model.update(tree_unflatten(list(weights.items())))
    return model


def with_prediction_layer(model: Any, config: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """`model` (deepseek_v3, without prediction layers) and its config with one added.

    It begins as a copy of the last layer, fed with the hidden state and a little of the embedding.
    """
    if model.model_type != "deepseek_v3" or model.prediction_layers:
        raise TrainingError("A prediction layer can be added to a deepseek_v3 model that has none.")
    config = {**config, "num_nextn_predict_layers": 1}
    config.pop("quantization", None)
    model_type, args_type = model_class(config)
    larger = model_type(args_type.from_dict({**config, "tie_word_embeddings": "lm_head" not in model}))
    weights = parameters(model)
    last = len(model.layers)
    width = model.args.hidden_size
    for name, array in list(weights.items()):
        if name.startswith(f"model.layers.{last - 1}."):
            weights[name.replace(f".{last - 1}.", f".{last}.", 1)] = array
    prefix = f"model.layers.{last}."
    weights[f"{prefix}enorm.weight"] = weights[f"{prefix}hnorm.weight"] = mx.ones((width,))
    weights[f"{prefix}shared_head.norm.weight"] = weights["model.norm.weight"]
    weights[f"{prefix}eh_proj.weight"] = mx.concatenate([0.3 * mx.eye(width), mx.eye(width)], axis=1)
    larger.update(tree_unflatten(list(weights.items())))
    return larger, config


def model_files(folder: Path) -> list[Path]:
    """Tokenizer, template and notices of a model folder."""
    return [folder / name for name in _KEPT if (folder / name).is_file()]


def export_model(
    path: Path,
    model: Any,
    weights: Weights,
    config: dict[str, Any],
    *,
    recipe: Recipe | None = None,
    files: list[Path] | None = None,
) -> Path:
    """Writes `weights` as a model folder, packed by `recipe` (None: bfloat16), with SHA256SUMS.

    `model`: of the same architecture, for what can be packed. `config`: config.json's contents. Replaces
    what is at `path`.
    """
    config = {key: value for key, value in config.items() if not key.startswith("quantization")}
    config["torch_dtype"] = "bfloat16"
    plan = rounding_plan(model, recipe) if recipe else {}
    if recipe:
        config["quantization"] = recipe.settings(
            {name.removesuffix(".weight"): how["bits"] for name, how in plan.items()}
        )
    made: Weights = {}
    for name, array in weights.items():
        if name.endswith("e_score_correction_bias"):
            made[name] = array.astype(mx.float32)
            continue
        stored = array.astype(STORED)
        if name not in plan:
            made[name] = stored
            continue
        base = name.removesuffix("weight")
        made[name], made[f"{base}scales"], made[f"{base}biases"] = packed(array, plan[name])
    mx.eval(made)
    for name, array in made.items():
        if mx.issubdtype(array.dtype, mx.floating) and not mx.isfinite(array).all().item():
            raise TrainingError(f"The trained weight {name} is not finite, so nothing was written.")
    target = save_model_dir(path, made, config, files=files or [], replace=True)
    names = sorted(file.name for file in target.iterdir() if file.is_file() and file.name != SUMS)
    lines = [f"{sha256(target / name)}  {name}\n" for name in names]
    (target / SUMS).write_text("".join(lines), encoding="utf-8")
    return target


def copy_files(source: Path, target: Path) -> None:
    """Copies tokenizer and template from one model folder to another."""
    target.mkdir(parents=True, exist_ok=True)
    for file in model_files(source):
        shutil.copyfile(file, target / file.name)

"""Small model directories for the tests of conversion, and ways to damage them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten

from deepseek_tui.models.registry import model_class
from tests.models.support import randomise

Arrays = dict[str, Any]
Convert = Callable[..., Path]


def random_model(config: dict[str, Any], seed: int = 5) -> Any:
    """A model of ours with seeded random values everywhere."""
    model_type, args_type = model_class(config)
    model = model_type(args_type.from_dict(config))
    randomise(model, seed)
    return model.eval()


def parameters(model: Any) -> Arrays:
    return dict(tree_flatten(model.parameters()))


def published(model: Any) -> Arrays:
    """The parameters of a DeepSeek model in the layout of its publishers: single experts, kv_b_proj whole."""
    out: Arrays = {}
    weights = parameters(model)
    for name, array in weights.items():
        if ".switch_mlp." in name:
            for index in range(array.shape[0]):
                out[name.replace("switch_mlp", f"experts.{index}")] = array[index]
        elif name.endswith(".embed_q.weight"):
            values = weights[name.replace("embed_q", "unembed_out")]
            both = mx.concatenate([array.swapaxes(1, 2), values], axis=1)
            out[name.replace("embed_q", "kv_b_proj")] = both.reshape(-1, both.shape[-1])
        elif not name.endswith(".unembed_out.weight"):
            out[name] = array
    return {name: mx.contiguous(array) for name, array in out.items()}


def write_folder(path: Path, config: dict[str, Any], arrays: Arrays, shards: int = 1) -> Path:
    """A Hugging Face directory, in several files with an index where `shards` says so."""
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(config))
    names = list(arrays)
    if shards == 1:
        mx.save_safetensors(str(path / "model.safetensors"), arrays)
        return path
    weight_map = {}
    for number in range(shards):
        file = f"model-{number + 1:05d}-of-{shards:05d}.safetensors"
        part = {name: arrays[name] for name in names[number::shards]}
        mx.save_safetensors(str(path / file), part)
        weight_map.update(dict.fromkeys(part, file))
    (path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return path


def change(folder: Path, alter: Callable[[Arrays], None], file: str = "model.safetensors") -> None:
    """Rewrites a weight file after `alter` has worked on its tensors; the index goes, it may not fit."""
    loaded: Any = mx.load(str(folder / file))
    arrays = dict(loaded)
    mx.eval(arrays)
    alter(arrays)
    mx.save_safetensors(str(folder / file), arrays)
    (folder / "model.safetensors.index.json").unlink(missing_ok=True)


def flip_bit(array: Any, element: int, bit: int = 0) -> Any:
    """The array with one bit of one element turned over."""
    width = {2: mx.uint16, 4: mx.uint32}[array.dtype.size]
    flat: Any = mx.contiguous(array).reshape(-1).view(width)
    flat[element] = flat[element] ^ (1 << bit)
    return flat.view(array.dtype).reshape(array.shape)


def read_by_mlx_lm(path: Path) -> Any:
    from mlx_lm.utils import load_model as load_theirs

    model, _ = load_theirs(path)
    model.set_dtype(mx.float32)
    return model.eval()

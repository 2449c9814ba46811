"""Any checkpoint into an MLX model directory, one tensor in memory at a time.

The source is cut into units, the smallest sets of its tensors that make whole parameters (the experts of a
layer, the two tensors of a scaled one). Each unit is read, put under the model's names by the architecture's
own `sanitize`, cast, quantized, written and forgotten.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx

from deepseek_tui.checkpoints.build import build_model, is_always_float32
from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.original import find_original
from deepseek_tui.checkpoints.quantization import (
    packed_layers,
    quantization_settings,
    unpack,
    unpack_fp8,
)
from deepseek_tui.checkpoints.recipes import Recipe
from deepseek_tui.checkpoints.save import new_model_dir, prediction_names, write_config
from deepseek_tui.checkpoints.sources import Source, check_finite, open_source, placeholder
from deepseek_tui.checkpoints.weight_writer import SHARD_BYTES, WeightWriter

DTYPES = ("float32", "float16", "bfloat16")
_FROM_FP8 = "bfloat16"
"""What 8-bit floats become where no type is asked for: the type that they were made from."""

_EXPERT = re.compile(r"(.+\.experts)\.\d+\.(.+)")
_LATENT = re.compile(r"(.+\.self_attn)\.(?:kv_b_proj|kv_a_layernorm)\..+")
_TIED_COPY = ("deepseek_v3", "deepseek_v2")
"""Types that mlx-lm knows with a head of its own only: a tied head is written out for it."""


@dataclass(frozen=True)
class Options:
    """What to change: nothing unless asked. `dtype`: one of `DTYPES`; `recipe`: quantize so;
    `dequantize`: unpack what is packed."""

    dtype: str | None = None
    recipe: Recipe | None = None
    dequantize: bool = False

    def __post_init__(self) -> None:
        if self.dtype not in (None, *DTYPES):
            raise CheckpointError(f"There is no type {self.dtype!r}.", f"Choose from {', '.join(DTYPES)}.")
        if self.recipe is not None and self.dequantize:
            raise CheckpointError("A model cannot be quantized and dequantized at once.", "Choose one.")


@dataclass(frozen=True)
class Converted:
    """What was written. `left_plain`: modules that stay unpacked because their width fits no group."""

    path: Path
    bytes: int
    parameters: int
    bits_per_weight: float
    left_plain: tuple[str, ...]
    has_tokenizer: bool


def convert(
    source: str | Path,
    out: str | Path,
    options: Options | None = None,
    *,
    n_experts_per_token: int | None = None,
    replace: bool = False,
    shard_bytes: int = SHARD_BYTES,
    on_progress: Callable[[int, int], None] | None = None,
) -> Converted:
    """Writes the checkpoint `source` as the MLX directory `out`, whole or not at all.

    `n_experts_per_token`: what an original checkpoint does not tell; `replace` an existing `out`;
    `on_progress(done, total)` in bytes of the source. All names and shapes are checked before anything is
    read. Raises `CheckpointError` for a source that cannot be read, an `out` that exists, a full disk.
    """
    with contextlib.closing(open_source(source, n_experts_per_token=n_experts_per_token)) as opened:
        job = Job(opened, options or Options())
        plan = job.plan()
        with new_model_dir(out, replace=replace) as (target, work):
            _check_space(work, sum(plan.values()), target)
            config = job.config
            writer = WeightWriter(work, plan, prediction_names(config), shard_bytes=shard_bytes)
            with contextlib.closing(writer):
                for name, array in job.run(on_progress):
                    writer.add(name, array)
                    # Or it would still be there while the next one is made.
                    del array
                writer.finish(config)
            papers = opened.papers()
            for name, content in papers.items():
                (work / name).write_bytes(content)
            write_config(work, config)
        size = sum(plan.values())
        copied = sum(
            count for name, count in plan.items() if job.is_tied_copy and name.startswith("lm_head.")
        )
        bits = (size - copied) * 8 / max(job.parameters, 1)
        has_tokenizer = "tokenizer.json" in papers or "tokenizer.model" in papers
        return Converted(target, size, job.parameters, bits, job.left_plain, has_tokenizer)


def convert_in_place(folder: Path, *, on_progress: Callable[[int, int], None] | None = None) -> None:
    """Turns a folder with an original checkpoint into an MLX directory; the .pt file is removed at the end.

    For a download that is not yet a model: until this returns the folder may hold both. Raises
    `CheckpointError` as `convert` does.
    """
    source = find_original(folder)
    if source is None:
        raise CheckpointError(f"{folder} holds no .pt or .pth checkpoint.")
    made = convert(folder, folder / "converted", replace=True, on_progress=on_progress).path
    for file in made.iterdir():
        file.replace(folder / file.name)
    made.rmdir()
    source.unlink()


def _check_space(work: Path, needed: int, target: Path) -> None:
    free = shutil.disk_usage(work).free
    if free < needed + (16 << 20):
        raise CheckpointError(
            f"The model takes {needed / 1e9:.2f} GB and {target.parent} has {free / 1e9:.2f} GB free.",
            "Make room, or write it to another disk.",
        )


def units(names: Iterable[str]) -> list[list[str]]:
    """The names in the groups that have to be read together."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_unit_of(name), []).append(name)
    return list(groups.values())


def _unit_of(name: str) -> str:
    if match := _LATENT.fullmatch(name):
        return f"{match[1]}.kv_b"
    if match := _EXPERT.fullmatch(name):
        name = f"{match[1]}.{match[2]}"
    for ending in (".scales", ".biases", ".weight_scale_inv"):
        if name.endswith(ending):
            return name.removesuffix(ending) + ".weight"
    return name


class Job:
    """One conversion: the checked source, and what its parameters are to become."""

    def __init__(self, source: Source, options: Options) -> None:
        self.source, self.options = source, options
        names = {name: placeholder(held) for name, held in source.tensors.items()}
        # The same checks as loading makes, on arrays that are never filled.
        checked = build_model(source.config, names, lazy=True, quantized=True, path=source.path)
        self.model: Any = checked.model
        self.parameters = checked.parameters
        self.settings = quantization_settings(source.config)
        self.inputs = _inputs(self.model)
        self.whole = {n.rpartition(".")[0] for n in source.tensors if ".kv_b_proj." in n}
        self.inputs |= dict.fromkeys(self.whole, getattr(self.model.args, "kv_lora_rank", 0))
        self.dtype = getattr(mx, options.dtype) if options.dtype else None
        self.chosen: dict[str, int] = {}
        self.left_plain: tuple[str, ...] = ()
        if options.recipe is not None:
            kept = {path: size for path, size in self.inputs.items() if self._is_written(path)}
            self.chosen = options.recipe.choose(kept, len(self.model.layers))
            self.left_plain = tuple(path for path, size in kept.items() if size % options.recipe.group_size)
        self.is_tied_copy = source.config.get("model_type") in _TIED_COPY and bool(
            getattr(self.model.args, "tie_word_embeddings", False)
        )
        self.config = self._config()

    def _config(self) -> dict[str, Any]:
        """config.json of what is written."""
        config = dict(self.source.config)
        is_fp8 = any(name.endswith(".weight_scale_inv") for name in self.source.tensors)
        dtype = self.options.dtype or (_FROM_FP8 if is_fp8 else None)
        for key in ("torch_dtype", "dtype"):
            if dtype is not None and key in config:
                config[key] = dtype
        for key in ("quantization", "quantization_config"):
            config.pop(key, None)
        if self.options.recipe is not None:
            settings = self.options.recipe.settings(self.chosen)
        else:
            settings = {} if self.options.dequantize else dict(self.settings)
        if settings:
            if self.is_tied_copy and "model.embed_tokens" in settings:
                settings["lm_head"] = settings["model.embed_tokens"]
            config["quantization"] = settings
        return config

    def plan(self) -> dict[str, int]:
        """Name -> bytes of everything that will be written."""
        plan: dict[str, int] = {}
        for unit in units(self.source.tensors):
            made = self.make({name: placeholder(self.source.tensors[name]) for name in unit})
            plan.update({name: array.nbytes for name, array in made.items()})
        return plan

    def run(self, on_progress: Callable[[int, int], None] | None) -> Iterator[tuple[str, Any]]:
        """The parameters by name, each evaluated when it is asked for; do not hold on to them."""
        total = sum(held.nbytes for held in self.source.tensors.values())
        done = 0
        for unit in units(self.source.tensors):
            arrays = self._without_fp8({name: self._read(name) for name in unit})
            for name in arrays:
                # One expert after the other; within the stack they would all be widened at once.
                mx.eval(arrays[name])
            made = self.make(arrays)
            arrays.clear()
            while made:
                name = next(iter(made))
                yield name, self._finite(name, made.pop(name))
                mx.clear_cache()
            done += sum(self.source.tensors[name].nbytes for name in unit)
            if on_progress is not None:
                on_progress(done, total)

    def _read(self, name: str) -> Any:
        array = self.source.read(name)
        check_finite(name, array, self.source.path)
        is_weight = not name.endswith((".scales", ".biases", "_scale_inv"))
        return self._cast(name, array) if is_weight else array

    def _finite(self, name: str, array: Any) -> Any:
        """Raises `CheckpointError` where a number does not fit the type that was asked for."""
        if self.options.dtype == "float16" and not mx.isfinite(array).all().item():
            raise CheckpointError(
                f"The tensor {name} holds numbers that are too large for float16.", "Take bfloat16."
            )
        return array

    def make(self, arrays: dict[str, Any]) -> dict[str, Any]:
        """What a unit's tensors become, by name, not evaluated."""
        arrays = self._without_fp8(arrays)
        whole = {name: arrays.pop(name) for name in list(arrays) if self._stays_whole(name)}
        self._unpack(arrays, {n.removesuffix(".scales") for n in arrays if n.endswith(".kv_b_proj.scales")})
        arrays = self.model.sanitize(arrays) | whole
        recipe = self.options.recipe
        if recipe is not None or self.options.dequantize:
            self._unpack(arrays, {name.rpartition(".")[0] for name in arrays})
        made: dict[str, Any] = {}
        for name, array in arrays.items():
            array = self._cast(name, array)
            path, _, part = name.rpartition(".")
            if recipe is not None and part == "weight" and path in self.chosen:
                codes, scales, biases = mx.quantize(array, recipe.group_size, self.chosen[path])
                made |= {name: codes, f"{path}.scales": scales, f"{path}.biases": biases}
            else:
                made[name] = array
        if self.is_tied_copy:
            for name in [name for name in made if name.startswith("model.embed_tokens.")]:
                made[name.replace("model.embed_tokens.", "lm_head.")] = made[name]
        return made

    def _stays_whole(self, name: str) -> bool:
        """DeepSeek-V2 directories of mlx-lm keep kv_b_proj in one; it is cut when it is loaded."""
        return ".kv_b_proj." in name and self.source.config.get("model_type") == "deepseek_v2"

    def _is_written(self, path: str) -> bool:
        """Whether a module of the model, or of the source, is one of the directory too."""
        whole = f"{path.rpartition('.')[0]}.kv_b_proj"
        if path.endswith((".embed_q", ".unembed_out")):
            return whole not in self.whole or not self._stays_whole(f"{whole}.weight")
        return path not in self.whole or self._stays_whole(f"{path}.weight")

    def _without_fp8(self, arrays: dict[str, Any]) -> dict[str, Any]:
        wide = unpack_fp8(arrays, self.source.config)
        dtype = self.dtype or getattr(mx, _FROM_FP8)
        for name in list(wide):
            if f"{name}_scale_inv" in arrays:
                wide[name] = wide[name].astype(dtype)
        return wide

    def _unpack(self, arrays: dict[str, Any], paths: set[str]) -> None:
        """Makes those modules plain, in place, that are packed."""
        inputs = {path: self.inputs[path] for path in paths if path in self.inputs}
        for path, how in packed_layers(self.settings, arrays, inputs).items():
            stored = arrays[f"{path}.scales"].dtype
            # In float32 every unpacked number is exact up to one rounding; it is rounded once, at the end.
            unpack(arrays, {path: how}, mx.float32)
            arrays[f"{path}.weight"] = arrays[f"{path}.weight"].astype(self.dtype or stored)

    def _cast(self, name: str, array: Any) -> Any:
        if self.dtype is None or not mx.issubdtype(array.dtype, mx.floating):
            return array
        return array.astype(mx.float32 if is_always_float32(name) else self.dtype)


def _inputs(model: Any) -> dict[str, int]:
    """Module path -> width of its rows, for every module that can be quantized or is."""
    widths: dict[str, int] = {}
    for path, module in model.named_modules():
        if hasattr(module, "to_quantized"):
            widths[path] = module.weight.shape[-1]
        elif "scales" in module:
            widths[path] = module.weight.shape[-1] * 32 // module.bits
    return widths

"""Checkpoints of the original "DeepSeek V3 from scratch" trainer: best_deepseek_v3.pt and its relatives.

The trainer saves a bare state dict, so what the model looks like is read from the tensors; a config.json
beside it may confirm that and adds what they cannot tell, the number of experts per token.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from deepseek_tui.checkpoints.build import LoadedModel, Progress, build_model
from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.folder import read_json
from deepseek_tui.checkpoints.pickle_machine import Record
from deepseek_tui.checkpoints.torch_pickle import TorchCheckpoint, TorchTensor
from deepseek_tui.models.base import ModelConfigError
from deepseek_tui.models.scratch import ModelArgs

NAMES = ("best_deepseek_v3.pt", "state.pt")
"""File names looked for in a directory, before any other single .pt or .pth file."""

DEFAULT_TOP_K = 2
_CONFIG_KEYS = ("config", "model_config", "model_args", "args", "hparams")
_KEPT_KEYS = {"eos_token_id", "bos_token_id", "dropout"}
_BUFFERS = (".causal_mask", ".rope.inv_freq")
_FLOATS = {"float64", "float32", "float16", "bfloat16"}

Shape = tuple[int, ...]


def find_original(path: Path) -> Path | None:
    """The original checkpoint that `path` means: itself, or the one .pt/.pth file of that directory.

    None where there is none. Raises `CheckpointError` where several could be meant.
    """
    if path.is_file():
        return path if path.suffix in (".pt", ".pth") else None
    for name in NAMES:
        if (path / name).is_file():
            return path / name
    found = sorted(p for p in path.glob("*.pt*") if p.suffix in (".pt", ".pth") and p.is_file())
    if len(found) > 1:
        names = ", ".join(p.name for p in found[:6])
        raise CheckpointError(f"{path} holds several checkpoints: {names}.", "Name the file that you mean.")
    return found[0] if found else None


def load_original(
    path: Path,
    *,
    n_experts_per_token: int | None = None,
    dtype: Any | None = None,
    lazy: bool = False,
    on_progress: Progress | None = None,
) -> LoadedModel:
    """Loads an original checkpoint, a file or a directory with one, as the model it was trained as.

    `n_experts_per_token`: what neither the tensors nor config.json say; 2 where nobody does. `dtype`, `lazy`
    and `on_progress` as in `build_model`. Raises `CheckpointError` for a file that is not such a checkpoint,
    whose entries are missing, too many or contradict each other or config.json.
    """
    config, weights = _read(path, n_experts_per_token, on_progress)
    return build_model(config, weights, dtype=dtype, lazy=lazy, path=path if path.is_dir() else path.parent)


def _read(
    path: Path, n_experts_per_token: int | None, on_progress: Progress | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    file = find_original(path)
    if file is None:
        raise CheckpointError(f"{path} holds no .pt or .pth checkpoint.")
    with TorchCheckpoint(file) as checkpoint:
        config = describe(checkpoint, n_experts_per_token)
        names = weight_names(checkpoint)
        total = sum(checkpoint.tensors[name].nbytes for name in names)
        done = 0
        weights = {}
        for name in names:
            weights[name] = read_array(checkpoint, name)
            done += checkpoint.tensors[name].nbytes
            if on_progress is not None:
                on_progress(done, total)
    return config, weights


def describe(checkpoint: TorchCheckpoint, n_experts_per_token: int | None = None) -> dict[str, Any]:
    """The config.json contents (model_type "scratch") of a checkpoint, all of its entries accounted for.

    Raises `CheckpointError`; see `load_original`.
    """
    beside = checkpoint.path.parent / "config.json"
    told = read_json(beside) if beside.is_file() else {}
    sizes = _sizes(checkpoint, told)
    for key, value in sizes.items():
        given = told.get(key, value)
        irrelevant = key == "shared_expert_intermediate_size" and not sizes["use_shared_expert"]
        if given != value and not irrelevant:
            raise CheckpointError(
                f"config.json gives {key} = {str(given)[:40]}, the tensors of {checkpoint.path} say {value}.",
                "Correct or remove config.json.",
            )
    top_k = n_experts_per_token
    for source in (told, _embedded_config(checkpoint.extra)):
        if top_k is None:
            top_k = source.get("n_experts_per_token")
    if top_k is None:
        top_k = min(DEFAULT_TOP_K, sizes["n_experts"])
    known = {field.name for field in dataclasses.fields(ModelArgs)} | _KEPT_KEYS
    config = {key: value for key, value in told.items() if key in known}
    config.update(sizes, n_experts_per_token=top_k, model_type="scratch")
    try:
        args = ModelArgs.from_dict(config)
    except ModelConfigError as error:
        raise CheckpointError(f"{checkpoint.path}: {error.message}", error.hint) from error
    _check_entries(checkpoint, args)
    _check_tied(checkpoint)
    frequencies = _frequencies(checkpoint, args)
    config.pop("rope_inv_freq", None)
    if frequencies is not None:
        config["rope_inv_freq"] = frequencies
    return config


def weight_names(checkpoint: TorchCheckpoint) -> list[str]:
    """The entries that the model is made of: no buffers, and of the tied pair only one."""
    names = [name for name in checkpoint.tensors if not name.endswith(_BUFFERS)]
    if "wte.weight" in checkpoint.tensors:
        names = [name for name in names if name != "lm_head.weight"]
    return names


def read_array(checkpoint: TorchCheckpoint, name: str) -> Any:
    """One entry as an MLX array, bit for bit; float64, which MLX computes with nowhere, as float32.

    Raises `CheckpointError` for values that are no numbers.
    """
    tensor = checkpoint.tensors[name]
    values = checkpoint.read(tensor)
    if tensor.dtype == "bfloat16":
        finite = bool(np.all(values & 0x7F80 != 0x7F80))
    else:
        finite = bool(np.all(np.isfinite(values)))
    if not finite:
        raise CheckpointError(f"{checkpoint.path} holds values in {name} that are not finite numbers.")
    if tensor.dtype == "float64":
        values = values.astype(np.float32)
    array = mx.array(values)
    return array.view(mx.bfloat16) if tensor.dtype == "bfloat16" else array


def _embedded_config(extra: dict[Any, Any]) -> dict[Any, Any]:
    """The hyper-parameters that a training script saved in the checkpoint itself, if any."""
    for key in _CONFIG_KEYS:
        value = extra.get(key)
        fields = value.fields if isinstance(value, Record) else value
        if isinstance(fields, dict) and "n_experts_per_token" in fields:
            return fields
    return {}


def _count(checkpoint: TorchCheckpoint, prefix: str) -> int:
    """How many numbered modules there are under `prefix`, which count from 0 without gaps."""
    pattern = re.compile(re.escape(prefix) + r"\.(\d{1,6})\.")
    found = {int(match[1]) for name in checkpoint.tensors if (match := pattern.match(name))}
    for number in range(len(found)):
        if number not in found:
            raise CheckpointError(
                f"{checkpoint.path} lacks {prefix}.{number}, but has {prefix}.{max(found)}."
            )
    return len(found)


def _sizes(checkpoint: TorchCheckpoint, told: dict[str, Any]) -> dict[str, Any]:
    """What the tensors tell of the architecture, under the names of `ModelArgs`."""
    tensors = checkpoint.tensors

    def rows_columns(name: str) -> tuple[int, int]:
        tensor = tensors.get(name)
        if tensor is None:
            raise CheckpointError(
                f"{checkpoint.path} lacks {name}: it is not a checkpoint of this architecture."
            )
        if len(tensor.shape) != 2 or 0 in tensor.shape:
            raise CheckpointError(
                f"{checkpoint.path} has {name} of shape {list(tensor.shape)}, not a matrix."
            )
        return tensor.shape[0], tensor.shape[1]

    vocab, dims = rows_columns("wte.weight" if "wte.weight" in tensors else "lm_head.weight")
    rope_dim = _rope_dim(checkpoint, told)
    rope_rows = rows_columns("h.0.attn.k_rope_proj.weight")[0]
    if rope_rows % rope_dim or dims % (rope_rows // rope_dim):
        raise CheckpointError(
            f"{checkpoint.path} has h.0.attn.k_rope_proj.weight with {rope_rows} rows, which a rope_dim of "
            f"{rope_dim} does not divide into heads that fit a width of {dims}."
        )
    shared = "h.0.mlp.shared_expert.gate_proj.weight"
    return {
        "vocab_size": vocab,
        "block_size": rows_columns("wpe.weight")[0],
        "n_layer": _count(checkpoint, "h"),
        "n_head": rope_rows // rope_dim,
        "n_embd": dims,
        "kv_lora_rank": rows_columns("h.0.attn.kv_proj.weight")[0],
        "q_lora_rank": rows_columns("h.0.attn.q_proj.weight")[0],
        "rope_dim": rope_dim,
        "n_experts": rows_columns("h.0.mlp.router.weight")[0],
        "expert_intermediate_size": rows_columns("h.0.mlp.experts.0.gate_proj.weight")[0],
        "use_shared_expert": shared in tensors,
        "shared_expert_intermediate_size": rows_columns(shared)[0] if shared in tensors else 0,
        "mtp_num_heads": _count(checkpoint, "mtp_heads"),
        "bias": "h.0.attn.o_proj.bias" in tensors,
    }


def _rope_dim(checkpoint: TorchCheckpoint, told: dict[str, Any]) -> int:
    frequencies = checkpoint.tensors.get("h.0.attn.rope.inv_freq")
    if frequencies is not None:
        if len(frequencies.shape) != 1 or frequencies.size == 0:
            raise CheckpointError(f"{checkpoint.path} has h.0.attn.rope.inv_freq that is no list of numbers.")
        return 2 * frequencies.size
    value = told.get("rope_dim")
    if isinstance(value, int) and value > 0:
        return value
    raise CheckpointError(
        f"{checkpoint.path} has no h.0.attn.rope.inv_freq to tell the rope dimension from.",
        "Give rope_dim in a config.json beside it.",
    )


def _linear(name: str, out: int, into: int, bias: bool) -> Iterable[tuple[str, Shape]]:
    yield f"{name}.weight", (out, into)
    if bias:
        yield f"{name}.bias", (out,)


def _block_entries(prefix: str, args: ModelArgs) -> Iterable[tuple[str, Shape]]:
    """Attention and experts, which layers and prediction heads have in common."""
    D, rope = args.n_embd, args.n_head * args.rope_dim
    attn, mlp = f"{prefix}.attn", f"{prefix}.mlp"
    yield f"{attn}.kv_norm.weight", (args.kv_lora_rank,)
    yield from _linear(f"{attn}.kv_proj", args.kv_lora_rank, D, False)
    yield from _linear(f"{attn}.k_decompress", D, args.kv_lora_rank, False)
    yield from _linear(f"{attn}.v_decompress", D, args.kv_lora_rank, False)
    yield from _linear(f"{attn}.q_proj", args.q_lora_rank, D, False)
    yield from _linear(f"{attn}.q_decompress", D, args.q_lora_rank, False)
    yield from _linear(f"{attn}.k_rope_proj", rope, D, False)
    yield from _linear(f"{attn}.q_rope_proj", rope, args.q_lora_rank, False)
    yield from _linear(f"{attn}.o_proj", D, D, args.bias)
    yield f"{mlp}.expert_bias", (args.n_experts,)
    yield from _linear(f"{mlp}.router", args.n_experts, D, False)
    experts = [(f"{mlp}.experts.{i}", args.expert_intermediate_size) for i in range(args.n_experts)]
    if args.use_shared_expert:
        experts.append((f"{mlp}.shared_expert", args.shared_expert_intermediate_size))
    for name, inner in experts:
        yield from _linear(f"{name}.gate_proj", inner, D, args.bias)
        yield from _linear(f"{name}.up_proj", inner, D, args.bias)
        yield from _linear(f"{name}.down_proj", D, inner, args.bias)


def entries(args: ModelArgs) -> dict[str, Shape]:
    """Every entry that a checkpoint of this architecture has, and its shape; buffers left out."""
    D = args.n_embd
    found: dict[str, Shape] = {
        "wte.weight": (args.vocab_size, D),
        "lm_head.weight": (args.vocab_size, D),
        "wpe.weight": (args.block_size, D),
        "ln_f.weight": (D,),
    }
    for i in range(args.n_layer):
        found.update(_block_entries(f"h.{i}", args))
        found.update({f"h.{i}.ln_1.weight": (D,), f"h.{i}.ln_2.weight": (D,)})
    for i in range(args.mtp_num_heads):
        head = f"mtp_heads.{i}"
        found.update(_block_entries(head, args))
        found.update(_linear(f"{head}.combine_proj", D, 2 * D, args.bias))
        found.update({f"{head}.{name}.weight": (D,) for name in ("norm1", "norm2", "attn_norm", "mlp_norm")})
    return found


def _check_entries(checkpoint: TorchCheckpoint, args: ModelArgs) -> None:
    wanted = entries(args)
    tied = {"wte.weight", "lm_head.weight"}
    missing = [name for name in wanted if name not in checkpoint.tensors]
    if tied & set(missing) and not tied <= set(missing):
        missing = [name for name in missing if name not in tied]
    if missing:
        raise CheckpointError(f"{checkpoint.path} lacks {_listed(missing)}.")
    optional: dict[str, Shape] = {}
    for prefix in {name.split(".attn.")[0] for name in wanted if ".attn." in name}:
        optional[f"{prefix}.attn.causal_mask"] = (1, 1, args.block_size, args.block_size)
        optional[f"{prefix}.attn.rope.inv_freq"] = (args.rope_dim // 2,)
    extra = [name for name in checkpoint.tensors if name not in wanted and name not in optional]
    if extra:
        raise CheckpointError(f"{checkpoint.path} holds {_listed(extra)}, which this architecture has not.")
    for name, tensor in checkpoint.tensors.items():
        shape = wanted.get(name) or optional[name]
        if tensor.shape != shape:
            raise CheckpointError(
                f"{checkpoint.path} has {name} of shape {list(tensor.shape)}; its other tensors ask for "
                f"{list(shape)}."
            )
        if tensor.dtype not in _FLOATS and name in wanted:
            raise CheckpointError(f"{checkpoint.path} has {name} in {tensor.dtype}, not as floating numbers.")


def _listed(names: list[str]) -> str:
    shown = ", ".join(
        name if name.isprintable() and len(name) < 80 else ascii(name[:80]) for name in names[:3]
    )
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more entries"


def _check_tied(checkpoint: TorchCheckpoint) -> None:
    """The model has one tensor under both names; two different ones cannot come from it."""
    tied = ("wte.weight", "lm_head.weight")
    if all(name in checkpoint.tensors for name in tied) and not checkpoint.same_values(*tied):
        raise CheckpointError(
            f"{checkpoint.path} has a wte.weight and an lm_head.weight that differ; "
            "this architecture ties the two."
        )


def _frequencies(checkpoint: TorchCheckpoint, args: ModelArgs) -> list[float] | None:
    """The checkpoint's rotary frequencies where they are not the usual ones, as when rounded to 16 bits."""
    names = [name for name in checkpoint.tensors if name.endswith(".rope.inv_freq")]
    found = [(name, _as_float32(checkpoint, checkpoint.tensors[name])) for name in names]
    for name, values in found:
        if not np.array_equal(values, found[0][1]) or not np.all(np.isfinite(values) & (values > 0)):
            raise CheckpointError(f"{checkpoint.path} has {name} unlike {names[0]}, or no frequencies.")
    usual = np.array(dataclasses.replace(args, rope_inv_freq=None).inv_freq(), dtype=np.float32)
    if not found:
        return args.rope_inv_freq
    if np.allclose(found[0][1], usual, rtol=1e-6, atol=0):
        return None
    return [float(x) for x in found[0][1]]


def _as_float32(checkpoint: TorchCheckpoint, tensor: TorchTensor) -> np.ndarray[Any, Any]:
    values = checkpoint.read(tensor)
    if tensor.dtype == "bfloat16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32)

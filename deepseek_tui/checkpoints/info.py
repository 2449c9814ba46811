"""What a model is, from the heads of its files alone: sizes, memory, context, licence."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.folder import Kind, locate, read_config, read_headers, read_json
from deepseek_tui.checkpoints.safetensors_reader import DTYPE_BITS
from deepseek_tui.models import foreign_types

ARCHITECTURES = {
    "deepseek_v3": "DeepSeek-V3",
    "deepseek_v2": "DeepSeek-V2",
    "llama": "Llama",
    "mistral": "Mistral (run as Llama)",
    "qwen3": "Qwen3",
    "scratch": "DeepSeek V3 from scratch (original)",
}
"""The model types that run, under their names for people."""

_BUFFER = re.compile(r".*(?:\.causal_mask|inv_freq|weight_scale_inv)")
_ROUTED = re.compile(r"\.(?:switch_mlp|experts)\.")
_PLAIN = re.compile(r"\.(?:gate|router)\.weight$|\.bias$")
"""Routers, and biases (those of stacked experts look like matrices): never quantized."""
_GROUP_OVERHEAD = 0.5
"""Bits per weight that the 16-bit scale and bias of a group of 64 add."""


@dataclass(frozen=True)
class Tensor:
    """Name, number of weights (unpacked), whether it is a matrix, as read from a head."""

    name: str
    weights: int
    is_matrix: bool


@dataclass(frozen=True)
class Quantization:
    """As stored. `overrides`: modules that have other bits or none, by path."""

    bits: int
    group_size: int
    overrides: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """A model in figures. Sizes are bytes; `memory` has the keys 16-bit, 8-bit, 4-bit and as-stored."""

    path: str
    kind: Kind
    model_type: str
    architecture: str
    is_supported: bool
    parameters: int
    parameters_active: int
    """Used for one token: without the experts that are not chosen and without prediction layers."""
    parameters_prediction: int
    memory: dict[str, int]
    precision: str
    quantization: Quantization | None
    context: int | None
    layers: int | None
    prediction_layers: int
    experts: int
    experts_per_token: int
    vocabulary: int | None
    tokenizer: int | None
    """Tokens that the tokenizer knows; None without one."""
    has_chat_template: bool
    licence: str | None
    cache_per_token_layer: int | None
    """Bytes of keys and values, or their compressed form, in 16 bit."""
    cache_per_token: int | None
    cache_full_context: int | None


@dataclass(frozen=True)
class Head:
    """What each kind of checkpoint brings."""

    kind: Kind
    config: dict[str, Any]
    tensors: list[Tensor]
    stored_bytes: int
    precision: str
    has_template: bool
    tokenizer: int | None
    licence: str | None


def describe(path: str | Path, *, n_experts_per_token: int | None = None) -> Facts:
    """The figures of the model at `path`, of any kind. Raises `CheckpointError`."""
    path = Path(path).expanduser()
    kind, found = locate(path)
    if kind == "directory":
        return _facts(path, _directory(found))
    from deepseek_tui.checkpoints import info_files

    if kind == "gguf":
        return _facts(path, info_files.gguf(found))
    return _facts(path, info_files.original(found, n_experts_per_token))


def _facts(path: Path, head: Head) -> Facts:
    config = head.config
    model_type = str(config.get("model_type", "unknown"))
    layers = _int(config, "num_hidden_layers", "n_layer")
    ahead = [t for t in head.tensors if _is_ahead(t.name, layers)]
    trunk = [t for t in head.tensors if not _is_ahead(t.name, layers)]
    routed = sum(t.weights for t in trunk if _ROUTED.search(t.name))
    experts = _int(config, "n_routed_experts", "n_experts", "num_experts") or 0
    chosen = _int(config, "num_experts_per_tok", "n_experts_per_token") or 0
    total = sum(t.weights for t in head.tensors)
    prediction = sum(t.weights for t in ahead)
    idle = routed * (experts - chosen) // experts if experts else 0
    per_layer = cache_bytes(config)
    context = context_length(config)
    cache = per_layer * layers if per_layer and layers else None
    return Facts(
        path=str(path),
        kind=head.kind,
        model_type=model_type,
        architecture=ARCHITECTURES.get(model_type) or _foreign(model_type),
        is_supported=model_type in ARCHITECTURES or foreign_types.knows(model_type),
        parameters=total,
        parameters_active=total - prediction - idle,
        parameters_prediction=prediction,
        memory=_memory(head),
        precision=head.precision,
        quantization=_quantization(config),
        context=context,
        layers=layers,
        prediction_layers=len({_layer(t.name) for t in ahead}),
        experts=experts,
        experts_per_token=chosen if experts else 0,
        vocabulary=_int(config, "vocab_size"),
        tokenizer=head.tokenizer,
        has_chat_template=head.has_template,
        licence=head.licence,
        cache_per_token_layer=per_layer,
        cache_per_token=cache,
        cache_full_context=cache * context if cache and context else None,
    )


def _foreign(model_type: str) -> str:
    if foreign_types.knows(model_type):
        return "one of mlx-lm's, which runs it; it cannot be converted or verified here"
    extra = "" if foreign_types.is_installed() else f"; mlx-lm may run it: {foreign_types.EXTRA}"
    return f"unknown to this program{extra}"


def _int(config: dict[str, Any], *keys: str) -> int | None:
    for key in keys:
        value = config.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def _layer(name: str) -> str:
    return ".".join(name.split(".")[:3]) if name.startswith("model.") else ".".join(name.split(".")[:2])


def _is_ahead(name: str, layers: int | None) -> bool:
    match = re.match(r"model\.layers\.(\d{1,6})\.", name)
    return name.startswith("mtp_heads.") or bool(match and layers and int(match[1]) >= layers)


def _memory(head: Head) -> dict[str, int]:
    total = sum(t.weights for t in head.tensors)
    packable = sum(t.weights for t in head.tensors if t.is_matrix and not _PLAIN.search(t.name))
    sizes = {"16-bit": total * 2}
    for bits in (8, 4):
        rest = (total - packable) * 2
        sizes[f"{bits}-bit"] = rest + math.ceil(packable * (bits + _GROUP_OVERHEAD) / 8)
    return sizes | {"as-stored": head.stored_bytes}


def context_length(config: dict[str, Any]) -> int | None:
    """Positions the model was made for, as its config.json says."""
    longest = _int(config, "max_position_embeddings", "block_size") or foreign_types.context_length(config)
    window = _int(config, "sliding_window")
    if window and longest and config.get("use_sliding_window") is not False:
        return min(longest, window)
    return longest


def cache_bytes(config: dict[str, Any]) -> int | None:
    """Bytes that one layer keeps of one token, in 16 bit; None where the config does not tell.

    Latent attention keeps kv_lora_rank + the rotated key (of all heads, in the original architecture);
    grouped-query attention a key and a value for each of its heads.
    """
    rank = _int(config, "kv_lora_rank")
    if rank:
        rotated = _int(config, "qk_rope_head_dim")
        if rotated is None:
            rotated = (_int(config, "rope_dim") or 0) * (_int(config, "n_head") or 1)
        return (rank + rotated) * 2
    heads = _int(config, "num_attention_heads")
    width = _int(config, "hidden_size")
    if not heads or not width:
        return None
    size = _int(config, "head_dim") or width // heads
    return 2 * (_int(config, "num_key_value_heads") or heads) * size * 2


def _quantization(config: dict[str, Any]) -> Quantization | None:
    found = config.get("quantization") or config.get("quantization_config")
    if not isinstance(found, dict) or not isinstance(found.get("bits"), int):
        return None
    overrides = {key: value for key, value in found.items() if isinstance(value, dict | bool)}
    return Quantization(found["bits"], _int(found, "group_size") or 64, overrides)


def _directory(path: Path) -> Head:
    config = read_config(path)
    headers = read_headers(path)
    infos = {name: info for header in headers.values() for name, info in header.items()}
    packing = config.get("quantization") or config.get("quantization_config") or {}
    tied = config.get("tie_word_embeddings") is True
    tensors, kinds = list[Tensor](), dict[str, int]()
    for name, info in infos.items():
        module, _, part = name.rpartition(".")
        kinds[info.dtype] = kinds.get(info.dtype, 0) + info.end - info.start
        if _BUFFER.fullmatch(name) or (tied and module == "lm_head"):
            continue
        weights = math.prod(info.shape)
        if f"{module}.scales" in infos:
            if part in ("scales", "biases"):
                continue
            own = packing.get(module)
            bits = own.get("bits") if isinstance(own, dict) else packing.get("bits")
            if part == "weight":
                weights = weights * DTYPE_BITS[info.dtype] // int(bits or 4)
        tensors.append(Tensor(name, weights, len(info.shape) > 1))
    config_says = _quantization(config)
    stored = sum(kinds.values())
    precision = f"{config_says.bits}-bit" if config_says else _named(kinds)
    template, size = tokenizer_of(path)
    return Head("directory", config, tensors, stored, precision, template, size, licence_of(path))


def _named(kinds: dict[str, int]) -> str:
    names = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F8_E4M3": "8-bit float"}
    largest = max(kinds, key=lambda kind: kinds[kind])
    return names.get(largest, largest)


def tokenizer_of(folder: Path) -> tuple[bool, int | None]:
    """Whether there is a chat template, and how many tokens the tokenizer knows."""
    template = (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file()
    with contextlib.suppress(CheckpointError):
        template = template or bool(read_json(folder / "tokenizer_config.json").get("chat_template"))
    try:
        found = read_json(folder / "tokenizer.json")
    except CheckpointError:
        return template, None
    model = found.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    added = found.get("added_tokens")
    if not isinstance(vocabulary, dict | list):
        return template, None
    extra = [t.get("content") for t in added if isinstance(t, dict)] if isinstance(added, list) else []
    known = vocabulary if isinstance(vocabulary, dict) else {}
    return template, len(vocabulary) + sum(content not in known for content in extra)


def licence_of(folder: Path) -> str | None:
    """From the card (its front matter, or a row of a table), else the first words of a licence file."""
    for name in ("README.md", "MODEL_CARD.md"):
        if found := _front_matter(folder / name) or _table_row(folder / name):
            return found
    for file in sorted(folder.glob("LICEN[CS]E*")):
        with contextlib.suppress(OSError):
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            if words := [line.strip() for line in lines if line.strip()]:
                return words[0][:80]
    return None


def _front_matter(card: Path) -> str | None:
    try:
        with card.open(encoding="utf-8", errors="replace") as file:
            lines = list(_matter(file))
    except OSError:
        return None
    values = dict(line.split(":", 1) for line in lines if re.match(r"license(?:_name)?:", line))
    for key in ("license_name", "license"):
        value = values.get(key, "").strip().strip("\"'")
        if value and value != "other":
            return value[:80]
    return None


def _table_row(card: Path) -> str | None:
    with contextlib.suppress(OSError):
        text = card.read_text(encoding="utf-8", errors="replace")
        if match := re.search(r"^\|\s*licen[cs]e\s*\|\s*([\w.+-]+)", text, re.IGNORECASE | re.MULTILINE):
            return match[1]
    return None


def _matter(file: Iterator[str]) -> Iterator[str]:
    if next(file, "").strip() != "---":
        return
    for line in file:
        if line.strip() == "---":
            return
        yield line

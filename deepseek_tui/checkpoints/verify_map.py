"""Where every tensor of a source has to be found again in the converted directory.

Written from the layouts alone, beside and not from the models' `sanitize`: what that forgets, doubles or
turns round is found here. Each claim can put its pieces together again, which is checked too: a split that
loses a number cannot pass.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np

from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.gguf_names import COMPUTED
from deepseek_tui.checkpoints.sources import GGUFSource, Source

_EXPERT = re.compile(r"(.+)\.experts\.(\d+)\.(.+)")
_LATENT = re.compile(r"(.+\.self_attn)\.kv_b_proj\.weight")
_BUFFER = re.compile(r".*\.causal_mask|.*\.rope\.inv_freq|.*rotary_emb\.inv_freq")


@dataclass(frozen=True)
class Piece:
    """A place in the converted directory: a tensor, or one expert's part of a stacked one."""

    target: str
    index: int | None = None

    def __str__(self) -> str:
        return self.target if self.index is None else f"{self.target}[{self.index}]"


def _whole(value: Any) -> list[Any]:
    return [value]


def _only(parts: list[Any]) -> Any:
    return parts[0]


@dataclass(frozen=True)
class Claim:
    """One source tensor: the pieces it is found in, how it is cut into them and put together again.

    `shared`: the piece belongs to another source tensor too, with the same numbers (tied embeddings).
    """

    pieces: tuple[Piece, ...]
    split: Callable[[Any], list[Any]] = _whole
    join: Callable[[list[Any]], Any] = _only
    shared: bool = False


@dataclass(frozen=True)
class Map:
    """Claims by source name; `buffers`: tensors that are no parameters, being computed from the config."""

    claims: dict[str, Claim]
    buffers: list[str]


def map_of(source: Source, names: Iterable[str]) -> Map:
    """The map for an open source whose own tensor names are `names`. Raises `CheckpointError`."""
    if isinstance(source, GGUFSource):
        return _gguf(source, list(names))
    claims: dict[str, Claim] = {}
    buffers: list[str] = []
    is_scratch = source.config.get("model_type") == "scratch"
    tied = is_scratch or source.config.get("tie_word_embeddings") is True
    embedding = "wte.weight" if is_scratch else "model.embed_tokens.weight"
    names = list(names)
    for name in names:
        if _BUFFER.fullmatch(name):
            buffers.append(name)
        elif tied and name == "lm_head.weight":
            claims[name] = Claim((Piece(embedding),), shared=embedding in names)
        else:
            claims[name] = _claim(name, source.config)
    return Map(claims, buffers)


def _claim(name: str, config: dict[str, Any]) -> Claim:
    if match := _EXPERT.fullmatch(name):
        stacked = "experts" if config.get("model_type") == "scratch" else "switch_mlp"
        return Claim((Piece(f"{match[1]}.{stacked}.{match[3]}", int(match[2])),))
    match = _LATENT.fullmatch(name)
    if match and config.get("model_type") != "deepseek_v2":
        return _latent(match[1], config)
    return Claim((Piece(name),))


def _latent(prefix: str, config: dict[str, Any]) -> Claim:
    """kv_b_proj: for each head, rows that make keys from the latent, then rows that make values."""
    heads, nope, value = (config[k] for k in ("num_attention_heads", "qk_nope_head_dim", "v_head_dim"))

    def split(whole: Any) -> list[Any]:
        rows = [whole[i * (nope + value) : (i + 1) * (nope + value)] for i in range(heads)]
        return [mx.stack([part[:nope].T for part in rows]), mx.stack([part[nope:] for part in rows])]

    def join(parts: list[Any]) -> Any:
        keys, values = parts
        return mx.concatenate([mx.concatenate([keys[i].T, values[i]]) for i in range(heads)])

    return Claim((Piece(f"{prefix}.embed_q.weight"), Piece(f"{prefix}.unembed_out.weight")), split, join)


def _gguf(source: GGUFSource, names: list[str]) -> Map:
    placements = {placement.source: placement for placement in source.placements.values()}
    claims: dict[str, Claim] = {}
    buffers = [name for name in names if COMPUTED.fullmatch(name)]
    for name in names:
        if name in buffers:
            continue
        if name not in placements:
            raise CheckpointError(f"{source.path} has the tensor {name[:80]!r}, which has no place.")
        placement = placements[name]
        claims[name] = _claim(placement.target, source.config)
        if placement.how == "rotary":
            rows = source.file.tensors[name].shape[0]
            claims[name] = _rotary(placement.target, rows, placement.heads)
    return Map(claims, buffers)


def _rotary(target: str, rows: int, heads: int) -> Claim:
    """Row j of a head: the first of pair j in its first half, the second of pair j - half in the other."""
    size = rows // heads
    half = size // 2
    row = np.arange(rows)
    head, j = row // size, row % size
    found_at = head * size + 2 * (j % half) + j // half
    back = np.empty(rows, np.int64)
    back[found_at] = row
    there, home = mx.array(found_at), mx.array(back)
    return Claim((Piece(target),), lambda value: [value[there]], lambda parts: parts[0][home])

"""What every architecture shares: reading its arguments from a config.json, the causal mask, the MLP."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, Self

import mlx.core as mx
import mlx.nn as nn

from deepseek_tui.errors import UserError
from deepseek_tui.models.cache import KVCache


class ModelConfigError(UserError):
    """A config.json that describes no model we can build: which key, what was found, what is needed."""


_KINDS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "str": (str,),
    "dict": (dict,),
    "list": (list,),
    "list[float]": (list,),
    "None": (type(None),),
}


def _fits(value: object, annotation: str) -> bool:
    for part in annotation.split(" | "):
        wanted = _KINDS[part.partition("[")[0]]
        if isinstance(value, wanted) and (bool in wanted or not isinstance(value, bool)):
            return True
    return False


@dataclasses.dataclass
class BaseModelArgs:
    """Arguments of an architecture, named as config.json names them; unknown keys are not ours to judge."""

    @classmethod
    def adapt(cls, config: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
        """A copy of `config` completed by what the checkpoint's tensor names tell.

        Here: whether the head is tied, where the config leaves it open, and the newer spelling of the rotary
        settings (`rope_parameters`) brought to the older one.
        """
        config = dict(config)
        if config.get("tie_word_embeddings") is None:
            config["tie_word_embeddings"] = "lm_head.weight" not in set(names)
        rotary = config.get("rope_parameters")
        if isinstance(rotary, dict):
            if "rope_theta" in rotary:
                config["rope_theta"] = rotary["rope_theta"]
            config["rope_scaling"] = config.get("rope_scaling") or rotary
            if "partial_rotary_factor" in rotary:
                config["partial_rotary_factor"] = rotary["partial_rotary_factor"]
        return config

    @classmethod
    def from_dict(cls, config: dict[str, Any]) -> Self:
        """Reads the fields from `config`, checking types and sizes.

        Raises `ModelConfigError` for a key that is needed and absent, or holds the wrong kind of value.
        """
        values: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            if field.name not in config:
                if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                    raise ModelConfigError(f"config.json lacks the key {field.name!r}.")
                continue
            value = config[field.name]
            annotation = str(field.type)
            if value is None and "None" not in annotation and field.default is not dataclasses.MISSING:
                continue
            if not _fits(value, annotation):
                raise ModelConfigError(
                    f"config.json gives {field.name} = {_short(value)}, which should be {annotation}."
                )
            if isinstance(value, int) and not isinstance(value, bool) and not 0 <= value < 1 << 31:
                raise ModelConfigError(f"config.json gives {field.name} = {_short(value)}, which is no size.")
            values[field.name] = value
        args = cls(**values)
        args.check()
        return args

    def check(self) -> None:
        """Raises `ModelConfigError` where the values do not go together. Architectures extend it."""

    def require_positive(self, *names: str) -> None:
        """Raises `ModelConfigError` unless each named field is above zero."""
        for name in names:
            if not getattr(self, name) > 0:
                raise ModelConfigError(
                    f"config.json gives {name} = {getattr(self, name)}, which should be above 0."
                )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def attention_mask(length: int, cache: KVCache | None) -> Any:
    """bool [length, cached + length]: True where a new token may look; None where it may look everywhere."""
    if length == 1:
        return None
    offset = cache.offset if cache is not None else 0
    return mx.arange(offset, offset + length)[:, None] >= mx.arange(offset + length)


def on_cpu() -> bool:
    """Whether arrays live on the CPU, where other ways of computing are fast than on a GPU."""
    return bool(mx.default_device().type == mx.cpu)


_BLOCK = 128
"""Queries looked at together on a CPU."""


def query_blocks(length: int, offset: int) -> list[tuple[int, int, int]]:
    """(start, end, keys): which queries to take together, and how many keys the last of them may see.

    On a CPU the exponentials of the softmax are most of a long prompt's attention; in blocks, few
    are computed for keys in a query's future. A GPU takes all at once.
    """
    step = _BLOCK if on_cpu() else length
    blocks = [(start, min(start + step, length)) for start in range(0, length, step)]
    return [(start, end, offset + end) for start, end in blocks]


def swiglu(gate: Any, up: Any, training: bool) -> Any:
    """silu(gate) * up, by the form that is fastest where it runs."""
    if not on_cpu():
        return nn.silu(gate) * up
    if training:
        return gate * mx.sigmoid(gate) * up
    # Less than half the time of a sigmoid on a CPU, but its gradient is NaN where exp overflows.
    return gate / (1 + mx.exp(-gate)) * up


class GatedMLP(nn.Module):
    """down(silu(gate(x)) * up(x)), the feed-forward of every architecture here (SwiGLU, Shazeer 2020)."""

    def __init__(self, dims: int, hidden: int, bias: bool = False) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(dims, hidden, bias=bias)
        self.up_proj = nn.Linear(dims, hidden, bias=bias)
        self.down_proj = nn.Linear(hidden, dims, bias=bias)

    def __call__(self, x: Any) -> Any:
        return self.down_proj(swiglu(self.gate_proj(x), self.up_proj(x), self.training))

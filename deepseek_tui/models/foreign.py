"""Architectures that this package has no code of its own for, run by mlx-lm behind the interface of ours.

mlx-lm is optional (the extra `mlx-lm`) and slow to import, so nothing here imports it before it is needed.
"""

from __future__ import annotations

import copy
import importlib
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from deepseek_tui.models.foreign_types import UNBOUNDED_CONTEXT, context_length


class ForeignCache:
    """The caches of all layers of one conversation as a single entry: mlx-lm mixes kinds among layers.

    `offset` counts the tokens held. Some kinds (state space, a window that has turned over) cannot forget
    their last tokens: `trim` then forgets none, and its caller sees that `offset` stayed.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self.offset = 0
        self.layers: list[Any] = _prompt_cache(model)

    def trim(self, count: int) -> int:
        """Forgets the last `count` tokens and returns how many that were: all of them can always go."""
        count = max(0, min(count, self.offset))
        if count and count == self.offset:
            self.layers = _prompt_cache(self._model)
        elif count and all(layer.is_trimmable() for layer in self.layers):
            for layer in self.layers:
                layer.trim(count)
        else:
            return 0
        self.offset -= count
        return count

    def copy_from(self, other: ForeignCache) -> None:
        """Holds what `other` holds, in arrays of its own."""
        self.layers, self.offset = copy.deepcopy(other.layers), other.offset

    @property
    def state(self) -> tuple[Any, ...]:
        """The arrays held, without spare room where the kind of cache tells, for evaluating a chunk."""
        held = [layer for layer in self.layers if not layer.empty()]
        trees = [
            layer.keys_and_values() if hasattr(layer, "keys_and_values") else layer.state for layer in held
        ]
        return tuple(array for _, array in tree_flatten(trees) if isinstance(array, mx.array))

    @property
    def growing(self) -> tuple[Any, ...]:
        """Those arrays that get longer with every token."""
        held = [layer for layer in self.layers if not layer.empty() and hasattr(layer, "keys_and_values")]
        return tuple(array for _, array in tree_flatten([layer.keys_and_values() for layer in held]))

    @property
    def nbytes(self) -> int:
        return sum(int(layer.nbytes) for layer in self.layers if not layer.empty())


def _prompt_cache(model: Any) -> list[Any]:
    caches: Any = importlib.import_module("mlx_lm.models.cache")
    return list(caches.make_prompt_cache(model))


class Model(nn.Module):
    """A model of mlx-lm: tokens [B, T] to logits [B, T, V], with a cache of one `ForeignCache`."""

    def __init__(self, inner: Any, config: dict[str, Any]) -> None:
        super().__init__()
        self.inner = inner
        self._context = context_length(config) or UNBOUNDED_CONTEXT

    def __call__(self, tokens: Any, cache: list[ForeignCache] | None = None) -> Any:
        if cache is None:
            return self.inner(tokens)
        logits = self.inner(tokens, cache=cache[0].layers)
        cache[0].offset += tokens.shape[1]
        return logits

    def make_cache(self) -> list[ForeignCache]:
        """A cache for one conversation."""
        return [ForeignCache(self.inner)]

    @property
    def args(self) -> Any:
        """The arguments as mlx-lm read them."""
        return getattr(self.inner, "args", None)

    @property
    def layers(self) -> list[Any]:
        return list(self.inner.layers)

    @property
    def context_length(self) -> int:
        """Tokens that it can follow."""
        return self._context


def build(folder: Path) -> Any:
    """mlx-lm's model of a directory, its weights not yet read. No code of the directory is ever run.

    Raises whatever mlx-lm raises for a config or weights that it cannot make a model of.
    """
    utils: Any = importlib.import_module("mlx_lm.utils")
    model, _config = utils.load_model(folder, lazy=True, strict=True, trust_remote_code=False)
    return model


def unpacked(model: Any) -> Any:
    """The model with packed layers as plain ones: a CPU is slow at multiplying packed weights."""
    utils: Any = importlib.import_module("mlx_lm.utils")
    return utils.dequantize_model(model)

"""A model computed by the compiled library from its weights as stored; used as the MLX models are."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten, tree_unflatten

from deepseek_tui.checkpoints.quantization import unpack
from deepseek_tui.models.cache import KVCache
from deepseek_tui.native.cache import NativeCache
from deepseek_tui.native.library import MOST_THREADS, Matrix, Slot
from deepseek_tui.native.pack import Packer, describe

_FEW = 8
"""Rows up to which the head is computed at once. Above, it is left to be computed if somebody looks."""


class NativeModel:
    """model(tokens[1, T], cache) -> logits[1, T, vocab], and what else its MLX model offers.

    `plain`: that model, its weights evaluated. Raises `UnsupportedModelError` where the library has no way.
    Several rows of tokens, B > 1, are computed by MLX with float32 copies of the weights, made when needed.
    """

    def __init__(self, plain: Any, library: Any, threads: int) -> None:
        self.plain, self.args = plain, plain.args
        self._library, self._packer = library, Packer()
        self._shape, self._layers = describe(plain, self._packer)
        trunk = plain.model
        self._embedding = self._packer.matrix(trunk.embed_tokens)
        self._head = self._packer.matrix(plain.lm_head) if "lm_head" in plain else self._embedding
        self._final_norm = self._packer.norm(trunk.norm)
        self._predictors = [self._predictor(layer) for layer in trunk.layers[len(plain.layers) :]]
        self._floats: Any = None
        others = [self._head, *(p[name] for p in self._predictors for name in ("eh_proj", "head"))]
        self._handle = ctypes.c_void_p(
            library.native_make(
                self._shape,
                self._layers,
                (Matrix * len(others))(*others),
                len(others),
                max(1, min(threads, MOST_THREADS)),
            )
        )
        if self._handle.value is None:
            raise MemoryError("no memory for the compiled layers")
        weakref.finalize(self, library.native_free, self._handle)

    def _predictor(self, layer: Any) -> dict[str, Any]:
        pack, head = self._packer, layer.shared_head
        return {
            "enorm": pack.norm(layer.enorm),
            "hnorm": pack.norm(layer.hnorm),
            "eh_proj": pack.matrix(layer.eh_proj),
            "norm": pack.norm(head.norm),
            "embedding": pack.matrix(layer.embed_tokens) if "embed_tokens" in layer else self._embedding,
            "head": pack.matrix(head.head) if "head" in head else self._head,
            "head_module": head.head if "head" in head else self._head_module,
        }

    @property
    def _head_module(self) -> Any:
        return self.plain.lm_head if "lm_head" in self.plain else self.plain.model.embed_tokens

    def __call__(self, tokens: Any, cache: Sequence[KVCache] | None = None) -> Any:
        if tokens.shape[0] != 1:
            return self.floats(tokens, cache)
        states = self._states(tokens, cache)
        if len(states) > _FEW:
            return self.head(mx.array(states)[None])
        return mx.array(self._product(self._head, states))[None]

    def hidden(self, tokens: Any, cache: Sequence[KVCache] | None = None) -> Any:
        """tokens[B, T] -> [B, T, hidden_size], after the final norm. `cache` (make_cache) is extended."""
        if tokens.shape[0] != 1:
            return self.floats.hidden(tokens, cache)
        return mx.array(self._states(tokens, cache))[None]

    def head(self, hidden: Any) -> Any:
        """hidden[..., hidden_size] -> logits[..., vocab_size]."""
        return self._logits(self._head, self._head_module, hidden)

    def mtp(
        self, hidden: Any, next_tokens: Any, depth: int = 1, cache: KVCache | None = None
    ) -> tuple[Any, Any]:
        """As the MLX model's: one step of multi-token prediction, (hidden', logits)."""
        extra = len(self._predictors)
        if not extra or depth < 1:
            raise ValueError(f"no prediction layer for depth {depth}: this model has {extra}")
        if next_tokens.shape[0] != 1:
            return self.floats.mtp(hidden, next_tokens, depth, cache)  # type: ignore[no-any-return]  # untyped
        index = min(depth, extra) - 1
        found, size = self._predictors[index], self.args.hidden_size
        states = np.ascontiguousarray(np.array(hidden[0].astype(mx.float32)))
        joined = np.empty((states.shape[0], 2 * size), np.float32)
        joined[:, :size] = self._norm(found["enorm"], self._embed(found["embedding"], next_tokens))
        joined[:, size:] = self._norm(found["hnorm"], states)
        x = self._product(found["eh_proj"], joined)
        first = len(self.plain.layers) + index
        self._run(first, first + 1, x, [cache if cache is not None else NativeCache()])
        hidden = mx.array(self._norm(found["norm"], x))[None]
        return hidden, self._logits(found["head"], found["head_module"], hidden)

    @property
    def floats(self) -> Any:
        """The MLX model with float32 weights, for what the library has no way for."""
        if self._floats is None:
            self._floats = with_floats(self.plain)
        return self._floats

    @property
    def threads(self) -> int:
        """Threads that compute, the caller's included."""
        return int(self._library.native_threads(self._handle))

    @property
    def layers(self) -> list[Any]:
        """The layers of the trunk, as the MLX model has them."""
        return list(self.plain.layers)

    @property
    def prediction_layers(self) -> int:
        """How many prediction layers the checkpoint brought."""
        return len(self._predictors)

    @property
    def context_length(self) -> int:
        """Tokens the model was made for, prompt and reply together."""
        return int(self.plain.context_length)

    def make_cache(self) -> list[NativeCache]:
        """An empty cache for one conversation: one for each layer of the trunk."""
        return [NativeCache() for _ in self.plain.layers]

    def parameters(self) -> Any:
        """The weights as stored, as a tree of MLX arrays."""
        return self.plain.parameters()

    def _states(self, tokens: Any, cache: Sequence[KVCache] | None) -> Any:
        """tokens[1, T] -> numpy [T, hidden_size], after the final norm."""
        x = self._embed(self._embedding, tokens)
        self._run(0, len(self.plain.layers), x, cache if cache is not None else self.make_cache())
        return self._norm(self._final_norm, x)

    def _embed(self, table: Matrix, tokens: Any) -> Any:
        ids = np.array(tokens[0].astype(mx.int32))
        out = np.empty((len(ids), self.args.hidden_size), np.float32)
        if self._library.native_rows(table, ids.ctypes.data, len(ids), out.ctypes.data):
            raise ValueError(f"token ids reach from {ids.min()} to {ids.max()}; there are {table.rows}")
        return out

    def _run(self, first: int, last: int, x: Any, caches: Sequence[Any]) -> None:
        """Layers [first, last) on x [T, hidden_size], in place."""
        shape, count, offset = self._shape, len(x), caches[0].offset
        if len(caches) != last - first or any(cache.offset != offset for cache in caches):
            raise ValueError("the caches do not belong together")
        slots = (Slot * len(caches))(
            *[cache.reserve(count, shape.kv_heads, shape.key_size, shape.value_size) for cache in caches]
        )
        if self._library.native_run(self._handle, first, last, x.ctypes.data, count, offset, slots):
            raise ValueError(f"layers {first} to {last} do not take {count} tokens at {offset}")
        for cache in caches:
            cache.offset += count

    def _norm(self, weight: int, x: Any) -> Any:
        out = np.empty_like(x)
        eps = self.args.rms_norm_eps
        self._library.native_norm(x.ctypes.data, weight, len(x), x.shape[1], eps, out.ctypes.data)
        return out

    def _product(self, matrix: Matrix, x: Any) -> Any:
        out = np.empty((len(x), matrix.rows), np.float32)
        if self._library.native_product(self._handle, matrix, x.ctypes.data, len(x), out.ctypes.data):
            raise ValueError(f"a matrix of {matrix.rows} x {matrix.cols} is wider than the model's")
        return out

    def _logits(self, matrix: Matrix, module: Any, hidden: Any) -> Any:
        rows = hidden.reshape(-1, hidden.shape[-1])
        if len(rows) > _FEW:
            return hidden.astype(mx.float32) @ _float_weight(module).T
        x = np.array(rows.astype(mx.float32))
        return mx.array(self._product(matrix, x)).reshape(*hidden.shape[:-1], -1)


def _float_weight(module: Any) -> Any:
    if "scales" not in module:
        return module.weight.astype(mx.float32)
    scales, biases = module.scales.astype(mx.float32), module.biases.astype(mx.float32)
    return mx.dequantize(module.weight, scales, biases, group_size=module.group_size, bits=module.bits)


def with_floats(plain: Any) -> Any:
    model = type(plain)(plain.args)
    weights = dict(tree_flatten(plain.parameters()))
    packed = {
        path: {"group_size": module.group_size, "bits": module.bits}
        for path, module in plain.named_modules()
        if "scales" in module
    }
    unpack(weights, packed, mx.float32)
    model.update(tree_unflatten([(name, array.astype(mx.float32)) for name, array in weights.items()]))
    model.eval()
    mx.eval(model.parameters())
    return model

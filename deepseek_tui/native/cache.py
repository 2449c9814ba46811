"""A KVCache whose arrays the compiled layers can write in place."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx
import numpy as np

from deepseek_tui.models.cache import STEP, KVCache
from deepseek_tui.native.library import Slot


class NativeCache(KVCache):
    """To everybody else a KVCache; `reserve` makes it one that compiled code writes.

    Where it holds numpy arrays, they are float32 [heads, capacity, size]; MLX arrays as in KVCache otherwise.
    """

    def __init__(self) -> None:
        super().__init__()
        self._slot: Slot | None = None
        self._sizes = (0, 0, 0)

    def reserve(self, count: int, heads: int, key_size: int, value_size: int) -> Slot:
        """Makes room for `count` more tokens and says where; the caller adds to `offset` what it wrote."""
        sizes = (heads, key_size, value_size)
        # One more token is the usual case, and asked of every layer for every token.
        if self._slot is None or self._sizes != sizes or self.offset + count > self._slot.capacity:
            self.keys = self._roomy(self.keys, count, heads, key_size)
            self.values = self._roomy(self.values, count, heads, value_size)
            self._slot = Slot(self.keys.ctypes.data, self.values.ctypes.data, self.keys.shape[1])
            self._sizes = sizes
        return self._slot

    def _roomy(self, held: Any, count: int, heads: int, size: int) -> Any:
        end = self.offset + count
        ours = isinstance(held, np.ndarray)
        if held is not None and not ours:
            held = np.array(held[0].astype(mx.float32))
        if held is not None and (held.shape[0] != heads or held.shape[2] != size):
            raise ValueError(f"a cache of {held.shape} is not one of this model")
        if ours and end <= held.shape[1]:
            return held
        roomy = _aligned_zeros((heads, -(-end // STEP) * STEP, size))
        if held is not None:
            roomy[:, : self.offset] = held[:, : self.offset]
        return roomy

    def update_and_fetch(self, keys: Any, values: Any) -> tuple[Any, Any]:
        if isinstance(self.keys, np.ndarray):
            self.state = self.state
        return super().update_and_fetch(keys, values)

    @property
    def state(self) -> tuple[Any, ...]:
        if isinstance(self.keys, np.ndarray):
            held = (self.keys[:, : self.offset], self.values[:, : self.offset])
            return tuple(mx.array(part)[None] for part in held)
        return super().state

    @state.setter
    def state(self, arrays: tuple[Any, ...]) -> None:
        self._slot = None
        self.keys, self.values = arrays if arrays else (None, None)
        self.offset = 0 if self.keys is None else self.keys.shape[2]


def _aligned_zeros(shape: tuple[int, ...]) -> Any:
    """From the start of a cache line on: rows that lie across two are slower to read."""
    count = math.prod(shape)
    room = np.zeros(count + 16, np.float32)
    start = -room.ctypes.data % 64 // 4
    return room[start : start + count].reshape(shape)

"""The key/value cache that makes one more token cost one token, not the whole conversation."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

STEP = 256


class KVCache:
    """What one attention layer remembers: two arrays [B, heads, T, size], growing along T in steps of 256.

    Latent attention stores the normalised latent [B, 1, T, kv_lora_rank] as `keys` and the rotated shared key
    [B, 1, T, qk_rope_head_dim] as `values`: the cache never asks what the two mean.
    """

    step = STEP

    def __init__(self) -> None:
        self.keys: Any = None
        self.values: Any = None
        self.offset = 0
        """Tokens held: the position the next one gets."""

    def update_and_fetch(self, keys: Any, values: Any) -> tuple[Any, Any]:
        """Appends [B, heads, L, size] arrays and returns everything held, [B, heads, offset, size] each."""
        start, self.offset = self.offset, self.offset + keys.shape[2]
        self.keys = _append(self.keys, keys, start)
        self.values = _append(self.values, values, start)
        return self.keys[..., : self.offset, :], self.values[..., : self.offset, :]

    def trim(self, count: int) -> int:
        """Forgets the last `count` tokens (at most all of them) and returns how many that were."""
        count = max(0, min(count, self.offset))
        self.offset -= count
        return count

    @property
    def state(self) -> tuple[Any, ...]:
        """The arrays without their spare room, for saving, or for evaluating a prefilled chunk."""
        if self.keys is None:
            return ()
        return self.keys[..., : self.offset, :], self.values[..., : self.offset, :]

    @state.setter
    def state(self, arrays: tuple[Any, ...]) -> None:
        self.keys, self.values = arrays if arrays else (None, None)
        self.offset = 0 if self.keys is None else self.keys.shape[2]

    @property
    def nbytes(self) -> int:
        """Bytes held, the spare room included."""
        return 0 if self.keys is None else int(self.keys.nbytes + self.values.nbytes)


def _append(held: Any, new: Any, start: int) -> Any:
    """`held` with `new` written at `start`, longer by whole steps where it does not fit."""
    batch, heads, length, size = new.shape
    end = start + length
    if held is None or end > held.shape[2]:
        room = (end + STEP - 1) // STEP * STEP - start
        spare = mx.zeros((batch, heads, room, size), new.dtype)
        held = spare if held is None else mx.concatenate([held[..., :start, :], spare], axis=2)
    held[..., start:end, :] = new
    return held

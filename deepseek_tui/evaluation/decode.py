"""Many replies at once, each exactly what it would be alone.

No row is padded: all start at position 0, and a row whose prompt is longer than the others' is fed its own
prompt, step by step, while the others already answer. So the models need no masks for padding, and rows of
about equal length, which `decode_rows` puts together, cost little extra.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import mlx.core as mx

Choose = Callable[[Any], Any]
"""Logits [B, V] -> ids [B]."""

_PREFILL_TOKENS = 512
"""Prompt tokens in one call of the model, all rows together: keeps the logits of a large vocabulary small."""


def greedy(logits: Any) -> Any:
    """The most likely token of each row."""
    return mx.argmax(logits, axis=-1)


def decode_rows(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    max_tokens: int,
    ends: Collection[int],
    choose: Choose = greedy,
    rows: int = 32,
    on_progress: Callable[[int], None] = lambda _: None,
) -> list[list[int]]:
    """The reply to each of `prompts` (ids, none empty), at most `max_tokens` ids with the end-of-turn id.

    `rows`: how many are computed together. `on_progress(done)`: prompts answered so far. Replies stop at the
    model's context length.
    """
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    replies: list[list[int]] = [[] for _ in prompts]
    done = 0
    for start in range(0, len(order), rows):
        part = order[start : start + rows]
        batch = _Batch(model, [list(prompts[i]) for i in part], max_tokens, frozenset(ends), choose)
        for i, reply in zip(part, batch.run(), strict=True):
            replies[i] = reply
        done += len(part)
        on_progress(done)
    return replies


class _Batch:
    def __init__(
        self, model: Any, prompts: list[list[int]], max_tokens: int, ends: frozenset[int], choose: Choose
    ) -> None:
        self._model, self._prompts, self._ends, self._choose = model, prompts, ends, choose
        self._limits = [min(max_tokens, model.context_length - len(prompt)) for prompt in prompts]
        self._replies: list[list[int]] = [[] for _ in prompts]
        self._cache = model.make_cache()
        self._live = [row for row, limit in enumerate(self._limits) if limit > 0]

    def run(self) -> list[list[int]]:
        position = min(map(len, self._prompts)) - 1
        if len(self._live) < len(self._prompts):
            self._prompts = [self._prompts[row] for row in self._live] or self._prompts
        self._prefill(position)
        current = [prompt[position] for prompt in self._prompts]
        while self._live:
            logits = self._model(mx.array(current)[:, None], cache=self._cache)[:, -1]
            position += 1
            current = self._advance(self._choose(logits).tolist(), position)
        return self._replies

    def _prefill(self, length: int) -> None:
        step = max(_PREFILL_TOKENS // len(self._prompts), 1)
        for start in range(0, length, step):
            end = min(start + step, length)
            self._model(mx.array([prompt[start:end] for prompt in self._prompts]), cache=self._cache)
            mx.eval([cache.state for cache in self._cache])

    def _advance(self, chosen: list[int], position: int) -> list[int]:
        """The next token of each row that goes on; rows that ended leave the batch."""
        kept, current = [], []
        for place, row in enumerate(self._live):
            prompt = self._prompts[place]
            if position < len(prompt):
                kept.append(place)
                current.append(prompt[position])
                continue
            reply = self._replies[row]
            reply.append(chosen[place])
            if chosen[place] not in self._ends and len(reply) < self._limits[row]:
                kept.append(place)
                current.append(chosen[place])
        if len(kept) < len(self._live):
            self._keep(kept)
        return current

    def _keep(self, places: list[int]) -> None:
        self._live = [self._live[place] for place in places]
        self._prompts = [self._prompts[place] for place in places]
        if places:
            rows = mx.array(places)
            for cache in self._cache:
                # The arrays with their spare room, so that the next token does not make them grow again.
                cache.keys, cache.values = cache.keys[rows], cache.values[rows]

"""Which layers to leave out: one by one, the one whose absence moves the next-token distribution least."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx

from deepseek_tui.training.upcycle_measure import Ends, divergence, run_layers

_SHORTLIST = 10
"""Layers tried anew after a removal: those that looked cheapest before it."""


def choose_layers(
    ends: Ends,
    layers: Sequence[Any],
    tokens: Any,
    keep: int,
    on_removed: Callable[[int, float], None] = lambda _layer, _kl: None,
) -> list[int]:
    """Indices of the `keep` layers that stay, the first always among them.

    `tokens` [B, T]: text to judge on, best of the model's own kind. `on_removed(layer, kl)`: after each
    removal, with the divergence from all layers.
    """
    x = ends.embed(tokens)
    wanted = ends.logits(run_layers(layers, x))
    mx.eval(wanted)
    left = list(range(len(layers)))
    costs = dict.fromkeys(left[1:], 0.0)
    candidates = left[1:]
    while len(left) > max(keep, 1):
        before = _states(layers, left, x)
        for index in candidates:
            place = left.index(index)
            out = run_layers([layers[i] for i in left[place + 1 :]], before[place])
            costs[index] = float(divergence(_flat(wanted), _flat(ends.logits(out))).mean().item())
        best = min(candidates, key=lambda index: costs[index])
        left.remove(best)
        on_removed(best, costs.pop(best))
        candidates = sorted(costs, key=lambda index: costs[index])[:_SHORTLIST]
    return left


def _states(layers: Sequence[Any], left: Sequence[int], x: Any) -> list[Any]:
    """What each of the layers `left` is given."""
    states = [x]
    for index in left[:-1]:
        states.append(run_layers([layers[index]], states[-1]))
    return states


def _flat(logits: Any) -> Any:
    return logits.reshape(-1, logits.shape[-1])

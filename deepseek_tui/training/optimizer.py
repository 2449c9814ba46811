"""Muon for matrices, AdamW for everything else.

Muon (Jordan et al. 2024) replaces the momentum of a matrix by the nearest orthogonal one, found by five
Newton-Schulz steps; 0.2 x sqrt(longer side) brings its size to that of an AdamW update (Liu et al. 2025,
"Muon is scalable", 2502.16982). Matrices in stacks, one per expert or head, are treated one by one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import mlx.core as mx

from deepseek_tui.training.network import Weights

_STEPS = (
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
)
"""Coefficients of the odd polynomial of each step, chosen so that five bring every singular value near 1."""

_NOT_MATRICES = ("embed_tokens.weight", "lm_head.weight", "shared_head.head.weight", "mlp.gate.weight")
"""Tables of vectors rather than maps: each row stands for itself."""


@dataclass(frozen=True)
class OptimizerSettings:
    """`lr` is Muon's learning rate, `adam_lr` and `embedding_lr` those of AdamW (the latter for embedding and
    head). `clip`: largest norm of the whole gradient, 0 for none."""

    lr: float = 1e-3
    adam_lr: float = 5e-4
    embedding_lr: float = 3e-4
    weight_decay: float = 0.0
    momentum: float = 0.95
    beta1: float = 0.9
    beta2: float = 0.95
    eps: float = 1e-8
    clip: float = 1.0


def is_matrix(name: str, array: Any) -> bool:
    """Whether Muon updates this parameter."""
    return array.ndim >= 2 and not name.endswith(_NOT_MATRICES)


def orthogonal(matrices: Any, dtype: Any = mx.bfloat16) -> Any:
    """matrices [..., m, n], m <= n -> about the nearest with orthonormal rows, in `dtype`."""
    x = matrices.astype(mx.float32)
    x = x / (mx.sqrt((x * x).sum(axis=(-2, -1), keepdims=True)) + 1e-7)
    x = x.astype(dtype)
    for a, b, c in _STEPS:
        square = x @ x.swapaxes(-1, -2)
        x = a * x + (b * square + c * (square @ square)) @ x
    return x


class Optimizer:
    """Updates weights as a pure function, so that a step can be compiled and a state saved as it is."""

    def __init__(self, settings: OptimizerSettings, dtype: Any = mx.bfloat16) -> None:
        self.settings = settings
        self._dtype = dtype

    def start(self, weights: Weights) -> Weights:
        """The state before the first step: names prefixed by "momentum:", "first:" and "second:"."""
        state: Weights = {}
        for name, array in weights.items():
            kinds = ("momentum",) if is_matrix(name, array) else ("first", "second")
            state.update({f"{kind}:{name}": mx.zeros(array.shape, mx.float32) for kind in kinds})
        return state

    def update(
        self, weights: Weights, grads: Weights, state: Weights, factor: Any, step: Any
    ) -> tuple[Weights, Weights, Any]:
        """One step: (weights, state, norm of the gradient before clipping).

        `factor` multiplies every learning rate (the schedule), `step` counts from 1; both are arrays.
        """
        # In a fixed order: a resumed run has its dictionaries in another one.
        norm = mx.sqrt(sum((grads[name].astype(mx.float32) ** 2).sum() for name in sorted(grads)))
        scale = mx.minimum(1.0, self.settings.clip / (norm + 1e-6)) if self.settings.clip else mx.array(1.0)
        grads = {name: g.astype(mx.float32) * scale for name, g in grads.items()}
        matrices = [name for name in grads if is_matrix(name, weights[name])]
        new, kept = self._adam(weights, {n: g for n, g in grads.items() if n not in set(matrices)}, state,
                               factor, step)  # fmt: skip
        moved, momenta = self._muon(weights, {n: grads[n] for n in matrices}, state, factor)
        return {**weights, **new, **moved}, {**state, **kept, **momenta}, norm

    def _adam(
        self, weights: Weights, grads: Weights, state: Weights, factor: Any, step: Any
    ) -> tuple[Weights, Weights]:
        s = self.settings
        new, kept = Weights(), Weights()
        for name, g in grads.items():
            first = s.beta1 * state[f"first:{name}"] + (1 - s.beta1) * g
            second = s.beta2 * state[f"second:{name}"] + (1 - s.beta2) * g * g
            rate = factor * (s.embedding_lr if name.endswith(_NOT_MATRICES[:3]) else s.adam_lr)
            unbiased = mx.sqrt(second / (1 - s.beta2**step)) + s.eps
            new[name] = weights[name] - rate * (first / (1 - s.beta1**step)) / unbiased
            kept |= {f"first:{name}": first, f"second:{name}": second}
        return new, kept

    def _muon(self, weights: Weights, grads: Weights, state: Weights, factor: Any) -> tuple[Weights, Weights]:
        s = self.settings
        new, kept = Weights(), Weights()
        for names in _by_shape(grads):
            stack = []
            for name in names:
                momentum = s.momentum * state[f"momentum:{name}"] + (1 - s.momentum) * grads[name]
                kept[f"momentum:{name}"] = momentum
                ahead = s.momentum * momentum + (1 - s.momentum) * grads[name]
                stack.append(_wide(ahead))
            whole = mx.concatenate(stack) if len(stack) > 1 else stack[0]
            size = 0.2 * math.sqrt(max(whole.shape[-2:]))
            moves = orthogonal(whole, self._dtype).astype(mx.float32) * size
            start = 0
            for name, part in zip(names, stack, strict=True):
                move = moves[start : start + part.shape[0]]
                start += part.shape[0]
                rate = factor * s.lr
                if grads[name].shape[-2] > grads[name].shape[-1]:
                    move = move.swapaxes(-1, -2)
                move = move.reshape(grads[name].shape)
                new[name] = weights[name] * (1 - rate * s.weight_decay) - rate * move
        return new, kept


def _wide(matrix: Any) -> Any:
    """[stack, m, n] with m <= n."""
    stack = matrix.reshape(-1, *matrix.shape[-2:])
    return stack.swapaxes(-1, -2) if stack.shape[-2] > stack.shape[-1] else stack


def _by_shape(grads: Weights) -> list[list[str]]:
    """Names of matrices of like shape (either way round), so that they go through the steps together."""
    groups: dict[tuple[int, ...], list[str]] = {}
    for name in sorted(grads):
        groups.setdefault(tuple(sorted(grads[name].shape[-2:])), []).append(name)
    return list(groups.values())

"""A feed-forward split into shared and routed experts, from its activations on a calibration text.

The shared expert takes the neurons that are strong everywhere. Tokens are clustered by which of the other
neurons they use; each routed expert takes the strongest on its cluster (two experts may hold the same one).
The router is the least-squares map from the layer's inputs to the clusters. The output maps are then fitted
again, so that shared and chosen experts together come nearest to what the layer should give.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

_ROUNDS = 12
"""Rounds of clustering."""
_LOGIT_SPREAD = 2.0
"""Standard deviation of the router's logits at the start: decided, but not so much that it cannot learn."""
_KEEP = 0.02
"""How strongly the fit is held to the source's output maps, relative to the features' mean square."""


@dataclass(frozen=True)
class Sizes:
    """E routed experts of `hidden` neurons, `top_k` of them chosen, and `shared` experts for every token."""

    routed: int
    shared: int
    hidden: int
    top_k: int


@dataclass(frozen=True)
class FeedForward:
    """gate and up [F, D], down [D, F] of the source."""

    gate: Floats
    up: Floats
    down: Floats

    def activations(self, x: Floats) -> Floats:
        """x [n, D] -> [n, F], what `down` is given."""
        inner = x @ self.gate.T
        inner /= 1.0 + np.exp(-np.maximum(inner, -80.0))
        inner *= x @ self.up.T
        return inner


def split(
    source: FeedForward, x: Floats, target: Floats, sizes: Sizes, rng: np.random.Generator
) -> dict[str, Floats]:
    """Weights of models/deepseek_v3.MoE by name. x [n, D]: inputs; `target` [n, D]: outputs wanted."""
    act = source.activations(x)
    power = np.square(act).mean(0) * np.square(source.down).sum(0)
    order = np.argsort(-power)
    always, rest = order[: sizes.shared * sizes.hidden], order[sizes.shared * sizes.hidden :]
    strength = np.abs(act[:, rest]) * np.linalg.norm(source.down[:, rest], axis=0)
    router = _router(x, cluster(strength, sizes.routed, rng))
    gates = gate_weights(x @ router.T, sizes.top_k)
    use = gates.T @ np.square(strength)  # [E, rest]
    experts = [rest[np.argsort(-use[e])[: sizes.hidden]] for e in range(sizes.routed)]
    down = _refit(source, act, gates, always, experts, target)
    weights = {
        "gate.weight": router,
        "switch_mlp.gate_proj.weight": np.stack([source.gate[e] for e in experts]),
        "switch_mlp.up_proj.weight": np.stack([source.up[e] for e in experts]),
        "switch_mlp.down_proj.weight": np.stack(down[1:]),
    }
    if sizes.shared:
        weights["shared_experts.gate_proj.weight"] = source.gate[always]
        weights["shared_experts.up_proj.weight"] = source.up[always]
        weights["shared_experts.down_proj.weight"] = down[0]
    return weights


def cluster(features: Floats, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Spherical k-means of [n, F], centred: the cluster of each row. Empty clusters are seeded anew."""
    z = features - features.mean(0)
    z /= np.linalg.norm(z, axis=1, keepdims=True) + 1e-9
    centres = z[rng.choice(len(z), count, replace=False)]
    for _ in range(_ROUNDS):
        owner = np.argmax(z @ centres.T, axis=1)
        for e in range(count):
            members = z[owner == e]
            centres[e] = members.mean(0) if len(members) else z[rng.integers(len(z))]
        centres /= np.linalg.norm(centres, axis=1, keepdims=True) + 1e-9
    return np.asarray(np.argmax(z @ centres.T, axis=1))


def _router(x: Floats, owner: NDArray[np.int64]) -> Floats:
    count = int(owner.max()) + 1
    wanted = np.eye(count, dtype=x.dtype)[owner]
    wanted -= wanted.mean(0)
    square = x.T @ x
    square[np.diag_indices_from(square)] += 0.01 * np.trace(square) / len(square)
    router = np.linalg.solve(square, x.T @ wanted).T
    return np.asarray(router * (_LOGIT_SPREAD / (np.std(x @ router.T) + 1e-9)))


def gate_weights(logits: Floats, top_k: int) -> Floats:
    """[n, E]: the sigmoid scores of the chosen experts, normalised to 1, and 0 for the others."""
    scores = 1.0 / (1.0 + np.exp(-logits))
    least = np.sort(scores, axis=1)[:, -top_k, None]
    scores = np.where(scores >= least, scores, 0.0)
    return np.asarray(scores / scores.sum(1, keepdims=True))


def _refit(
    source: FeedForward,
    act: Floats,
    gates: Floats,
    always: NDArray[np.int64],
    experts: list[NDArray[np.int64]],
    target: Floats,
) -> list[Floats]:
    """Output maps [D, neurons], the shared one first."""
    parts = [act[:, always], *(act[:, e] * gates[:, [i]] for i, e in enumerate(experts))]
    start = np.concatenate([source.down[:, always], *(source.down[:, e] for e in experts)], axis=1)
    features = np.concatenate(parts, axis=1)
    fitted = ridge(features, target, start)
    edges = np.cumsum([part.shape[1] for part in parts])[:-1]
    return np.split(fitted, edges, axis=1)


def ridge(features: Floats, target: Floats, start: Floats) -> Floats:
    """The map M [D, F] with features [n, F] @ M.T nearest to target [n, D], held near `start` [D, F]."""
    square = features.T @ features
    hold = _KEEP * np.trace(square) / len(square)
    square[np.diag_indices_from(square)] += hold
    left = (target - features @ start.T).T @ features
    return np.asarray(start + np.linalg.solve(square, left.T).T)

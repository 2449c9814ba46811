"""Which rotating parts of grouped-query keys become which parts of one shared rotating key.

Rotary embedding turns pair j of every key head by the same angle, so any unitary mixing of the heads' pairs j
(taken as complex numbers) commutes with it. The heads are mixed by their principal directions, weighted by
the queries that look at them (TransMLA, arXiv 2502.07864, does this with real rotations); each direction then
either gets a pair of the shared key that turns about as fast, or stops turning and becomes content. Which
goes where is an assignment problem with a known cost: the expected squared error of the attention score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from deepseek_tui.models.rope import make_rope

Floats = NDArray[np.floating[Any]]
Complex = NDArray[np.complexfloating[Any, Any]]


def frequencies(
    dims: int, base: float, scaling: dict[str, Any] | None, positions: int, *, interleaved: bool
) -> NDArray[np.float64]:
    """Radians that each of the dims / 2 pairs turns by from one position to the next, measured."""
    rope = make_rope(dims, base, scaling, positions, interleaved=interleaved)
    ones, zeros = np.ones(dims // 2, np.float32), np.zeros(dims // 2, np.float32)
    pair = np.stack([ones, zeros], -1).reshape(-1) if interleaved else np.concatenate([ones, zeros])
    turned = np.array(rope(mx.array(pair)[None, None, None], 1), np.float64).reshape(-1)
    if interleaved:
        return np.arctan2(turned[1::2], turned[::2])
    return np.arctan2(turned[dims // 2 :], turned[: dims // 2])


@dataclass(frozen=True)
class Directions:
    """Key heads mixed pair by pair. G key heads, H query heads, P pairs, D inputs.

    `keys` [P, G, D]: z = keys @ x is direction c of pair j, in the units of a score. `queries` [P, H, G, D]:
    the score of head h is the sum over j, c of Re(conj(queries @ x) * z). `back` [P, G, G]: key head g of
    pair j is back[j, g] @ z[j]. `weight` [P, G]: expected squared score through each direction, summed over
    heads.
    """

    keys: Complex
    back: Complex
    weight: NDArray[np.float64]
    scale: NDArray[np.float64]

    def query(self, queries: Complex, direction: tuple[int, int]) -> Complex:
        """queries [H, P, D] (complex pairs of each head) -> [H, D], what each head looks for along it."""
        pair, c = direction
        heads, groups = queries.shape[0], self.back.shape[1]
        factor = np.repeat(self.back[pair, :, c].conj(), heads // groups)
        return queries[:, pair] * factor[:, None]


def mix_heads(keys: Complex, queries: Complex, seen: Floats, asked: Floats) -> Directions:
    """keys [G, P, D], queries [H, P, D]; `seen`, `asked` [D, D]: second moments of the inputs, weighted as
    keys are looked at, and plain."""
    groups, pairs, _ = keys.shape
    power = np.einsum("hpd,hpd->hp", queries @ asked, queries.conj()).real
    scale = np.sqrt(power.reshape(groups, -1, pairs).sum(1)).T + 1e-12  # [P, G]
    scaled = keys.transpose(1, 0, 2) * scale[..., None]  # [P, G, D]
    moment = (scaled @ seen) @ scaled.conj().swapaxes(-1, -2)
    values, vectors = np.linalg.eigh(moment)
    values, vectors = values[:, ::-1], vectors[:, :, ::-1]
    mixed = vectors.conj().swapaxes(-1, -2) @ scaled
    return Directions(mixed, vectors / scale[..., None], np.maximum(values, 0.0), scale)


def turning_errors(source: Floats, target: Floats, distances: Floats) -> NDArray[np.float64]:
    """[source pairs, target pairs]: expected |e^(i s d) - e^(i t d)|^2 over distances d of probability
    distances[d]."""
    d = np.arange(len(distances))
    difference = source[:, None] - target[None, :]
    mean = np.cos(difference[..., None] * d) @ distances
    return np.asarray(2.0 * (1.0 - mean))


def assign(
    weight: Floats,
    source: Floats,
    target: Floats,
    distances: Floats,
) -> tuple[list[tuple[int, int] | None], float]:
    """For each pair of the shared key the direction (pair, c) that it takes over, and the error that stays.

    `weight` [P, G]; a direction that no pair takes stands still.
    """
    pairs, groups = weight.shape
    errors = turning_errors(source, target, distances)
    still = turning_errors(source, np.zeros(1), distances)
    gain = weight[..., None] * (still - errors)[:, None, :]  # [P, G, slots]
    chosen = best_assignment(-gain.reshape(pairs * groups, -1).T)
    found: list[tuple[int, int] | None] = []
    left = float((weight * still).sum())
    for slot, row in enumerate(chosen):
        pair, c = divmod(row, groups)
        if row < 0 or gain[pair, c, slot] <= 0:
            found.append(None)
        else:
            found.append((pair, c))
            left -= float(gain[pair, c, slot])
    return found, left


def best_assignment(cost: NDArray[np.float64]) -> list[int]:
    """A different column for each row so that the sum of cost [rows, columns] is least; -1 past the columns.

    The Hungarian method with potentials (Kuhn 1955, Jonker and Volgenant 1987).
    """
    rows, columns = cost.shape
    if rows > columns:
        taken = best_assignment(cost.T)
        result = [-1] * rows
        for column, row in enumerate(taken):
            result[row] = column
        return result
    u, v = np.zeros(rows + 1), np.zeros(columns + 1)
    owner = np.zeros(columns + 1, np.int64)
    way = np.zeros(columns + 1, np.int64)
    for row in range(1, rows + 1):
        owner[0], here = row, 0
        least = np.full(columns + 1, np.inf)
        used = np.zeros(columns + 1, bool)
        while owner[here]:
            used[here] = True
            reduced = cost[owner[here] - 1] - u[owner[here]] - v[1:]
            free = ~used[1:]
            better = free & (reduced < least[1:])
            least[1:][better] = reduced[better]
            way[1:][better] = here
            step = int(np.argmin(np.where(free, least[1:], np.inf))) + 1
            delta = least[step]
            u[owner[used]] += delta
            v[used] -= delta
            least[~used] -= delta
            here = step
        while here:
            before = int(way[here])
            owner[here] = owner[before]
            here = before
    result = [-1] * rows
    for column in range(1, columns + 1):
        if owner[column]:
            result[owner[column] - 1] = column - 1
    return result

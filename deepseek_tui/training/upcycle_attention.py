"""Grouped-query attention rewritten as latent attention, in closed form from a calibration text.

The steps, for one layer:

1. Rotating parts of the keys get pairs of the shared rotating key (`upcycle_rope`); slow or weak ones stop
   turning and become content.
2. Content keys and values are compressed together: principal directions on the calibration inputs, keys
   measured in units of the score, values in units of the layer's output (both weighted by how much attention
   a token receives).
3. The norm on the latent would divide by its own size. One latent is therefore a constant, the direction u
   of the inputs with u.x = 1, and larger than all others together, so that the norm divides by nearly the
   same number everywhere; it also carries the mean of what was compressed. With a latent as wide as the
   inputs all of them are kept instead, whose size the norm before the layer has fixed: that is exact.
4. Content parts of query and key heads wider than the new heads are reduced by balanced truncation.

With every position 0 and nothing compressed the result equals the source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepseek_tui.training.upcycle_rope import Complex, Directions, assign, mix_heads

Floats = NDArray[np.floating[Any]]

CONSTANT = 3.0
"""Size of the constant latent over the size of the others together."""


@dataclass(frozen=True)
class Heads:
    """Weights of one grouped-query attention: q [H, d, D], k and v [G, d, D], o [D, H * d].

    Pairs of a head are (j, j + d / 2). `norm` [D]: weight of the norm whose output is the input.
    """

    q: Floats
    k: Floats
    v: Floats
    o: Floats
    norm: Floats

    def exact(self) -> Heads:
        """The same in float64."""
        wide = (np.asarray(array, np.float64) for array in (self.q, self.k, self.v, self.o, self.norm))
        return Heads(*wide)


@dataclass(frozen=True)
class Inputs:
    """What a layer saw of the calibration text. `x` [n, D]: inputs of the attention; `received` [n]:
    attention that each of them got, mean 1; `distances` [T]: share of the attention by distance."""

    x: Floats
    received: Floats
    distances: Floats

    def exact(self) -> Inputs:
        """The same in float64."""
        return Inputs(np.asarray(self.x, np.float64), self.received, self.distances)


@dataclass(frozen=True)
class Target:
    """Sizes of the latent attention, and the frequencies of source [P] and shared [R / 2] pairs."""

    rank: int
    nope: int
    source: Floats
    shared: Floats

    @property
    def rotated(self) -> int:
        """Width of the shared rotating key."""
        return 2 * len(self.shared)


@dataclass
class Converted:
    """Weights by their names in models/deepseek_v3.py, float32, and what was lost: `error` of the compressed
    content, relative."""

    weights: dict[str, NDArray[np.float32]]
    error: float


def complex_pairs(heads: Floats) -> Complex:
    """[heads, d, D] -> [heads, d / 2, D]."""
    half = heads.shape[1] // 2
    return np.asarray(heads[:, :half] + 1j * heads[:, half:])


def directions(heads: Heads, inputs: Inputs) -> Directions:
    """The key heads mixed pair by pair, on this text."""
    heads, inputs = heads.exact(), inputs.exact()
    seen = (inputs.x * inputs.received[:, None]).T @ inputs.x / len(inputs.x)
    asked = inputs.x.T @ inputs.x / len(inputs.x)
    return mix_heads(complex_pairs(heads.k), complex_pairs(heads.q), seen, asked)


def convert(heads: Heads, inputs: Inputs, target: Target) -> Converted:
    """The latent attention that computes what `heads` computes."""
    heads, inputs = heads.exact(), inputs.exact()
    mixed = directions(heads, inputs)
    slots, _ = assign(mixed.weight, target.source, target.shared, inputs.distances)
    content = _Content(heads, inputs, mixed, {slot for slot in slots if slot is not None})
    latent = _latent(content, heads, inputs, target.rank)
    stretch = np.sqrt((target.nope + target.rotated) / heads.q.shape[1])
    query, key = _reduce(content, latent, inputs, target.nope)
    rotating_q, rotating_k = _rotating(heads, mixed, slots)
    q = np.concatenate([query, rotating_q], axis=1) * stretch
    weights = {
        "q_proj.weight": q.reshape(-1, q.shape[-1]),
        "kv_a_proj_with_mqa.weight": np.concatenate([latent.down, rotating_k]),
        "kv_a_layernorm.weight": np.full(target.rank, latent.size),
        "embed_q.weight": key.swapaxes(-1, -2),
        "unembed_out.weight": np.repeat(latent.values, len(heads.q) // len(heads.v), axis=0),
        "o_proj.weight": heads.o,
    }
    return Converted({name: array.astype(np.float32) for name, array in weights.items()}, latent.error)


def _rotating(
    heads: Heads, mixed: Directions, slots: Sequence[tuple[int, int] | None]
) -> tuple[Floats, Floats]:
    """Queries [H, R, D] and the shared key [R, D], pairs as neighbours."""
    pairs = complex_pairs(heads.q)
    q = np.zeros((len(heads.q), 2 * len(slots), heads.q.shape[-1]))
    k = np.zeros(q.shape[1:])
    for slot, direction in enumerate(slots):
        if direction is None:
            continue
        key, query = mixed.keys[direction], mixed.query(pairs, direction)
        # Only their product matters: give both the same size.
        even = np.sqrt(np.linalg.norm(query) / max(np.linalg.norm(key) * np.sqrt(len(query)), 1e-12))
        k[2 * slot], k[2 * slot + 1] = key.real * even, key.imag * even
        q[:, 2 * slot], q[:, 2 * slot + 1] = query.real / even, query.imag / even
    return q, k


class _Content:
    """What does not turn. G groups, c directions that stand still, d value numbers.

    `rows` [2c + G d, D]: directions (real parts, then imaginary) and values; `metric`: how each counts;
    `key_back` [G, 2 P, 2c]: content keys of a group (real, imaginary) from the directions.
    """

    def __init__(self, heads: Heads, inputs: Inputs, mixed: Directions, taken: set[tuple[int, int]]) -> None:
        pairs, groups = mixed.weight.shape
        still = [(j, c) for j in range(pairs) for c in range(groups) if (j, c) not in taken]
        self.pairs = sorted({j for j, _ in still})
        self.query = complex_pairs(heads.q)[:, self.pairs]
        keys = np.array([mixed.keys[place] for place in still]).reshape(len(still), heads.q.shape[-1])
        self.count = len(still)
        self.rows = np.concatenate([keys.real, keys.imag, heads.v.reshape(-1, heads.v.shape[-1])])
        place = {j: i for i, j in enumerate(self.pairs)}
        back = np.zeros((groups, len(self.pairs), self.count), complex)
        for column, (j, c) in enumerate(still):
            back[:, place[j], column] = mixed.back[j, :, c]
        self.key_back = np.block([[back.real, -back.imag], [back.imag, back.real]])
        self.metric = self._metric(heads, inputs)

    def _metric(self, heads: Heads, inputs: Inputs) -> Floats:
        """A matrix [rows, rows] whose square measures an error: in mean squared score (over heads and the
        root of the head size) for keys, relative to the output's size for values."""
        H, d, _ = heads.q.shape
        G = len(heads.v)
        metric = np.zeros((len(self.rows), len(self.rows)))
        # Directions are in units of the score of all heads together.
        metric[np.arange(2 * self.count), np.arange(2 * self.count)] = 1 / np.sqrt(2.0 * H * d)
        o = heads.o.reshape(-1, G, H // G, d)
        value = inputs.x @ heads.v.reshape(G * d, -1).T
        spread = np.cov((value * np.sqrt(inputs.received)[:, None]).T)
        square = np.zeros((G * d, G * d))
        for g in range(G):
            part = o[:, g].reshape(-1, d)
            block = slice(g * d, (g + 1) * d)
            square[block, block] = part.T @ part
        square /= max(float(np.trace(square @ spread)), 1e-12)
        values, vectors = np.linalg.eigh(square)
        values = np.maximum(values, values[-1] * 1e-6)
        metric[2 * self.count :, 2 * self.count :] = (vectors * np.sqrt(values)) @ vectors.T
        return metric


@dataclass
class _Latent:
    """`down` [rank, D]; `size`: what the norm divides by; `keys` [2c, rank] and `values` [G, d, rank] from
    the normalised latent times `size`."""

    down: Floats
    size: float
    keys: Floats
    values: Floats
    error: float


def _latent(content: _Content, heads: Heads, inputs: Inputs, rank: int) -> _Latent:
    groups, d, width = heads.v.shape
    if rank >= width:
        down: Floats = np.zeros((rank, width))
        down[:width] = np.diag(1 / heads.norm)
        up: Floats = np.zeros((len(content.rows), rank))
        up[:, :width] = content.rows * heads.norm
        size, error = float(np.sqrt(width / rank)), 0.0
    else:
        down, up, size, error = _compress(content, inputs, rank)
    keys, values = up[: 2 * content.count], up[2 * content.count :].reshape(groups, d, rank)
    return _Latent(down, size, keys, values, error)


def _compress(content: _Content, inputs: Inputs, rank: int) -> tuple[Floats, Floats, float, float]:
    x = inputs.x
    one = constant_direction(x)
    y = x @ content.rows.T
    weight = inputs.received / inputs.received.mean()
    mean = (y * weight[:, None]).mean(0)
    centred = content.rows - mean[:, None] * one
    measured = (x @ centred.T) @ content.metric
    moment = (measured * weight[:, None]).T @ measured / len(x)
    values, vectors = np.linalg.eigh(moment)
    keep = min(rank - 1, len(values))
    error = float(values[: len(values) - keep].sum() / max(values.sum(), 1e-12))
    vectors = vectors[:, ::-1][:, :keep]
    down = np.zeros((rank, x.shape[1]))
    down[:keep] = vectors.T @ content.metric @ centred
    together = float(np.sqrt(values[::-1][:keep].sum()))
    big = CONSTANT * together
    down[-1] = big * one
    up = np.zeros((len(content.rows), rank))
    up[:, :keep] = np.linalg.solve(content.metric, vectors)
    up[:, -1] = mean / big
    return down, up, float(np.sqrt((together**2 + big**2) / rank)), error


def constant_direction(x: Floats) -> Floats:
    """u [D] with u.x nearest to 1 on x [n, D], by least squares."""
    square = x.T @ x
    square[np.diag_indices_from(square)] += 1e-3 * np.trace(square) / len(square)
    return np.asarray(np.linalg.solve(square, x.sum(0)))


def _reduce(content: _Content, latent: _Latent, inputs: Inputs, nope: int) -> tuple[Floats, Floats]:
    """Content queries [H, nope, D] and what makes content keys of the latent [H, nope, rank]."""
    H, P, _ = content.query.shape
    query = np.concatenate([content.query.real, content.query.imag], axis=1)
    key = content.key_back @ latent.keys  # [G, 2P, rank]
    key = np.repeat(key, H // len(key), axis=0)
    if nope >= 2 * P:
        wide = ((0, 0), (0, nope - 2 * P), (0, 0))
        return np.pad(query, wide), np.pad(key, wide)
    c = inputs.x @ latent.down.T
    c = c - (c * inputs.received[:, None]).mean(0)  # a shift of all keys alike changes no attention
    found = [_balanced(query[h], key[h], inputs, c, nope) for h in range(H)]
    return np.array([q for q, _ in found]), np.array([k for _, k in found])


def _balanced(query: Floats, key: Floats, inputs: Inputs, c: Floats, nope: int) -> tuple[Floats, Floats]:
    """The rank-`nope` product nearest to (query x).(key c) in mean square."""
    a, b = inputs.x @ query.T, c @ key.T
    left = _root(a.T @ a / len(a))
    right = _root((b * inputs.received[:, None]).T @ b / len(b))
    u, s, vt = np.linalg.svd(left.T @ right)
    s = np.sqrt(s[:nope])
    q = np.linalg.solve(left.T, u[:, :nope]) * s
    k = np.linalg.solve(right.T, vt[:nope].T) * s
    # solve() inverts the roots: the product of what they map is the truncated score.
    return q.T @ query, k.T @ key


def _root(moment: Floats) -> Floats:
    """A root with root @ root.T = moment, bounded away from 0."""
    values, vectors = np.linalg.eigh(moment)
    return np.asarray((vectors * np.sqrt(np.maximum(values, values[-1] * 1e-7 + 1e-12))) @ vectors.T)

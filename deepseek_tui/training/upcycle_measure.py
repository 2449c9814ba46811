"""Runs layers one after another over a calibration text, and compares distributions of the next token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx

from deepseek_tui.models.base import attention_mask

_CHUNK = 512
"""Positions whose logits exist at once."""


@dataclass(frozen=True)
class Distance:
    """How far a model's next-token distribution is from the source's: mean KL(source || model) in nats, and
    the share of positions where both find the same token most likely."""

    kl: float
    same: float

    def __str__(self) -> str:
        return f"KL {self.kl:.3f}, same next token {self.same:.0%}"


class Ends:
    """What lies around the layers: embedding, final norm and head of the source, which the copy shares."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def embed(self, tokens: Any) -> Any:
        """tokens [B, T] -> [B, T, D]."""
        return self._source.model.embed_tokens(tokens)

    def logits(self, x: Any) -> Any:
        """The last layer's output [..., D] -> [..., V]."""
        return self._source.head(self._source.model.norm(x)).astype(mx.float32)


def run_layers(layers: Sequence[Any], x: Any) -> Any:
    """x [B, T, D] through `layers`, row by row so that the memory stays small."""
    mask = attention_mask(x.shape[1], None)
    rows = []
    for row in range(x.shape[0]):
        h = x[row : row + 1]
        for layer in layers:
            h = layer(h, mask, None)
        mx.eval(h)
        rows.append(h)
    return mx.concatenate(rows)


def distance(ends: Ends, source: Any, copy: Any) -> Distance:
    """Between two last-layer outputs [B, T, D] for the same text."""
    width = source.shape[-1]
    source, copy = source.reshape(-1, width), copy.reshape(-1, width)
    kl, same, count = 0.0, 0, source.shape[0]
    for start in range(0, count, _CHUNK):
        p = ends.logits(source[start : start + _CHUNK])
        q = ends.logits(copy[start : start + _CHUNK])
        agree: Any = mx.argmax(p, -1) == mx.argmax(q, -1)
        same += int(agree.sum().item())
        kl += float(divergence(p, q).sum().item())
    return Distance(kl / count, same / count)


def divergence(p: Any, q: Any) -> Any:
    """KL in nats of logits p and q [n, V] -> [n]."""
    log_p = p - mx.logsumexp(p, axis=-1, keepdims=True)
    log_q = q - mx.logsumexp(q, axis=-1, keepdims=True)
    return (mx.exp(log_p) * (log_p - log_q)).sum(-1)

"""What a step minimises, put together from its parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mlx.core as mx

from deepseek_tui.training.head import HeadLoss
from deepseek_tui.training.network import Network, Weights
from deepseek_tui.training.rounding import Plan, for_compute

METRICS = ("divergence", "entropy", "agree", "ahead_loss", "ahead_agree", "balance")
"""Sums over weighted tokens (of KL, cross-entropy, agreements; the same of the prediction layers), and the
balance loss times rows."""


@dataclass(frozen=True)
class ObjectiveSettings:
    """`predict` x cross-entropy with the text + `distil` x KL to the teacher, + `ahead` x the same
    cross-entropy for each prediction layer + `balance` x the sequence-wise balance loss.

    `ahead_only`: the trunk stands still and its prediction layers learn to say what it will say next (KL to
    its own distribution one token on). `chunk`: rows whose logits are in memory at a time.
    """

    predict: float = 1.0
    distil: float = 0.0
    ahead: float = 0.0
    balance: float = 1e-4
    ahead_only: bool = False
    chunk: int = 4096


@dataclass
class Teacher:
    """A second model that says what the distribution should be. `prefix`: ids it sees before each row."""

    network: Network
    weights: Weights
    prefix: tuple[int, ...] = ()

    def states(self, weights: Weights, tokens: Any, segments: Any) -> Any:
        if not self.prefix:
            return self.network.hidden(weights, tokens, segments).states
        before = mx.broadcast_to(mx.array(self.prefix), (tokens.shape[0], len(self.prefix)))
        whole = mx.concatenate([before, tokens], axis=1)
        return self.network.hidden(weights, whole).states[:, len(self.prefix) :]


class Objective:
    """The loss of one micro-batch as a function of the weights that are trained."""

    def __init__(
        self,
        network: Network,
        settings: ObjectiveSettings,
        dtype: Any,
        teacher: Teacher | None = None,
        plan: Plan | None = None,
    ) -> None:
        self.network, self.settings, self.dtype = network, settings, dtype
        self.teacher, self.plan = teacher, plan

    @property
    def routers(self) -> tuple[str, ...]:
        """What the rows of the loads stand for."""
        if self.settings.ahead_only:
            return self.network.ahead_routers
        return self.network.routers + (self.network.ahead_routers if self.settings.ahead else ())

    def __call__(
        self,
        trained: Weights,
        fixed: Weights,
        taught: Weights,
        tokens: Any,
        targets: Any,
        segments: Any,
        scale: Any,
        share: Any,
    ) -> tuple[Any, Any, Any]:
        """(loss, the METRICS as one array, loads of the experts or None).

        `trained` and `fixed` together are the model's weights, `taught` the teacher's. `tokens` [B, T],
        `targets` [B, T]: weight of predicting each token, `segments` [B, T] or None. `scale`: what a sum over
        tokens is multiplied by (one over the weight of the whole step); `share`: this batch's share of the
        step's rows.
        """
        settings = self.settings
        weights = for_compute({**fixed, **trained}, self.dtype, self.plan)
        found = self.network.hidden(weights, tokens, segments)
        head = weights[self.network.head]
        loads, balance = found.loads, found.balance
        if settings.ahead_only:
            own, head = mx.stop_gradient(found.states), mx.stop_gradient(head)
            ahead = self.network.ahead_prefixes
            weights = {n: a if n.startswith(ahead) else mx.stop_gradient(a) for n, a in weights.items()}
            loss, extra, loads, balance = self._ahead(weights, own, head, tokens, targets, segments, own)
            sums = mx.zeros((3,))
        else:
            loss, sums = self._next(found.states, head, tokens, targets, segments, taught)
            extra = mx.zeros((2,))
            if settings.ahead:
                more, extra, above, tilt = self._ahead(
                    weights, found.states, head, tokens, targets, segments, None
                )
                loss = loss + settings.ahead * more
                if above is not None:
                    loads, balance = mx.concatenate([loads, above]), balance + tilt
        loss = loss * scale
        rows = mx.zeros(())
        if balance is not None:
            loss = loss + settings.balance * balance * share
            rows = balance * share
        metrics = mx.concatenate([sums, extra, rows[None]])
        return loss, mx.stop_gradient(metrics), None if loads is None else mx.stop_gradient(loads)

    def _next(
        self,
        states: Any,
        head: Any,
        tokens: Any,
        targets: Any,
        segments: Any,
        taught: Weights,
    ) -> tuple[Any, Any]:
        s = self.settings
        loss = HeadLoss(s.predict, s.distil, s.chunk)
        rows = [_flat(states), head, _ahead(tokens, 1).flatten(), _ahead(targets, 1).flatten()]
        if s.distil and self.teacher is not None:
            rows.append(_flat(self.teacher.states(taught, tokens, segments)))
            rows.append(taught[self.teacher.network.head])
        total, sums = loss(*rows)
        return total, sums

    def _ahead(
        self,
        weights: Weights,
        states: Any,
        head: Any,
        tokens: Any,
        targets: Any,
        segments: Any,
        own: Any,
    ) -> tuple[Any, Any, Any, Any]:
        """The prediction layers: loss, sums, loads and balance. `own`: the trunk's states where they are the
        teacher, None where the text is."""
        total, sums = mx.zeros(()), mx.zeros((2,))
        loads, balance = [], mx.zeros(())
        depths = self.network.prediction_layers
        kind = HeadLoss(0.0 if own is not None else 1.0, 1.0 if own is not None else 0.0,
                        self.settings.chunk, trains_head=own is None)  # fmt: skip
        for depth in range(1, depths + 1):
            found = self.network.predict(weights, states, _ahead(tokens, depth), segments, depth)
            states = found.states
            wanted = _ahead(targets, depth + 1)
            if segments is not None:
                wanted = wanted * (_ahead(segments, depth + 1) == segments)
            rows = [_flat(states), head, _ahead(tokens, depth + 1).flatten(), wanted.flatten()]
            if own is not None:
                rows += [_flat(_ahead(own, depth)), head]
            loss, three = kind(*rows)
            total = total + loss / depths
            sums = sums + mx.stack([three[0] + three[1] if own is None else three[0], three[2]]) / depths
            if found.loads is not None:
                loads.append(found.loads)
                balance = balance + found.balance
        return total, sums, mx.concatenate(loads) if loads else None, balance if loads else None


def _ahead(x: Any, places: int) -> Any:
    """x[:, i + places] at row i; zeros (no token, no weight) past the end."""
    return mx.concatenate([x[:, places:], mx.zeros_like(x[:, :places])], axis=1)


def _flat(states: Any) -> Any:
    return states.reshape(-1, states.shape[-1])

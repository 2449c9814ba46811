"""One training step: gradients of micro-batches, added up over them and over processes, then the update."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
from mlx.utils import tree_map

from deepseek_tui.training.network import Weights, start_computing
from deepseek_tui.training.objective import METRICS, Objective
from deepseek_tui.training.optimizer import Optimizer


@dataclass
class Micro:
    """A part of a step that is computed at once; arrays as `Objective` takes them, and its name."""

    objective: str
    tokens: Any
    targets: Any
    segments: Any
    scale: float
    share: float


@dataclass
class Outcome:
    """What a step reports; arrays not yet evaluated. `metrics`: sums by objective, as METRICS has them."""

    loss: Any
    norm: Any
    metrics: dict[str, Any]
    loads: Any


class Step:
    """Runs steps over a state {"weights", "optimizer"} that it takes and gives back.

    `balance_rate`: how far a step moves the correction bias of an expert with more or less than its share
    (auxiliary-loss-free balancing, Wang et al. 2024, 2408.15664). `compiled`: through mx.compile. `group`:
    processes whose gradients are averaged; each computes its own micro-batches.
    """

    def __init__(
        self,
        objectives: dict[str, Objective],
        optimizer: Optimizer,
        *,
        balance_rate: float = 1e-3,
        compiled: bool = True,
        group: Any = None,
    ) -> None:
        self._optimizer, self._rate, self._group = optimizer, balance_rate, group
        self._routers = next(iter(objectives.values())).routers
        self._gradients = {name: self._gradient_function(o, compiled) for name, o in objectives.items()}
        self._update = mx.compile(optimizer.update) if compiled else optimizer.update

    @staticmethod
    def _gradient_function(objective: Objective, compiled: bool) -> Any:
        def loss(trained: Weights, *rest: Any) -> tuple[Any, Any, Any]:
            return objective(trained, *rest)

        function = mx.value_and_grad(loss)
        return mx.compile(function) if compiled else function

    def __call__(
        self,
        trained: Weights,
        fixed: Weights,
        taught: Weights,
        state: Weights,
        micros: Iterable[Micro],
        factor: float,
        number: int,
    ) -> tuple[Weights, Weights, Weights, Outcome]:
        """(trained, fixed with its correction biases moved, optimizer state, outcome). `number` from 1."""
        grads, outcome = self._sum(trained, fixed, taught, micros)
        trained, state, norm = self._update(trained, grads, state, mx.array(factor), mx.array(float(number)))
        outcome.norm = norm
        if outcome.loads is not None and self._rate:
            fixed = {**fixed, **self._rebalanced(fixed, outcome.loads)}
        return trained, fixed, state, outcome

    def _sum(
        self, trained: Weights, fixed: Weights, taught: Weights, micros: Iterable[Micro]
    ) -> tuple[Weights, Outcome]:
        grads: Weights | None = None
        outcome = Outcome(mx.zeros(()), None, {}, None)
        for micro in micros:
            (loss, metrics, loads), found = self._gradients[micro.objective](
                trained, fixed, taught, micro.tokens, micro.targets, micro.segments,
                mx.array(micro.scale), mx.array(micro.share),
            )  # fmt: skip
            grads = found if grads is None else tree_map(mx.add, grads, found)
            outcome.loss = outcome.loss + loss
            before = outcome.metrics.get(micro.objective)
            outcome.metrics[micro.objective] = metrics if before is None else before + metrics
            if loads is not None:
                outcome.loads = loads if outcome.loads is None else outcome.loads + loads
            # The activations of one micro-batch go before those of the next come.
            start_computing(grads, outcome.loss, outcome.metrics)
        assert grads is not None, "a step needs a batch"
        return self._across_processes(grads, outcome)

    def _across_processes(self, grads: Weights, outcome: Outcome) -> tuple[Weights, Outcome]:
        if self._group is None or self._group.size() == 1:
            return grads, outcome

        def add(array: Any) -> Any:
            return mx.distributed.all_sum(array, group=self._group)

        # Scales already hold the weight of the whole step, so the sum over processes is the mean.
        outcome.loss = add(outcome.loss)
        outcome.metrics = {name: add(outcome.metrics[name]) for name in sorted(outcome.metrics)}
        outcome.loads = None if outcome.loads is None else add(outcome.loads)
        return {name: add(grads[name]) for name in sorted(grads)}, outcome

    def _rebalanced(self, fixed: Weights, loads: Any) -> Weights:
        moved: Weights = {}
        for router, load in zip(self._routers, loads, strict=True):
            name = f"{router}.e_score_correction_bias"
            if name in fixed:
                moved[name] = fixed[name] + self._rate * mx.sign(load.mean() - load)
        return moved


def metric(sums: Any, name: str) -> float:
    """One of the METRICS out of an evaluated array."""
    return float(sums[METRICS.index(name)])

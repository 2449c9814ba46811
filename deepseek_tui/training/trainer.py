"""The loop: steps, validation, checkpoints, and stopping where something is wrong."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlx.core as mx

from deepseek_tui.training.checkpoints import RunState, checkpoints, load_state, save_state
from deepseek_tui.training.errors import TrainingError
from deepseek_tui.training.network import Network, Weights, start_computing
from deepseek_tui.training.objective import METRICS, Objective, ObjectiveSettings, Teacher
from deepseek_tui.training.optimizer import Optimizer, OptimizerSettings
from deepseek_tui.training.rounding import Plan
from deepseek_tui.training.schedule import Schedule
from deepseek_tui.training.sources import Source
from deepseek_tui.training.step import Outcome, Step

_CORRECTION = "e_score_correction_bias"


@dataclass(frozen=True)
class TrainSettings:
    """One training stage. Counts are in steps; 0 switches the thing off."""

    schedule: Schedule
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    objectives: dict[str, ObjectiveSettings] = field(default_factory=dict)
    balance_rate: float = 1e-3
    round_from: float = 1.0
    """Share of the run after which weights are rounded in the forward pass."""
    log_every: int = 10
    validate_every: int = 500
    save_every: int = 500
    keep: int = 2
    spike: float = 3.0
    """A loss this many times its running average stops the run."""
    compiled: bool = True
    seconds: float = 0.0
    """Stop (with a checkpoint) after this time."""


Report = Callable[[dict[str, Any]], None]
"""Takes one record of the log."""


class Trainer:
    """Trains one network on its sources.

    `weights`: of the model, in float32. `dtype`: what the forward pass computes in. `folder`: where the
    checkpoints go. `recipe`: text that tells this run from another, compared on resuming.
    """

    def __init__(
        self,
        network: Network,
        weights: Weights,
        sources: list[Source],
        settings: TrainSettings,
        folder: Path,
        *,
        dtype: Any = mx.bfloat16,
        teacher: Teacher | None = None,
        plan: Plan | None = None,
        recipe: str = "",
        report: Report | None = None,
        group: Any = None,
    ) -> None:
        self.network, self.sources, self.settings, self.folder = network, sources, settings, folder
        self.teacher, self.plan, self.recipe = teacher, plan, recipe
        self.report: Report = report or (lambda _: None)
        self.dtype, self.group = dtype, group
        self.optimizer = Optimizer(settings.optimizer, dtype)
        trained, fixed = self._parted(weights)
        self.state = RunState(trained, fixed, self.optimizer.start(trained))
        self.state.positions = {source.settings.name: 0 for source in sources}
        self._taught = teacher.weights if teacher else {}
        self._steps: dict[bool, Step] = {}
        self._validators: dict[tuple[str, bool], Any] = {}

    def _parted(self, weights: Weights) -> tuple[Weights, Weights]:
        """What this stage trains, and what stays as it is."""
        kinds = self.settings.objectives.values()
        only, ahead = any(k.ahead_only for k in kinds), any(k.ahead for k in kinds)

        def trains(name: str) -> bool:
            above = name.startswith(self.network.ahead_prefixes) if self.network.ahead_prefixes else False
            if name.endswith(_CORRECTION):
                return False
            return above if only else (ahead or not above)

        trained = {name: array.astype(mx.float32) for name, array in weights.items() if trains(name)}
        if not trained:
            raise TrainingError("There is nothing to train: the model has no prediction layer.")
        return trained, {name: array for name, array in weights.items() if name not in trained}

    @property
    def weights(self) -> Weights:
        """All weights of the model as they are now."""
        return {**self.state.fixed, **self.state.trained}

    def resume(self) -> bool:
        """Takes up the newest checkpoint that can be read. False where there is none."""
        found = checkpoints(self.folder)
        if not found:
            return False
        self.state = load_state(found[-1], self.recipe)
        return True

    def run(self) -> bool:
        """Trains to the end: True; False where the time was up before. Raises TrainingError for a loss that
        is not finite or leaps up."""
        settings, started = self.settings, time.perf_counter()
        mx.eval(self.state.trained, self.state.fixed, self.state.optimizer, self._taught)
        pending: _Done | None = None
        window = _Window(sum(source.tokens for source in self.sources))
        while self.state.step < settings.schedule.steps:
            if settings.seconds and time.perf_counter() - started > settings.seconds:
                break
            done = self._advance()
            if pending is not None:
                self._account(pending, window)
            pending = done
            due = [n and self.state.step % n == 0 for n in (settings.save_every, settings.validate_every)]
            if any(due):
                self._account(pending, window)
                pending = None
                if due[1]:
                    self.report({"step": self.state.step, **self.validate()})
                if due[0]:
                    self.save()
                window.pause()
        if pending is not None:
            self._account(pending, window)
        self.save()
        return self.state.step >= settings.schedule.steps

    def save(self) -> None:
        """Writes a checkpoint, from the first process only."""
        if self.group is None or self.group.rank() == 0:
            save_state(self.folder, self.state, self.recipe, self.settings.keep)

    def _advance(self) -> _Done:
        state = self.state
        rows = sum(source.settings.rows for source in self.sources)
        micros = (m for s in self.sources for m in s.micros(state.positions[s.settings.name], rows))
        factor = self.settings.schedule.factor(state.step)
        state.trained, state.fixed, state.optimizer, outcome = self._step()(
            state.trained, state.fixed, self._taught, state.optimizer, micros, factor, state.step + 1
        )
        start_computing(state.trained, state.fixed, state.optimizer, outcome.loss, outcome.norm)
        state.step += 1
        for source in self.sources:
            state.positions[source.settings.name] += source.settings.rows
        weights: dict[str, tuple[float, int]] = {}
        for source in self.sources:
            weight, counted = weights.get(source.settings.objective, (0.0, 0))
            weights[source.settings.objective] = (weight + source.weight, counted + source.counted)
        return _Done(outcome, state.step, factor, weights)

    @property
    def rounding(self) -> bool:
        """Whether the step to come rounds weights."""
        share = self.state.step / max(self.settings.schedule.steps, 1)
        return self.plan is not None and share >= self.settings.round_from

    def _step(self) -> Step:
        rounding = self.rounding
        if rounding not in self._steps:
            self._steps[rounding] = Step(
                {name: self._objective(name, rounding) for name in self.settings.objectives},
                self.optimizer,
                balance_rate=self.settings.balance_rate,
                compiled=self.settings.compiled,
                group=self.group,
            )
        return self._steps[rounding]

    def _objective(self, name: str, rounding: bool) -> Objective:
        kind = self.settings.objectives[name]
        plan = self.plan if rounding else None
        return Objective(self.network, kind, self.dtype, self.teacher if kind.distil else None, plan)

    def _account(self, done: _Done, window: _Window) -> None:
        """Checks a step that was computed and reports it now and then."""
        outcome, step = done.outcome, done.step
        loss, norm = outcome.loss.item(), outcome.norm.item()
        average = self.state.average
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise TrainingError(f"The loss of step {step} is not finite ({loss}). {self._batch_of(step)}")
        if self.settings.spike and average and loss > self.settings.spike * average and step > 20:
            raise TrainingError(
                f"The loss of step {step} leapt to {loss:.4g} from an average of {average:.4g}. "
                f"{self._batch_of(step)}",
                "Lower the learning rate or look at those rows; the last checkpoint is from before.",
            )
        self.state.average = loss if not average else 0.98 * average + 0.02 * loss
        window.count()
        if (
            self.settings.log_every and step % self.settings.log_every == 0
        ) or step == self.settings.schedule.steps:
            record = {
                "step": step,
                "loss": loss,
                "norm": norm,
                "rate": done.factor,
                **window.rates(),
            }
            record |= self._figures(done)
            if outcome.loads is not None:
                loads = outcome.loads
                record["busiest"] = (loads.max(axis=1) / loads.mean(axis=1)).max().item()
            self.report(record)

    def _figures(self, done: _Done) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, sums in done.outcome.metrics.items():
            weight, counted = done.weights[name]
            found |= figures(name, sums, weight, counted)
        return found

    def _batch_of(self, step: int) -> str:
        """Names the rows that a step took."""
        parts = []
        for source in self.sources:
            count = source.settings.rows
            rows = source.order.rows((step - 1) * count, count)
            shown = ", ".join(str(row) for row in rows[:8]) + (", …" if count > 8 else "")
            parts.append(f"{source.settings.name}: {shown}")
        return f"Its rows were {'; '.join(parts)}."

    def validate(self) -> dict[str, float]:
        """Loss of the held-out rows of each source, by the source's own objective, per weighted token."""
        found: dict[str, float] = {}
        for source in self.sources:
            if not len(source.order.held_out):
                continue
            name = source.settings.objective
            sums = mx.zeros((len(METRICS),))
            for micro in source.validation():
                part = self._validator(name)(
                    self.state.trained, self.state.fixed, self._taught, micro.tokens, micro.targets,
                    micro.segments, mx.array(1.0), mx.array(0.0),
                )  # fmt: skip
                sums = sums + part
                mx.eval(sums)
            found |= figures(f"validation.{source.settings.name}", sums, source.weight, source.counted)
        return found

    def _validator(self, name: str) -> Any:
        key = (name, self.rounding)
        if key not in self._validators:
            objective = self._objective(*key)

            def metrics(*inputs: Any) -> Any:
                return objective(*inputs)[1]

            self._validators[key] = mx.compile(metrics) if self.settings.compiled else metrics
        return self._validators[key]


@dataclass
class _Done:
    """A step that was begun. `weights`: by objective, the sum of its weights and the tokens that have any."""

    outcome: Outcome
    step: int
    factor: float
    weights: dict[str, tuple[float, int]]


def figures(prefix: str, sums: Any, weight: float, counted: int) -> dict[str, float]:
    """Sums of METRICS as means over weighted tokens (agreements over tokens of any weight)."""
    found: dict[str, float] = {}
    for index, metric in enumerate(METRICS[:-1]):
        per = counted if metric.endswith("agree") else weight
        if value := float(sums[index].item()):
            found[f"{prefix}.{metric}"] = value / max(per, 1e-6)
    return found


class _Window:
    """Tokens a second since the last report, pauses left out."""

    def __init__(self, tokens: int) -> None:
        self._tokens, self._steps, self._since = tokens, 0, time.perf_counter()

    def count(self) -> None:
        self._steps += 1

    def pause(self) -> None:
        """What happened since the last step was no training."""
        self._steps, self._since = 0, time.perf_counter()

    def rates(self) -> dict[str, float]:
        now = time.perf_counter()
        pace = self._steps / max(now - self._since, 1e-9)
        self._steps, self._since = 0, now
        return {"steps_per_s": pace, "tokens_per_s": pace * self._tokens}

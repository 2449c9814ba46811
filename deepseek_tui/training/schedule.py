"""The learning rate over a run: up, level, down (warmup-stable-decay, Hu et al. 2024, 2404.06395)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """`warmup` in steps; `decay_from`: share of the run after which the rate falls to `floor` times its
    height."""

    steps: int
    warmup: int = 40
    decay_from: float = 0.45
    floor: float = 0.03

    def factor(self, step: int) -> float:
        """What learning rates are multiplied by at `step`, counted from 0."""
        rising = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        done = step / max(self.steps, 1)
        if done <= self.decay_from:
            return rising
        falling = (1 - done) / max(1 - self.decay_from, 1e-9)
        return rising * max(self.floor, falling)

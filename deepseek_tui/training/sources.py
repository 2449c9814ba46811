"""What a step is made of: so many rows of each prepared data set, in parts that fit the memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import mlx.core as mx
import numpy as np

from deepseek_tui.training.errors import TrainingError
from deepseek_tui.training.rows import Order, Rows
from deepseek_tui.training.step import Micro


@dataclass(frozen=True)
class SourceSettings:
    """`rows` of the data set `name` in every step, at most `micro` of them at once (0: all), under the
    objective "distil" or "predict", whose loss counts `weight` times. `held_out` rows are for validation."""

    name: str
    rows: int
    objective: str = "predict"
    weight: float = 1.0
    micro: int = 0
    held_out: int = 0


class Source:
    """A data set with its order; which rows a step takes depends on nothing but the step's position."""

    def __init__(
        self, settings: SourceSettings, rows: Rows, seed: int, *, rank: int = 0, size: int = 1
    ) -> None:
        self.settings, self.data = settings, rows
        self.order = Order(len(rows), seed, settings.held_out)
        self._rank, self._size = rank, size
        self.weight, self.counted = 0.0, 0
        """Of the rows taken last: sum of their weights, and how many tokens have any."""
        if settings.rows % size:
            raise TrainingError(
                f"{settings.rows} rows of {settings.name} a step cannot be shared out to {size} processes.",
                f"Take a multiple of {size}.",
            )

    @property
    def tokens(self) -> int:
        """Tokens of one step, all processes together."""
        return self.settings.rows * self.data.info.length

    def micros(self, position: int, step_rows: int) -> Iterator[Micro]:
        """This process's parts of the step that begins at `position`. `step_rows`: rows of all sources."""
        rows = self.order.rows(position, self.settings.rows)
        yield from self._micros(rows, self._rank, self._size, step_rows)

    def validation(self) -> Iterator[Micro]:
        """The held-out rows, the same for every process."""
        yield from self._micros(self.order.held_out, 0, 1, len(self.order.held_out))

    def _micros(self, rows: np.ndarray, rank: int, size: int, step_rows: int) -> Iterator[Micro]:
        batch = self.data.take(rows)
        targets = batch.weights[:, 1:]
        self.weight, self.counted = float(targets.sum(dtype=np.float64)), int((targets > 0).sum())
        scale = self.settings.weight / max(self.weight, 1e-6)
        own = len(rows) // size
        most = self.settings.micro or own
        for start in range(rank * own, rank * own + own, most):
            part = slice(start, min(start + most, rank * own + own))
            segments = None if batch.segments is None else mx.array(batch.segments[part])
            count = part.stop - part.start
            yield Micro(
                self.settings.objective,
                mx.array(batch.tokens[part]),
                mx.array(batch.weights[part]),
                segments,
                scale,
                count / max(step_rows, 1),
            )

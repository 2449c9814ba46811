"""What a person sees of a run: lines in the terminal with a small plot, the log file, TensorBoard."""

from __future__ import annotations

import importlib
import json
import math
import sys
import time
from collections import deque
from pathlib import Path
from typing import IO, Any

from deepseek_tui.training.errors import TrainingError

_BLOCKS = " ▁▂▃▄▅▆▇█"
_WIDTH = 60
_SHORT = {
    "divergence": "KL",
    "entropy": "loss",
    "agree": "same token",
    "ahead_loss": "ahead loss",
    "ahead_agree": "ahead same",
}


def plot(values: list[float], width: int = _WIDTH) -> str:
    """`values` as one line of blocks, lowest to highest; several values to a column are averaged."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    step = max(1, math.ceil(len(finite) / width))
    columns = [sum(part) / len(part) for part in (finite[i : i + step] for i in range(0, len(finite), step))]
    low, high = min(columns), max(columns)
    span = (high - low) or 1.0
    return "".join(_BLOCKS[1 + round((value - low) / span * (len(_BLOCKS) - 2))] for value in columns)


def duration(seconds: float) -> str:
    """Seconds for people: "42 s", "12 min 5 s", "3 h 20 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class Progress:
    """Shows records on stderr: one live block where that is a terminal, plain lines where it is not.

    `quiet` shows nothing. Every record goes to `folder`/log.jsonl in any case, and to TensorBoard's files
    below `folder`/tensorboard with `tensorboard` (needs the package tensorboardX).
    """

    def __init__(self, folder: Path, *, quiet: bool = False, tensorboard: bool = False) -> None:
        self._folder, self._quiet = folder, quiet
        self._live = sys.stderr.isatty() and not quiet
        self._log: IO[str] | None = None
        self._losses: deque[float] = deque(maxlen=4096)
        self._validation: dict[str, float] = {}
        self._lines = 0
        self._started = time.time()
        self._board = _board(folder) if tensorboard else None

    def say(self, line: str) -> None:
        """A line that stays."""
        if not self._quiet:
            self._erase()
            print(line, file=sys.stderr, flush=True)

    def record(self, stage: str, record: dict[str, Any]) -> None:
        """Keeps and shows a record of a stage's log."""
        self._write({"stage": stage, "time": round(time.time() - self._started, 2), **record})
        if self._board is not None:
            for key, value in record.items():
                if isinstance(value, float):
                    self._board.add_scalar(f"{stage}/{key}", value, record.get("step", 0))
        if "note" in record:
            self.say(f"{stage}: step {record['step']}: {record['note']}")
        validation = {key: value for key, value in record.items() if key.startswith("validation.")}
        if validation:
            self._validation = validation
            self.say(f"{stage}: step {record['step']}: {_figures(validation)}")
        if "loss" in record:
            self._losses.append(record["loss"])
            self._show(stage, record)

    def close(self) -> None:
        """Leaves the last block on the screen and closes the files."""
        self._lines = 0
        if self._log is not None:
            self._log.close()
        if self._board is not None:
            self._board.close()

    def _write(self, record: dict[str, Any]) -> None:
        if self._log is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._log = (self._folder / "log.jsonl").open("a", encoding="utf-8")
        rounded = {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in record.items()}
        self._log.write(json.dumps(rounded, ensure_ascii=False) + "\n")
        self._log.flush()

    def _show(self, stage: str, record: dict[str, Any]) -> None:
        if self._quiet:
            return
        first = f"{stage}: step {record['step']:,}  loss {record['loss']:.4f}  {_pace(record)}"
        if not self._live:
            print(first, file=sys.stderr, flush=True)
            return
        figures = {k: v for k, v in record.items() if "." in k}
        second = f"  {_figures(figures)}  rate {record['rate']:.3f}  gradient {record['norm']:.2f}"
        if "busiest" in record:
            second += f"  busiest expert {record['busiest']:.2f}x"
        self._erase()
        block = [first, second, f"  {plot(list(self._losses))}"]
        print("\n".join(block), end="", file=sys.stderr, flush=True)
        self._lines = len(block)

    def _erase(self) -> None:
        """Takes the live block away, so that what comes stands in its place."""
        if self._live and self._lines:
            up = f"\x1b[{self._lines - 1}A" if self._lines > 1 else ""
            print(f"\r{up}\x1b[J", end="", file=sys.stderr)
            self._lines = 0


def _pace(record: dict[str, Any]) -> str:
    text = f"{record.get('tokens_per_s', 0):,.0f} tokens/s"
    if "mfu" in record:
        text += f"  MFU {record['mfu']:.1%}"
    if "seconds_left" in record:
        text += f"  {duration(record['seconds_left'])} left"
    return text


def _figures(record: dict[str, Any]) -> str:
    shown = []
    for key, value in record.items():
        *where, metric = key.split(".")
        name = " ".join(["validation", *where[1:]] if where[0] == "validation" else where)
        figure = f"{value:.1%}" if metric.endswith("agree") else f"{value:.4f}"
        shown.append(f"{name} {_SHORT.get(metric, metric)} {figure}")
    return "  ".join(shown)


def _board(folder: Path) -> Any:
    try:
        module = importlib.import_module("tensorboardX")
    except ImportError as error:
        raise TrainingError(
            "--tensorboard needs the package tensorboardX.", "Run: pip install tensorboardX"
        ) from error
    return module.SummaryWriter(str(folder / "tensorboard"))

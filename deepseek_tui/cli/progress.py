"""The one line of progress on stderr, and sizes for people."""

from __future__ import annotations

import json
import math
import sys
import time

_SECONDS_BETWEEN = 0.1


class ByteProgress:
    """A line that is written over, only where a person can see it: done, total, and how fast."""

    def __init__(self, verb: str) -> None:
        self.verb = verb
        self.live = sys.stderr.isatty()
        self._started = time.monotonic()
        self._shown = 0.0

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Shows the figures, at most ten times a second."""
        now = time.monotonic()
        if not self.live or (now - self._shown < _SECONDS_BETWEEN and done < total):
            return
        self._shown = now
        rate = done / max(now - self._started, 0.001)
        percent = done * 100 // max(total, 1)
        line = f"{self.verb}  {percent:3d}%  {size(done)} of {size(total)}  {size(rate)}/s  {note}"
        print(f"\r\x1b[K{line.rstrip()}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Takes the line away."""
        if self.live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


class JsonProgress:
    """The same for a program that follows: one JSON object a line on stdout, with bytes."""

    def __init__(self, verb: str) -> None:
        self.verb = verb
        self._shown = -math.inf

    def __call__(self, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        if now - self._shown >= _SECONDS_BETWEEN or done >= total:
            self._shown = now
            print(json.dumps({"stage": self.verb, "done": done, "total": total, "file": note}), flush=True)

    def clear(self) -> None:
        """Nothing is there to be taken away."""


def size(count: float) -> str:
    """Bytes for people, in decimal units."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"


def thousands(count: float) -> str:
    """A number of parameters for people: 119 M, 1.24 B."""
    if count >= 1e9:
        return f"{count / 1e9:.2f} B"
    return f"{count / 1e6:.0f} M" if count >= 1e7 else f"{count / 1e6:.2f} M"

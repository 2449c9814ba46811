"""A real terminal for tests: a pseudo-terminal whose screen is kept by a terminal emulator."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pexpect
import pyte

KEYS = {
    "enter": "\r",
    "escape": "\x1b",
    "ctrl+b": "\x02",
    "ctrl+c": "\x03",
    "ctrl+n": "\x0e",
    "ctrl+q": "\x11",
    "ctrl+r": "\x12",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "f1": "\x1bOP",
}


class Terminal:
    """Runs a command in a pseudo-terminal and keeps what a person would see."""

    def __init__(self, argv: list[str], env: dict[str, str], columns: int = 120, rows: int = 40) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self._lock = threading.Lock()
        self.raw = bytearray()
        variables: Any = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **env}
        # Its stub takes every child for one that speaks text; without an encoding it speaks bytes.
        self.child: Any = pexpect.spawn(
            argv[0],
            argv[1:],
            env=variables,
            dimensions=(rows, columns),
            timeout=None,
        )
        self.child.delaybeforesend = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = self.child.read_nonblocking(65536, timeout=None)
            except (pexpect.EOF, OSError, ValueError):
                return
            with self._lock:
                self.raw += data
                self._stream.feed(data)

    @property
    def text(self) -> str:
        """The screen as lines of text."""
        with self._lock:
            return "\n".join(line.rstrip() for line in self.screen.display)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.child.send(KEYS[key])

    def type(self, text: str) -> None:
        self.child.send(text)

    def wait_until(self, predicate: Callable[[], bool], timeout: float = 60) -> None:
        """Raises AssertionError with the screen when `predicate` stays false for `timeout` seconds."""
        end = time.monotonic() + timeout
        while not predicate():
            if time.monotonic() > end:
                raise AssertionError(f"not seen within {timeout} s; the screen was:\n{self.text}")
            time.sleep(0.02)

    def wait_for(self, text: str, timeout: float = 60) -> None:
        self.wait_until(lambda: text in self.text, timeout)

    def wait_exit(self, timeout: float = 30) -> int | None:
        """Waits for the end of the command and returns its exit code."""
        self.wait_until(lambda: not self.child.isalive(), timeout)
        code: int | None = self.child.exitstatus
        return code

    def close(self) -> None:
        self.child.close(force=True)
        self._reader.join(timeout=5)


def chat(home: Path, *flags: str, columns: int = 120, rows: int = 40) -> Terminal:
    """The chat as `deepseek-tui FLAGS` starts it, with all its files below `home`."""
    return Terminal(
        [sys.executable, "-m", "deepseek_tui", *flags], {"DEEPSEEK_TUI_HOME": str(home)}, columns, rows
    )

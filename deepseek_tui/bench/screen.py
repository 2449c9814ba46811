"""The full-screen chat measured from outside: a pseudo-terminal, real keys, the figures it stored itself."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import sqlite3
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROMPT = "Tell me a long story about a lighthouse keeper and the sea."


def measure_screen(model: str, max_tokens: int, columns: int = 120, rows: int = 40) -> dict[str, Any]:
    """Starts the chat, sends one message, waits for the reply, quits.

    Returns seconds from the command to the first frame (`frame_seconds`) and to a loaded model
    (`ready_seconds`), the reply's `decode_tps`, resident bytes of both processes, and `ui_core_share`:
    processor time of the screen's process over the time the reply took.
    """
    with tempfile.TemporaryDirectory() as home:
        return _Screen(home, model, max_tokens, columns, rows).measure()


class _Screen:
    def __init__(self, home: str, model: str, max_tokens: int, columns: int, rows: int) -> None:
        self._home = Path(home)
        self._started = time.perf_counter()
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.environ.update(DEEPSEEK_TUI_HOME=home, TERM="xterm-256color", COLORTERM="truecolor")
            flags = ["--model", model, "--max-tokens", str(max_tokens), "--temp", "0"]
            os.execv(sys.executable, [sys.executable, "-m", "deepseek_tui", *flags])
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._seen = bytearray()

    def measure(self) -> dict[str, Any]:
        try:
            self._read_until(lambda: b"message" in self._seen)
            frame = time.perf_counter() - self._started
            self._read_until(lambda: b"loaded" in self._seen)
            ready = time.perf_counter() - self._started
            os.write(self._fd, PROMPT.encode() + b"\r")
            self._read_until(lambda: self._reply()[0] == "streaming")
            before, begun = _cpu_seconds(self._pid), time.perf_counter()
            peak = {"ui_bytes": 0, "engine_bytes": 0}

            def done() -> bool:
                peak["ui_bytes"] = max(peak["ui_bytes"], _resident(self._pid))
                peak["engine_bytes"] = max(peak["engine_bytes"], *map(_resident, _children(self._pid)), 0)
                return self._reply()[0] not in ("", "streaming")

            self._read_until(done, pause=0.2)
            share = (_cpu_seconds(self._pid) - before) / (time.perf_counter() - begun)
            stats = self._reply()[1]
            os.write(self._fd, b"\x11")
            return {
                "frame_seconds": frame,
                "ready_seconds": ready,
                "decode_tps": stats["generation_tps"],
                "tokens": stats["generation_tokens"],
                "ui_core_share": share,
                **peak,
            }
        finally:
            self._end()

    def _read_until(self, reached: Callable[[], bool], limit: float = 300, pause: float = 0.005) -> None:
        end = time.perf_counter() + limit
        while not reached():
            if time.perf_counter() > end:
                raise TimeoutError(f"the chat did not get there in {limit:.0f} s")
            if select.select([self._fd], [], [], pause)[0]:
                self._seen += os.read(self._fd, 65536)

    def _reply(self) -> tuple[str, dict[str, Any]]:
        try:
            with sqlite3.connect(f"file:{self._home}/data/history.db?mode=ro", uri=True, timeout=5) as db:
                row = db.execute("SELECT state, stats FROM messages WHERE role = 'assistant'").fetchone()
        except sqlite3.OperationalError:
            row = None
        return (row[0], json.loads(row[1])) if row else ("", {})

    def _end(self) -> None:
        end = time.perf_counter() + 5
        while time.perf_counter() < end:
            if select.select([self._fd], [], [], 0.05)[0]:
                try:
                    os.read(self._fd, 65536)
                except OSError:
                    break
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._fd)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

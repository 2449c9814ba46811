"""Which process writes a reply, so that one left behind by a dead app is told from one still being written.

A process id alone comes back after a restart or a wrap; with the time the process started it does not.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path


@functools.cache
def _me(pid: int) -> str:
    return f"{pid}:{_started(pid)}"


def this_process() -> str:
    """The mark of the running process."""
    return _me(os.getpid())


def is_alive(owner: str) -> bool:
    """Whether the process with this mark still runs."""
    pid, _, started = owner.partition(":")
    if owner == this_process():
        return True
    return pid.isascii() and pid.isdigit() and started != "" and _started(int(pid)) == started


def _started(pid: int) -> str:
    """When the process started, in a form that no other process with its number shares; "" for none."""
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_bytes()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return ""
        # The name in parentheses may hold spaces and more parentheses; what follows the last is regular.
        # State is the first field there, the start in ticks since boot the twentieth (proc(5)).
        fields = stat.rpartition(b")")[2].split()
        return "" if fields[0] in (b"Z", b"X") else f"{boot}:{fields[19].decode()}"
    try:
        answer = subprocess.run(
            ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
            capture_output=True,
            text=True,
            timeout=5,
            env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    state, *started = answer.stdout.split() or ["Z"]
    # Ended, though its parent has not looked yet.
    return "" if state.startswith("Z") else " ".join(started)

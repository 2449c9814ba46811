"""How much memory the machine has, and how much of it is free, asked of the operating system."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

# Pages of macOS that a program can have without anything else being written to disk for it.
_FREE_PAGES = ("free", "inactive", "speculative", "purgeable")


def total_bytes() -> int:
    """All of the memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def free_bytes() -> int | None:
    """What a program can still have without swapping; None where the system does not tell."""
    try:
        if sys.platform == "darwin":
            command = ["/usr/bin/vm_stat"]
            return _of_vm_stat(subprocess.run(command, capture_output=True, text=True, timeout=5).stdout)
        found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    except (OSError, subprocess.SubprocessError):
        return None
    return int(found[1]) * 1024 if found else None


def _of_vm_stat(said: str) -> int | None:
    size = re.search(r"page size of (\d+) bytes", said)
    counts = dict(re.findall(r"^Pages (\w+):\s+(\d+)\.", said, re.MULTILINE))
    if size is None or "free" not in counts:
        return None
    return int(size[1]) * sum(int(counts.get(name, 0)) for name in _FREE_PAGES)

"""Bytes as people read them."""

from __future__ import annotations


def size(count: float) -> str:
    """In decimal units, as downloads and disks are measured: "71 MB", "2.3 GB"."""
    for unit in ("B", "kB", "MB"):
        if count < 999.5:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"

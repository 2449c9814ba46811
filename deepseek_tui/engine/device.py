"""What computes, in one line, and how much memory it takes."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import mlx.core as mx

from deepseek_tui.engine.blas import prefer_fast_blas


def on_gpu() -> bool:
    """Whether MLX computes on a GPU."""
    return bool(mx.default_device() == mx.gpu)


def device_line() -> str:
    """The device for people: "Apple M3 Max (Metal)", "NVIDIA H100 (CUDA)", "CPU (MKL, 2 threads)"."""
    if not on_gpu():
        return f"CPU ({prefer_fast_blas().partition(':')[0]})"
    name = str(mx.device_info().get("device_name", "GPU"))
    return f"{name} ({'Metal' if mx.metal.is_available() else 'CUDA'})"


def memory_now() -> int:
    """Bytes this process holds: resident on a CPU; on a GPU, arrays MLX holds there."""
    if on_gpu():
        return int(mx.get_active_memory())
    try:
        fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
        return int(fields[1]) * resource.getpagesize()
    except (OSError, IndexError, ValueError):
        return int(mx.get_active_memory())


def memory_peak() -> int:
    """The most bytes held so far, counted as `memory_now` counts."""
    if on_gpu():
        return int(mx.get_peak_memory())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

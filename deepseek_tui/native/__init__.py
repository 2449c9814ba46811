"""Models on a CPU from packed weights, by a C library that is compiled where it runs.

MLX multiplies packed weights slowly on a CPU, and float32 copies of them are up to eight times as much to
read for every token. The library reads them as stored. It is optional: without a compiler nothing of it is
there, and MLX computes with such copies.
"""

from __future__ import annotations

import os
from typing import Any


def wrap(model: Any) -> Any:
    """An MLX model with packed weights as one that is fast on a CPU.

    By the compiled library where it is there and knows the architecture, else with float32 weights.
    """
    from deepseek_tui.native.build import library
    from deepseek_tui.native.model import NativeModel, with_floats
    from deepseek_tui.native.pack import UnsupportedModelError

    found = library()
    if found is not None:
        try:
            return NativeModel(model, found, thread_count())
        except UnsupportedModelError:
            pass
    return with_floats(model)


def thread_count() -> int:
    """One for each core this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

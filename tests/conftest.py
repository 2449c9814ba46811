"""What every test has: the BLAS that the program has, and a home of its own."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from deepseek_tui.engine.blas import prefer_fast_blas

# Before any test module imports mlx.
prefer_fast_blas()
# A deadline would be an assertion about time, and machines are busy.
hypothesis.settings.register_profile("no-deadline", deadline=None)
hypothesis.settings.load_profile("no-deadline")
# No test reads or writes the settings and the history of the person who runs it.
_HOME = tempfile.TemporaryDirectory(prefix="deepseek-tui-tests-")
os.environ["DEEPSEEK_TUI_HOME"] = _HOME.name

WEIGHTS = Path(__file__).parents[1] / "weights"


@pytest.fixture(scope="session")
def built_in() -> tuple[Any, Any]:
    """The built-in model and its tokenizer."""
    import deepseek_tui

    return deepseek_tui.load(WEIGHTS)

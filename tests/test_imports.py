"""What importing may cost: each side of the house leaves the other's heavy libraries alone."""

from __future__ import annotations

import subprocess
import sys

import pytest


def loaded_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.split(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import deepseek_tui", {"mlx", "textual", "numpy", "tokenizers", "jinja2"}),
        ("import deepseek_tui.tui.app", {"mlx", "numpy", "tokenizers", "jinja2", "safetensors"}),
        ("import deepseek_tui.history.store", {"mlx", "textual"}),
        ("import deepseek_tui.engine.client", {"mlx", "textual", "numpy", "tokenizers", "jinja2"}),
        ("import deepseek_tui.engine.server", {"textual", "rich"}),
        ("import deepseek_tui.cli.main", {"mlx", "textual", "numpy"}),
    ],
)
def test_import_leaves_out(code: str, absent: set[str]) -> None:
    assert not loaded_after(code) & absent

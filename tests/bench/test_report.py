"""The measurements on a tiny scale: that they run, pair up and are told in full."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepseek_tui import paths
from deepseek_tui.bench.report import Plan, as_markdown, measure
from deepseek_tui.errors import UserError


def test_headless_figures_of_the_built_in_model() -> None:
    model = paths.builtin_model()
    assert model
    result = measure(Plan(model, prompts=(8,), reply=3, rounds=2, screen=False))
    (row,) = result["rows"]
    assert (row["engine"], row["prompt"]) == ("ours", 8)
    assert all(len(row[name]) == 2 and min(row[name]) > 0 for name in row if name not in ("engine", "prompt"))
    table = as_markdown(result)
    assert "| ours | 8 |" in table
    assert "mlx" in table


def test_the_screen_is_measured_from_outside() -> None:
    from deepseek_tui.bench.screen import measure_screen

    model = paths.builtin_model()
    assert model
    figures = measure_screen(str(model), max_tokens=6)
    assert 0 < figures["frame_seconds"] < figures["ready_seconds"]
    assert figures["tokens"] == 6
    assert figures["ui_bytes"] < figures["engine_bytes"]


def test_an_engine_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="ours could not be measured"):
        measure(Plan(tmp_path, prompts=(8,), reply=3, rounds=1, screen=False))

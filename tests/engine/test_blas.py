"""The fast BLAS is really the one that MLX calls, and its absence is said, not suffered."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

needs_mkl = pytest.mark.skipif(
    not (sys.platform.startswith("linux") and platform.machine() == "x86_64"),
    reason="MKL is only of use on Linux x86-64",
)
MULTIPLY = (
    "import mlx.core as mx; a = mx.random.normal((64, 64)); b = mx.random.normal((1, 64));"
    "mx.eval(a @ a, b @ a.T)"
)


def run(code: str, **environment: str) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return done.stdout, done.stderr


@needs_mkl
def test_mlx_calls_the_fast_blas(tmp_path: Path) -> None:
    """The dynamic linker itself says whose cblas functions MLX got."""
    code = f"from deepseek_tui.engine.blas import prefer_fast_blas; prefer_fast_blas(); {MULTIPLY}"
    run(code, LD_DEBUG="bindings", LD_DEBUG_OUTPUT=str(tmp_path / "log"))
    log = "".join(file.read_text(errors="replace") for file in tmp_path.iterdir())
    bindings = re.findall(r"binding file \S*libmlx\S* .* to (\S+) .*symbol `(cblas_sgem[mv])'", log)
    assert {symbol for _, symbol in bindings} >= {"cblas_sgemm"}
    assert all("libmkl_rt" in library for library, _ in bindings), bindings


@needs_mkl
def test_results_are_right_under_it() -> None:
    code = (
        "from deepseek_tui.engine.blas import prefer_fast_blas; print(prefer_fast_blas());"
        "import mlx.core as mx; a = mx.arange(12.0).reshape(3, 4);"
        "print((a @ a.T).tolist(), (a[:1] @ a.T).tolist())"
    )
    first, *rest = run(code)[0].splitlines()
    assert re.fullmatch(r"MKL, \d+ threads?", first)
    assert rest == ["[[14.0, 38.0, 62.0], [38.0, 126.0, 214.0], [62.0, 214.0, 366.0]] [[14.0, 38.0, 62.0]]"]


@needs_mkl
def test_one_core_is_one_thread() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        f"from deepseek_tui.engine.blas import prefer_fast_blas; print(prefer_fast_blas()); {MULTIPLY}"
    )
    assert run(code)[0].strip() == "MKL, 1 thread"


@needs_mkl
def test_too_late_is_said() -> None:
    code = "import mlx.core; from deepseek_tui.engine.blas import prefer_fast_blas; print(prefer_fast_blas())"
    assert run(code)[0].startswith("built-in BLAS, slow: mlx was imported first")


@needs_mkl
def test_without_it_everything_works_and_says_it_is_slow() -> None:
    code = (
        "from deepseek_tui.engine import blas; blas._candidates = lambda *_: iter(());"
        "print(blas.prefer_fast_blas());"
        f"{MULTIPLY}; from deepseek_tui.engine.device import device_line; print(device_line())"
    )
    line, device = run(code)[0].splitlines()
    assert line == "built-in BLAS, slow: the package mkl is not installed. Run: pip install mkl"
    assert device == "CPU (built-in BLAS, slow)"


def test_programs_get_it_too() -> None:
    code = (
        "import deepseek_tui, sys; from pathlib import Path;"
        f"deepseek_tui.load(Path({str(Path(__file__).parents[1] / 'fixtures' / 'llama-tiny')!r}));"
        "from deepseek_tui.engine.blas import prefer_fast_blas; print(prefer_fast_blas())"
    )
    assert "mlx was imported first" not in run(code)[0]


def test_memory_is_read() -> None:
    from deepseek_tui.engine.device import memory_now, memory_peak

    # The interpreter with mlx is tens of megabytes, never terabytes.
    assert 10e6 < memory_now() < 1e12
    assert 10e6 < memory_peak() < 1e12

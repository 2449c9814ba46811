"""The main states as pictures, at two sizes. `pytest --snapshot-update` takes them anew."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from deepseek_tui.engine.protocol import Stats
from deepseek_tui.settings import Settings
from deepseek_tui.tui.app import ChatApp
from deepseek_tui.tui.updates import Phase
from tests.tui.helpers import NARROW, WIDE, Screen, make_app
from tests.tui.test_sidebar import write

REPLY = """The *Fibonacci* numbers in **Python**:

```python
def fib(n: int) -> int:
    # each is the sum of the two before it
    return n if n < 2 else fib(n - 1) + fib(n - 2)
```

1. It is short.
2. It is slow: `fib(35)` takes seconds.

> A loop would do better."""
SCRIPT: dict[str, Any] = {
    "hello": {"device": "CPU (MKL, 2 threads)"},
    "replies": [
        {"pieces": [REPLY]},
        {"pieces": ["Because every call ", "makes two more, and"], "hold_after": 2},
    ],
}
DYING: dict[str, Any] = {**SCRIPT, "replies": [{"pieces": ["Half a reply", ""], "die_after": 1}]}
QUESTION = "How do I write the Fibonacci numbers in Python?"

Step = Callable[[Screen], Awaitable[None]]
Compare = Callable[..., bool]

pytestmark = pytest.mark.parametrize("size", [NARROW, WIDE], ids=["80x24", "120x40"])


def taken(compare: Compare, app: ChatApp, size: tuple[int, int], step: Step) -> bool:
    """Whether the screen after `step` looks as it did. Figures that differ from run to run are fixed."""

    async def before(pilot: Pilot[None]) -> None:
        screen = Screen(pilot)
        await screen.until(lambda: len(app.screen_stack) > 1)
        screen.prompt.cursor_blink = False
        await step(screen)
        await pilot.pause()
        fix_figures(screen)
        await pilot.pause()

    return compare(app, terminal_size=size, run_before=before)


def fix_figures(screen: Screen) -> None:
    status = screen.status
    stats = None
    if status.stats is not None:
        stats = Stats(
            0,
            prompt_tokens=20,
            generation_tokens=60,
            prompt_tps=212.0,
            generation_tps=41.5,
            time_to_first_token=0.09,
            context_used=80,
            context_limit=1024,
        )
    seconds = None if status.load_seconds is None else 1.2
    screen.controller.set_status(load_seconds=seconds, stats=stats)


async def answered(screen: Screen) -> None:
    await screen.ready()
    await screen.send(QUESTION)
    await screen.sees("A loop would do better.")
    await screen.idle()


def test_empty(snap_compare: Compare, tmp_path: Path, size: tuple[int, int]) -> None:
    assert taken(snap_compare, make_app(tmp_path, SCRIPT), size, Screen.ready)


def test_loading(snap_compare: Compare, tmp_path: Path, size: tuple[int, int]) -> None:
    async def step(screen: Screen) -> None:
        await screen.send(QUESTION)
        await screen.sees("waiting for the model")
        screen.controller.set_status(phase=Phase.LOADING, fraction=0.42)

    script = {**SCRIPT, "load": {"delay": 60}}
    assert taken(snap_compare, make_app(tmp_path, script), size, step)


def test_streaming(snap_compare: Compare, tmp_path: Path, size: tuple[int, int]) -> None:
    async def step(screen: Screen) -> None:
        await answered(screen)
        await screen.send("Why is it slow?")
        await screen.sees("makes two more, and")

    assert taken(snap_compare, make_app(tmp_path, SCRIPT), size, step)


def test_finished(snap_compare: Compare, tmp_path: Path, size: tuple[int, int]) -> None:
    assert taken(snap_compare, make_app(tmp_path, SCRIPT), size, answered)


def test_finished_light(snap_compare: Compare, tmp_path: Path, size: tuple[int, int]) -> None:
    settings = Settings(theme="deepseek-light", reduced_motion=True)
    assert taken(snap_compare, make_app(tmp_path, SCRIPT, settings=settings), size, answered)


def test_sidebar(snap_compare: Compare, tmp_path: Path, size: tuple[int, int]) -> None:
    write(tmp_path, "Apples and pears", "A title so long that it cannot be shown whole", "日本語のタイトル")

    async def step(screen: Screen) -> None:
        await screen.ready()
        await screen.sees("Answer to")
        if size == NARROW:
            await screen.press("ctrl+b")
        screen.sidebar.list.focus()
        await screen.press("down", "d")
        await screen.sees("takes it back")

    assert taken(snap_compare, make_app(tmp_path, SCRIPT), size, step)


def test_help(snap_compare: Compare, tmp_path: Path, size: tuple[int, int]) -> None:
    async def step(screen: Screen) -> None:
        await screen.ready()
        await screen.press("f1")
        await screen.sees("Esc closes")

    assert taken(snap_compare, make_app(tmp_path, SCRIPT), size, step)


def test_engine_dead(snap_compare: Compare, tmp_path: Path, size: tuple[int, int]) -> None:
    async def step(screen: Screen) -> None:
        await screen.ready()
        await screen.send(QUESTION)
        await screen.idle()
        await screen.sees("engine stopped")

    assert taken(snap_compare, make_app(tmp_path, DYING), size, step)


def test_no_model(snap_compare: Compare, tmp_path: Path, size: tuple[int, int]) -> None:
    problem = (
        "The built-in model is not installed with this copy of deepseek-tui. "
        "Give the path of an MLX model directory with --model."
    )

    async def step(screen: Screen) -> None:
        await screen.sees("no model")

    assert taken(snap_compare, make_app(tmp_path, model=None, model_problem=problem), size, step)

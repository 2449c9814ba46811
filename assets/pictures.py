"""Makes the pictures in this folder: the real app, the real model, real key presses. `make pictures`.

Each state is saved as SVG by Textual and turned into PNG by headless Chromium, the one converter that keeps
to the columns of the terminal whatever fonts there are.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deepseek_tui import paths
from deepseek_tui.engine.client import EngineClient
from deepseek_tui.engine.protocol import Sampling
from deepseek_tui.settings import BUILT_IN, Settings
from deepseek_tui.tui.app import ChatApp
from deepseek_tui.tui.controller import Controller
from deepseek_tui.tui.updates import Phase

HERE = Path(__file__).resolve().parent
ZOOM = 0.8
FIRST = "Why is the sky blue?"
SECOND = "Give me three tips to sleep better."
THIRD = "Write a Python function that says hello."


def make_app(home: Path, theme: str) -> ChatApp:
    controller = Controller(
        client=EngineClient(log=home / "engine.log"),
        history=home / "history.db",
        model=paths.builtin_model(),
        model_name=BUILT_IN,
        sampling=Sampling(temp=0.3, seed=7, max_tokens=160),
    )
    return ChatApp(controller, Settings(theme=theme, reduced_motion=True))


async def until(pilot: Any, reached: Callable[[], bool]) -> None:
    for _ in range(6000):
        if reached():
            await pilot.pause(0.3)
            return
        await pilot.pause(0.02)
    raise TimeoutError


async def ask(pilot: Any, controller: Controller, text: str) -> None:
    await pilot.press(*["space" if c == " " else c for c in text])
    await pilot.press("enter")
    await until(pilot, lambda: bool(controller.replies))
    await until(pilot, lambda: not controller.replies)


async def picture(name: str, size: tuple[int, int], theme: str, texts: list[str], keys: list[str]) -> None:
    """One state: the app of `size` after `texts` were asked, each in a new chat, and `keys` pressed."""
    with tempfile.TemporaryDirectory() as home:
        app = make_app(Path(home), theme)
        controller = app._controller
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: controller.status.phase is Phase.READY)
            for number, text in enumerate(texts):
                if number:
                    await pilot.press("ctrl+n")
                await ask(pilot, controller, text)
            await pilot.press(*keys)
            await pilot.pause(0.5)
            (HERE / f"{name}.svg").write_text(app.export_screenshot(title="deepseek-tui"))


def convert(name: str) -> None:
    """NAME.svg becomes NAME.png, as large as the SVG says."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        sys.exit("Chromium is not installed: the pictures stay SVG.")
    source = HERE / f"{name}.svg"
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', source.read_text())
    assert box is not None
    width, height = (round(float(n) * ZOOM) for n in box.groups())
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(f'<body style="margin:0"><img src="{source.as_uri()}" width="{width}"></body>')
        flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={folder}",
        ]
        flags += [f"--screenshot={HERE / name}.png", f"--window-size={width},{height}"]
        subprocess.run([browser, *flags, page.as_uri()], check=True, capture_output=True)
    source.unlink()


async def main() -> None:
    all_three = [FIRST, THIRD, SECOND]
    await picture("chat", (120, 34), "deepseek-dark", all_three, [])
    await picture("chat-light", (120, 34), "deepseek-light", all_three, [])
    await picture("chat-small", (80, 24), "deepseek-dark", [THIRD], [])
    await picture("keys", (80, 24), "deepseek-dark", [FIRST], ["f1"])


if __name__ == "__main__":
    asyncio.run(main())
    for drawing in sorted(HERE.glob("*.svg")):
        convert(drawing.stem)

"""The app with the scripted engine and a real history, and the means to wait for what a user would see."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import TextArea

from deepseek_tui.engine.client import EngineClient
from deepseek_tui.history.store import Message, Store
from deepseek_tui.settings import Settings
from deepseek_tui.tui.app import ChatApp
from deepseek_tui.tui.controller import Controller
from deepseek_tui.tui.screens.chat import ChatScreen
from deepseek_tui.tui.updates import EngineStatus, Phase
from deepseek_tui.tui.widgets.chat_log import ChatLog
from deepseek_tui.tui.widgets.prompt import Prompt
from deepseek_tui.tui.widgets.sidebar import Sidebar

MODEL = "built-in"
PATIENCE = 15.0
WIDE = (120, 40)
NARROW = (80, 24)


def make_app(
    home: Path,
    script: dict[str, Any] | None = None,
    *,
    model: str | None = MODEL,
    settings: Settings | None = None,
    gate: Path | None = None,
    **controller: Any,
) -> ChatApp:
    """The app with its history below `home`, answered by the engine that `script` describes.

    With `gate` the engine only starts once that file is there.
    """
    engine = [sys.executable, "-m", "deepseek_tui.engine.fake"]
    if gate is not None:
        wait = 'while [ ! -e "$0" ]; do sleep 0.02; done; exec "$@"'
        engine = ["sh", "-c", wait, str(gate), *engine]
    client = EngineClient(
        engine,
        {"DEEPSEEK_TUI_FAKE": json.dumps(script or {})},
        log=home / "engine.log",
    )
    controls = Controller(client=client, history=home / "data" / "history.db", model=model, **controller)
    return ChatApp(controls, settings or Settings(reduced_motion=True))


class Screen:
    """What a test sees and does, in a user's terms."""

    def __init__(self, pilot: Pilot[None]) -> None:
        self.pilot = pilot
        assert isinstance(pilot.app, ChatApp)
        self.app = pilot.app

    @property
    def chat(self) -> ChatScreen:
        return next(s for s in self.app.screen_stack if isinstance(s, ChatScreen))

    @property
    def log(self) -> ChatLog:
        return self.chat.query_one(ChatLog)

    @property
    def prompt(self) -> Prompt:
        return self.chat.query_one(Prompt)

    @property
    def sidebar(self) -> Sidebar:
        return self.chat.query_one(Sidebar)

    @property
    def controller(self) -> Controller:
        return self.chat.controller

    @property
    def status(self) -> EngineStatus:
        return self.controller.status

    @property
    def text(self) -> str:
        """The screen as lines of text."""
        return "\n".join(strip.text.rstrip() for strip in self.app.screen._compositor.render_strips())

    @property
    def toasts(self) -> list[str]:
        return [n.message for n in self.app._notifications]

    async def until(self, predicate: Callable[[], object]) -> None:
        """Raises AssertionError with the screen when `predicate` stays false for PATIENCE seconds."""
        end = time.monotonic() + PATIENCE
        while not predicate():
            if time.monotonic() > end:
                raise AssertionError(
                    f"not seen within {PATIENCE} s; toasts {self.toasts}; screen:\n{self.text}"
                )
            await asyncio.sleep(0.01)
        await self.pilot.pause()

    async def sees(self, text: str) -> None:
        await self.until(lambda: text in self.text)

    async def gone(self, text: str) -> None:
        await self.until(lambda: text not in self.text)

    async def ready(self) -> None:
        await self.until(lambda: self.status.phase is Phase.READY)

    async def idle(self) -> None:
        """Until no reply is under way or in line."""
        await self.until(lambda: not self.controller.replies)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def send(self, text: str) -> None:
        self.prompt.put(text)
        await self.press("enter")


@asynccontextmanager
async def running(app: ChatApp, size: tuple[int, int] = WIDE) -> AsyncIterator[Screen]:
    """The app on a screen of that size, until it has quit as with Ctrl+Q."""
    async with app.run_test(size=size, notifications=True) as pilot:
        screen = Screen(pilot)
        await screen.until(lambda: len(app.screen_stack) > 1 and bool(screen.chat.query(ChatLog)))
        for area in screen.chat.query(TextArea):
            area.cursor_blink = False
        yield screen
        await screen.controller.close()


def stored(home: Path) -> list[Message]:
    """Every message on disk, oldest first."""
    store = Store(home / "data" / "history.db")
    try:
        return [m for c in store.conversations() for m in store.messages(c.id)]
    finally:
        store.close()

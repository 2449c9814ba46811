"""Copying from the screen without holding it up."""

from __future__ import annotations

import asyncio
from typing import Any

from textual.app import App

from deepseek_tui import clipboard
from deepseek_tui.text.sanitize import sanitize


async def copy(app: App[Any], text: str) -> str:
    """Copy `text`, free of what would drive a terminal it is pasted into, and say where it went."""
    for_terminal: list[str] = []
    said = await asyncio.to_thread(clipboard.copy, sanitize(text), for_terminal.append)
    for part in for_terminal:
        app.copy_to_clipboard(part)
    return said

"""What files for people say about a message."""

from __future__ import annotations

import time

from deepseek_tui.history.records import Message, Role, State

_WRITERS: dict[Role, str] = {"user": "You", "assistant": "Model", "system": "System"}
_STATES: dict[State, str] = {"stopped": "stopped", "failed": "failed", "length": "cut off"}


def writer(message: Message) -> str:
    """Who wrote it, and how it ended where that was not the end."""
    state = _STATES.get(message.state)
    return _WRITERS[message.role] + (f" ({state})" if state else "")


def about(created: float, model: str) -> str:
    """When a conversation began, in the time of this place, and with which model."""
    day = time.strftime("%Y-%m-%d %H:%M", time.localtime(created))
    return f"{day}, {' '.join(model.split())}" if model else day

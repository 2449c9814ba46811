"""What the log of the chat tells the screen. Apart from the log, which the first frame does without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from deepseek_tui.tui.widgets.message import MessageBlock


@dataclass
class Chosen(Message):
    """Another message was chosen; None: none any more."""

    block: MessageBlock | None


@dataclass
class Asked(Message):
    """The user wants something done: `action` on the message, block of code `number` of it (0: any)."""

    action: str
    block: MessageBlock | None
    number: int = 0


@dataclass
class Left(Message):
    """The user goes back to the prompt."""

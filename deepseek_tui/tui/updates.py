"""What the controller tells the screen: dataclasses on one queue, in the order in which things happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from deepseek_tui.engine.protocol import Stats
    from deepseek_tui.history.store import Conversation, Message, Place
    from deepseek_tui.tui.model_shop import Pull


class Phase(StrEnum):
    """What the engine is doing; the value is the word shown for it."""

    NO_MODEL = "no model"
    STARTING = "starting"
    LOADING = "loading"
    READY = "ready"
    READING = "reading"
    WRITING = "writing"
    STOPPING = "stopping"
    FAILED = "model failed"
    DEAD = "engine stopped"


@dataclass(frozen=True)
class EngineStatus:
    """Everything the status bar shows. `fraction`: of the weights loaded, 0 to 1; `making`: a reply has
    its turn, be it only to wait for the model; `waiting`: how many are in line behind it.

    `prompt_done` of `prompt_total` prompt tokens are read, `cached` of them were known already.
    """

    phase: Phase = Phase.STARTING
    model: str = ""
    device: str = ""
    fraction: float = 0.0
    load_seconds: float | None = None
    memory: int = 0
    context_limit: int = 0
    prompt_done: int = 0
    prompt_total: int = 0
    cached: int = 0
    stats: Stats | None = None
    making: bool = False
    waiting: int = 0

    @property
    def loading(self) -> bool:
        return self.phase in (Phase.STARTING, Phase.LOADING)


@dataclass(frozen=True)
class StatusChanged:
    status: EngineStatus


@dataclass(frozen=True)
class ConversationsChanged:
    """The list is another one; `active`: those with a reply under way or in line, in that order."""

    conversations: tuple[Conversation, ...]
    shown: str | None
    active: tuple[str, ...]


@dataclass(frozen=True)
class Opened:
    """Another content for the log. None: a new, unsaved conversation. `live`: ids still being written.

    `places`: of messages that have siblings. `chosen`: the message to stay with; None for the latest.
    """

    conversation: Conversation | None
    messages: tuple[Message, ...] = ()
    live: frozenset[str] = frozenset()
    places: Mapping[str, Place] = field(default_factory=dict)
    chosen: str | None = None


@dataclass(frozen=True)
class Added:
    message: Message


@dataclass(frozen=True)
class ReplyBegan:
    message: Message


@dataclass(frozen=True)
class ReplyText:
    conversation: str
    message: str
    text: str


@dataclass(frozen=True)
class ReplyEnded:
    """`message` holds the whole text and the final state."""

    message: Message


@dataclass(frozen=True)
class Noticed:
    """A line for the log of one conversation."""

    conversation: str
    text: str


@dataclass(frozen=True)
class Said:
    """A sentence for the user, shown for a while."""

    text: str
    severity: Literal["information", "warning", "error"] = "information"


@dataclass(frozen=True)
class PullChanged:
    """The download of a model has moved on, or ended."""

    pull: Pull


Update = (
    StatusChanged
    | ConversationsChanged
    | Opened
    | Added
    | ReplyBegan
    | ReplyText
    | ReplyEnded
    | Noticed
    | Said
    | PullChanged
)


def note_of(message: Message) -> str:
    """What stands under a reply that did not end by itself: why, in a few words or one sentence."""
    if message.state == "failed":
        return f"✕ {message.stats.get('error') or 'failed'}"
    if message.state == "length":
        if message.stats.get("reason") == "context":
            return "■ stopped: the context is full"
        return "■ stopped at the length limit; F6 continues"
    if message.state == "stopped":
        return "■ stopped"
    return "✎ edited" if message.stats.get("edited") else ""

"""Conversations and messages as the rest of the app sees them, and their columns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Role = Literal["system", "user", "assistant"]
State = Literal["complete", "streaming", "stopped", "failed", "length"]
Kind = Literal["message", "branch", "conversation"]

ROLES: tuple[Role, ...] = get_args(Role)
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True)
class Conversation:
    """`created` and `updated` in seconds since 1970. `head` is the message at the end of the branch shown.

    `message_count` counts the whole tree. `folder` is empty outside of any. `unread`: something came that
    nobody has looked at. `streaming`: a reply is being written, by this app or another one. `origin` is the
    message that this conversation was forked from.
    """

    id: str
    title: str
    created: float
    updated: float
    model: str
    system_prompt: str
    settings: dict[str, Any]
    head: str | None
    message_count: int
    pinned: bool = False
    archived: bool = False
    folder: str = ""
    unread: bool = False
    streaming: bool = False
    origin: str | None = None


@dataclass(frozen=True)
class Message:
    """`parent` is the message before it, None for the first. `settings` and `stats` tell how a reply came."""

    id: str
    conversation: str
    parent: str | None
    role: Role
    text: str
    state: State
    created: float
    updated: float
    model: str
    settings: dict[str, Any]
    stats: dict[str, Any]


@dataclass(frozen=True)
class Undo:
    """A deletion that can be taken back. `count`: messages that it took. `made` in seconds since 1970."""

    id: int
    conversation: str
    kind: Kind
    count: int
    made: float
    title: str


@dataclass(frozen=True)
class Place:
    """Where a message stands among its siblings: "2/3" is `index` 1 of `count` 3."""

    index: int
    count: int


@dataclass(frozen=True)
class Hit:
    """A message that was found. `marks` are the (start, end) in `snippet` of what was searched for."""

    conversation: str
    title: str
    message: str
    role: Role
    created: float
    snippet: str
    marks: tuple[tuple[int, int], ...]


CONVERSATION_COLUMNS = (
    "c.id, c.title, c.created, c.updated, c.model, c.system_prompt, c.settings, c.head,"
    " (SELECT count(*) FROM messages m WHERE m.conversation = c.id AND m.deleted IS NULL),"
    " c.pinned, c.archived, c.folder, c.unread,"
    " EXISTS (SELECT 1 FROM messages m"
    " WHERE m.conversation = c.id AND m.state = 'streaming' AND m.deleted IS NULL),"
    " c.origin"
)
MESSAGE_COLUMNS = "id, conversation, parent, role, text, state, created, updated, model, settings, stats"


def conversation_of(row: tuple[Any, ...]) -> Conversation:
    """From `CONVERSATION_COLUMNS`."""
    identity, title, created, updated, model, system_prompt, settings, head, count, *kept, origin = row
    pinned, archived, folder, unread, streaming = kept
    return Conversation(
        *(identity, title, created, updated, model, system_prompt, unpacked(settings), head, count),
        *(bool(pinned), bool(archived), folder, bool(unread), bool(streaming), origin),
    )


def message_of(row: tuple[Any, ...]) -> Message:
    """From `MESSAGE_COLUMNS`."""
    identity, conversation, parent, role, text, state, created, updated, model, settings, stats = row
    return Message(
        *(identity, conversation, parent, role, text, state, created, updated, model),
        settings=unpacked(settings),
        stats=unpacked(stats),
    )


def packed(value: Mapping[str, Any]) -> str:
    """The JSON of a dict; what JSON has no form for becomes text rather than an error."""
    return json.dumps(dict(value), ensure_ascii=True, separators=(",", ":"), default=str)


def unpacked(text: str) -> dict[str, Any]:
    """The dict in a column; a damaged one is empty rather than an error."""
    if text == "{}":
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def storable(text: str) -> str:
    """`text` with lone surrogates replaced: SQLite stores UTF-8, which has no form for them."""
    return (
        text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        if not text.isascii()
        else text
    )

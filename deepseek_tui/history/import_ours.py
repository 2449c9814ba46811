"""Our own JSON, read strictly: what is written by `export` comes back as it was, anything else is named."""

from __future__ import annotations

from typing import Any

from deepseek_tui.history.errors import HistoryError
from deepseek_tui.history.export import VERSION
from deepseek_tui.history.reading import Reader, shown
from deepseek_tui.history.records import ROLES, STATES, Conversation, Message
from deepseek_tui.history.transfer import Whole


def check_version(version: Any, name: str) -> None:
    """Raises HistoryError for a file that a newer app wrote."""
    if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version <= VERSION:
        raise HistoryError(
            f"{name} is a history export of version {shown(version)}, and this app reads version {VERSION}.",
            "Update the app.",
        )


def from_ours(value: Any, reader: Reader) -> Whole:
    """One conversation."""
    body = reader.table(value, "it")
    identity = reader.identity(body, "id")
    assert identity is not None
    messages: list[Message] = []
    seen: set[str] = set()
    turns: dict[str, int] = {}
    for each in reader.messages(body, "messages"):
        message, turn = _message(each, identity, seen, reader)
        messages.append(message)
        seen.add(message.id)
        if turn:
            turns[message.id] = turn
    head = reader.identity(body, "head", None)
    if head is not None and head not in seen:
        raise reader.fail(f"head is {shown(head)}, and there is no such message")
    conversation = Conversation(
        id=identity,
        title=reader.text(body, "title"),
        created=reader.time(body, "created"),
        updated=reader.time(body, "updated"),
        model=reader.text(body, "model"),
        system_prompt=reader.text(body, "system_prompt"),
        settings=reader.extras(body, "settings"),
        head=head,
        message_count=len(messages),
        pinned=reader.flag(body, "pinned"),
        archived=reader.flag(body, "archived"),
        folder=reader.text(body, "folder"),
        unread=reader.flag(body, "unread"),
        origin=reader.identity(body, "origin", None),
    )
    return Whole(conversation, tuple(messages), reader.text(body, "draft"), turns)


def _message(body: dict[str, Any], conversation: str, seen: set[str], reader: Reader) -> tuple[Message, int]:
    identity, parent = reader.identity(body, "id"), reader.identity(body, "parent", None)
    assert identity is not None
    if identity in seen:
        raise reader.fail(f"id is {shown(identity)}, as that of a message before it")
    if parent is not None and parent not in seen:
        raise reader.fail(f"parent is {shown(parent)}, and no message before it has that id")
    state = reader.choice(body, "state", STATES)
    message = Message(
        id=identity,
        conversation=conversation,
        parent=parent,
        role=reader.choice(body, "role", ROLES),
        text=reader.text(body, "text"),
        state="stopped" if state == "streaming" else state,
        created=reader.time(body, "created"),
        updated=reader.time(body, "updated"),
        model=reader.text(body, "model"),
        settings=reader.extras(body, "settings"),
        stats=reader.extras(body, "stats"),
    )
    return message, reader.count(body, "shown")

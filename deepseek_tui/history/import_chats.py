"""Conversations of other programs, as far as they are text: ChatGPT, Claude, and lists of roles.

What they have beside it (pictures, tools, hidden notes) is named in the text where a person saw it, and left
out where nobody did.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from deepseek_tui.history.reading import Reader, made_id, shown
from deepseek_tui.history.records import Conversation, Message, Role
from deepseek_tui.history.title import title_from
from deepseek_tui.history.transfer import Whole

_SPEAKERS: dict[str, Role] = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "model": "assistant",
    "system": "system",
    "developer": "system",
}


@dataclass
class _Turn:
    """A message under its name in the file."""

    name: str
    parent: str | None
    role: Role
    text: str
    created: float
    model: str = ""


def from_chatgpt(value: Any, reader: Reader) -> Whole | None:
    """One conversation of ChatGPT's conversations.json: a tree by `mapping`, shown to `current_node`."""
    body = reader.table(value, "it")
    mapping = reader.table(body.get("mapping"), "mapping")
    created = reader.time(body, "create_time", reader.now)
    turns: list[_Turn] = []
    system = ""
    # Where the nodes that are left out lead to.
    kept: dict[str, str | None] = {}
    for name, parent in _walk(mapping, reader):
        above = kept.get(parent) if parent is not None else None
        message = mapping[name].get("message")
        role, text = _chatgpt_text(message, reader) if message is not None else ("system", "")
        if role == "system" and text and not turns:
            system = "\n\n".join(filter(None, (system, text)))
            text = ""
        kept[name] = name if text else above
        if text:
            details = message.get("metadata")
            model = details.get("model_slug") if isinstance(details, dict) else None
            turns.append(
                _Turn(
                    *(name, above, role, text, reader.time(message, "create_time", created)),
                    model if isinstance(model, str) else "",
                )
            )
    identity = body.get("conversation_id") or body.get("id")
    current = body.get("current_node")
    head = kept.get(current) if isinstance(current, str) else None
    return _whole(
        *("chatgpt", identity, turns, reader),
        title=reader.text(body, "title", ""),
        created=created,
        updated=reader.time(body, "update_time", created),
        system_prompt=system,
        head=head or (turns[-1].name if turns else None),
    )


def _walk(mapping: dict[str, Any], reader: Reader) -> Iterator[tuple[str, str | None]]:
    """Every node with the one above it, parents first, siblings in their order."""
    for name, node in mapping.items():
        reader.table(node, f"node {shown(name)}")
    inside = {child for node in mapping.values() for child in _names(node.get("children"))}
    stack: list[tuple[str, str | None]] = [
        (name, None)
        for name in reversed(mapping)
        if name not in inside or mapping[name].get("parent") is None
    ]
    seen: set[str] = set()
    while stack:
        name, parent = stack.pop()
        if name in seen:
            continue
        seen.add(name)
        yield name, parent
        children = _names(mapping[name].get("children"))
        stack += [(child, name) for child in reversed(children) if child in mapping]
    if len(seen) < len(mapping):
        lost = next(name for name in mapping if name not in seen)
        raise reader.fail(f"node {shown(lost)} is below itself")


def _names(children: Any) -> list[str]:
    return [c for c in children if isinstance(c, str)] if isinstance(children, list) else []


def _chatgpt_text(message: Any, reader: Reader) -> tuple[Role, str]:
    """Who said what a person saw of it; an empty text for what nobody saw."""
    body = reader.table(message, "message")
    author = reader.table(body.get("author"), "author")
    role = _SPEAKERS.get(reader.text(author, "role", ""))
    details = body.get("metadata")
    hidden = isinstance(details, dict) and details.get("is_visually_hidden_from_conversation")
    content = body.get("content")
    to = body.get("recipient")
    if role is None or hidden or not isinstance(content, dict) or to not in (None, "all"):
        return "system", ""
    match content.get("content_type"):
        case "text" | "multimodal_text":
            parts = content.get("parts")
            return role, "\n\n".join(filter(None, map(_part, parts if isinstance(parts, list) else [])))
        case "code" if isinstance(content.get("text"), str):
            return role, f"```\n{content['text']}\n```"
        case _:
            return "system", ""


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        return ""
    if isinstance(part.get("text"), str):
        return str(part["text"])
    kind = str(part.get("content_type", part.get("type", "attachment")))
    return f"[{'picture' if 'image' in kind else 'attachment'}]"


def from_claude(value: Any, reader: Reader) -> Whole | None:
    """One conversation of Claude's conversations.json; a tree where messages name the one before."""
    body = reader.table(value, "it")
    created = _iso(body, "created_at", reader.now, reader)
    turns: list[_Turn] = []
    kept: dict[str, str | None] = {}
    last: str | None = None
    for message in reader.messages(body, "chat_messages"):
        name = reader.text(message, "uuid", f"#{reader.message}")
        parent = message.get("parent_message_uuid")
        above = kept.get(parent) if isinstance(parent, str) else last
        role = _SPEAKERS.get(reader.text(message, "sender"))
        if role is None:
            raise reader.fail(f"sender is {shown(message['sender'])} and must be human or assistant")
        text = _claude_text(message, reader)
        kept[name] = last = name if text else above
        if text:
            turns.append(_Turn(name, above, role, text, _iso(message, "created_at", created, reader)))
    current = body.get("current_leaf_message_uuid")
    return _whole(
        *("claude", body.get("uuid"), turns, reader),
        title=reader.text(body, "name", ""),
        created=created,
        updated=_iso(body, "updated_at", created, reader),
        system_prompt="",
        head=(kept.get(current) if isinstance(current, str) else None) or last,
    )


def _claude_text(message: dict[str, Any], reader: Reader) -> str:
    content = message.get("content")
    blocks = [b for b in content if isinstance(b, dict)] if isinstance(content, list) else []
    said = "\n\n".join(
        b["text"] for b in blocks if b.get("type") == "text" and isinstance(b.get("text"), str)
    )
    parts = [said or reader.text(message, "text", "")]
    for key in ("attachments", "files"):
        for one in message.get(key) or ():
            name = one.get("file_name") if isinstance(one, dict) else None
            if isinstance(name, str):
                inside = one.get("extracted_content")
                parts.append(f"[{name}]" + (f"\n\n{inside}" if isinstance(inside, str) else ""))
    return "\n\n".join(filter(None, parts))


def _iso(values: dict[str, Any], key: str, default: float, reader: Reader) -> float:
    written = reader.text(values, key, "")
    if not written:
        return default
    try:
        moment = datetime.datetime.fromisoformat(written)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
        return reader.time({key: aware.timestamp()}, key)
    except (ValueError, OverflowError) as error:
        raise reader.fail(f"{key} is {shown(written)} and must be a date and a time") from error


def from_roles(value: Any, reader: Reader) -> Whole | None:
    """One conversation that is a list of messages with role and content, or an object with such a list."""
    body = value if isinstance(value, dict) else {"messages": value}
    turns: list[_Turn] = []
    system = ""
    for message in reader.messages(body, "messages"):
        role = _SPEAKERS.get(reader.text(message, "role"))
        if role is None:
            # Calls of tools and their results.
            continue
        text = _content(message, reader)
        if role == "system" and not turns:
            system = "\n\n".join(filter(None, (system, text)))
        elif text:
            above = turns[-1].name if turns else None
            turns.append(_Turn(f"#{reader.message}", above, role, text, reader.now))
    model = body.get("model")
    # Without an id the same content is the same conversation.
    identity = body.get("id") if isinstance(body.get("id"), str | int) else None
    return _whole(
        *("roles", identity, turns, reader),
        title=reader.text(body, "title", ""),
        created=reader.now,
        updated=reader.now,
        system_prompt=system,
        head=turns[-1].name if turns else None,
        model=model if isinstance(model, str) else "",
    )


def _content(message: dict[str, Any], reader: Reader) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "\n\n".join(filter(None, map(_part, content)))
    return reader.text(message, "content", "")


def _whole(
    kind: str,
    identity: Any,
    turns: list[_Turn],
    reader: Reader,
    *,
    title: str,
    created: float,
    updated: float,
    system_prompt: str,
    head: str | None,
    model: str = "",
) -> Whole | None:
    """The conversation under ids of our form; None for one without a word in it."""
    if not turns:
        return None
    if identity is None:
        identity = json.dumps([system_prompt, [(t.role, t.text) for t in turns]])
    own = made_id(kind, str(identity))
    ids = {turn.name: made_id(kind, f"{own} {turn.name}") for turn in turns}
    messages = tuple(
        Message(
            id=ids[turn.name],
            conversation=own,
            parent=None if turn.parent is None else ids[turn.parent],
            role=turn.role,
            text=turn.text,
            state="complete",
            created=turn.created,
            updated=turn.created,
            model=turn.model,
            settings={},
            stats={},
        )
        for turn in turns
    )
    if len(ids) < len(turns):
        raise reader.fail("two messages have the same id")
    first = next((t.text for t in turns if t.role == "user"), turns[0].text)
    conversation = Conversation(
        id=own,
        title=" ".join(title.split()) or title_from(first),
        created=created,
        updated=updated,
        model=model,
        system_prompt=system_prompt,
        settings={},
        head=None if head is None else ids[head],
        message_count=len(messages),
    )
    return Whole(conversation, messages)

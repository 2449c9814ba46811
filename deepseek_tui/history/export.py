"""Conversations as files for people and programs: JSON with everything, Markdown and plain text to read.

The JSON is what `import_ours` reads back without loss: all branches, settings, figures and times of what is
not deleted. It has one conversation a line, so that line tools and diffs can work on it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from deepseek_tui.history.export_html import html
from deepseek_tui.history.transfer import Whole
from deepseek_tui.history.wording import about, writer

Format = Literal["json", "markdown", "html", "text"]

FORMAT = "deepseek-tui history"
VERSION = 1
SUFFIXES: dict[Format, str] = {"json": ".json", "markdown": ".md", "html": ".html", "text": ".txt"}

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")


def export(wholes: Iterable[Whole], form: Format) -> Iterator[str]:
    """The file in pieces: of JSON the whole trees, of the others the branches shown."""
    if form == "json":
        yield from _json(wholes)
    elif form == "html":
        yield from html(wholes)
    else:
        write = markdown if form == "markdown" else text
        for number, whole in enumerate(wholes):
            yield ("\n" if number else "") + write(whole)


def file_name(whole: Whole, form: Format) -> str:
    """A name for the file of one conversation: its title as far as every file system takes it, and its id."""
    words = re.sub(r"[^\w-]+", "-", whole.conversation.title)[:60].strip("-").lower()
    # Bytes count, and many letters are several.
    short = words.encode()[:120].decode("utf-8", "ignore")
    return f"{short or 'untitled'}-{whole.conversation.id[:8]}{SUFFIXES[form]}"


def _json(wholes: Iterable[Whole]) -> Iterator[str]:
    yield f'{{"format": {json.dumps(FORMAT)}, "version": {VERSION}, "conversations": ['
    for number, whole in enumerate(wholes):
        yield (",\n" if number else "\n") + _dumps(_as_json(whole))
    yield "\n]}\n"


def _as_json(whole: Whole) -> dict[str, Any]:
    c = whole.conversation
    return {
        "id": c.id,
        "title": c.title,
        "created": c.created,
        "updated": c.updated,
        "model": c.model,
        "system_prompt": c.system_prompt,
        "settings": c.settings,
        "pinned": c.pinned,
        "archived": c.archived,
        "folder": c.folder,
        "unread": c.unread,
        "origin": c.origin,
        "draft": whole.draft,
        "head": c.head,
        "messages": [
            {
                "id": m.id,
                "parent": m.parent,
                "role": m.role,
                "text": m.text,
                "state": m.state,
                "created": m.created,
                "updated": m.updated,
                "model": m.model,
                "settings": m.settings,
                "stats": m.stats,
                "shown": whole.shown.get(m.id, 0),
            }
            for m in whole.messages
        ],
    }


def _dumps(value: Any) -> str:
    try:
        line = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        # A figure that is no number (0 divided by 0) has no form in JSON.
        line = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"))
    try:
        line.encode()
    except UnicodeEncodeError:
        return json.dumps(json.loads(line), separators=(",", ":"))
    return line


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and value - value != 0 else value


def markdown(whole: Whole) -> str:
    """The branch shown: a heading for each message, their texts as they are."""
    c = whole.conversation
    lines = [f"# {_one_line(c.title) or 'Untitled'}", "", f"_{about(c.created, c.model)}_", ""]
    if c.system_prompt:
        lines += ["## System", "", _closed(c.system_prompt), ""]
    for m in whole.path():
        lines += [f"## {writer(m)}", "", _closed(m.text), ""]
    return "\n".join(lines)


def text(whole: Whole) -> str:
    """The branch shown, without any marks of ours but a line before each message."""
    c = whole.conversation
    title = _one_line(c.title) or "Untitled"
    lines = [title, "=" * min(len(title), 78), about(c.created, c.model), ""]
    if c.system_prompt:
        lines += ["--- System ---", c.system_prompt, ""]
    for m in whole.path():
        lines += [f"--- {writer(m)} ---", m.text, ""]
    return "\n".join(lines)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _closed(text: str) -> str:
    """The text, with a code block that was cut off closed, so that it does not swallow what follows."""
    fence = ""
    for line in text.splitlines():
        found = _FENCE.match(line)
        if not found:
            continue
        if not fence:
            # The rest of a line that opens with backticks has none in it.
            fence = "" if found[1][0] == "`" and "`" in found[2] else found[1]
        elif found[1].startswith(fence) and not found[2].strip():
            fence = ""
    return f"{text}\n{fence}" if fence else text

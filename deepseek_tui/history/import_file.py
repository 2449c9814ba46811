"""Conversations out of files of this app and of others, told apart by what is in them.

Read are: our own JSON; the conversations.json of ChatGPT's and of Claude's data export, or the zip file they
come in; and lists of messages with `role` and `content`, as Ollama, oterm and most programs and APIs have
them, alone, in an object with `messages`, or several such objects in a list.
A file is read once to find what is wrong with it and a second time to take it in, one conversation at a time.
"""

from __future__ import annotations

import io
import itertools
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from deepseek_tui.history.errors import HistoryError
from deepseek_tui.history.export import FORMAT
from deepseek_tui.history.import_chats import from_chatgpt, from_claude, from_roles
from deepseek_tui.history.import_ours import check_version, from_ours
from deepseek_tui.history.reading import NOTHING, Reader, shown
from deepseek_tui.history.transfer import Transfer, Whole

# Larger than any export we know of, smaller than what would exhaust a machine.
LARGEST = 1 << 30
# Messages per transaction: few enough that a chat open beside it need not wait.
_BATCH = 2000

_SPACE = re.compile(r"[ \t\r\n]*")
_OURS = re.compile(
    rf'\{{\s*"format"\s*:\s*"{FORMAT}"\s*,\s*"version"\s*:\s*(\d{{1,9}})\s*,\s*"conversations"\s*:\s*(?=\[)'
)

Convert = Callable[[Any, Reader], Whole | None]
# A value and where it ends in the text.
Value = tuple[Any, int]


@dataclass(frozen=True)
class Imported:
    """How many conversations were taken in, and how many were there already."""

    added: int
    known: int


def import_data(
    store: Transfer,
    data: bytes,
    name: str,
    now: float,
    on_progress: Callable[[int, int], None] | None = None,
) -> Imported:
    """Take in the conversations of a file. `name` is what errors call it; `now` dates what has no date.

    `on_progress` gets characters done and all of them. Raises HistoryError, with nothing taken in, for a file
    that cannot be used; when the history cannot be written, what came before stays (and is known next time).
    """
    text = _decoded(data, name)
    total = sum(1 for _ in _wholes(text, name, now))
    added = size = 0
    batch: list[Whole] = []
    for whole, at in _wholes(text, name, now):
        batch.append(whole)
        size += len(whole.messages) + 1
        if size >= _BATCH:
            added += store.add(batch)
            batch, size = [], 0
            if on_progress:
                on_progress(at, len(text))
    added += store.add(batch)
    return Imported(added, total - added)


def _wholes(text: str, name: str, now: float) -> Iterator[tuple[Whole, int]]:
    """Each conversation, with how far the text has been read."""
    convert, values = _opened(text, name)
    for number, (value, end) in enumerate(values, 1):
        whole = convert(value, Reader(name, number, now))
        if whole is not None:
            yield whole, end


def _opened(text: str, name: str) -> tuple[Convert, Iterator[Value]]:
    """What reads this file, and the parts of it that are conversations."""
    start = _skipped(text, 0)
    ours = _OURS.match(text, start)
    if ours:
        check_version(int(ours[1]), name)
        return from_ours, _elements(text, ours.end(), name, after="}")
    if text.startswith("[", start):
        elements = _elements(text, start, name)
        first = next(elements, None)
        if first is None:
            return from_ours, iter(())
        if isinstance(first[0], dict) and "role" in first[0] and "messages" not in first[0]:
            # A list of messages is one conversation.
            messages = [first[0], *(value for value, _ in elements)]
            return from_roles, iter([(messages, len(text))])
        return _converter(first[0], name), itertools.chain([first], elements)
    value, end = _decode(text, start, name)
    _check_end(text, end, name)
    if isinstance(value, dict) and value.get("format") == FORMAT:
        check_version(value.get("version"), name)
        conversations = value.get("conversations")
        if not isinstance(conversations, list):
            raise HistoryError(f"{name} is a history export without conversations.", NOTHING)
        return from_ours, ((one, end) for one in conversations)
    return _converter(value, name), iter([(value, end)])


def _converter(first: Any, name: str) -> Convert:
    """What reads a conversation that looks like this."""
    if isinstance(first, list) and first and isinstance(first[0], dict) and "role" in first[0]:
        return from_roles
    if isinstance(first, dict):
        for key, convert in (
            ("mapping", from_chatgpt),
            ("chat_messages", from_claude),
            ("messages", from_roles),
        ):
            if key in first:
                return convert
    raise HistoryError(
        f"{name} is no export of conversations that can be read: it begins with {shown(first)}.",
        "Give our own JSON, the conversations.json of ChatGPT or Claude, or a list of messages with role and"
        " content.",
    )


def _elements(text: str, start: int, name: str, after: str = "") -> Iterator[Value]:
    """The elements of the list that begins at `start`, with which, and `after`, the text ends."""
    at = _skipped(text, start + 1)
    if text.startswith("]", at):
        at += 1
    else:
        while True:
            value, at = _decode(text, at, name)
            yield value, at
            at = _skipped(text, at)
            mark = text[at : at + 1]
            at += 1
            if mark == "]":
                break
            if mark != ",":
                raise _broken(text, at - 1, name, "a comma or the end of the list is missing")
            at = _skipped(text, at)
    for mark in after:
        at = _skipped(text, at)
        if text[at : at + 1] != mark:
            raise _broken(text, at, name, f"{mark} is missing")
        at += 1
    _check_end(text, at, name)


_DECODER = json.JSONDecoder()


def _decode(text: str, at: int, name: str) -> Value:
    try:
        return _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise _broken(text, error.pos, name, error.msg) from error
    except RecursionError as error:
        raise _broken(text, at, name, "what begins there is nested too deeply") from error
    except ValueError as error:
        raise _broken(text, at, name, "a number in what begins there is too long") from error


def _broken(text: str, at: int, name: str, what: str) -> HistoryError:
    line = text.count("\n", 0, at) + 1
    column = at - text.rfind("\n", 0, at)
    return HistoryError(
        f"{name} is no valid JSON at line {line}, column {column}: {what[:1].lower()}{what[1:]}.", NOTHING
    )


def _skipped(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _check_end(text: str, at: int, name: str) -> None:
    end = _skipped(text, at)
    if end < len(text):
        raise _broken(text, end, name, "there is more after its end")


def _decoded(data: bytes, name: str) -> str:
    if len(data) > LARGEST:
        raise _too_large(name)
    if data.startswith(b"PK\x03\x04"):
        data = _unzipped(data, name)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise HistoryError(
            f"{name} is not a text in UTF-8 (byte {error.start}).", "Give a JSON file, or a zip file of one."
        ) from error


def _unzipped(data: bytes, name: str) -> bytes:
    """The conversations.json in a zip file."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [n for n in archive.namelist() if n.rpartition("/")[2] == "conversations.json"]
            if not names:
                raise HistoryError(f"{name} is a zip file without a conversations.json.", NOTHING)
            # What it says of its size may be a lie.
            with archive.open(names[0]) as file:
                inside = file.read(LARGEST + 1)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise HistoryError(f"{name} is a zip file that cannot be read: {error}.", NOTHING) from error
    if len(inside) > LARGEST:
        raise _too_large(name)
    return inside


def _too_large(name: str) -> HistoryError:
    return HistoryError(
        f"{name} is larger than {LARGEST >> 20} MB, the most that is read at once.", "Split it first."
    )

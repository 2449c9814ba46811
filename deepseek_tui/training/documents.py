"""Text to learn from: JSON lines, one document each, read as a stream and without repetitions.

A line is `{"text": "..."}` or `{"messages": [{"role": "user", "content": "..."}, ...]}`. Files may be plain,
.gz, or .zst (with the package zstandard).
"""

from __future__ import annotations

import gzip
import hashlib
import importlib
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from deepseek_tui.engine.protocol import ChatMessage
from deepseek_tui.training.errors import TrainingError

_MAX_LINE = 64 << 20
_ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class Document:
    """One line: either `text` or `messages` is set. `where` is "file:line"."""

    where: str
    text: str | None = None
    messages: tuple[ChatMessage, ...] = ()

    def digest(self) -> bytes:
        """Equal for equal contents, 128 bits."""
        content = self.text if self.text is not None else [[m.role, m.content] for m in self.messages]
        raw = json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(raw, digest_size=16).digest()


def read_documents(files: Iterable[Path]) -> Iterator[Document]:
    """The documents of `files` in order. Raises TrainingError naming file, line and reason of a bad line."""
    for path in files:
        try:
            with _open(path) as file:
                for number, line in enumerate(_lines(file, path), 1):
                    if line.strip():
                        yield parse_line(line, f"{path}:{number}")
        except (OSError, EOFError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise TrainingError(f"{path} cannot be read: {reason}.") from error


def without_repetitions(documents: Iterable[Document]) -> Iterator[Document]:
    """`documents` without those whose contents came before; remembers 16 bytes of each."""
    seen: set[bytes] = set()
    for document in documents:
        digest = document.digest()
        if digest not in seen:
            seen.add(digest)
            yield document


def parse_line(line: str, where: str) -> Document:
    """One line of JSON as a document. Raises TrainingError naming `where` and what is wrong."""
    try:
        body = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise TrainingError(f"{where} is not JSON ({error}).") from error
    if not isinstance(body, dict):
        raise TrainingError(f'{where} holds no object; a line is {{"text": ...}} or {{"messages": ...}}.')
    if isinstance(body.get("text"), str):
        return Document(where, text=body["text"])
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise TrainingError(f'{where} has neither "text" (a string) nor "messages" (a list).')
    return Document(where, messages=tuple(_message(entry, where) for entry in messages))


def _message(entry: Any, where: str) -> ChatMessage:
    if not isinstance(entry, dict) or not isinstance(entry.get("content"), str):
        raise TrainingError(f'{where} has a message without "content" (a string).')
    role = entry.get("role")
    if role not in _ROLES:
        raise TrainingError(f"{where} has a message of the role {role!r}; roles are {', '.join(_ROLES)}.")
    return ChatMessage(role, entry["content"])


def _lines(file: IO[str], path: Path) -> Iterator[str]:
    number = 0
    while True:
        number += 1
        try:
            line = file.readline(_MAX_LINE)
        except UnicodeDecodeError as error:
            raise TrainingError(f"{path}:{number} is not UTF-8 ({error.reason}).") from error
        if not line:
            return
        yield line


def _open(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return cast(IO[str], gzip.open(path, "rt", encoding="utf-8"))
    if path.suffix == ".zst":
        try:
            zstandard = importlib.import_module("zstandard")
        except ImportError as error:
            raise TrainingError(
                f"{path} is compressed with zstd, and the package zstandard is not installed.",
                "Run: pip install zstandard",
            ) from error
        raw = zstandard.ZstdDecompressor().stream_reader(path.open("rb"), closefd=True)
        return io.TextIOWrapper(raw, encoding="utf-8")
    return path.open(encoding="utf-8")

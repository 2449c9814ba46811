"""The thinking at the beginning of a reply: `<think>...</think>`, told from the answer that follows it.

Some chat templates write the opening tag themselves, so that the reply begins inside the block. Then only a
closing tag on a line of its own shows that there was one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, Literal

OPEN = "<think>"
CLOSE = "</think>"
_LONE_CLOSE = re.compile(r"^[ \t]*</think>[ \t]*$", re.MULTILINE)

State = Literal["undecided", "open", "closed", "none"]


class Thinking:
    """Takes a reply as it comes. `state`: whether it began with thinking, and whether that has ended."""

    def __init__(self) -> None:
        self.state: State = "undecided"
        self.thought = ""
        self._held = ""  # text that is not decided about yet

    def feed(self, text: str) -> str:
        """What in `text`, and in what was held back before, belongs to the answer."""
        if self.state == "none":
            return text
        self._held += text
        state = self._advance()
        if state in ("undecided", "open"):
            return ""
        answer, self._held = self._held, ""
        if state == "closed":
            # Line ends between the block and the answer belong to neither.
            answer = answer.lstrip("\n")
            self.state = "none" if answer else "closed"
        return answer

    def _advance(self) -> State:
        if self.state == "undecided":
            self._decide()
        if self.state == "open":
            self._think()
        return self.state

    def _decide(self) -> None:
        start = self._held.lstrip()
        if start.startswith(OPEN):
            self.state, self._held = "open", start.removeprefix(OPEN)
        elif not OPEN.startswith(start):
            self.state = "none"

    def _think(self) -> None:
        thought, tag, rest = self._held.partition(CLOSE)
        if tag:
            self.thought += thought
            self.state, self._held = "closed", rest
            return
        # The end of the text may be the beginning of the tag.
        kept = next((n for n in range(len(CLOSE) - 1, 0, -1) if thought.endswith(CLOSE[:n])), 0)
        cut = len(thought) - kept
        self.thought += thought[:cut]
        self._held = thought[cut:]


def split(text: str) -> tuple[str, str]:
    """The thinking in a whole reply, "" where there is none, and the answer."""
    start = text.lstrip()
    if start.startswith(OPEN):
        thought, _, answer = start.removeprefix(OPEN).partition(CLOSE)
        return thought.strip(), answer.lstrip("\n")
    lone = _LONE_CLOSE.search(text)
    if lone is not None and OPEN not in text[: lone.start()]:
        return text[: lone.start()].strip(), text[lone.end() :].lstrip("\n")
    return "", text


class ThinkingClock:
    """Measures how long a reply thought: seconds and tokens from its first piece to the closing tag."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._thinking = Thinking()
        self._began: float | None = None
        self.figures: dict[str, Any] = {}

    def saw(self, piece: str, count: int) -> None:
        """A piece of the reply; `count` tokens are made with it."""
        if self._began is None:
            self._began = self._clock()
        before = self._thinking.state
        self._thinking.feed(piece)
        thinks = before in ("undecided", "open") and self._thinking.state != "undecided"
        if thinks and (self._thinking.thought or self._thinking.state == "open"):
            self.figures = {
                "thinking_seconds": round(self._clock() - self._began, 2),
                "thinking_tokens": count,
            }


def thought_label(thought: str, stats: dict[str, Any]) -> str:
    """How long it thought, in words: "thought for 3.2 s, 214 tokens"; without figures how much it is."""
    seconds, tokens = stats.get("thinking_seconds"), stats.get("thinking_tokens")
    if isinstance(seconds, int | float) and isinstance(tokens, int):
        return f"thought for {seconds:.1f} s, {tokens:,} tokens"
    return f"thought, {words(thought)}"


def words(text: str) -> str:
    """How many words."""
    count = len(text.split())
    return f"{count:,} word" if count == 1 else f"{count:,} words"

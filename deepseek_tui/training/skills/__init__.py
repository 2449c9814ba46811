"""Chats whose answers are right because a program made them: what people first ask of a small local chat.

`python -m deepseek_tui.training.skills N SEED --out FILE.jsonl` writes N of them, `--first` only first user
messages for a teacher to answer. The same N and SEED give the same file. No chat holds a user message of the
evaluation suite.
"""

# Questions and answers are read one a line.
# ruff: noqa: E501

from __future__ import annotations

import functools
import random
import re
from collections.abc import Callable

from deepseek_tui.training.skills import (
    facts,
    language,
    measures,
    memory,
    numbers,
    reading,
    talk,
    texts,
    topics,
    writing,
)
from deepseek_tui.training.skills.style import Exchange

Messages = list[dict[str, str]]

KINDS: dict[str, tuple[float, Callable[[random.Random], list[Exchange]]]] = {
    name: (float(weight), make)
    for module in (facts, language, measures, memory, numbers, reading, talk, texts, topics, writing)
    for name, (weight, make) in module.KINDS.items()
}
"""Name -> how often, and what makes the exchanges of one chat or a part of it."""

_SYSTEMS = (
    "You are a helpful assistant.", "You are a friendly assistant.", "Answer the user's questions.", "You are a helpful AI assistant.",
    "Be helpful and honest.", "Keep your answers short.", "You are a chat assistant in a terminal.", "You answer briefly and kindly.",
)  # fmt: skip
_MOST_TURNS = 4
_FIRST_ONLY = ("greet",)
_LAST_ONLY = ("goodbye",)
_OWN_CHAT = ("remember", "earlier", "last_of", "at_once", "not_told")
"""Kinds that refer to the whole chat: other exchanges around them could make their answers wrong."""


def chat(rng: random.Random, kind: str | None = None) -> Messages:
    """One chat as messages, of one kind or (None) of one to four exchanges as a person might mix them."""
    while True:
        exchanges = _exchanges(rng, kind)
        if not any(normal(user) in _reserved() for user, _ in exchanges):
            break
    messages: Messages = []
    if rng.random() < 0.12:
        messages.append({"role": "system", "content": rng.choice(_SYSTEMS)})
    for user, assistant in exchanges:
        messages.append({"role": "user", "content": user})
        messages.append({"role": "assistant", "content": assistant})
    return messages


def _exchanges(rng: random.Random, kind: str | None) -> list[Exchange]:
    name = kind or _draw(rng)
    found = KINDS[name][1](rng)[:_MOST_TURNS]
    if kind is not None or name in _OWN_CHAT or name in _LAST_ONLY or rng.random() < 0.5:
        return found
    turns = rng.choice((2, 2, 3, 4))
    while len(found) < turns:
        more = _draw(rng)
        if more in _FIRST_ONLY or more in _OWN_CHAT:
            continue
        found += KINDS[more][1](rng)
        if more in _LAST_ONLY:
            break
    return found[:_MOST_TURNS]


def _draw(rng: random.Random) -> str:
    return rng.choices(list(KINDS), [weight for weight, _ in KINDS.values()])[0]


def normal(text: str) -> str:
    """For telling whether two messages are the same but for case, spaces and punctuation."""
    return " ".join(re.findall(r"\w+", text.lower()))


@functools.cache
def _reserved() -> frozenset[str]:
    from deepseek_tui.evaluation.suite import load_chats

    return frozenset(normal(user) for item in load_chats() for user, _ in item.turns)


def chats(count: int, seed: int, kind: str | None = None) -> list[Messages]:
    """`count` chats, all different as long as their kinds hold enough of them."""
    rng = random.Random(f"skills-{seed}")
    seen: set[str] = set()
    found: list[Messages] = []
    misses = 0
    while len(found) < count:
        made = chat(rng, kind)
        key = repr(made)
        if key in seen and misses < 50:
            misses += 1
            continue
        misses = 0
        seen.add(key)
        found.append(made)
    return found

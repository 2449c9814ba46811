"""What of a conversation goes into a model's context when it does not hold all of it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deepseek_tui.engine.protocol import ChatMessage, ContextPolicy, EngineError

Render = Callable[[Sequence[ChatMessage]], list[int]]


@dataclass(frozen=True)
class Fitted:
    """The prompt's tokens, and how many turns (a user message with its reply) it lacks."""

    tokens: list[int]
    turns_left_out: int


def fit(
    messages: Sequence[ChatMessage], render: Render, *, limit: int, max_tokens: int, policy: ContextPolicy
) -> Fitted:
    """The prompt for a conversation in a context of `limit` tokens.

    "stop" takes all or raises. "roll" leaves the oldest turns out, never a system message nor the last user
    message, so that a reply of `max_tokens` (or a quarter of the context, if that is less) fits behind it.
    Turns go in steps of about a quarter of the context: if each new message dropped one more, no two
    prompts would begin alike and every turn would be prefilled from the start.
    Raises EngineError("context") with what was needed and what there is.
    """
    whole = render(messages)
    budget = limit - max(1, min(max_tokens, limit // 4))
    if policy == "stop" or len(whole) <= budget:
        _check(
            len(whole), limit, "The conversation", "Start a new chat, or let the oldest turns be left out."
        )
        return Fitted(whole, 0)
    system, turns = split_turns(messages)
    tried: dict[int, list[int]] = {0: whole}

    def without(count: int) -> list[int]:
        if count not in tried:
            tried[count] = render([*system, *(m for turn in turns[count:] for m in turn)])
        return tried[count]

    def dropping(count: int) -> int:
        return len(whole) - len(without(count))

    step = max(1, limit // 4)
    needed = len(whole) - budget
    candidates = range(len(turns))
    count = bisect_left(candidates, -(-needed // step) * step, key=dropping)
    if count == len(turns):
        count = min(bisect_left(candidates, needed, key=dropping), len(turns) - 1)
    tokens = without(max(count, 0))
    _check(len(tokens), limit, "The last message", "Shorten it, or choose a model with a longer context.")
    return Fitted(tokens, max(count, 0))


def split_turns(
    messages: Sequence[ChatMessage],
) -> tuple[list[ChatMessage], list[list[ChatMessage]]]:
    """The system messages, and the rest in turns that each begin with a user message (the first may not)."""
    system = [m for m in messages if m.role == "system"]
    turns: list[list[ChatMessage]] = []
    for message in messages:
        if message.role == "user" or (not turns and message.role != "system"):
            turns.append([message])
        elif message.role == "assistant":
            turns[-1].append(message)
    return system, turns


def _check(needed: int, limit: int, what: str, hint: str) -> None:
    # The reply needs a place too.
    if needed >= limit:
        raise EngineError("context", f"{what} needs {needed} tokens and the model holds {limit}.", hint)

"""Which turns a full context keeps. One word is one token here."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepseek_tui.engine.context import Fitted, fit
from deepseek_tui.engine.protocol import ChatMessage, ContextPolicy, EngineError


def render(messages: Sequence[ChatMessage]) -> list[int]:
    return [int(word) for m in messages for word in m.content.split()]


def message(role: str, first: int, length: int) -> ChatMessage:
    return ChatMessage(role, " ".join(map(str, range(first, first + length))))  # type: ignore[arg-type]  # a role


def talk(lengths: Sequence[int], system: int = 0) -> list[ChatMessage]:
    """A system message of that many words, then user and assistant in turn."""
    start = [message("system", 0, system)] if system else []
    roles = ("user", "assistant")
    return [*start, *(message(roles[i % 2], 1000 * (i + 1), n) for i, n in enumerate(lengths))]


def fitted(
    messages: list[ChatMessage], limit: int, max_tokens: int = 10, policy: ContextPolicy = "roll"
) -> Fitted:
    return fit(messages, render, limit=limit, max_tokens=max_tokens, policy=policy)


def test_what_fits_goes_in_whole() -> None:
    messages = talk([5, 5, 5], system=5)

    assert fitted(messages, 100) == Fitted(render(messages), 0)


def test_the_oldest_turns_go_and_the_system_prompt_and_last_message_stay() -> None:
    messages = talk([20, 20, 20, 20, 20], system=7)

    result = fitted(messages, 80)

    assert result.turns_left_out == 1
    assert result.tokens == render([messages[0], *messages[3:]])


def test_room_is_left_for_the_reply_up_to_a_quarter() -> None:
    messages = talk([10] * 21)

    assert len(fitted(messages, 100, max_tokens=5).tokens) <= 95
    assert len(fitted(messages, 100, max_tokens=5000).tokens) <= 75


def test_a_growing_conversation_keeps_its_beginning_for_some_turns() -> None:
    begins = [fitted(talk([10] * n), 400).tokens[0] for n in range(41, 81, 2)]

    assert len(set(begins)) < len(begins) / 3


def test_stop_refuses_what_does_not_fit_and_says_by_how_much() -> None:
    with pytest.raises(EngineError, match="needs 105 tokens and the model holds 100") as error:
        fitted(talk([35, 35, 35]), 100, policy="stop")
    assert error.value.kind == "context"


def test_a_last_message_that_does_not_fit_alone_is_refused() -> None:
    with pytest.raises(EngineError, match="The last message needs 107 tokens"):
        fitted(talk([5, 5, 100], system=7), 100)


def test_a_last_message_that_leaves_less_room_than_wanted_still_goes() -> None:
    assert fitted(talk([5, 5, 95]), 100).turns_left_out == 1


def test_an_unfinished_reply_stays_with_its_question() -> None:
    messages = talk([30, 30, 30, 30])

    assert fitted(messages, 80).tokens == render(messages[2:])


def test_only_a_system_message_is_a_conversation_too() -> None:
    with pytest.raises(EngineError):
        fitted(talk([], system=200), 100)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=40), st.integers(0, 20), st.integers(1, 300))
def test_whatever_the_lengths_the_prompt_fits_or_is_refused(
    lengths: list[int], system: int, max_tokens: int
) -> None:
    messages = talk(lengths if len(lengths) % 2 else lengths[1:] or [1], system)
    try:
        result = fitted(messages, 100, max_tokens)
    except EngineError:
        assert len(messages[-1].content.split()) + system >= 100
        return
    assert len(result.tokens) < 100
    assert result.tokens[: system or None][:system] == render(messages[:1])[:system]
    assert render(messages[-1:])[-1] == result.tokens[-1]

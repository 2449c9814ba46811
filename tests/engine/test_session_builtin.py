"""The built-in model in a session: real answers, and a second turn that costs only what is new."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepseek_tui.engine.protocol import ChatMessage, Event, Finished, Generate, Sampling, Token
from deepseek_tui.engine.session import Session

WEIGHTS = Path(__file__).parents[2] / "weights"


@pytest.fixture(scope="module")
def session() -> Session:
    return Session.load(WEIGHTS)


def ask(session: Session, messages: list[ChatMessage], conversation: str, sampling: Sampling) -> list[Event]:
    return list(session.generate(Generate(1, conversation, tuple(messages), sampling)))


def text_of(events: list[Event]) -> str:
    return "".join(e.text for e in events if isinstance(e, Token))


def end_of(events: list[Event]) -> Finished:
    assert isinstance(events[-1], Finished), events[-1]
    return events[-1]


def test_it_answers_and_the_second_turn_prefills_only_the_new_tokens(session: Session) -> None:
    greedy = Sampling(temp=0.0)
    messages = [ChatMessage("user", "What is the capital of Italy?")]
    first = ask(session, messages, "c", greedy)
    messages += [ChatMessage("assistant", text_of(first)), ChatMessage("user", "What are you?")]

    second = ask(session, messages, "c", greedy)

    assert "Rome" in text_of(first)
    assert end_of(first).reason == "stop"
    assert "deepseek-tui" in text_of(second)
    # The end-of-turn token is chosen, not read: it is the first new token of the next prompt.
    assert end_of(second).stats.cached_tokens == end_of(first).stats.context_used - 1
    assert session.info.context_length == 1024
    assert session.info.kv_bytes_per_token == 20 * 288 * 4


def test_its_authors_settings_are_used_and_a_seed_repeats(session: Session) -> None:
    messages = [ChatMessage("user", "Tell me about the sea.")]
    first = ask(session, messages, "a", Sampling(max_tokens=20))
    again = ask(session, messages, "b", end_of(first).sampling)

    assert end_of(first).sampling.temp == session.info.defaults.temp
    assert text_of(first) == text_of(again)


def test_switching_between_branches_prefills_only_what_differs(session: Session) -> None:
    short = Sampling(temp=0.0, max_tokens=4)
    common = [
        ChatMessage("user", "Tell me one thing about the sea, please, and one about the mountains."),
        ChatMessage("assistant", "The sea is salty, and mountains are high."),
    ]
    one = [*common, ChatMessage("user", "Which sea is the warmest of all?")]
    two = [*common, ChatMessage("user", "Name a mountain in Nepal.")]

    first, other, back = (ask(session, branch, "tree", short) for branch in (one, two, one))

    whole = end_of(first).stats.prompt_tokens
    shared = len(session._tokenizer.encode(common[0].content + common[1].content))  # type: ignore[union-attr]  # it has one
    assert end_of(other).stats.cached_tokens >= shared
    assert whole > end_of(back).stats.cached_tokens >= shared
    assert text_of(back) == text_of(first)


def test_a_reply_is_carried_on(session: Session) -> None:
    messages = [
        ChatMessage("user", "What is the capital of Italy?"),
        ChatMessage("assistant", "The capital of Italy"),
    ]
    request = Generate(1, "d", tuple(messages), Sampling(temp=0.0, max_tokens=8), continue_reply=True)

    assert text_of(list(session.generate(request))).startswith(" is Rome")

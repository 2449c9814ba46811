"""The built-in chat suite: short chats whose replies a program can check.

One chat a line in assets/chats.jsonl: `id`, `kind`, `turns`: [{"user": ..., "check": {...}}, ...]; a turn
without a check only has to be answered. A chat passes when every check holds and every reply ended by itself
and went in no circles.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deepseek_tui.engine.protocol import ChatMessage
from deepseek_tui.engine.template import render
from deepseek_tui.engine.tokenizer import Tokenizer
from deepseek_tui.errors import UserError
from deepseek_tui.evaluation.checks import loops, passes
from deepseek_tui.evaluation.decode import decode_rows

CHATS = Path(__file__).parent / "assets" / "chats.jsonl"
MAX_TOKENS = 192


class EvaluationError(UserError):
    """An evaluation that cannot be done: which file or model, and what to do."""


@dataclass(frozen=True)
class Chat:
    """User turns and what is to be true of the reply to each."""

    id: str
    kind: str
    turns: tuple[tuple[str, dict[str, Any]], ...]
    system: str | None = None


@dataclass(frozen=True)
class Reply:
    """`ended`: by an end-of-turn token. `right`: the check holds."""

    text: str
    ended: bool
    looped: bool
    right: bool


@dataclass
class Outcome:
    """One chat as a model held it."""

    chat: Chat
    replies: list[Reply] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return all(reply.right and reply.ended and not reply.looped for reply in self.replies)


Answer = Callable[[Sequence[Sequence[ChatMessage]]], list[tuple[str, bool]]]
"""Conversations that end with a user turn -> for each the reply and whether it ended by itself."""


def load_chats(path: Path = CHATS) -> list[Chat]:
    """The chats of a file in the suite's format. Raises EvaluationError naming a bad line."""
    found = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{path} cannot be read: {getattr(error, 'strerror', error)}.") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            body = json.loads(line)
            turns = tuple((turn["user"], dict(turn.get("check", {}))) for turn in body["turns"])
            chat = Chat(body["id"], body["kind"], turns, body.get("system"))
            for _, check in turns:
                passes("", check)
        except (ValueError, KeyError, TypeError) as error:
            raise EvaluationError(f"{path}:{number} is no chat of a suite ({error}).") from error
        found.append(chat)
    return found


def run_suite(
    answer: Answer, chats: Sequence[Chat], on_progress: Callable[[int, int], None] = lambda _done, _all: None
) -> list[Outcome]:
    """Holds all chats, turn by turn: all first turns together, then all second ones, and so on."""
    outcomes = [Outcome(chat) for chat in chats]
    histories: list[list[ChatMessage]] = [
        [ChatMessage("system", chat.system)] if chat.system else [] for chat in chats
    ]
    total = sum(len(chat.turns) for chat in chats)
    for turn in range(max(len(chat.turns) for chat in chats)):
        open_ones = [i for i, chat in enumerate(chats) if turn < len(chat.turns)]
        for i in open_ones:
            histories[i].append(ChatMessage("user", chats[i].turns[turn][0]))
        for i, (text, ended) in zip(open_ones, answer([histories[i] for i in open_ones]), strict=True):
            check = chats[i].turns[turn][1]
            outcomes[i].replies.append(Reply(text, ended, loops(text), passes(text, check)))
            histories[i].append(ChatMessage("assistant", text))
        on_progress(sum(len(outcome.replies) for outcome in outcomes), total)
    return outcomes


def greedy_answers(
    model: Any, tokenizer: Tokenizer, *, rows: int = 32, max_tokens: int = MAX_TOKENS
) -> Answer:
    """Answers by the most likely tokens, many chats at once."""

    def answer(conversations: Sequence[Sequence[ChatMessage]]) -> list[tuple[str, bool]]:
        prompts = [render(tokenizer, messages) for messages in conversations]
        ends = tokenizer.eos_token_ids
        found = decode_rows(model, prompts, max_tokens=max_tokens, ends=ends, rows=rows)
        return [(tokenizer.decode(ids).strip(), bool(ids) and ids[-1] in ends) for ids in found]

    return answer


def sampled_answers(session: Any, *, seed: int = 0, max_tokens: int = MAX_TOKENS) -> Answer:
    """Answers as the chat gives them, one by one through `engine.session.Session`, with the model's own
    sampling settings and a kept seed for each reply."""
    from deepseek_tui.engine.protocol import Failed, Finished, Generate, Sampling, Token

    def one(number: int, messages: Sequence[ChatMessage]) -> tuple[str, bool]:
        sampling = Sampling(max_tokens=max_tokens, seed=seed + number)
        text, ended = "", False
        for event in session.generate(Generate(number, f"suite-{number}", tuple(messages), sampling)):
            if isinstance(event, Token):
                text += event.text
            elif isinstance(event, Finished):
                ended = event.reason == "stop"
            elif isinstance(event, Failed):
                raise EvaluationError(event.message, event.hint or "")
        return text.strip(), ended

    def answer(conversations: Sequence[Sequence[ChatMessage]]) -> list[tuple[str, bool]]:
        return [one(number, messages) for number, messages in enumerate(conversations)]

    return answer

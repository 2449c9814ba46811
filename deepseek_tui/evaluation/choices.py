"""Multiple choice: the answer that the model finds most likely.

A line is `{"question": ..., "choices": [...], "answer": index or text}`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepseek_tui.engine.protocol import ChatMessage
from deepseek_tui.engine.template import render
from deepseek_tui.engine.tokenizer import Tokenizer
from deepseek_tui.evaluation.perplexity import row_loss
from deepseek_tui.evaluation.suite import EvaluationError


@dataclass(frozen=True)
class Question:
    """`answer`: index of the right choice."""

    question: str
    choices: tuple[str, ...]
    answer: int


@dataclass(frozen=True)
class Scored:
    """Whether the right choice was the likeliest, and whether it was so per byte of text."""

    by_sum: bool
    by_byte: bool


def load_questions(path: Path) -> list[Question]:
    """Raises EvaluationError naming file, line and reason."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{path} cannot be read: {getattr(error, 'strerror', error)}.") from error
    found = [_question(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise EvaluationError(f"{path} holds no questions.")
    return found


def _question(line: str, where: str) -> Question:
    try:
        body = json.loads(line)
        question, choices, answer = body["question"], body["choices"], body["answer"]
    except (ValueError, KeyError, TypeError) as error:
        raise EvaluationError(
            f"{where} is no question ({error}).",
            'A line is {"question": ..., "choices": [...], "answer": ...}.',
        ) from error
    if not isinstance(question, str) or not isinstance(choices, list) or len(choices) < 2:
        raise EvaluationError(f"{where} needs a question and at least two choices.")
    if not all(isinstance(choice, str) and choice for choice in choices):
        raise EvaluationError(f"{where} has a choice that is no text.")
    if isinstance(answer, str) and answer in choices:
        answer = choices.index(answer)
    if isinstance(answer, bool) or not isinstance(answer, int) or not 0 <= answer < len(choices):
        raise EvaluationError(f"{where}: the answer is neither one of the choices nor the place of one.")
    return Question(question, tuple(choices), answer)


def score(
    model: Any,
    tokenizer: Tokenizer,
    questions: Sequence[Question],
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> list[Scored]:
    """Each choice as the reply to its question (as its continuation where there is no chat template)."""
    found = []
    for done, question in enumerate(questions, 1):
        prompt = _prompt(tokenizer, question.question)
        losses, sizes = [], []
        for choice in question.choices:
            reply = tokenizer.encode(choice if tokenizer.chat_template is not None else f" {choice}")
            losses.append(row_loss(model, [*prompt, *reply], start=len(prompt)))
            sizes.append(len(choice.encode()))
        by_byte = [loss / size for loss, size in zip(losses, sizes, strict=True)]
        found.append(
            Scored(
                losses.index(min(losses)) == question.answer, by_byte.index(min(by_byte)) == question.answer
            )
        )
        on_progress(done, len(questions))
    return found


def _prompt(tokenizer: Tokenizer, question: str) -> list[int]:
    if tokenizer.chat_template is not None:
        return render(tokenizer, [ChatMessage("user", question)])
    return tokenizer.encode_prompt(question)

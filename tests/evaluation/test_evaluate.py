"""Evaluating the built-in model: replies in batches are those of one by one; the command reports."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from deepseek_tui.checkpoints.load import load_model
from deepseek_tui.cli.main import main
from deepseek_tui.engine.generate import decode_tokens
from deepseek_tui.engine.protocol import ChatMessage
from deepseek_tui.engine.template import render
from deepseek_tui.engine.tokenizer import load_tokenizer
from deepseek_tui.evaluation.choices import load_questions, score
from deepseek_tui.evaluation.decode import decode_rows
from deepseek_tui.evaluation.lm_eval import evaluate_tasks
from deepseek_tui.evaluation.perplexity import perplexity, read_rows, round_weights
from deepseek_tui.evaluation.report import load_plain
from deepseek_tui.evaluation.suite import CHATS, EvaluationError, load_chats, run_suite

FIXTURES = Path(__file__).parents[1] / "fixtures"
WEIGHTS = Path(__file__).parents[2] / "weights"


@pytest.fixture(scope="module")
def plain() -> tuple[Any, Any]:
    """The built-in model as evaluation computes it, and its tokenizer."""
    return load_plain(WEIGHTS).model, load_tokenizer(WEIGHTS)


def test_replies_in_a_batch_are_those_of_one_by_one(plain: tuple[Any, Any]) -> None:
    model, tokenizer = plain
    asked = [
        "Hi!",
        "Name three colours, please.",
        "What is the capital city of France, and what is it known for?",
    ]
    prompts = [render(tokenizer, [ChatMessage("user", text)]) for text in asked]
    ends = tokenizer.eos_token_ids
    together = decode_rows(model, prompts, max_tokens=12, ends=ends, rows=3)
    for prompt, reply in zip(prompts, together, strict=True):
        alone = []
        for token, _ in decode_tokens(model, prompt, max_tokens=12):
            alone.append(token)
            if token in ends:
                break
        assert reply == alone


def test_replies_stop_at_the_context() -> None:
    model = load_model(FIXTURES / "llama-tiny").model
    length = model.context_length
    found = decode_rows(model, [[1] * (length - 2), [2] * length], max_tokens=9, ends=())
    assert [len(reply) for reply in found] == [2, 0]


def test_the_suite_is_large_and_well_formed() -> None:
    chats = load_chats()
    assert len(chats) >= 100
    assert len({chat.id for chat in chats}) == len(chats)
    assert {
        "facts",
        "lists",
        "yes-no",
        "repeat",
        "arithmetic",
        "memory",
        "reading",
        "rewriting",
        "identity",
    } <= {chat.kind for chat in chats}
    assert sum(len(chat.turns) > 1 for chat in chats) >= 10


def test_a_chat_passes_only_if_it_is_right_ended_and_in_no_loop() -> None:
    chats = load_chats()[:3]
    replies = [("Paris.", True), ("Tokyo.", False), ("Leonardo. " * 9, True)]
    outcomes = run_suite(lambda _: replies, chats)
    assert [outcome.passed for outcome in outcomes] == [True, False, False]
    assert [outcome.replies[0].right for outcome in outcomes] == [True, True, True]


def test_a_bad_line_of_a_suite_is_named(tmp_path: Path) -> None:
    file = tmp_path / "chats.jsonl"
    line = {"id": "a", "kind": "b", "turns": [{"user": "Hi", "check": {"sounds": "nice"}}]}
    file.write_text(
        CHATS.read_text(encoding="utf-8").splitlines()[0] + "\n" + json.dumps(line), encoding="utf-8"
    )
    with pytest.raises(EvaluationError, match=r"chats\.jsonl:2"):
        load_chats(file)


def test_perplexity_is_that_of_the_logits(plain: tuple[Any, Any], tmp_path: Path) -> None:
    model, tokenizer = plain
    file = tmp_path / "text.txt"
    file.write_text("The cat sits on the mat and looks out of the window.", encoding="utf-8")
    rows = read_rows(file, tokenizer)
    ids = mx.array(rows[0])
    logits = model(ids[None])[0, :-1]
    losses: Any = mx.logsumexp(logits, axis=-1) - mx.take_along_axis(logits, ids[1:, None], axis=-1)[:, 0]
    assert perplexity(model, rows).value == pytest.approx(math.exp(losses.mean().item()), rel=1e-4)


def test_fewer_bits_are_further_away() -> None:
    tokens = mx.random.randint(0, 512, (1, 16), key=mx.random.key(0))
    exact = load_model(FIXTURES / "llama-tiny").model(tokens)
    off: list[float] = []
    for bits in (8, 4, 2):
        model = load_model(FIXTURES / "llama-tiny").model
        round_weights(model, bits, group_size=32)
        difference: Any = mx.abs(model(tokens) - exact).max()
        off.append(difference.item())
    assert 0 < off[0] < off[1] < off[2]


def test_the_likeliest_choice_is_taken(plain: tuple[Any, Any], tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text(
        '{"question": "The capital of France?", "choices": ["Paris.", "Potato soup of."], "answer": 0}\n'
        '{"question": "How many days has a week?", "choices": ["purple ox", "Seven."], "answer": "Seven."}\n',
        encoding="utf-8",
    )
    assert all(item.by_sum for item in score(*plain, load_questions(file)))
    file.write_text('{"question": "a", "choices": ["b"], "answer": 0}', encoding="utf-8")
    with pytest.raises(EvaluationError, match=r"questions\.jsonl:1"):
        load_questions(file)


def test_the_command_compares_two_models(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["evaluate", "--model", str(WEIGHTS), "--against", str(WEIGHTS), "--kinds", "system", "--json"]
    assert main(words) == 0
    data = json.loads(capsys.readouterr().out)
    assert [item["chats"]["chats"] for item in data["models"]] == [2, 2]
    assert data["comparison"]["chats"]["difference"]["value"] == 0


def test_the_harness_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lm_eval", None)
    with pytest.raises(EvaluationError, match="not installed"):
        evaluate_tasks(FIXTURES / "llama-tiny", ["hellaswag"])

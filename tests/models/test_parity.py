"""The architectures against the numbers that the reference implementations gave."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import pytest

from deepseek_tui.checkpoints.load import load_model
from tests.models.support import BUILT_IN, FIXTURES, difference, greedy, in_pieces, reference

NAMES = ["deepseek-v3-tiny", "deepseek-v3-tiny-yarn", "llama-tiny", "qwen3-tiny"]
TOLERANCE = 2e-4


@pytest.fixture(scope="module", params=NAMES)
def fixture(request: pytest.FixtureRequest) -> tuple[Any, dict[str, Any]]:
    return load_model(FIXTURES / request.param).model, reference(request.param)


@pytest.fixture(scope="module")
def built_in() -> Any:
    return load_model(BUILT_IN).model


@pytest.mark.parametrize("case", [0, 1, 2])
@pytest.mark.parametrize(
    "sizes", [None, [1], [7, 1, 2, 16, 1, 5]], ids=["whole", "one at a time", "odd chunks"]
)
def test_logits_are_those_of_the_reference(
    fixture: tuple[Any, dict[str, Any]], case: int, sizes: list[int] | None
) -> None:
    model, expected = fixture
    tokens = expected[f"tokens_{case}"][None]
    logits = model(tokens) if sizes is None else in_pieces(model, tokens, list(sizes))
    assert difference(logits[0], expected[f"logits_{case}"]) < TOLERANCE


def test_a_prompt_in_a_cache_gives_the_reference_too(fixture: tuple[Any, dict[str, Any]]) -> None:
    model, expected = fixture
    logits = model(expected["tokens_1"][None], model.make_cache())
    assert difference(logits[0], expected["logits_1"]) < TOLERANCE


def test_greedy_ids_are_those_of_the_reference(fixture: tuple[Any, dict[str, Any]]) -> None:
    model, expected = fixture
    assert greedy(model, expected["greedy_prompt"], 40) == expected["greedy_tokens"].tolist()


def test_rows_of_a_batch_do_not_mix(fixture: tuple[Any, dict[str, Any]]) -> None:
    model, expected = fixture
    tokens, logits = expected["tokens_1"], expected["logits_1"]
    both = model(mx.stack([tokens[:40], tokens[40:80]]))
    assert difference(both[0], logits[:40]) < TOLERANCE
    assert difference(both[1], model(tokens[None, 40:80])[0]) < TOLERANCE


def test_trimmed_tokens_leave_no_trace(fixture: tuple[Any, dict[str, Any]]) -> None:
    model, expected = fixture
    tokens, cache = expected["tokens_1"][None], model.make_cache()
    model(tokens[:, :20], cache)
    model(mx.full((1, 9), 3), cache)
    assert [layer.trim(9) for layer in cache] == [9] * len(cache)
    assert difference(model(tokens[:, 20:], cache)[0], expected["logits_1"][20:]) < TOLERANCE


def test_the_built_in_model_answers_as_it_was_published(built_in: Any) -> None:
    expected = reference("built-in")
    hidden = built_in.hidden(expected["ids"])
    logits = built_in.head(hidden)
    assert difference(hidden[0], expected["hidden"]) < 1e-3
    assert difference(logits[0, -1], expected["last_logits"]) < 1e-3
    assert logits[0].argmax(-1).tolist() == expected["greedy"].tolist()


def test_the_built_in_prediction_layer_too(built_in: Any) -> None:
    expected = reference("built-in")
    ids = expected["ids"]
    hidden, logits = built_in.mtp(built_in.hidden(ids)[:, :-1], ids[:, 1:])
    assert difference(hidden[0], expected["mtp_hidden"]) < 1e-3
    assert difference(logits[0, -1], expected["mtp_last_logits"]) < 1e-3
    assert logits[0].argmax(-1).tolist() == expected["mtp_greedy"].tolist()


def test_the_built_in_model_step_by_step(built_in: Any) -> None:
    expected = reference("built-in")
    ids, cache, draft_cache = expected["ids"], built_in.make_cache(), built_in.make_cache()[0]
    for start, end in [(0, 30), (30, 31), (31, 40), (40, 72)]:
        hidden = built_in.hidden(ids[:, start:end], cache)
        drafted, _ = built_in.mtp(hidden, ids[:, start + 1 : end + 1], cache=draft_cache)
        assert difference(hidden[0], expected["hidden"][start:end]) < 1e-3
        assert difference(drafted[0], expected["mtp_hidden"][start:end]) < 1e-3


def test_context_lengths_come_from_the_config(built_in: Any) -> None:
    assert built_in.context_length == 1024
    assert load_model(FIXTURES / "llama-tiny").model.context_length == 512

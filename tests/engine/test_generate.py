"""Generation: the right tokens, however the prompt is cut and wherever it is stopped, and an exact cache."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

import deepseek_tui
from deepseek_tui.engine import generate as module
from deepseek_tui.engine.generate import GenerateError, decode_tokens, generate, stream_generate
from deepseek_tui.engine.sampling import make_logits_processors, make_sampler
from tests.conftest import WEIGHTS

FIXTURES = Path(__file__).parents[1] / "fixtures"
NAMES = ["llama-tiny", "deepseek-v3-tiny", "deepseek-v3-tiny-yarn", "qwen3-tiny", "scratch-tiny"]
QUESTION = "<|im_start|>user\nWhat is the capital of Italy?<|im_end|>\n<|im_start|>assistant\n"


def arrays(path: Path) -> dict[str, Any]:
    found = mx.load(str(path))
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module", params=NAMES)
def fixture(request: pytest.FixtureRequest) -> tuple[Any, dict[str, Any]]:
    folder = FIXTURES / request.param
    return deepseek_tui.load(folder)[0], arrays(folder / "reference.safetensors")


@pytest.fixture(scope="module")
def llama() -> Any:
    return deepseek_tui.load(FIXTURES / "llama-tiny")[0]


@pytest.fixture(scope="module")
def scratch() -> tuple[Any, dict[str, Any]]:
    folder = FIXTURES / "scratch-tiny"
    return deepseek_tui.load(folder)[0], arrays(folder / "reference.safetensors")


def ids(responses: Any) -> list[int]:
    return [response.token for response in responses]


def greedy_pairs(reference: dict[str, Any]) -> list[tuple[list[int], list[int]]]:
    names = [name for name in reference if name.startswith("greedy") and name.endswith("_prompt")]
    return [
        (reference[name].tolist(), reference[name.replace("_prompt", "_tokens")].tolist()) for name in names
    ]


@pytest.mark.parametrize("step", [None, 1, 3, 100])
@pytest.mark.parametrize("ahead", [False, True])
def test_greedy_ids_are_the_references(
    fixture: tuple[Any, dict[str, Any]], step: int | None, ahead: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, reference = fixture
    monkeypatch.setattr(module, "on_gpu", lambda: ahead)
    pairs = greedy_pairs(reference)
    assert pairs
    for prompt, expected in pairs:
        got = ids(stream_generate(model, None, prompt, len(expected), prefill_step_size=step))
        assert got == expected


def test_past_its_window_the_original_model_sees_the_last_ids_anew(
    scratch: tuple[Any, dict[str, Any]],
) -> None:
    model, reference = scratch
    prompt = reference["greedy_long_prompt"].tolist()
    expected = reference["greedy_long_tokens"].tolist()
    assert len(prompt) + len(expected) > model.window
    cache = model.make_cache()
    assert ids(stream_generate(model, None, prompt, len(expected), prompt_cache=cache)) == expected
    assert cache[0].offset == 0
    # The same with half of it in the cache already, and with a prompt that is longer than the window.
    cache = model.make_cache()
    mx.eval(model(mx.array([prompt[:20]]), cache=cache))
    rest = stream_generate(
        model, None, prompt[20:], len(expected), prompt_cache=cache, cached_ids=prompt[:20]
    )
    assert ids(rest) == expected
    whole = prompt + expected[:30]
    assert ids(stream_generate(model, None, whole, 10)) == expected[30:40]


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("close_after", [1, 2, 7, None])
def test_the_cache_holds_the_prompt_and_all_ids_but_the_last(
    llama: Any, ahead: bool, close_after: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "on_gpu", lambda: ahead)
    prompt = [5, 9, 3, 14, 8]
    cache = llama.make_cache()
    stream = decode_tokens(llama, prompt, max_tokens=10, prompt_cache=cache)
    made = []
    for token, _ in stream:
        made.append(token)
        if len(made) == close_after:
            break
    stream.close()  # type: ignore[attr-defined]  # it is a generator
    assert [c.offset for c in cache] == [len(prompt) + len(made) - 1] * len(cache)
    # What is held is good: going on from it gives what one go gives.
    whole = [token for token, _ in decode_tokens(llama, prompt, max_tokens=len(made) + 5)]
    rest = decode_tokens(llama, made[-1:], max_tokens=5, prompt_cache=cache)
    assert made + [token for token, _ in rest] == whole


def test_logprobs_are_those_of_the_choice(llama: Any) -> None:
    prompt = [5, 9, 3]
    (response,) = stream_generate(llama, None, prompt, 1)
    logits = llama(mx.array([prompt]))[0, -1]
    expected = logits - mx.logsumexp(logits)
    assert mx.allclose(response.logprobs, expected, atol=1e-4).item()
    assert mx.argmax(response.logprobs).item() == response.token


def test_processors_see_all_ids_and_samplers_see_logprobs(llama: Any) -> None:
    seen: list[list[int]] = []

    def process(tokens: Any, logits: Any) -> Any:
        seen.append(tokens.tolist())
        return logits

    def sampler(logprobs: Any) -> Any:
        assert abs(mx.exp(logprobs).sum().item() - 1) < 1e-3
        return mx.argmax(logprobs, axis=-1)

    prompt = [5, 9, 3, 14]
    made = ids(stream_generate(llama, None, prompt, 3, sampler=sampler, logits_processors=[process]))
    assert seen == [prompt, prompt + made[:1], prompt + made[:2]]


def test_penalties_look_back_into_the_cache(llama: Any) -> None:
    prompt = [5, 9, 3, 14, 8, 2]
    processors = make_logits_processors(repetition_penalty=1.8, repetition_context_size=50)
    whole = ids(stream_generate(llama, None, prompt, 12, logits_processors=processors))
    cache = llama.make_cache()
    mx.eval(llama(mx.array([prompt[:4]]), cache=cache))
    halves = stream_generate(
        llama,
        None,
        prompt[4:],
        12,
        logits_processors=processors,
        prompt_cache=cache,
        cached_ids=prompt[:4],
    )
    assert ids(halves) == whole


def test_progress_counts_to_the_last_id(llama: Any) -> None:
    steps: list[tuple[int, int]] = []
    list(
        stream_generate(
            llama,
            None,
            list(range(20)),
            1,
            prefill_step_size=8,
            prompt_progress_callback=lambda done, total: steps.append((done, total)),
        )
    )
    assert steps == [(0, 20), (8, 20), (16, 20), (19, 20), (20, 20)]


def test_a_prefill_that_is_cancelled_keeps_its_chunks(llama: Any) -> None:
    cache = llama.make_cache()
    answers = iter([False, False, True])
    made = stream_generate(
        llama,
        None,
        list(range(40)),
        5,
        prefill_step_size=8,
        prompt_cache=cache,
        should_cancel=lambda: next(answers),
    )
    assert list(made) == []
    assert cache[0].offset == 16


def test_a_reply_that_is_cancelled_ends_at_once(built_in: tuple[Any, Any]) -> None:
    model, tokenizer = built_in
    made: list[Any] = []
    for response in stream_generate(model, tokenizer, QUESTION, 50, should_cancel=lambda: len(made) >= 3):
        made.append(response)
    assert [r.finish_reason for r in made] == [None, None, None, "cancelled"]
    assert made[-1].generation_tokens == 3


def test_the_built_in_model_answers(built_in: tuple[Any, Any]) -> None:
    model, tokenizer = built_in
    responses = list(stream_generate(model, tokenizer, QUESTION, 60))
    assert "".join(r.text for r in responses) == "The capital of Italy is Rome."
    last = responses[-1]
    assert last.finish_reason == "stop"
    assert last.token in tokenizer.eos_token_ids
    assert last.generation_tokens == len(responses)
    assert last.prompt_tokens == len(tokenizer.encode_trusted(QUESTION))
    assert 0.05 < last.peak_memory < 8
    assert [r.finish_reason for r in responses[:-1]] == [None] * (len(responses) - 1)


@pytest.mark.parametrize("as_array", [False, True])
def test_a_prompt_of_ids_is_the_same_prompt(built_in: tuple[Any, Any], as_array: bool) -> None:
    model, tokenizer = built_in
    prompt: Any = tokenizer.encode_trusted(QUESTION)
    prompt = mx.array(prompt) if as_array else prompt
    assert generate(model, tokenizer, prompt, max_tokens=60) == "The capital of Italy is Rome."


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        ("Italy", "The capital of "),
        (["is Rome", "zzz"], "The capital of Italy "),
        (["al of It"], "The capit"),
    ],
)
def test_stop_strings_end_the_reply_and_are_not_in_it(
    built_in: tuple[Any, Any], stop: str | Sequence[str], text: str
) -> None:
    model, tokenizer = built_in
    responses = list(stream_generate(model, tokenizer, QUESTION, 60, stop=stop))
    assert "".join(r.text for r in responses) == text
    assert responses[-1].finish_reason == "stop"


def test_text_held_for_a_stop_string_comes_at_the_end(built_in: tuple[Any, Any]) -> None:
    model, tokenizer = built_in
    assert generate(model, tokenizer, QUESTION, max_tokens=60, stop=["Rome.!"]).endswith("Rome.")
    responses = list(stream_generate(model, tokenizer, QUESTION, 3, stop=["of Italy"]))
    assert responses[-1].finish_reason == "length"
    assert "".join(r.text for r in responses) == tokenizer.decode(ids(responses))


def test_a_seed_gives_the_same_reply_twice(built_in: tuple[Any, Any]) -> None:
    model, tokenizer = built_in

    def reply(seed: int) -> list[int]:
        sampler = make_sampler(1.2, top_p=0.95, seed=seed)
        return ids(stream_generate(model, tokenizer, QUESTION, 12, sampler=sampler))

    first = reply(3)
    mx.random.seed(99)
    assert reply(3) == first
    assert reply(4) != first


def test_max_tokens_without_bound_runs_to_the_end(built_in: tuple[Any, Any]) -> None:
    model, tokenizer = built_in
    assert generate(model, tokenizer, QUESTION, max_tokens=-1) == "The capital of Italy is Rome."


@pytest.mark.parametrize(
    "options", [{"max_tokens": 0}, {"max_tokens": -2}, {"prompt": []}, {"prompt": "text"}]
)
def test_requests_that_make_no_sense_are_refused(llama: Any, options: dict[str, Any]) -> None:
    with pytest.raises(GenerateError):
        stream_generate(llama, None, **{"prompt": [1], **options})


def test_end_ids_can_be_given(llama: Any) -> None:
    prompt = [5, 9, 3]
    made = ids(stream_generate(llama, None, prompt, 6))
    stopped = list(stream_generate(llama, None, prompt, 6, eos_token_ids=[made[2]]))
    assert ids(stopped) == made[: made.index(made[2]) + 1]
    assert stopped[-1].finish_reason == "stop"


def test_verbose_prints_the_reply_and_the_figures(
    built_in: tuple[Any, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    model, tokenizer = built_in
    text = generate(model, tokenizer, QUESTION, True, max_tokens=60)
    shown = capsys.readouterr().out
    assert shown.startswith(text)
    assert "tokens/s" in shown


def test_the_tokenizer_of_the_weights_is_loaded_beside_them(built_in: tuple[Any, Any]) -> None:
    assert built_in[1].path == WEIGHTS / "tokenizer.json"

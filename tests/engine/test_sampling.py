"""Sampling against mlx-lm's functions, whose names and meanings ours are, and against its own promises."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm import sample_utils as reference

from deepseek_tui.engine.sampling import Sampler, SamplingError, make_logits_processors, make_sampler

WIDE = 6000


def logprobs(size: int, seed: int, scale: float = 3.0) -> Any:
    logits = mx.random.normal((1, size), key=mx.random.key(seed)) * scale
    return logits - mx.logsumexp(logits, axis=-1, keepdims=True)


def survivors(logits: Any) -> set[int]:
    return set(np.flatnonzero(np.array(logits)[0] > -math.inf).tolist())


SETTINGS: list[dict[str, Any]] = [
    {"top_p": 0.9},
    {"top_p": 0.3},
    {"min_p": 0.05},
    {"min_p": 0.5, "min_tokens_to_keep": 7},
    {"top_k": 5},
    {"top_p": 0.8, "min_p": 0.02, "top_k": 20},
    {"top_p": 0.95, "top_k": 3},
]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("size", [50, WIDE])
@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_the_same_tokens_survive(settings: dict[str, Any], size: int, scale: float) -> None:
    for seed in range(4):
        x = logprobs(size, seed, scale)
        expected = x
        if "top_p" in settings:
            expected = reference.apply_top_p(expected, settings["top_p"])
        if "min_p" in settings:
            expected = reference.apply_min_p(
                expected, settings["min_p"], settings.get("min_tokens_to_keep", 1)
            )
        if "top_k" in settings:
            expected = reference.apply_top_k(expected, settings["top_k"])
        sampler = make_sampler(0.7, **settings)
        assert survivors(sampler.filter(x)) == survivors(expected)
        row = np.array(x)[0]
        assert set(sampler.survivors(row).tolist()) == survivors(expected)  # type: ignore[union-attr]  # all filter


@pytest.mark.parametrize("special", [[], [3, 1]])
@pytest.mark.parametrize("threshold", [0.0, 0.05, 0.2, 0.5])
def test_xtc_takes_out_the_same_tokens(special: list[int], threshold: float) -> None:
    for seed in range(4):
        x = logprobs(20, seed)
        sampler = make_sampler(1.0, xtc_probability=1.0, xtc_threshold=threshold, xtc_special_tokens=special)
        expected = survivors(reference.apply_xtc(x, 1.0, threshold, special))
        assert survivors(sampler.filter(x)) == expected
        kept = sampler.survivors(np.array(x)[0])
        assert kept is not None
        assert set(kept.tolist()) == expected


def test_xtc_strikes_as_often_as_asked() -> None:
    x = mx.log(mx.array([[0.5, 0.3, 0.2]]))
    sampler = make_sampler(1.0, xtc_probability=0.25, xtc_threshold=0.1, seed=5)
    struck = sum(len(survivors(filtered(sampler, x))) == 1 for _ in range(2000))
    assert 400 < struck < 600


def filtered(sampler: Sampler, x: Any) -> Any:
    sampler(x)  # moves on to the next key
    return sampler.filter(x)


@pytest.mark.parametrize(
    "settings",
    [{}, {"top_p": 0.9}, {"min_p": 0.1}, {"top_k": 8}, {"top_p": 0.95, "min_p": 0.01, "top_k": 12}],
)
@pytest.mark.parametrize("temp", [0.4, 1.3])
@pytest.mark.parametrize("size", [30, WIDE])
def test_draws_follow_the_distribution(settings: dict[str, Any], temp: float, size: int) -> None:
    x = logprobs(size, 3)
    sampler = make_sampler(temp, **settings, seed=11)
    weights = np.array(mx.softmax(sampler.filter(x) / temp, axis=-1))[0].astype(np.float64)
    draws = 2000
    counts = np.bincount([int(sampler(x).item()) for _ in range(draws)], minlength=size)
    assert not counts[weights == 0].any()
    # Chi-square over the likely tokens, the rest in one cell.
    likely = weights * draws >= 8
    observed = [*counts[likely], counts[~likely].sum()]
    expected = [*(weights[likely] * draws), max(weights[~likely].sum() * draws, 1e-9)]
    statistic = sum((o - e) ** 2 / e for o, e in zip(observed, expected, strict=True) if e > 1)
    cells = sum(e > 1 for e in expected)
    assert statistic < cells + 5 * math.sqrt(2 * cells) + 5


@pytest.mark.parametrize("settings", [{}, {"top_p": 0.9}, {"min_p": 0.1, "top_k": 12}])
def test_a_batch_is_drawn_row_by_row(settings: dict[str, Any]) -> None:
    """Several rows go another way through the code than one row on a CPU."""
    x = logprobs(WIDE, 3)
    sampler = make_sampler(0.8, **settings, seed=11)
    weights = np.array(mx.softmax(sampler.filter(x) / 0.8, axis=-1))[0].astype(np.float64)
    draws = np.array(sampler(mx.broadcast_to(x, (2000, WIDE))))
    counts = np.bincount(draws, minlength=WIDE)
    assert not counts[weights == 0].any()
    best = int(weights.argmax())
    share = weights[best]
    assert abs(counts[best] / 2000 - share) < 5 * math.sqrt(share * (1 - share) / 2000)


def test_temp_0_takes_the_most_likely() -> None:
    x = logprobs(WIDE, 0)
    assert make_sampler()(x).item() == mx.argmax(x).item()


def test_a_constant_added_to_the_logits_changes_nothing() -> None:
    x = logprobs(WIDE, 1)
    sampler = make_sampler(0.8, top_p=0.9, min_p=0.01, seed=4)
    again = make_sampler(0.8, top_p=0.9, min_p=0.01, seed=4)
    assert [sampler(x).item() for _ in range(20)] == [again(x + 7.0).item() for _ in range(20)]


def test_a_seed_repeats_whatever_else_is_drawn() -> None:
    x = logprobs(WIDE, 2)

    def draws(seed: int | None, noise: bool) -> list[int]:
        sampler = make_sampler(1.0, seed=seed)
        found = []
        for _ in range(12):
            if noise:
                mx.eval(mx.random.normal((3,)))
            found.append(int(sampler(x).item()))
        return found

    assert draws(7, noise=False) == draws(7, noise=True)
    assert draws(7, noise=False) != draws(8, noise=False)
    assert draws(None, noise=False) != draws(None, noise=False)
    assert len(set(draws(7, noise=False))) > 3


PENALTIES: list[dict[str, Any]] = [
    {"repetition_penalty": 1.3},
    {"repetition_penalty": 1.3, "repetition_context_size": 3},
    {"presence_penalty": 0.7},
    {"frequency_penalty": 0.4, "frequency_context_size": 5},
    {"presence_penalty": -0.5, "presence_context_size": 2},
    {"logit_bias": {3: 5.0, 7: -100.0}},
    {
        "logit_bias": {3: 5.0},
        "repetition_penalty": 0.8,
        "presence_penalty": 0.2,
        "frequency_penalty": 0.3,
    },
]


@pytest.mark.parametrize("settings", PENALTIES)
def test_penalties_are_mlx_lms(settings: dict[str, Any]) -> None:
    tokens = mx.array([1, 3, 3, 9, 4, 9, 9, 2])
    logits = logprobs(20, 9) + 2.0
    expected = logits * 1
    for process in reference.make_logits_processors(**settings):
        expected = process(tokens, expected)
    before = np.array(logits)
    ours = logits
    for process in make_logits_processors(**settings):
        ours = process(tokens, ours)
    assert np.allclose(np.array(ours), np.array(expected), atol=1e-6)
    assert (np.array(logits) == before).all(), "the model's logits were written over"


def test_penalties_that_change_nothing_cost_nothing() -> None:
    assert make_logits_processors(None, 1.0, 20, 0.0, 20, None) == []


def test_a_bias_for_a_token_the_model_lacks_is_passed_over() -> None:
    (process,) = make_logits_processors({10**6: 5.0, 1: 2.0})
    assert np.array(process(mx.array([0]), mx.zeros((1, 4)))).tolist() == [[0, 2, 0, 0]]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temp", -0.1),
        ("temp", math.nan),
        ("top_p", 1.1),
        ("min_p", -1),
        ("top_k", 2.5),
        ("top_k", -1),
        ("min_tokens_to_keep", 0),
        ("xtc_probability", 2),
        ("xtc_threshold", 0.6),
        ("seed", -1),
        ("temp", "warm"),
        ("temp", True),
    ],
)
def test_settings_out_of_range_are_named(name: str, value: Any) -> None:
    with pytest.raises(SamplingError, match=f"^{name} is "):
        make_sampler(**{"temp": 0.7, name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("repetition_penalty", -1.0),
        ("repetition_context_size", 0),
        ("presence_penalty", math.inf),
        ("frequency_context_size", 1.5),
        ("logit_bias", {1: math.nan}),
        ("logit_bias", {-1: 1.0}),
    ],
)
def test_penalties_out_of_range_are_named(name: str, value: Any) -> None:
    settings = {"repetition_penalty": 1.1, "frequency_penalty": 0.1, name: value}
    with pytest.raises(SamplingError, match=f"^{name}"):
        make_logits_processors(**settings)

"""The original architecture computes what its authors' code computes, in every way it can be fed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten

from deepseek_tui.checkpoints.original import load_original
from deepseek_tui.models.base import ModelConfigError
from deepseek_tui.models.scratch import Model, ModelArgs
from tests.models.scratch_reference import Array, Options, Reference, random_state

FIXTURE = Path(__file__).parents[1] / "fixtures" / "scratch-tiny"
MAIN, HEAD, LOSS = 2e-4, 5e-4, 1e-4


@pytest.fixture(scope="module")
def model() -> Any:
    return load_original(FIXTURE).model


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    arrays: Any = mx.load(str(FIXTURE / "reference.safetensors"))
    return dict(arrays)


def far(a: Any, b: Any) -> float:
    return float(np.abs(np.array(a, np.float64) - np.array(b, np.float64)).max())


def ahead(tokens: Any, depth: int = 1) -> Any:
    return mx.concatenate([tokens[:, depth:], mx.full((len(tokens), depth), -1, dtype=tokens.dtype)], axis=1)


def in_chunks(feed: Callable[[Any], Any], tokens: Any, size: int) -> Any:
    return mx.concatenate([feed(tokens[:, i : i + size]) for i in range(0, tokens.shape[1], size)], axis=1)


def greedy(model: Any, prompt: list[int], count: int, cached: bool) -> list[int]:
    """Greedy ids; cached: one at a time until the window is full, then the window again from position 0."""
    ids, cache, fed = list(prompt), model.make_cache(), 0
    for _ in range(count):
        if cached and len(ids) <= model.window:
            logits = model(mx.array([ids[fed:]]), cache)
            fed = len(ids)
        else:
            logits = model(mx.array([ids[-model.window :]]))
        ids.append(int(logits[0, -1].argmax()))
    return ids[len(prompt) :]


def from_state(state: dict[str, Array], options: Options) -> Any:
    args = ModelArgs.from_dict(
        asdict(options) | {"use_shared_expert": options.shared_expert_intermediate_size > 0}
    )
    model = Model(args)
    weights = model.sanitize({name: mx.array(value) for name, value in state.items()})
    model.load_weights(list(weights.items()))
    model.eval()
    return model


@pytest.mark.parametrize("which", [0, 1, 2])
def test_hidden_states_and_logits_are_the_original_ones(
    model: Any, expected: dict[str, Any], which: int
) -> None:
    tokens = expected[f"tokens_{which}"][None]
    assert far(model.hidden(tokens)[0], expected[f"hidden_{which}"]) < MAIN
    assert far(model(tokens)[0], expected[f"logits_{which}"]) < MAIN


@pytest.mark.parametrize("size", [1, 3, 7, 8, 9, 13, 64])
def test_the_cache_changes_nothing_whatever_the_chunks(
    model: Any, expected: dict[str, Any], size: int
) -> None:
    cache = model.make_cache()
    logits = in_chunks(lambda part: model(part, cache), expected["tokens_1"][None], size)
    assert far(logits[0], expected["logits_1"]) < MAIN


def test_a_trimmed_cache_continues_elsewhere(model: Any, expected: dict[str, Any]) -> None:
    cache = model.make_cache()
    model(expected["tokens_0"][None], cache)
    for layer in cache:
        layer.trim(23)
    assert far(model(expected["tokens_1"][None], cache)[0], expected["logits_1"]) < MAIN


def test_rows_of_a_batch_do_not_touch_each_other(model: Any, expected: dict[str, Any]) -> None:
    rows = mx.stack([expected["tokens_1"][:23], expected["tokens_0"]])
    assert far(model(rows)[1], expected["logits_0"]) < MAIN


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("kind", ["greedy", "greedy_long"])
def test_greedy_text_is_the_original_one_past_the_context_too(
    model: Any, expected: dict[str, Any], kind: str, cached: bool
) -> None:
    tokens = greedy(model, expected[f"{kind}_prompt"].tolist(), 40, cached)
    assert tokens == expected[f"{kind}_tokens"].tolist()


def test_more_positions_than_the_model_has_are_refused(model: Any) -> None:
    with pytest.raises(ValueError, match="65 positions do not fit this model's context of 64"):
        model(mx.zeros((1, 65), dtype=mx.int32))


@pytest.mark.parametrize("size", [1, 5, 23])
def test_the_prediction_head_is_the_original_one(model: Any, expected: dict[str, Any], size: int) -> None:
    tokens = expected["tokens_0"][None]
    following, hidden = ahead(tokens), model.hidden(tokens)
    cache = model.make_mtp_cache()[0] if size < 23 else None
    parts = [
        model.mtp(hidden[:, i : i + size], following[:, i : i + size], cache=cache)
        for i in range(0, 23, size)
    ]
    out, logits = (mx.concatenate(list(part), axis=1) for part in zip(*parts, strict=True))
    assert far(out[0], expected["mtp1_hidden_0"]) < HEAD
    assert far(logits[0], expected["mtp1_logits_0"]) < HEAD


@pytest.mark.parametrize("which", [0, 1, 2])
def test_losses_are_the_original_ones(model: Any, expected: dict[str, Any], which: int) -> None:
    losses = model.losses(expected[f"tokens_{which}"][None], expected[f"targets_{which}"][None])
    assert far(losses.main, expected[f"main_loss_{which}"]) < LOSS
    if which == 2:
        assert losses.mtp is None
        assert losses.total.item() == losses.main.item()
        return
    assert far(losses.mtp, expected[f"mtp_loss_{which}"]) < LOSS
    assert losses.total.item() == pytest.approx(losses.main.item() + 0.3 * losses.mtp.item())


def test_targets_of_minus_one_are_not_counted(model: Any, expected: dict[str, Any]) -> None:
    tokens, targets = expected["tokens_0"][None], expected["targets_0"][None]
    part = mx.where(mx.arange(23) < 11, targets, -1)
    logits = mx.log(mx.softmax(model(tokens)[0], axis=-1))
    wanted = -mx.take_along_axis(logits, targets[0][:, None], axis=-1)[:11].mean()
    assert far(model.losses(tokens, part).main, wanted) < LOSS


VARIANTS = {
    "several heads, odd widths": Options(),
    "no bias": Options(bias=False),
    "no shared expert": Options(shared_expert_intermediate_size=0),
    "no prediction head": Options(mtp_num_heads=0),
    "one expert": Options(n_experts=1, n_experts_per_token=1),
    "all experts": Options(n_experts=3, n_experts_per_token=3),
    "four of nine experts": Options(n_experts=9, n_experts_per_token=4),
    "one head": Options(n_head=1, n_embd=17, rope_dim=2),
    "wide rope, narrow latent": Options(rope_dim=24, kv_lora_rank=1, q_lora_rank=1),
    "latent as wide as the model": Options(kv_lora_rank=30, q_lora_rank=30, n_layer=1),
    "long context": Options(block_size=300, n_layer=1, mtp_num_heads=1),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_agree_with_a_second_implementation(variant: str) -> None:
    options = VARIANTS[variant]
    state = random_state(options)
    model, reference = from_state(state, options), Reference(state, options.n_experts_per_token)
    ids = np.random.default_rng(1).integers(0, options.vocab_size, options.block_size)
    tokens = mx.array(ids)[None]
    hidden = reference.hidden(ids)
    logits = reference.logits(hidden)
    assert far(model.hidden(tokens)[0], hidden) < MAIN
    assert far(model(tokens)[0], logits) < MAIN
    for size in (1, 7, 11):
        fed = in_chunks(partial(model, cache=model.make_cache()), tokens, size)
        assert far(fed[0], logits) < MAIN
    current = model.hidden(tokens)
    for depth in range(1, options.mtp_num_heads + 1):
        hidden = reference.predict(hidden, reference.embed_ahead(ids, depth), depth)
        current, predicted = model.mtp(current, ahead(tokens, depth), depth)
        assert far(current[0], hidden) < HEAD
        assert far(predicted[0], reference.logits(hidden)) < HEAD


def test_a_second_implementation_writes_the_same_text_past_the_context() -> None:
    options = Options(block_size=20)
    state = random_state(options, seed=3)
    prompt = [5, 40, 3, 3, 17]
    text = Reference(state).greedy(np.array(prompt), 30)
    for cached in (False, True):
        assert greedy(from_state(state, options), prompt, 30, cached) == text


def test_small_activations_show_where_the_epsilon_stands() -> None:
    options = Options(n_layer=1, mtp_num_heads=0)
    state = random_state(options, scale=1e-3)
    ids = np.arange(10)
    hidden = from_state(state, options).hidden(mx.array(ids)[None])[0]
    assert far(hidden, Reference(state).hidden(ids)) < 1e-5


def test_packed_layers_compute_what_their_unpacked_values_would(expected: dict[str, Any]) -> None:
    packed, plain = load_original(FIXTURE).model, load_original(FIXTURE).model

    def fits(_: str, module: Any) -> bool:
        return hasattr(module, "to_quantized") and module.weight.shape[-1] % 32 == 0

    for _, module in plain.named_modules():
        if fits("", module):
            module.weight = mx.dequantize(*mx.quantize(module.weight, 32, 8), 32, 8)
    nn.quantize(packed, group_size=32, bits=8, class_predicate=fits)
    tokens = expected["tokens_0"][None]
    wanted = plain(tokens)
    assert far(packed(tokens), wanted) < 1e-3
    cache = packed.make_cache()
    assert far(in_chunks(lambda part: packed(part, cache), tokens, 1), wanted) < 1e-3


def test_experts_take_the_same_gradient_however_many_rows_there_are(expected: dict[str, Any]) -> None:
    model = load_original(FIXTURE).model
    model.train()
    tokens, targets = expected["tokens_1"][None], expected["targets_1"][None]

    def loss() -> Any:
        return model.losses(tokens, targets).total

    _, gradients = nn.value_and_grad(model, loss)()
    assert "expert_bias" not in gradients["h"][0]["mlp"]
    step = gradients["h"][0]["mlp"]["experts"]["up_proj"]["bias"]
    before = loss()
    bias = model.h[0].mlp.experts.up_proj.bias
    norm = float((step * step).sum())
    model.h[0].mlp.experts.up_proj.bias = bias - 1e-3 / norm**0.5 * step
    assert float(before - loss()) == pytest.approx(1e-3 * norm**0.5, rel=0.05)


def test_every_gradient_is_a_number(model: Any, expected: dict[str, Any]) -> None:
    """Prediction heads read zeros past the end of a text, where the root of the norm has no slope."""
    tokens, targets = expected["tokens_1"][None], expected["targets_1"][None]
    _, gradients = nn.value_and_grad(model, lambda: model.losses(tokens, targets).total)()
    for name, gradient in tree_flatten(gradients):
        assert mx.isfinite(gradient).all(), name


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("n_head", 7, "n_embd = 64 is no multiple of n_head = 7"),
        ("rope_dim", 15, "rope_dim = 15 should be even"),
        ("n_experts_per_token", 5, "n_experts_per_token = 5 is more than n_experts = 4"),
        ("block_size", 0, "block_size = 0"),
        ("rope_inv_freq", [1.0], "rope_inv_freq should be 8 numbers"),
        ("n_layer", "two", "n_layer"),
    ],
)
def test_sizes_that_do_not_go_together_are_named(model: Any, key: str, value: Any, message: str) -> None:
    config = asdict(model.args) | {key: value}
    with pytest.raises(ModelConfigError, match=message):
        ModelArgs.from_dict({k: v for k, v in config.items() if v is not None})

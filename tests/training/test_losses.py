"""Losses and their gradients, against plain formulas and finite differences."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from deepseek_tui.training.head import HeadLoss
from deepseek_tui.training.network import Weights, make_network, parameters
from deepseek_tui.training.objective import METRICS, Objective, ObjectiveSettings, Teacher
from tests.training import tiny


def plain_loss(states: Any, head: Any, labels: Any, weights: Any, wanted: Any, settings: HeadLoss) -> Any:
    """The same loss with all logits at once, differentiated by MLX."""
    logits = states @ head.T
    logits = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    wanted = wanted - mx.logsumexp(wanted, axis=-1, keepdims=True)
    kl = (mx.exp(wanted) * (wanted - logits)).sum(axis=-1)
    entropy = -mx.take_along_axis(logits, labels[:, None], axis=-1)[:, 0]
    return ((settings.distil * kl + settings.predict * entropy) * weights).sum()


@pytest.mark.parametrize("chunk", [1, 7, 20, 64])
@pytest.mark.parametrize(("predict", "distil"), [(0.5, 1.0), (0.0, 1.0)])
def test_the_chunked_loss_equals_the_plain_one(chunk: int, predict: float, distil: float) -> None:
    keys = mx.random.split(mx.random.key(3), 6)
    states, head = mx.random.normal((20, 8), key=keys[0]), mx.random.normal((30, 8), key=keys[1])
    labels = mx.random.randint(0, 30, (20,), key=keys[2])
    weights = mx.random.uniform(shape=(20,), key=keys[3]) * (mx.arange(20) % 4 > 0)
    taught, taught_head = mx.random.normal((20, 5), key=keys[4]), mx.random.normal((30, 5), key=keys[5])
    settings = HeadLoss(predict, distil, chunk)

    def chunked(states: Any, head: Any) -> Any:
        return settings(states, head, labels, weights, taught, taught_head)[0]

    def plain(states: Any, head: Any) -> Any:
        return plain_loss(states, head, labels, weights, taught @ taught_head.T, settings)

    found, found_grads = mx.value_and_grad(chunked, (0, 1))(states, head)
    wanted, wanted_grads = mx.value_and_grad(plain, (0, 1))(states, head)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    for one, other in zip(found_grads, wanted_grads, strict=True):
        np.testing.assert_allclose(np.array(one), np.array(other), atol=2e-5)


def test_what_a_teacher_says_itself_costs_nothing() -> None:
    states, head = mx.random.normal((6, 8), key=mx.random.key(1)), mx.eye(8)
    loss, sums = HeadLoss(0.0, 1.0)(states, head, mx.zeros((6,), mx.int32), mx.ones((6,)), states, head)
    assert abs(loss.item()) < 1e-5
    assert sums[2].item() == 6


KINDS = {
    "next token": ObjectiveSettings(balance=0.0, chunk=16),
    "distillation": ObjectiveSettings(predict=0.5, distil=1.0, balance=0.0, chunk=16),
    "prediction layers": ObjectiveSettings(predict=0.1, ahead=1.0, balance=0.0, chunk=16),
    "prediction layers alone": ObjectiveSettings(balance=0.0, ahead_only=True, chunk=16),
    "balance": ObjectiveSettings(predict=0.01, balance=1.0, chunk=16),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("segmented", [False, True])
def test_gradients_agree_with_finite_differences(kind: str, segmented: bool) -> None:
    model, taught = tiny.model(), tiny.teacher()
    weights = {name: array * 8 if array.ndim > 1 else array for name, array in parameters(model).items()}
    teacher = Teacher(make_network(taught), parameters(taught))
    # The same two experts for every token: a choice that changes would be a jump, which has no slope.
    fixed = {
        name: mx.array([5.0, 5.0, 0.0, 0.0]) for name in weights if name.endswith("e_score_correction_bias")
    }
    weights = {name: array for name, array in weights.items() if name not in fixed}
    objective = Objective(make_network(model), KINDS[kind], mx.float32, teacher)
    ids = tiny.tokens(2, 12)
    segments = mx.array([[1] * 5 + [2] * 7, [1] * 11 + [0]]) if segmented else None
    rest = (ids, mx.ones(ids.shape), segments, mx.array(1 / 24), mx.array(1.0))

    def loss(trained: Weights) -> Any:
        return objective(trained, fixed, teacher.weights, *rest)[0]

    grads = mx.grad(loss)(weights)
    for seed in range(3):
        # Along a random direction, for all weights at once: one number stands for the whole gradient.
        keys = mx.random.split(mx.random.key(seed), len(weights))
        way = {
            name: mx.random.normal(array.shape, key=key)
            for (name, array), key in zip(sorted(weights.items()), keys, strict=True)
            if kind != "prediction layers alone" or name.startswith("model.layers.3.")
        }
        slope = sum((grads[name] * way[name]).sum() for name in way).item()
        ends = []
        for step in (1e-3, -1e-3):
            there = {name: a + step * way[name] if name in way else a for name, a in weights.items()}
            ends.append(loss(there).item())
        assert slope == pytest.approx((ends[0] - ends[1]) / 2e-3, rel=0.03, abs=2e-3)


def test_the_trunk_learns_nothing_from_prediction_layers_trained_alone() -> None:
    model = tiny.model()
    weights = parameters(model)
    objective = Objective(make_network(model), KINDS["prediction layers alone"], mx.float32)
    ids = tiny.tokens(2, 10)

    def loss(trained: Weights) -> Any:
        return objective(trained, {}, {}, ids, mx.ones(ids.shape), None, mx.array(0.1), mx.array(1.0))[0]

    grads = mx.grad(loss)(weights)
    moved = {name for name, grad in grads.items() if mx.any(grad != 0).item()}
    assert moved
    assert all(name.startswith("model.layers.3.") for name in moved)


def test_figures_for_people_are_sums_over_weighted_tokens() -> None:
    model = tiny.model()
    weights = parameters(model)
    objective = Objective(make_network(model), KINDS["next token"], mx.float32)
    ids = tiny.tokens(2, 10)
    targets = mx.zeros(ids.shape)
    targets[0, 4:7] = 1.0
    _, metrics, _ = objective(weights, {}, {}, ids, targets, None, mx.array(1.0), mx.array(1.0))
    logits = model(ids)[0, 3:6]
    entropy = mx.logsumexp(logits, axis=-1) - mx.take_along_axis(logits, ids[0, 4:7][:, None], axis=-1)[:, 0]
    assert metrics[METRICS.index("entropy")].item() == pytest.approx(entropy.sum().item(), rel=1e-4)

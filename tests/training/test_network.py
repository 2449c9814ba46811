"""The training forward pass is the model's own function, document by document."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from deepseek_tui.checkpoints.load import load_model
from deepseek_tui.training.errors import TrainingError
from deepseek_tui.training.kernels import gated_swiglu, plain_swiglu, use_kernels
from deepseek_tui.training.network import lookup, make_network, parameters
from tests.training import tiny

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.mark.parametrize("name", ["deepseek-v3-tiny", "deepseek-v3-tiny-yarn", "llama-tiny", "qwen3-tiny"])
@pytest.mark.parametrize("experts", ["dense", "gather"])
@pytest.mark.parametrize("checkpoint", [False, True])
def test_it_computes_what_the_model_computes(name: str, experts: str, checkpoint: bool) -> None:
    model = load_model(FIXTURES / name, dtype=mx.float32, quantized=False).model
    network = make_network(model, experts=experts, checkpoint=checkpoint)
    ids = mx.random.randint(0, model.args.vocab_size, (2, 24), key=mx.random.key(1))
    wanted = np.array(model.hidden(ids))
    found = np.array(network.hidden(parameters(model), ids).states)
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("attention", ["fused", "padded", "plain"])
def test_documents_in_a_row_do_not_see_one_another(attention: str) -> None:
    model = tiny.model()
    network = make_network(model, attention=attention)
    ids = tiny.tokens(2, 24)
    segments = mx.array([[1] * 10 + [2] * 14, [1] * 10 + [2] * 13 + [0]])
    found = network.hidden(parameters(model), ids, segments).states
    alone = [model.hidden(ids[:, :10]), model.hidden(ids[:, 10:])]
    np.testing.assert_allclose(np.array(found[:, :10]), np.array(alone[0]), atol=1e-5)
    np.testing.assert_allclose(np.array(found[0, 10:]), np.array(alone[1][0]), atol=1e-5)
    np.testing.assert_allclose(np.array(found[1, 10:23]), np.array(alone[1][1, :13]), atol=1e-5)


def test_prediction_layers_compute_what_the_model_computes() -> None:
    model = tiny.model()
    ids = tiny.tokens(2, 12)
    states = model.hidden(ids[:, :-1])
    wanted, _ = model.mtp(states, ids[:, 1:])
    found = make_network(model).predict(parameters(model), states, ids[:, 1:], None, 1)
    np.testing.assert_allclose(np.array(found.states), np.array(wanted), atol=1e-5)


def test_loads_count_the_choices_of_tokens_that_are_no_padding() -> None:
    model = tiny.model()
    ids = tiny.tokens(2, 12)
    segments = mx.array([[1] * 12, [1] * 4 + [0] * 8])
    loads = make_network(model).hidden(parameters(model), ids, segments).loads
    assert loads.shape == (2, 4)
    assert loads.sum(axis=1).tolist() == [32, 32]


def test_a_model_that_cannot_be_trained_is_named() -> None:
    model = tiny.model()
    model.model_type = "scratch"
    with pytest.raises(TrainingError, match="'scratch' cannot be trained"):
        make_network(model)


def test_kernels_are_left_alone_where_there_is_no_nvidia_gpu() -> None:
    assert use_kernels("off") is False
    if mx.cuda.is_available():
        return
    assert use_kernels("auto") is False
    with pytest.raises(TrainingError, match="NVIDIA"):
        use_kernels("on")
    gate, up, share = mx.ones((2, 3, 4)), mx.ones((2, 3, 4)), mx.ones((2, 3))
    np.testing.assert_array_equal(
        np.array(gated_swiglu(gate, up, share)), np.array(plain_swiglu(gate, up, share))
    )


def test_gradients_of_frequent_tokens_are_not_lost_in_sixteen_bits() -> None:
    table = mx.zeros((4, 2), mx.bfloat16)
    ids = mx.ones((1, 3000), mx.int32)
    grad = mx.grad(lambda t: lookup(t, ids).astype(mx.float32).sum())(table)
    assert grad[1].tolist() == [3008.0, 3008.0]  # 3000 in bfloat16
    assert not grad[0].any().item()

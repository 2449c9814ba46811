"""Rounding in training is the rounding of the export."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from deepseek_tui.checkpoints.load import load_model
from deepseek_tui.checkpoints.recipes import Recipe
from deepseek_tui.training.build import export_model, open_model, with_prediction_layer
from deepseek_tui.training.network import make_network, parameters
from deepseek_tui.training.rounding import for_compute, rounded, rounding_plan
from tests.training import tiny


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
@pytest.mark.parametrize("group_size", [32, 64])
def test_rounding_equals_packing_and_unpacking(bits: int, group_size: int) -> None:
    weight = mx.random.normal((24, 128), key=mx.random.key(bits))
    how = {"bits": bits, "group_size": group_size}
    packed = mx.quantize(weight.astype(mx.bfloat16), group_size, bits)
    wanted = mx.dequantize(*packed, group_size, bits)
    found = rounded(weight, how, mx.bfloat16)
    assert found.dtype == mx.bfloat16
    assert mx.array_equal(found, wanted).item()


def test_the_gradient_goes_through_as_if_nothing_were_rounded() -> None:
    weight = mx.random.normal((4, 32), key=mx.random.key(1))
    slope = mx.random.normal((4, 32), key=mx.random.key(2))
    how = {"bits": 4, "group_size": 32}
    grad = mx.grad(lambda w: (rounded(w, how, mx.float32) * slope).sum())(weight)
    assert mx.array_equal(grad, slope).item()


def test_what_is_trained_is_what_is_shipped(tmp_path: Path) -> None:
    model = tiny.model()
    weights = parameters(model)
    recipe = Recipe(bits=4, group_size=32, embed_bits=6)
    plan = rounding_plan(model, recipe)
    assert plan["model.embed_tokens.weight"]["bits"] == 6
    assert "model.layers.1.mlp.gate.weight" not in plan
    config = {**tiny.CONFIG, "num_nextn_predict_layers": 1}
    export_model(tmp_path / "out", model, weights, config, recipe=recipe)
    shipped = parameters(load_model(tmp_path / "out", dtype=mx.float32, quantized=False).model)
    trained = for_compute(weights, mx.float32, plan)
    assert shipped.keys() == trained.keys()
    for name in plan:
        assert mx.array_equal(shipped[name], trained[name]).item(), name
    assert (tmp_path / "out" / "mtp.safetensors").is_file()
    assert (tmp_path / "out" / "SHA256SUMS").is_file()
    ids = tiny.tokens(1, 8)
    states = make_network(model).hidden(trained, ids).states
    loaded = load_model(tmp_path / "out", dtype=mx.float32, quantized=False).model.hidden(ids)
    # Norms and routers are stored in bfloat16 and trained in float32.
    np.testing.assert_allclose(np.array(states), np.array(loaded), atol=0.05)


def test_a_prediction_layer_begins_as_the_last_one(tmp_path: Path) -> None:
    model = tiny.model(num_nextn_predict_layers=0)
    config = {**tiny.CONFIG, "num_nextn_predict_layers": 0}
    larger, grown = with_prediction_layer(model, config)
    assert grown["num_nextn_predict_layers"] == 1
    ids = tiny.tokens(1, 6)
    assert mx.array_equal(larger(ids), model(ids)).item()
    export_model(tmp_path / "out", larger, parameters(larger), grown)
    again, _ = open_model(tmp_path / "out")
    assert again.prediction_layers == 1

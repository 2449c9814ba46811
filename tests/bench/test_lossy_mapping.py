"""The comparison with the older mapping: that it measures what it says, on models that need no training."""

from __future__ import annotations

import json
import subprocess
import sys

import mlx.core as mx

from deepseek_tui.bench.lossy_mapping import ARGS, Comparison, compare, mapped, text_ids
from deepseek_tui.models.scratch import Model
from tests.models.support import randomise


def random_model() -> Model:
    model = Model(ARGS)
    randomise(model, 3)
    model.eval()
    return model


def test_a_model_chooses_like_itself() -> None:
    model = random_model()
    found = compare(model, model, positions=960)
    assert (found.positions, found.changed) == (960, 0)
    assert found.loss_before == found.loss_after


def test_the_mapping_changes_what_a_model_says() -> None:
    model = random_model()
    assert compare(model, mapped(model), positions=960).changed > 0.2


def test_what_the_mapping_has_a_place_for_is_kept() -> None:
    """With the attention silenced, no bias and all experts chosen nothing but their weights is lost."""
    model = random_model()
    model.wpe.weight = mx.zeros_like(model.wpe.weight)
    for block in model.h:
        block.attn.o_proj.weight = mx.zeros_like(block.attn.o_proj.weight)
        block.attn.o_proj.bias = mx.zeros_like(block.attn.o_proj.bias)
        block.mlp.expert_bias = mx.zeros_like(block.mlp.expert_bias)
        for mlp in (block.mlp.experts, block.mlp.shared_expert):
            for name in ("gate_proj", "up_proj", "down_proj"):
                mlp[name].bias = mx.zeros_like(mlp[name].bias)
        # The routed experts' weights are sigmoids there: without the routed part nothing differs.
        block.mlp.experts.down_proj.weight = mx.zeros_like(block.mlp.experts.down_proj.weight)
    found = compare(model, mapped(model), positions=960)
    assert found.changed < 0.005


def test_the_text_is_the_same_for_a_seed_and_other_for_another() -> None:
    assert text_ids(1, 500) == text_ids(1, 500)
    assert text_ids(1, 500) != text_ids(2, 500)
    assert max(text_ids(1, 5000)) < ARGS.vocab_size


def test_the_command_prints_the_figures() -> None:
    words = [sys.executable, "-m", "deepseek_tui.bench.lossy_mapping", "--steps", "2", "--json"]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout).keys() == Comparison.__dataclass_fields__.keys()
    assert done.stderr == ""

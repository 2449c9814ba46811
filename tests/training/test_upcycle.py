"""Upcycling: what is exact, how near the rest stays, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from deepseek_tui.checkpoints.build import build_model
from deepseek_tui.checkpoints.load import load_model
from deepseek_tui.models import llama as llama_type
from deepseek_tui.training.errors import TrainingError
from deepseek_tui.training.upcycle import Plan, Upcycled, check_source, upcycle
from deepseek_tui.training.upcycle_directory import Calibration, upcycle_directory
from deepseek_tui.training.upcycle_experts import FeedForward, Sizes, gate_weights, split
from deepseek_tui.training.upcycle_layers import choose_layers
from deepseek_tui.training.upcycle_measure import Ends
from deepseek_tui.training.upcycle_rope import best_assignment, frequencies

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture(scope="module")
def llama() -> Any:
    return load_model(FIXTURES / "llama-tiny").model


@pytest.fixture(scope="module")
def tokens() -> Any:
    return mx.random.randint(0, 512, (12, 32), key=mx.random.key(1))


def rebuilt(made: Upcycled) -> Any:
    """The copy as somebody loads it from its weights and config."""
    return build_model(made.config, dict(made.weights)).model


def unrotated(*models: Any) -> None:
    """Every position counts as 0."""
    for model in models:
        for layer in model.layers:
            layer.self_attn._rope = lambda x, _offset: x


@pytest.mark.parametrize(
    ("rank", "rope", "nope"), [(64, 16, 16), (80, 32, 16), (64, 6, 24)], ids=["plain", "wide", "little-rope"]
)
def test_without_positions_and_compression_the_copy_is_the_source(
    tokens: Any, rank: int, rope: int, nope: int
) -> None:
    source = load_model(FIXTURES / "llama-tiny").model
    plan = Plan(steps=("attention",), kv_rank=rank, rope_dim=rope, nope_dim=nope)
    copy = rebuilt(upcycle(source, tokens, plan))
    unrotated(source, copy)
    wanted, got = np.array(source(tokens)), np.array(copy(tokens))
    # What is left comes from the eps of the two norms on the way.
    assert np.abs(got - wanted).max() < 5e-4 * np.abs(wanted).max()


def test_one_key_head_keeps_every_rotation(tokens: Any) -> None:
    args = llama_type.ModelArgs.from_dict(
        {
            "vocab_size": 512, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 1, "rms_norm_eps": 1e-9,
            "tie_word_embeddings": True,
        }
    )  # fmt: skip
    mx.random.seed(5)
    source = llama_type.Model(args)
    plan = Plan(steps=("attention",), kv_rank=64, rope_dim=16, nope_dim=2)
    wanted, got = np.array(source(tokens)), np.array(rebuilt(upcycle(source, tokens, plan))(tokens))
    assert np.abs(got - wanted).max() < 1e-3 * np.abs(wanted).max()


def test_the_copy_runs_with_a_cache_as_without(llama: Any, tokens: Any) -> None:
    copy = rebuilt(upcycle(llama, tokens, Plan(experts=4, expert_size=32)))
    cache = copy.make_cache()
    parts = [copy(tokens[:1, :20], cache), *(copy(tokens[:1, i : i + 1], cache) for i in range(20, 24))]
    whole = copy(tokens[:1, :24])
    assert np.allclose(np.array(mx.concatenate(parts, axis=1)), np.array(whole), atol=1e-4)


def test_every_step_is_measured_and_said(llama: Any, tokens: Any) -> None:
    said: list[str] = []
    made = upcycle(llama, tokens, Plan(layers=1, experts=4, expert_size=32, dense_layers=0), said.append)
    assert list(made.distances) == ["attention", "layers", "experts"]
    assert made.layers == [0]
    assert made.config["num_hidden_layers"] == 1
    assert made.config["n_routed_experts"] == 4
    assert sum("KL" in line for line in said) >= 3
    assert made.weights["model.layers.0.mlp.switch_mlp.up_proj.weight"].shape == (4, 32, 64)
    assert not np.any(np.array(made.weights["model.layers.0.mlp.gate.e_score_correction_bias"]))


def test_qwen3_is_taken_with_its_norms_fitted(tokens: Any) -> None:
    source = load_model(FIXTURES / "qwen3-tiny").model
    made = upcycle(source, tokens, Plan(steps=("attention",), kv_rank=64, rope_dim=48, nope_dim=24))
    assert rebuilt(made)(tokens[:1]).shape == (1, 32, 512)
    assert made.distances["attention"].kl < 1.0


def test_what_cannot_be_converted_is_said(llama: Any) -> None:
    latent = load_model(FIXTURES / "deepseek-v3-tiny").model
    with pytest.raises(TrainingError, match="deepseek_v3"):
        check_source(latent, Plan())
    with pytest.raises(TrainingError, match="160 neurons"):
        check_source(llama, Plan(expert_size=100))
    with pytest.raises(TrainingError, match="2 layers"):
        check_source(llama, Plan(layers=3))
    with pytest.raises(TrainingError, match="even"):
        check_source(llama, Plan(rope_dim=7))


@pytest.mark.parametrize("steps", [("attention",), ("attention", "experts")], ids=["dense", "experts"])
def test_mlx_lm_reads_what_is_written(tmp_path: Path, steps: tuple[str, ...]) -> None:
    from mlx_lm.utils import load_model as load_elsewhere

    weights = Path(__file__).parents[2] / "weights"
    source = tmp_path / "source"
    shutil.copytree(FIXTURES / "llama-tiny", source)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(weights / name, source)
    text = tmp_path / "text.txt"
    # Digits are tokens of their own, and this tiny model's vocabulary ends at 512.
    text.write_text("3141592653589793" * 40, encoding="utf-8")
    out = tmp_path / "out"
    plan = Plan(steps=steps, experts=4, expert_size=32)
    done = upcycle_directory(source, out, plan, Calibration(text, 512, 32), dtype="float32")
    ours, (theirs, _) = load_model(out), load_elsewhere(out)
    tokens = mx.array([[1, 5, 9, 200, 40]])
    assert np.allclose(np.array(ours.model(tokens)), np.array(theirs(tokens)), atol=2e-4)
    assert done.parameters == ours.parameters
    assert (out / "tokenizer.json").exists()
    with pytest.raises(TrainingError, match="exists already"):
        upcycle_directory(source, out, plan, Calibration(text, 512, 32))


def test_the_same_seed_gives_the_same_weights(llama: Any, tokens: Any) -> None:
    one, two = (upcycle(llama, tokens, Plan(experts=4, expert_size=32, seed=3)).weights for _ in range(2))
    assert all(np.array_equal(np.array(one[name]), np.array(two[name])) for name in one)


def test_frequencies_are_the_sources_own() -> None:
    found = frequencies(64, 1e5, None, 8192, interleaved=False)
    assert np.allclose(found, 1e5 ** (-np.arange(0, 64, 2) / 64), rtol=1e-4)
    # Three shared pairs for each of the source's: every third turns exactly as the source's.
    shared = frequencies(96, 1e5 ** (96 / (3 * 64)), None, 8192, interleaved=True)
    assert np.allclose(shared[::3], found[:16], rtol=1e-4)


def test_the_assignment_is_the_cheapest() -> None:
    cost = np.array([[4.0, 1.0, 3.0, 9.0], [2.0, 0.0, 5.0, 9.0], [3.0, 2.0, 2.0, 9.0]])
    assert best_assignment(cost) == [1, 0, 2]
    assert best_assignment(cost.T) == [1, 0, 2, -1]


def test_layers_that_do_nothing_are_left_out_first(tokens: Any) -> None:
    source = load_model(FIXTURES / "llama-tiny").model
    idle = load_model(FIXTURES / "llama-tiny").model.layers[1]
    idle.self_attn.o_proj.weight = mx.zeros_like(idle.self_attn.o_proj.weight)
    idle.mlp.down_proj.weight = mx.zeros_like(idle.mlp.down_proj.weight)
    layers = [source.layers[0], idle, source.layers[1], idle]
    assert choose_layers(Ends(source), layers, tokens[:4], 2) == [0, 2]


def test_experts_fit_what_the_whole_gave() -> None:
    rng = np.random.default_rng(0)
    # Two kinds of inputs, each of which uses neurons of its own.
    kinds = rng.integers(0, 2, 4000)
    x = rng.normal(size=(4000, 16)).astype(np.float32) * 0.3
    x[:, 0] += np.where(kinds, 3.0, -3.0)
    gate = rng.normal(size=(64, 16)).astype(np.float32)
    gate[:, 0] = np.where(np.arange(64) < 32, 4.0, -4.0)
    source = FeedForward(
        gate, rng.normal(size=(64, 16)).astype(np.float32), rng.normal(size=(16, 64)).astype(np.float32)
    )
    target = source.activations(x) @ source.down.T
    made = split(source, x, target, Sizes(routed=2, shared=0, hidden=32, top_k=1), rng)
    gates = gate_weights(x @ made["gate.weight"].T, 1)
    out = np.zeros_like(target)
    for e in range(2):
        part = FeedForward(*(made[f"switch_mlp.{name}_proj.weight"][e] for name in ("gate", "up", "down")))
        out += gates[:, [e]] * (part.activations(x) @ part.down.T)
    assert np.square(out - target).sum() < 0.01 * np.square(target).sum()

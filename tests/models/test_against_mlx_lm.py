"""Tiny random models of other sizes and options than the fixtures, against mlx-lm as a second reference."""

from __future__ import annotations

import importlib
from typing import Any

import mlx.core as mx
import pytest

from deepseek_tui.checkpoints.build import build_model
from tests.models.support import deepseek_config, difference, in_pieces, llama_config, qwen3_config, randomise

YARN = {
    "type": "yarn",
    "factor": 4.0,
    "original_max_position_embeddings": 32,
    "beta_fast": 32,
    "beta_slow": 1,
}
V2 = deepseek_config(
    model_type="deepseek_v2",
    topk_method="greedy",
    scoring_func="softmax",
    norm_topk_prob=False,
    rope_scaling=YARN | {"mscale": 0.707, "mscale_all_dim": 0.707},
)
CASES = {
    "q without lora": deepseek_config(q_lora_rank=None),
    "three groups of four": deepseek_config(n_group=3, topk_group=2),
    "six groups, three chosen": deepseek_config(n_group=6, topk_group=3, num_experts_per_tok=4),
    "no shared expert": deepseek_config(n_shared_experts=None),
    "attention bias": deepseek_config(attention_bias=True),
    "all dense": deepseek_config(first_k_dense_replace=9),
    "no experts at all": deepseek_config(n_routed_experts=None),
    "experts from the first layer, every other": deepseek_config(first_k_dense_replace=0, moe_layer_freq=2),
    "weights not normalised": deepseek_config(norm_topk_prob=False, num_experts_per_tok=5),
    "one expert a token": deepseek_config(num_experts_per_tok=1, norm_topk_prob=False),
    "wide values, narrow latent": deepseek_config(kv_lora_rank=16, qk_nope_head_dim=24, v_head_dim=40),
    "yarn": deepseek_config(rope_scaling=YARN | {"mscale": 0.7, "mscale_all_dim": 1.0}),
    "yarn, equal mscale": deepseek_config(rope_scaling=YARN | {"mscale": 0.707, "mscale_all_dim": 0.707}),
    "yarn, no mscale": deepseek_config(rope_scaling=YARN),
    "v2": V2,
    "v2, as its configs leave things out": {
        key: value for key, value in V2.items() if key not in ("scoring_func", "norm_topk_prob")
    },
    "v2, groups": V2 | {"topk_method": "group_limited_greedy", "n_group": 4, "topk_group": 2},
    "linear": deepseek_config(rope_scaling={"type": "linear", "factor": 2.0}),
    "llama": llama_config(),
    "llama, tied": llama_config(tie_word_embeddings=True),
    "llama, as many key heads": llama_config(num_key_value_heads=None),
    "llama, one key head": llama_config(num_key_value_heads=1),
    "llama, biases": llama_config(attention_bias=True, mlp_bias=True),
    "llama, wide heads": llama_config(head_dim=48),
    "llama, neighbours turned": llama_config(rope_traditional=True),
    "llama, linear": llama_config(rope_scaling={"rope_type": "linear", "factor": 3.0}),
    "llama, dynamic": llama_config(
        rope_scaling={"rope_type": "dynamic", "factor": 2.0}, max_position_embeddings=24
    ),
    "llama, llama3": llama_config(
        rope_scaling={
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32,
        }
    ),
    "llama, yarn": llama_config(rope_scaling={"rope_type": "yarn"} | YARN),
    "qwen3": qwen3_config(),
    "qwen3, tied": qwen3_config(tie_word_embeddings=True),
    "qwen3, yarn": qwen3_config(rope_scaling={"rope_type": "yarn"} | YARN),
}


def theirs(config: dict[str, Any]) -> Any:
    """mlx-lm's model of a config, with random weights."""
    module = importlib.import_module(f"mlx_lm.models.{config['model_type']}")
    model = module.Model(module.ModelArgs.from_dict(config))
    randomise(model, seed=len(str(config)))
    return model


@pytest.mark.parametrize("name", CASES)
def test_the_same_weights_give_the_same_logits(name: str) -> None:
    from mlx.utils import tree_flatten

    config = CASES[name]
    reference = theirs(config)
    ours = build_model(config, dict(tree_flatten(reference.parameters()))).model
    tokens = mx.random.randint(0, config["vocab_size"], (2, 50))
    logits = reference(tokens)
    scale = max(1.0, float(mx.abs(logits).max()))
    assert difference(ours(tokens), logits) < 1e-5 * scale
    if "dynamic" in name:
        return  # Its base follows the length seen, so pieces differ from the whole by definition.
    for sizes in ([1], [11, 1, 3, 20]):
        assert difference(in_pieces(ours, tokens[:1], sizes), logits[:1]) < 2e-5 * scale


@pytest.mark.parametrize("tokens", [5, 40, 400])
def test_every_way_of_running_the_experts_gives_the_same(tokens: int) -> None:
    """Few tokens are gathered, more are sorted first, many go expert by expert, all to the same end."""
    from deepseek_tui.models.layers import SwitchGLU

    experts = SwitchGLU(32, 48, 6)
    randomise(experts, 3)
    x = mx.random.normal((tokens, 32))
    indices = mx.random.randint(0, 6, (tokens, 2))
    experts.eval()
    fast = experts(x, indices)
    for row in (0, tokens // 2, tokens - 1):
        for place in (0, 1):
            e = int(indices[row, place])
            gate = experts.gate_proj.weight[e] @ x[row]
            hidden = gate * mx.sigmoid(gate) * (experts.up_proj.weight[e] @ x[row])
            assert difference(fast[row, place], experts.down_proj.weight[e] @ hidden) < 1e-5
    experts.train()
    assert difference(experts(x, indices), fast) < 1e-5


def test_an_expert_that_nobody_chose_is_no_trouble() -> None:
    from deepseek_tui.models.layers import SwitchGLU

    experts = SwitchGLU(16, 16, 4)
    experts.eval()
    x, indices = mx.random.normal((300, 16)), mx.broadcast_to(mx.array([1, 3]), (300, 2))
    assert difference(experts(x, indices)[:3], experts(x[:3], indices[:3])) < 1e-5

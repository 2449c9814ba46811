"""Reading the fixtures, running a model in pieces, and making tiny random models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten, tree_unflatten

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
BUILT_IN = ROOT / "weights"


def reference(name: str) -> dict[str, Any]:
    arrays: Any = mx.load(str(FIXTURES / name / "reference.safetensors"))
    return dict(arrays)


def fixture_config(name: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((FIXTURES / name / "config.json").read_text())
    return config


def difference(a: Any, b: Any) -> float:
    """The largest absolute difference of two arrays of one shape."""
    assert a.shape == b.shape
    return float(mx.abs(a.astype(mx.float32) - b.astype(mx.float32)).max())


def in_pieces(model: Any, tokens: Any, sizes: list[int]) -> Any:
    """logits of tokens[1, T], fed through one cache in pieces of the given sizes, the last size repeated."""
    cache, start, parts = model.make_cache(), 0, []
    while start < tokens.shape[1]:
        size = sizes.pop(0) if len(sizes) > 1 else sizes[0]
        parts.append(model(tokens[:, start : start + size], cache))
        mx.eval(parts[-1])
        start += size
    return mx.concatenate(parts, axis=1)


def greedy(model: Any, prompt: Any, count: int) -> list[int]:
    cache = model.make_cache()
    tokens, chosen = prompt[None], []
    for _ in range(count):
        chosen.append(int(model(tokens, cache)[0, -1].argmax()))
        tokens = mx.array([[chosen[-1]]])
    return chosen


def randomise(model: Any, seed: int, spread: float = 0.15) -> dict[str, Any]:
    """Gives every parameter, norms and biases too, seeded random values; returns them by name."""
    mx.random.seed(seed)
    values = {}
    for name, array in tree_flatten(model.parameters()):
        noise = mx.random.normal(array.shape)
        if name.endswith("e_score_correction_bias"):
            values[name] = 0.02 * noise
        elif name.endswith("norm.weight"):
            values[name] = 1 + 0.2 * noise
        else:
            values[name] = spread * noise
    model.update(tree_unflatten(list(values.items())))
    mx.eval(values)
    return values


def deepseek_config(**changes: Any) -> dict[str, Any]:
    """A DeepSeek-V3 of the smallest sizes, unlike the fixtures in each."""
    config: dict[str, Any] = {
        "model_type": "deepseek_v3",
        "vocab_size": 160,
        "hidden_size": 64,
        "intermediate_size": 128,
        "moe_intermediate_size": 64,
        "num_hidden_layers": 4,
        "num_attention_heads": 3,
        "num_key_value_heads": 3,
        "n_shared_experts": 2,
        "n_routed_experts": 12,
        "routed_scaling_factor": 1.7,
        "kv_lora_rank": 64,
        "q_lora_rank": 64,
        "qk_rope_head_dim": 8,
        "v_head_dim": 64,
        "qk_nope_head_dim": 64,
        "topk_method": "noaux_tc",
        "scoring_func": "sigmoid",
        "norm_topk_prob": True,
        "n_group": 1,
        "topk_group": 1,
        "num_experts_per_tok": 3,
        "moe_layer_freq": 1,
        "first_k_dense_replace": 1,
        "max_position_embeddings": 128,
        "rms_norm_eps": 1e-5,
        "rope_theta": 5000.0,
        "rope_scaling": None,
        "attention_bias": False,
        "tie_word_embeddings": False,
    }
    return config | changes


def llama_config(**changes: Any) -> dict[str, Any]:
    config: dict[str, Any] = {
        "model_type": "llama",
        "vocab_size": 160,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
    }
    return config | changes


def qwen3_config(**changes: Any) -> dict[str, Any]:
    return llama_config(model_type="qwen3", head_dim=32) | changes

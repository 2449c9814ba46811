"""Options no reference file covers, against the definitions written out in numpy, one token after another."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from deepseek_tui.checkpoints.build import build_model
from tests.models.support import FIXTURES, fixture_config

Array = np.ndarray[Any, np.dtype[np.float64]]


def norm(x: Array, weight: Array) -> Array:
    scaled: Array = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * weight
    return scaled


def silu(x: Array) -> Array:
    result: Array = x / (1 + np.exp(-x))
    return result


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    result: Array = e / e.sum(-1, keepdims=True)
    return result


def rotate(x: Array, position: int, interleaved: bool) -> Array:
    half = x.shape[-1] // 2
    angle = position * 10000.0 ** (-np.arange(half) / half)
    a, b = (x[..., 0::2], x[..., 1::2]) if interleaved else (x[..., :half], x[..., half:])
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle)], -1)


class Plain:
    """DeepSeek-V3 as the papers define it, nothing absorbed, nothing cached."""

    def __init__(self, config: dict[str, Any], weights: dict[str, Any]) -> None:
        self.config = config
        self.weights = {name: np.array(array, np.float64) for name, array in weights.items()}

    def __call__(self, tokens: list[int]) -> Array:
        x = self.weights["model.embed_tokens.weight"][tokens]
        for layer in range(self.config["num_hidden_layers"]):
            p = f"model.layers.{layer}."
            x = x + self.attention(norm(x, self.weights[p + "input_layernorm.weight"]), p + "self_attn.")
            h = norm(x, self.weights[p + "post_attention_layernorm.weight"])
            x = x + np.stack([self.feed_forward(row, p + "mlp.") for row in h])
        return norm(x, self.weights["model.norm.weight"]) @ self.weights["lm_head.weight"].T

    def attention(self, x: Array, p: str) -> Array:
        w, c = self.weights, self.config
        heads, nope, rope = c["num_attention_heads"], c["qk_nope_head_dim"], c["qk_rope_head_dim"]
        turned = c.get("rope_interleave", True)
        q = norm(x @ w[p + "q_a_proj.weight"].T, w[p + "q_a_layernorm.weight"]) @ w[p + "q_b_proj.weight"].T
        q = q.reshape(len(x), heads, nope + rope)
        compressed = x @ w[p + "kv_a_proj_with_mqa.weight"].T
        latent = norm(compressed[:, : c["kv_lora_rank"]], w[p + "kv_a_layernorm.weight"])
        kv = (latent @ w[p + "kv_b_proj.weight"].T).reshape(len(x), heads, -1)
        shared = compressed[:, c["kv_lora_rank"] :]
        keys = np.stack([rotate(row, i, turned) for i, row in enumerate(shared)])
        out = []
        for i in range(len(x)):
            query = rotate(q[i, :, nope:], i, turned)
            scores = np.einsum("hd,thd->ht", q[i, :, :nope], kv[: i + 1, :, :nope]) + query @ keys[: i + 1].T
            attention = softmax(scores * (nope + rope) ** -0.5)
            out.append(np.einsum("ht,thd->hd", attention, kv[: i + 1, :, nope:]).reshape(-1))
        return np.stack(out) @ w[p + "o_proj.weight"].T

    def glu(self, x: Array, p: str) -> Array:
        gate, up, down = (self.weights[f"{p}{name}_proj.weight"] for name in ("gate", "up", "down"))
        result: Array = down @ (silu(gate @ x) * (up @ x))
        return result

    def feed_forward(self, x: Array, p: str) -> Array:
        w, c = self.weights, self.config
        if p + "gate.weight" not in w:
            return self.glu(x, p)
        logits = w[p + "gate.weight"] @ x
        scores = softmax(logits) if c["scoring_func"] == "softmax" else 1 / (1 + np.exp(-logits))
        choice = scores.copy()
        if c["topk_method"] == "noaux_tc":
            choice += w[p + "gate.e_score_correction_bias"]
        if c["topk_method"] != "greedy":
            grouped = np.sort(choice.reshape(c["n_group"], -1), axis=-1)
            rank = grouped[:, -2:].sum(-1) if c["topk_method"] == "noaux_tc" else grouped[:, -1]
            kept = np.argsort(-rank)[: c["topk_group"]]
            allowed = np.isin(np.arange(len(choice)) // grouped.shape[1], kept)
            choice = np.where(allowed, choice, -np.inf)
        chosen = np.argsort(-choice)[: c["num_experts_per_tok"]]
        share = scores[chosen]
        if c["norm_topk_prob"]:
            share = share / share.sum()
        parts = [
            s * c["routed_scaling_factor"] * self.glu(x, f"{p}experts.{e}.")
            for e, s in zip(chosen, share, strict=True)
        ]
        result: Array = sum(parts, self.glu(x, p + "shared_experts."))
        return result


CASES: dict[str, dict[str, Any]] = {
    "as published": {},
    "rope in halves": {"rope_interleave": False},
    "softmax scores with correction": {"scoring_func": "softmax"},
    "one expert, normalised": {"num_experts_per_tok": 1},
    "one expert, not normalised": {"num_experts_per_tok": 1, "norm_topk_prob": False},
    "greedy over sigmoid": {"topk_method": "greedy"},
    "best group by its best expert": {"topk_method": "group_limited_greedy", "n_group": 4, "topk_group": 3},
    "four groups of two": {"n_group": 4, "topk_group": 2, "num_experts_per_tok": 4},
    "groups of one expert": {"n_group": 8, "topk_group": 5},
    "every group": {"topk_group": 2},
}


@pytest.mark.parametrize("bias", [0.0, -3.0], ids=["", "all corrections far below zero"])
@pytest.mark.parametrize("name", CASES)
def test_each_option_does_what_its_definition_says(name: str, bias: float) -> None:
    config = fixture_config("deepseek-v3-tiny") | CASES[name]
    source: Any = mx.load(str(FIXTURES / "deepseek-v3-tiny" / "model.safetensors"))
    weights = dict(source)
    for key in [key for key in weights if key.endswith("e_score_correction_bias")]:
        if config["topk_method"] == "noaux_tc":
            weights[key] = weights[key] + bias
        else:
            del weights[key]
    tokens = list(range(7, 384, 19))
    expected = Plain(config, weights)(tokens)
    logits = np.array(build_model(config, weights).model(mx.array([tokens]))[0])
    assert np.abs(logits - expected).max() < 2e-4

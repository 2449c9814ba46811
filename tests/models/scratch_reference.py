"""The original architecture once more, in NumPy and float64, one position and one expert at a time.

Written from the description of the architecture, not from the port; slow and plain on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
State = dict[str, Array]


@dataclass(frozen=True)
class Options:
    """A variant of the architecture."""

    vocab_size: int = 61
    block_size: int = 40
    n_layer: int = 2
    n_head: int = 3
    n_embd: int = 30
    kv_lora_rank: int = 7
    q_lora_rank: int = 11
    rope_dim: int = 6
    n_experts: int = 5
    n_experts_per_token: int = 2
    expert_intermediate_size: int = 9
    shared_expert_intermediate_size: int = 13
    mtp_num_heads: int = 2
    bias: bool = True


def random_state(options: Options, seed: int = 0, scale: float = 0.25) -> State:
    """A state dict of the variant with random float32 values everywhere, biases and norms included."""
    rng = np.random.default_rng(seed)
    state: State = {}
    D, o = options.n_embd, options

    def put(name: str, *shape: int) -> None:
        state[name] = (rng.standard_normal(shape) * scale).astype(np.float32)

    def norm(name: str, size: int) -> None:
        state[f"{name}.weight"] = (1 + 0.2 * rng.standard_normal(size)).astype(np.float32)

    def linear(name: str, out: int, into: int, bias: bool) -> None:
        put(f"{name}.weight", out, into)
        if bias:
            put(f"{name}.bias", out)

    def block(prefix: str) -> None:
        attn, mlp = f"{prefix}.attn", f"{prefix}.mlp"
        ones = np.ones((o.block_size, o.block_size), np.float32)
        state[f"{attn}.causal_mask"] = np.tril(ones)[None, None]
        for name, out, into in (
            ("kv_proj", o.kv_lora_rank, D),
            ("k_decompress", D, o.kv_lora_rank),
            ("v_decompress", D, o.kv_lora_rank),
            ("q_proj", o.q_lora_rank, D),
            ("q_decompress", D, o.q_lora_rank),
            ("k_rope_proj", o.n_head * o.rope_dim, D),
            ("q_rope_proj", o.n_head * o.rope_dim, o.q_lora_rank),
        ):
            linear(f"{attn}.{name}", out, into, False)
        norm(f"{attn}.kv_norm", o.kv_lora_rank)
        linear(f"{attn}.o_proj", D, D, o.bias)
        powers = np.arange(0, o.rope_dim, 2) / o.rope_dim
        state[f"{attn}.rope.inv_freq"] = (10000.0**-powers).astype(np.float32)
        put(f"{mlp}.expert_bias", o.n_experts)
        linear(f"{mlp}.router", o.n_experts, D, False)
        names = {f"experts.{i}": o.expert_intermediate_size for i in range(o.n_experts)}
        if o.shared_expert_intermediate_size:
            names["shared_expert"] = o.shared_expert_intermediate_size
        for name, inner in names.items():
            linear(f"{mlp}.{name}.gate_proj", inner, D, o.bias)
            linear(f"{mlp}.{name}.up_proj", inner, D, o.bias)
            linear(f"{mlp}.{name}.down_proj", D, inner, o.bias)

    put("wte.weight", o.vocab_size, D)
    put("wpe.weight", o.block_size, D)
    for i in range(o.n_layer):
        norm(f"h.{i}.ln_1", D)
        norm(f"h.{i}.ln_2", D)
        block(f"h.{i}")
    norm("ln_f", D)
    state["lm_head.weight"] = state["wte.weight"]
    for i in range(o.mtp_num_heads):
        head = f"mtp_heads.{i}"
        linear(f"{head}.combine_proj", D, 2 * D, o.bias)
        for name in ("norm1", "norm2", "attn_norm", "mlp_norm"):
            norm(f"{head}.{name}", D)
        block(head)
    return state


class Reference:
    """The model of a state dict; ids are [T], results [T, ...]."""

    def __init__(self, state: State, top_k: int = 2) -> None:
        self.w = {name: value.astype(np.float64) for name, value in state.items()}
        self.top_k = top_k
        rope_dim = 2 * len(self.w["h.0.attn.rope.inv_freq"])
        self.heads = len(self.w["h.0.attn.k_rope_proj.weight"]) // rope_dim
        self.block_size = len(self.w["wpe.weight"])

    def hidden(self, ids: Array) -> Array:
        x = self.w["wte.weight"][ids] + self.w["wpe.weight"][: len(ids)]
        layer = 0
        while f"h.{layer}.ln_1.weight" in self.w:
            x = x + self._attention(f"h.{layer}.attn", self._norm(f"h.{layer}.ln_1", x))
            x = x + self._experts(f"h.{layer}.mlp", self._norm(f"h.{layer}.ln_2", x))
            layer += 1
        return self._norm("ln_f", x)

    def logits(self, hidden: Array) -> Array:
        return np.asarray(hidden @ self.w["wte.weight"].T)

    def predict(self, hidden: Array, embedded: Array, depth: int) -> Array:
        head = f"mtp_heads.{depth - 1}"
        parts = [self._norm(f"{head}.norm1", hidden), self._norm(f"{head}.norm2", embedded)]
        x = self._linear(f"{head}.combine_proj", np.concatenate(parts, axis=-1))
        x = x + self._attention(f"{head}.attn", self._norm(f"{head}.attn_norm", x))
        return x + self._experts(f"{head}.mlp", self._norm(f"{head}.mlp_norm", x))

    def embed_ahead(self, ids: Array, depth: int) -> Array:
        """Embeddings of the ids `depth` places on, zeros where the text has ended."""
        embedded = np.zeros((len(ids), self.w["wte.weight"].shape[1]))
        embedded[: len(ids) - depth] = self.w["wte.weight"][ids[depth:]]
        return embedded

    def greedy(self, prompt: Array, count: int) -> list[int]:
        ids = list(prompt)
        for _ in range(count):
            ids.append(int(self.logits(self.hidden(np.array(ids[-self.block_size :])))[-1].argmax()))
        return ids[len(prompt) :]

    def _norm(self, name: str, x: Array) -> Array:
        rms: Array = np.sqrt((x * x).mean(-1, keepdims=True))
        return self.w[f"{name}.weight"] * x / (rms + 1e-6)

    def _linear(self, name: str, x: Array) -> Array:
        y = x @ self.w[f"{name}.weight"].T
        return y + self.w[f"{name}.bias"] if f"{name}.bias" in self.w else y

    def _rotate(self, x: Array, frequencies: Array) -> Array:
        half = x.shape[-1] // 2
        angles = np.arange(len(x))[:, None, None] * frequencies
        a, b = x[..., :half], x[..., half:]
        turned = a * np.cos(angles) - b * np.sin(angles), b * np.cos(angles) + a * np.sin(angles)
        return np.concatenate(turned, axis=-1)

    def _attention(self, name: str, x: Array) -> Array:
        T, frequencies = len(x), self.w[f"{name}.rope.inv_freq"]
        latent = self._norm(f"{name}.kv_norm", self._linear(f"{name}.kv_proj", x))
        query = self._linear(f"{name}.q_proj", x)

        def split(part: str, source: Array) -> Array:
            return self._linear(f"{name}.{part}", source).reshape(T, self.heads, -1)

        queries = split("q_decompress", query), self._rotate(split("q_rope_proj", query), frequencies)
        keys = split("k_decompress", latent), self._rotate(split("k_rope_proj", x), frequencies)
        values = split("v_decompress", latent)
        width = sum(part.shape[-1] for part in queries)
        out = np.zeros((T, self.heads, values.shape[-1]))
        for t in range(T):
            scores = sum(
                np.einsum("hd,shd->hs", q[t], k[: t + 1]) for q, k in zip(queries, keys, strict=True)
            )
            out[t] = np.einsum("hs,shd->hd", _softmax(scores / np.sqrt(width)), values[: t + 1])
        return self._linear(f"{name}.o_proj", out.reshape(T, -1))

    def _mlp(self, name: str, x: Array) -> Array:
        gate = self._linear(f"{name}.gate_proj", x)
        return self._linear(
            f"{name}.down_proj", gate / (1 + np.exp(-gate)) * self._linear(f"{name}.up_proj", x)
        )

    def _experts(self, name: str, x: Array) -> Array:
        logits = self._linear(f"{name}.router", x) + self.w[f"{name}.expert_bias"]
        has_shared = f"{name}.shared_expert.gate_proj.weight" in self.w
        out = self._mlp(f"{name}.shared_expert", x) if has_shared else np.zeros_like(x)
        for t in range(len(x)):
            chosen = np.argsort(-logits[t])[: self.top_k]
            for weight, expert in zip(_softmax(logits[t][chosen]), chosen, strict=True):
                out[t] += weight * self._mlp(f"{name}.experts.{expert}", x[t])
        return out


def _softmax(x: Any) -> Array:
    e: Array = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))

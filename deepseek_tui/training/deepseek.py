"""DeepSeek-V3 as training computes it: whole rows, no cache, every tensor product as large as can be.

The same function as models/deepseek_v3.py, arranged for the backward pass: keys and values are written out
(nothing is absorbed), the shared rotated key is joined to each head's, and the experts are either one wide
feed-forward whose inner numbers are masked, or gathered.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn

from deepseek_tui.models.deepseek_v3 import Gate, ModelArgs, PredictionLayer
from deepseek_tui.training.errors import TrainingError
from deepseek_tui.training.kernels import gated_swiglu
from deepseek_tui.training.network import Hidden, Weights, attend, below, lookup

_LATENT_EPS = 1e-6


class DeepseekNetwork:
    """See `network.Network`. `args`: of the model whose weights come in."""

    def __init__(
        self,
        args: ModelArgs,
        *,
        experts: str = "dense",
        attention: str = "fused",
        checkpoint: bool = False,
    ) -> None:
        if experts not in ("dense", "gather"):
            raise TrainingError(
                f"experts = {experts!r} is no way to compute experts.", "Take dense or gather."
            )
        self.args = args
        self.prediction_layers = args.num_nextn_predict_layers or 0
        self.head = "model.embed_tokens.weight" if args.tie_word_embeddings else "lm_head.weight"
        last = args.num_hidden_layers
        routers = [f"model.layers.{i}.mlp.gate" for i in range(last) if self._routed(i)]
        self.routers = tuple(routers)
        ahead = range(last, last + self.prediction_layers)
        self.ahead_prefixes = tuple(f"model.layers.{i}." for i in ahead)
        self.ahead_routers = tuple(f"model.layers.{i}.mlp.gate" for i in ahead if self._routed(i))
        self._experts, self._checkpoint = experts, checkpoint
        self._attention = _Attention(args, attention)
        self._gate = Gate(args) if args.n_routed_experts else None

    def _routed(self, index: int) -> bool:
        args = self.args
        if not args.n_routed_experts or index < args.first_k_dense_replace:
            return False
        return index >= args.num_hidden_layers or index % args.moe_layer_freq == 0

    def hidden(self, weights: Weights, tokens: Any, segments: Any = None) -> Hidden:
        x = lookup(weights["model.embed_tokens.weight"], tokens)
        found = _Routing()
        for index in range(self.args.num_hidden_layers):
            x = self._layer(weights, index, x, segments, found)
        return found.hidden(mx.fast.rms_norm(x, weights["model.norm.weight"], self.args.rms_norm_eps))

    def predict(self, weights: Weights, states: Any, following: Any, segments: Any, depth: int) -> Hidden:
        index = self.args.num_hidden_layers + min(depth, self.prediction_layers) - 1
        prefix, eps = f"model.layers.{index}.", self.args.rms_norm_eps
        own = f"{prefix}embed_tokens.weight"
        embedded = lookup(weights[own if own in weights else "model.embed_tokens.weight"], following)
        joined = mx.concatenate(
            [
                mx.fast.rms_norm(embedded, weights[f"{prefix}enorm.weight"], eps),
                mx.fast.rms_norm(states, weights[f"{prefix}hnorm.weight"], eps),
            ],
            axis=-1,
        )
        found = _Routing()
        x = self._layer(weights, index, joined @ weights[f"{prefix}eh_proj.weight"].T, segments, found)
        return found.hidden(mx.fast.rms_norm(x, weights[f"{prefix}shared_head.norm.weight"], eps))

    def _layer(self, weights: Weights, index: int, x: Any, segments: Any, found: _Routing) -> Any:
        own = below(weights, f"model.layers.{index}.")
        run = self._routed_layer if self._routed(index) else self._dense_layer
        out = (mx.checkpoint(run) if self._checkpoint else run)(own, x, segments)
        if len(out) > 1:
            found.add(out[1], out[2])
        return out[0]

    def _dense_layer(self, own: Weights, x: Any, segments: Any) -> tuple[Any, ...]:
        x = x + self._attend(own, x, segments)
        h = mx.fast.rms_norm(x, own["post_attention_layernorm.weight"], self.args.rms_norm_eps)
        inner = _swiglu(h @ own["mlp.gate_proj.weight"].T, h @ own["mlp.up_proj.weight"].T)
        return (x + inner @ own["mlp.down_proj.weight"].T,)

    def _routed_layer(self, own: Weights, x: Any, segments: Any) -> tuple[Any, ...]:
        x = x + self._attend(own, x, segments)
        h = mx.fast.rms_norm(x, own["post_attention_layernorm.weight"], self.args.rms_norm_eps)
        indices, share = self._route(own, h)
        chosen = indices[..., None] == mx.arange(self.args.n_routed_experts or 0)
        load, balance = self._measure(own, h, chosen, segments)
        experts = below(own, "mlp.")
        if self._experts == "dense":
            mixed = self._masked(experts, h, (chosen * share[..., None]).sum(axis=-2))
        else:
            mixed = self._gathered(experts, h, indices, share)
        return x + mixed, load, balance

    def _attend(self, own: Weights, x: Any, segments: Any) -> Any:
        h = mx.fast.rms_norm(x, own["input_layernorm.weight"], self.args.rms_norm_eps)
        return self._attention(below(own, "self_attn."), h, segments)

    def _route(self, own: Weights, h: Any) -> tuple[Any, Any]:
        """The gate's own choice: indices [B, T, k], weights [B, T, k] in float32."""
        gate = self._gate
        assert gate is not None
        gate.weight = own["mlp.gate.weight"]
        if "mlp.gate.e_score_correction_bias" in own:
            gate.e_score_correction_bias = own["mlp.gate.e_score_correction_bias"]
        indices, share = gate(h)
        return indices, share

    def _measure(self, own: Weights, h: Any, chosen: Any, segments: Any) -> tuple[Any, Any]:
        """How often each expert was chosen [experts], and the balance loss of DeepSeek-V3 (2412.19437, 17 to
        20): for each row, the share of tokens an expert gets times the share of the scores it gets."""
        args = self.args
        experts, k = args.n_routed_experts or 0, args.num_experts_per_tok or 1
        picked = mx.stop_gradient(chosen.astype(mx.float32).sum(axis=-2))
        if segments is not None:
            picked = picked * (segments > 0)[..., None]
        logits = h.astype(mx.float32) @ own["mlp.gate.weight"].astype(mx.float32).T
        scores = mx.sigmoid(logits) if args.scoring_func == "sigmoid" else mx.softmax(logits, axis=-1)
        probability = (scores / (scores.sum(axis=-1, keepdims=True) + 1e-20)).mean(axis=1)
        frequency = picked.mean(axis=1) * (experts / k)
        return picked.sum(axis=(0, 1)), (frequency * probability).sum(axis=-1).mean()

    def _masked(self, own: Weights, h: Any, gates: Any) -> Any:
        """All experts as one wide feed-forward, the shared ones first; inner numbers of experts not chosen
        are multiplied by 0."""
        B, T, width = h.shape
        size, shared = self.args.moe_intermediate_size or 0, self.args.n_shared_experts or 0
        if shared:
            gates = mx.concatenate([mx.ones((B, T, shared)), gates], axis=-1)

        def joined(name: str) -> Any:
            stack = own[f"switch_mlp.{name}.weight"].reshape(-1, width)
            return mx.concatenate([own[f"shared_experts.{name}.weight"], stack]) if shared else stack

        down = own["switch_mlp.down_proj.weight"].transpose(1, 0, 2).reshape(width, -1)
        if shared:
            down = mx.concatenate([own["shared_experts.down_proj.weight"], down], axis=1)
        gate, up = ((h @ joined(n).T).reshape(B, T, -1, size) for n in ("gate_proj", "up_proj"))
        return gated_swiglu(gate, up, gates).reshape(B, T, -1) @ down.T

    def _gathered(self, own: Weights, h: Any, indices: Any, share: Any) -> Any:
        """Only the chosen experts, tokens sorted by expert."""
        B, T, width = h.shape
        k = indices.shape[-1]
        order = mx.argsort(indices.flatten())
        rows = h.reshape(-1, 1, width)[order // k]
        which = indices.flatten()[order]

        def apply(x: Any, name: str) -> Any:
            stack = own[f"switch_mlp.{name}.weight"].swapaxes(-1, -2)
            return mx.gather_mm(x, stack, rhs_indices=which, sorted_indices=True)

        out = apply(_swiglu(apply(rows, "gate_proj"), apply(rows, "up_proj")), "down_proj")
        out = out.reshape(-1, width)[mx.argsort(order)].reshape(B, T, k, width)
        out = (out * share[..., None].astype(out.dtype)).sum(axis=-2)
        if self.args.n_shared_experts:
            inner = _swiglu(
                h @ own["shared_experts.gate_proj.weight"].T, h @ own["shared_experts.up_proj.weight"].T
            )
            out = out + inner @ own["shared_experts.down_proj.weight"].T
        return out


class _Routing:
    """Collects what the routed layers report."""

    def __init__(self) -> None:
        self._loads: list[Any] = []
        self._balance: list[Any] = []

    def add(self, load: Any, balance: Any) -> None:
        self._loads.append(load)
        self._balance.append(balance)

    def hidden(self, states: Any) -> Hidden:
        if not self._loads:
            return Hidden(states)
        return Hidden(states, mx.stack(self._loads), mx.stack(self._balance).sum())


class _Attention:
    """Latent attention with keys and values written out for every head."""

    def __init__(self, args: ModelArgs, kind: str) -> None:
        self._kind = kind
        self._heads, self._value = args.num_attention_heads, args.v_head_dim
        self._nope, self._rank = args.qk_nope_head_dim, args.kv_lora_rank
        # The model's own rotation and scale, whatever stretching the config asks for.
        template = PredictionLayer(args, args.num_hidden_layers).self_attn
        self._rope, self._scale = template._rope, template.scale

    def __call__(self, own: Weights, x: Any, segments: Any) -> Any:
        B, T, _ = x.shape
        H = self._heads
        q = self._queries(own, x).reshape(B, T, H, -1).transpose(0, 2, 1, 3)
        q_nope, q_rot = mx.split(q, [self._nope], axis=-1)
        down = _linear(own, "kv_a_proj_with_mqa", x)
        latent, k_rot = mx.split(down, [self._rank], axis=-1)
        latent = mx.fast.rms_norm(latent, own["kv_a_layernorm.weight"], _LATENT_EPS)
        k_rot = self._rope(k_rot[:, None], 0)
        to_keys = own["embed_q.weight"].transpose(1, 0, 2).reshape(self._rank, -1)
        to_values = own["unembed_out.weight"].reshape(-1, self._rank).T
        k_nope = (latent @ to_keys).reshape(B, T, H, -1).transpose(0, 2, 1, 3)
        values = (latent @ to_values).reshape(B, T, H, -1).transpose(0, 2, 1, 3)
        queries = mx.concatenate([q_nope, self._rope(q_rot, 0)], axis=-1)
        keys = mx.concatenate([k_nope, mx.broadcast_to(k_rot, (B, H, *k_rot.shape[2:]))], axis=-1)
        out = attend(queries, keys, values, self._scale, segments, self._kind)
        return _linear(own, "o_proj", out.transpose(0, 2, 1, 3).reshape(B, T, -1))

    def _queries(self, own: Weights, x: Any) -> Any:
        if "q_proj.weight" in own:
            return _linear(own, "q_proj", x)
        narrow = mx.fast.rms_norm(_linear(own, "q_a_proj", x), own["q_a_layernorm.weight"], _LATENT_EPS)
        return _linear(own, "q_b_proj", narrow)


def _linear(own: Weights, name: str, x: Any) -> Any:
    y = x @ own[f"{name}.weight"].T
    bias = own.get(f"{name}.bias")
    return y if bias is None else y + bias


def _swiglu(gate: Any, up: Any) -> Any:
    return nn.silu(gate) * up

"""DeepSeek-V3 (and V2): latent attention, routed experts, prediction layers.

Sources: "DeepSeek-V2" (arXiv 2405.04434) for the attention, "DeepSeek-V3 Technical Report" (2412.19437) for
the routing and multi-token prediction; numbers agree with transformers' DeepseekV3ForCausalLM. Modules are
named as MLX model directories name them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from deepseek_tui.models.base import BaseModelArgs, GatedMLP, ModelConfigError, attention_mask, query_blocks
from deepseek_tui.models.cache import KVCache
from deepseek_tui.models.layers import MultiLinear, SwitchGLU
from deepseek_tui.models.rope import make_rope, mscale, rope_kind, yarn_factor
from deepseek_tui.models.sanitize import drop_rotary_buffers, drop_tied_head, split_kv_b, stack_experts

_LATENT_EPS = 1e-6
"""The norms inside the attention keep the default of the reference, whatever rms_norm_eps says."""


@dataclass
class ModelArgs(BaseModelArgs):
    """The keys of config.json that shape the model, under their names there."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    kv_lora_rank: int
    qk_rope_head_dim: int
    qk_nope_head_dim: int
    v_head_dim: int
    model_type: str = "deepseek_v3"
    moe_intermediate_size: int | None = None
    n_shared_experts: int | None = None
    n_routed_experts: int | None = None
    num_experts_per_tok: int | None = None
    routed_scaling_factor: float = 1.0
    q_lora_rank: int | None = None
    topk_method: str = "noaux_tc"
    scoring_func: str = "sigmoid"
    norm_topk_prob: bool = True
    n_group: int | None = 1
    topk_group: int | None = 1
    moe_layer_freq: int = 1
    first_k_dense_replace: int = 0
    max_position_embeddings: int = 2048
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    rope_scaling: dict[str, Any] | None = None
    rope_interleave: bool | None = True
    attention_bias: bool = False
    hidden_act: str = "silu"
    tie_word_embeddings: bool = False
    num_nextn_predict_layers: int | None = 0
    prediction_embedding: bool = False
    """The prediction layers bring token embeddings of their own."""
    prediction_head: bool = False
    """The prediction layers bring an output head of their own."""

    @classmethod
    def adapt(cls, config: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
        """Beside the base's: prediction layers are those the file holds, whatever the config counts."""
        names = list(names)
        config = super().adapt(config, names)
        if config.get("model_type") == "deepseek_v2":
            config.setdefault("scoring_func", "softmax")
            config.setdefault("topk_method", "greedy")
            config.setdefault("norm_topk_prob", False)
        trunk = config.get("num_hidden_layers")
        if not isinstance(trunk, int):
            return config
        found = {int(match[1]) for name in names if (match := re.match(r"model\.layers\.(\d{1,6})\.", name))}
        extra = set(itertools.takewhile(found.__contains__, itertools.count(trunk)))
        config["num_nextn_predict_layers"] = len(extra)
        ends = {name.removeprefix(f"model.layers.{layer}.") for layer in extra for name in names}
        config["prediction_embedding"] = "embed_tokens.weight" in ends
        config["prediction_head"] = "shared_head.head.weight" in ends
        return config

    def check(self) -> None:
        self.require_positive(
            "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
            "kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim", "moe_layer_freq",
            "max_position_embeddings", "rms_norm_eps", "rope_theta",
        )  # fmt: skip
        if self.hidden_act != "silu":
            raise ModelConfigError(
                f"config.json asks for hidden_act {self.hidden_act!r}; only silu is known."
            )
        if self.n_routed_experts:
            self._check_experts(self.n_routed_experts)

    def _check_experts(self, experts: int) -> None:
        if not self.moe_intermediate_size:
            raise ModelConfigError("config.json lacks the key 'moe_intermediate_size'.")
        if not self.num_experts_per_tok or self.num_experts_per_tok > experts:
            raise ModelConfigError(
                f"config.json chooses {self.num_experts_per_tok} of {experts} experts (num_experts_per_tok)."
            )
        groups, chosen = self.n_group or 1, self.topk_group or 1
        if experts % groups or chosen > groups or self.num_experts_per_tok > experts // groups * chosen:
            raise ModelConfigError(
                f"config.json's {experts} experts in {groups} groups, {chosen} of them chosen "
                f"(n_group, topk_group), cannot give {self.num_experts_per_tok} experts."
            )
        if self.scoring_func not in ("sigmoid", "softmax"):
            raise ModelConfigError(f"The scoring_func {self.scoring_func!r} is not supported.")
        if self.topk_method not in ("noaux_tc", "greedy", "group_limited_greedy"):
            raise ModelConfigError(f"The topk_method {self.topk_method!r} is not supported.")


class Attention(nn.Module):
    """Multi-head latent attention: all heads share one compressed key/value and one rotated key.

    Only those two are cached, kv_lora_rank + qk_rope_head_dim numbers a token. `embed_q` and `unembed_out`
    are the two halves of the published kv_b_proj: for a few queries they are applied to the queries and the
    result ("absorbed"), for many to the cached latents, whichever needs fewer multiplications.
    """

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        self.heads = args.num_attention_heads
        self.nope, self.rotated = args.qk_nope_head_dim, args.qk_rope_head_dim
        self.rank, self.value = args.kv_lora_rank, args.v_head_dim
        self.scale = _softmax_scale(args)
        width, bias = args.hidden_size, args.attention_bias
        queries = self.heads * (self.nope + self.rotated)
        if args.q_lora_rank is None:
            self.q_proj = nn.Linear(width, queries, bias=False)
        else:
            self.q_a_proj = nn.Linear(width, args.q_lora_rank, bias=bias)
            self.q_a_layernorm = nn.RMSNorm(args.q_lora_rank, eps=_LATENT_EPS)
            self.q_b_proj = nn.Linear(args.q_lora_rank, queries, bias=False)
        self.kv_a_proj_with_mqa = nn.Linear(width, self.rank + self.rotated, bias=bias)
        self.kv_a_layernorm = nn.RMSNorm(self.rank, eps=_LATENT_EPS)
        self.embed_q = MultiLinear(self.nope, self.rank, self.heads)
        self.unembed_out = MultiLinear(self.rank, self.value, self.heads)
        self.o_proj = nn.Linear(self.heads * self.value, width, bias=bias)
        self._rope = make_rope(
            self.rotated,
            args.rope_theta,
            args.rope_scaling,
            args.max_position_embeddings,
            interleaved=args.rope_interleave is not False,
        )

    def __call__(self, x: Any, mask: Any, cache: KVCache | None) -> Any:
        B, L, _ = x.shape
        if "q_proj" in self:
            q = self.q_proj(x)
        else:
            q = self.q_b_proj(self.q_a_layernorm(self.q_a_proj(x)))
        q = q.reshape(B, L, self.heads, -1).transpose(0, 2, 1, 3)
        q, q_rot = mx.split(q, [self.nope], axis=-1)
        latent, k_rot = mx.split(self.kv_a_proj_with_mqa(x)[:, None], [self.rank], axis=-1)
        latent = self.kv_a_layernorm(latent)
        offset = cache.offset if cache is not None else 0
        q_rot, k_rot = self._rope(q_rot, offset), self._rope(k_rot, offset)
        if cache is not None:
            latent, k_rot = cache.update_and_fetch(latent, k_rot)

        few = self._few(L)
        keys = latent if few else self.embed_q(latent, transpose=False)
        values = latent if few else self.unembed_out(latent)
        if few:
            q = self.embed_q(q)
        attend = self._absorbed if few else self._expanded
        parts = []
        for start, end, seen in query_blocks(L, offset):
            scores = self._shared(q_rot[:, :, start:end] * self.scale, k_rot[:, :, :seen].swapaxes(-1, -2))
            if mask is not None:
                least = mx.array(mx.finfo(scores.dtype).min, scores.dtype)
                scores = mx.where(mask[start:end, :seen], scores, least)
            parts.append(attend(q[:, :, start:end], keys[:, :, :seen], values[:, :, :seen], scores))
        out = mx.concatenate(parts, axis=2) if len(parts) > 1 else parts[0]
        if few:
            out = self.unembed_out(out)
        return self.o_proj(out.transpose(0, 2, 1, 3).reshape(B, L, -1))

    def _few(self, queries: int) -> bool:
        """Whether absorbing costs less, counted in multiplications per head and cached token."""
        wide, narrow = 2 * self.rank, self.nope + self.value
        return queries * (wide - narrow) <= self.rank * narrow

    def _shared(self, rows: Any, matrix: Any) -> Any:
        """rows[B, heads, L, n] @ matrix[B, 1, n, m] as one product, the heads being rows of it."""
        B, H, L, n = rows.shape
        return (rows.reshape(B, 1, H * L, n) @ matrix).reshape(B, H, L, -1)

    def _absorbed(self, q: Any, latent: Any, values: Any, scores: Any) -> Any:
        scores = self._shared(q * self.scale, latent.swapaxes(-1, -2)) + scores
        return self._shared(mx.softmax(scores, axis=-1, precise=True), values)

    def _expanded(self, q: Any, keys: Any, values: Any, scores: Any) -> Any:
        return mx.fast.scaled_dot_product_attention(q, keys, values, scale=self.scale, mask=scores)


def _softmax_scale(args: ModelArgs) -> float:
    scale = (args.qk_nope_head_dim + args.qk_rope_head_dim) ** -0.5
    scaling = args.rope_scaling
    if scaling and rope_kind(scaling) != "default" and scaling.get("mscale_all_dim"):
        factor = yarn_factor(scaling, args.max_position_embeddings)
        scale *= mscale(factor, float(scaling["mscale_all_dim"])) ** 2
    return float(scale)


class Gate(nn.Module):
    """Chooses the experts of a token: x[..., width] -> (indices[..., k], weights[..., k] in float32)."""

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        experts = args.n_routed_experts or 0
        self.top_k = args.num_experts_per_tok or 1
        self.groups, self.chosen_groups = args.n_group or 1, args.topk_group or 1
        self.normalise, self.factor = args.norm_topk_prob, args.routed_scaling_factor
        self.method, self.scoring = args.topk_method, args.scoring_func
        self.weight = mx.random.normal((experts, args.hidden_size)) * args.hidden_size**-0.5
        if self.method == "noaux_tc":
            self.e_score_correction_bias = mx.zeros((experts,))

    def __call__(self, x: Any) -> tuple[Any, Any]:
        logits = x.astype(mx.float32) @ self.weight.astype(mx.float32).T
        if self.scoring == "sigmoid":
            scores = mx.sigmoid(logits)
        else:
            scores = mx.softmax(logits, axis=-1)
        choice = scores
        if self.method == "noaux_tc":
            # The bias balances the load: it decides who is chosen, not how much that expert counts.
            choice = choice + self.e_score_correction_bias
        if self.method != "greedy" and self.groups > 1:
            choice = self._best_groups(choice)
        indices = mx.argpartition(-choice, self.top_k - 1, axis=-1)[..., : self.top_k]
        indices = mx.stop_gradient(indices)
        weights = mx.take_along_axis(scores, indices, axis=-1)
        if self.normalise:
            weights = weights / (weights.sum(axis=-1, keepdims=True) + 1e-20)
        return indices, weights * self.factor

    def _best_groups(self, choice: Any) -> Any:
        """`choice` with the experts outside the best groups put out of reach."""
        grouped = mx.unflatten(choice, -1, (self.groups, -1))
        if self.method == "noaux_tc":
            rank = mx.topk(grouped, min(2, grouped.shape[-1]), axis=-1).sum(axis=-1, keepdims=True)
        else:
            rank = grouped.max(axis=-1, keepdims=True)
        worst = self.groups - self.chosen_groups
        if worst:
            losers = mx.argpartition(rank, worst - 1, axis=-2)[..., :worst, :]
            grouped = mx.put_along_axis(grouped, mx.stop_gradient(losers), mx.array(-mx.inf), axis=-2)
        return mx.flatten(grouped, -2, -1)


class MoE(nn.Module):
    """Routed experts, weighted, plus the shared expert that sees every token."""

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        hidden = args.moe_intermediate_size or 0
        self.gate = Gate(args)
        self.switch_mlp = SwitchGLU(args.hidden_size, hidden, args.n_routed_experts or 0)
        if args.n_shared_experts:
            self.shared_experts = GatedMLP(args.hidden_size, hidden * args.n_shared_experts)

    def __call__(self, x: Any) -> Any:
        indices, weights = self.gate(x)
        out = self.switch_mlp(x, indices)
        out = (out * weights[..., None]).sum(axis=-2).astype(out.dtype)
        if "shared_experts" in self:
            out = out + self.shared_experts(x)
        return out


class Layer(nn.Module):
    """Attention and feed-forward, each behind a norm and added to its input."""

    def __init__(self, args: ModelArgs, index: int) -> None:
        super().__init__()
        routed = bool(args.n_routed_experts) and index >= args.first_k_dense_replace
        if index < args.num_hidden_layers:
            routed = routed and index % args.moe_layer_freq == 0
        self.self_attn = Attention(args)
        self.mlp = MoE(args) if routed else GatedMLP(args.hidden_size, args.intermediate_size)
        self.input_layernorm = nn.RMSNorm(args.hidden_size, eps=args.rms_norm_eps)
        self.post_attention_layernorm = nn.RMSNorm(args.hidden_size, eps=args.rms_norm_eps)

    def __call__(self, x: Any, mask: Any, cache: KVCache | None) -> Any:
        x = x + self.self_attn(self.input_layernorm(x), mask, cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class SharedHead(nn.Module):
    """The norm before the output head, and the head where a prediction layer brings its own."""

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(args.hidden_size, eps=args.rms_norm_eps)
        if args.prediction_head:
            self.head = nn.Linear(args.hidden_size, args.vocab_size, bias=False)


class PredictionLayer(Layer):
    """Predicts the token after the next from [embedding of the next token, hidden of this one]."""

    def __init__(self, args: ModelArgs, index: int) -> None:
        super().__init__(args, index)
        self.enorm = nn.RMSNorm(args.hidden_size, eps=args.rms_norm_eps)
        self.hnorm = nn.RMSNorm(args.hidden_size, eps=args.rms_norm_eps)
        self.eh_proj = nn.Linear(2 * args.hidden_size, args.hidden_size, bias=False)
        self.shared_head = SharedHead(args)
        if args.prediction_embedding:
            self.embed_tokens = nn.Embedding(args.vocab_size, args.hidden_size)

    def predict(self, hidden: Any, embedded: Any, mask: Any, cache: KVCache | None) -> Any:
        joined = mx.concatenate([self.enorm(embedded), self.hnorm(hidden)], axis=-1)
        return self.shared_head.norm(self(self.eh_proj(joined), mask, cache))


class Trunk(nn.Module):
    """Embedding, layers (prediction layers after the trunk's, as published files number them), final norm."""

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(args.vocab_size, args.hidden_size)
        last = args.num_hidden_layers
        extra = args.num_nextn_predict_layers or 0
        self.layers = [Layer(args, index) for index in range(last)]
        self.layers += [PredictionLayer(args, last + index) for index in range(extra)]
        self.norm = nn.RMSNorm(args.hidden_size, eps=args.rms_norm_eps)


class Model(nn.Module):
    """A DeepSeek-V3 language model: model(tokens[B, T], cache) -> logits[B, T, vocab]."""

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        self.args = args
        self.model_type = args.model_type
        self.model = Trunk(args)
        if not args.tie_word_embeddings:
            self.lm_head = nn.Linear(args.hidden_size, args.vocab_size, bias=False)

    def __call__(self, tokens: Any, cache: list[KVCache] | None = None) -> Any:
        return self.head(self.hidden(tokens, cache))

    def hidden(self, tokens: Any, cache: list[KVCache] | None = None) -> Any:
        """tokens[B, T] -> [B, T, hidden_size], after the final norm. `cache` (make_cache) is extended."""
        x = self.model.embed_tokens(tokens)
        mask = attention_mask(tokens.shape[1], cache[0] if cache else None)
        for index, layer in enumerate(self.layers):
            x = layer(x, mask, cache[index] if cache else None)
        return self.model.norm(x)

    def head(self, hidden: Any) -> Any:
        """hidden[..., hidden_size] -> logits[..., vocab_size]."""
        if "lm_head" in self:
            return self.lm_head(hidden)
        return self.model.embed_tokens.as_linear(hidden)

    def mtp(
        self, hidden: Any, next_tokens: Any, depth: int = 1, cache: KVCache | None = None
    ) -> tuple[Any, Any]:
        """One step of multi-token prediction: (hidden'[B, T, hidden_size], logits[B, T, vocab_size]).

        Row i joins hidden i (of `hidden`, or of depth - 1) with the token `depth` places on, next_tokens[i],
        and predicts the one after that. Past the last prediction layer that layer is applied again. `cache`:
        one KVCache for each depth. Raises ValueError for a model without prediction layers.
        """
        extra = self.prediction_layers
        if not extra or depth < 1:
            raise ValueError(f"no prediction layer for depth {depth}: this model has {extra}")
        layer = self.model.layers[self.args.num_hidden_layers + min(depth, extra) - 1]
        embed = layer.embed_tokens if "embed_tokens" in layer else self.model.embed_tokens
        hidden = layer.predict(hidden, embed(next_tokens), attention_mask(next_tokens.shape[1], cache), cache)
        head = layer.shared_head.head if "head" in layer.shared_head else self.head
        return hidden, head(hidden)

    @property
    def layers(self) -> list[Any]:
        """The layers of the trunk, prediction layers left out."""
        return list(self.model.layers[: self.args.num_hidden_layers])

    @property
    def prediction_layers(self) -> int:
        """How many prediction layers the checkpoint brought."""
        return self.args.num_nextn_predict_layers or 0

    @property
    def context_length(self) -> int:
        """Tokens the model was made for, prompt and reply together."""
        return self.args.max_position_embeddings

    def make_cache(self) -> list[KVCache]:
        """An empty cache for one conversation: a KVCache for each layer of the trunk."""
        return [KVCache() for _ in self.layers]

    def sanitize(self, weights: dict[str, Any]) -> dict[str, Any]:
        """`weights` under the names of this model, from the published layout (or already so)."""
        weights = drop_rotary_buffers(weights)
        args = self.args
        for index in range(len(self.model.layers)):
            prefix = f"model.layers.{index}"
            if args.n_routed_experts:
                stack_experts(weights, f"{prefix}.mlp", args.n_routed_experts)
            split_kv_b(weights, f"{prefix}.self_attn", args.num_attention_heads, args.qk_nope_head_dim)
        if args.tie_word_embeddings:
            drop_tied_head(weights)
        return weights

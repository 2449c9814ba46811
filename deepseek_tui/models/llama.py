"""Llama 1 to 3 (SmolLM2 and plain Mistral too): grouped-query attention, SwiGLU, RMSNorm.

Numbers agree with transformers' LlamaForCausalLM ("The Llama 3 Herd of Models", arXiv 2407.21783).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from deepseek_tui.models.base import BaseModelArgs, GatedMLP, ModelConfigError, attention_mask, query_blocks
from deepseek_tui.models.cache import KVCache
from deepseek_tui.models.rope import make_rope
from deepseek_tui.models.sanitize import drop_rotary_buffers, drop_tied_head


@dataclass
class ModelArgs(BaseModelArgs):
    """The keys of config.json that shape the model, under their names there."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    model_type: str = "llama"
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    max_position_embeddings: int = 2048
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    rope_traditional: bool = False
    rope_scaling: dict[str, Any] | None = None
    partial_rotary_factor: float = 1.0
    attention_bias: bool = False
    mlp_bias: bool = False
    hidden_act: str = "silu"
    tie_word_embeddings: bool = False
    sliding_window: int | None = None

    @property
    def kv_heads(self) -> int:
        """Key/value heads: as many as query heads where the config does not say."""
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def head_size(self) -> int:
        """Numbers in one head."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    def check(self) -> None:
        self.require_positive(
            "vocab_size",
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "max_position_embeddings",
            "rms_norm_eps",
            "rope_theta",
        )
        if self.hidden_act != "silu":
            raise ModelConfigError(
                f"config.json asks for hidden_act {self.hidden_act!r}; only silu is known."
            )
        if self.partial_rotary_factor != 1.0:
            raise ModelConfigError("config.json asks for partial_rotary_factor, which is not supported.")
        if self.num_attention_heads % self.kv_heads or self.head_size < 2 or self.head_size % 2:
            raise ModelConfigError(
                f"config.json gives {self.num_attention_heads} heads of {self.head_size} numbers with "
                f"{self.kv_heads} key/value heads, which do not go together."
            )


class Attention(nn.Module):
    """Grouped-query attention: several query heads share a key/value head."""

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        self.heads, self.kv_heads, size = args.num_attention_heads, args.kv_heads, args.head_size
        self.scale = size**-0.5
        bias = args.attention_bias
        self.q_proj = nn.Linear(args.hidden_size, self.heads * size, bias=bias)
        self.k_proj = nn.Linear(args.hidden_size, self.kv_heads * size, bias=bias)
        self.v_proj = nn.Linear(args.hidden_size, self.kv_heads * size, bias=bias)
        self.o_proj = nn.Linear(self.heads * size, args.hidden_size, bias=bias)
        self._rope = make_rope(
            size,
            args.rope_theta,
            args.rope_scaling,
            args.max_position_embeddings,
            interleaved=args.rope_traditional,
        )

    def __call__(self, x: Any, mask: Any, cache: KVCache | None) -> Any:
        B, L, _ = x.shape
        q = self.prepare_queries(self.q_proj(x).reshape(B, L, self.heads, -1)).transpose(0, 2, 1, 3)
        k = self.prepare_keys(self.k_proj(x).reshape(B, L, self.kv_heads, -1)).transpose(0, 2, 1, 3)
        v = self.v_proj(x).reshape(B, L, self.kv_heads, -1).transpose(0, 2, 1, 3)
        offset = cache.offset if cache is not None else 0
        q, k = self._rope(q, offset), self._rope(k, offset)
        if cache is not None:
            k, v = cache.update_and_fetch(k, v)
        parts = []
        for start, end, seen in query_blocks(L, offset):
            rows = q[:, :, start:end]
            part = None if mask is None else mask[start:end, :seen]
            keys, values = k[:, :, :seen], v[:, :, :seen]
            parts.append(
                mx.fast.scaled_dot_product_attention(rows, keys, values, scale=self.scale, mask=part)
            )
        out = mx.concatenate(parts, axis=2) if len(parts) > 1 else parts[0]
        return self.o_proj(out.transpose(0, 2, 1, 3).reshape(B, L, -1))

    def prepare_queries(self, q: Any) -> Any:
        """What happens to queries [B, L, heads, size] before they are rotated: here nothing."""
        return q

    def prepare_keys(self, k: Any) -> Any:
        """The same for keys."""
        return k


class Layer(nn.Module):
    """Attention and feed-forward, each behind a norm and added to its input."""

    attention: type[Attention] = Attention

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        self.self_attn = self.attention(args)
        self.mlp = GatedMLP(args.hidden_size, args.intermediate_size, bias=args.mlp_bias)
        self.input_layernorm = nn.RMSNorm(args.hidden_size, eps=args.rms_norm_eps)
        self.post_attention_layernorm = nn.RMSNorm(args.hidden_size, eps=args.rms_norm_eps)

    def __call__(self, x: Any, mask: Any, cache: KVCache | None) -> Any:
        x = x + self.self_attn(self.input_layernorm(x), mask, cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class Trunk(nn.Module):
    """Embedding, layers and final norm."""

    def __init__(self, args: ModelArgs, layer: type[Layer]) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(args.vocab_size, args.hidden_size)
        self.layers = [layer(args) for _ in range(args.num_hidden_layers)]
        self.norm = nn.RMSNorm(args.hidden_size, eps=args.rms_norm_eps)


class Model(nn.Module):
    """A Llama language model: model(tokens[B, T], cache) -> logits[B, T, vocab]."""

    layer: type[Layer] = Layer

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        self.args = args
        self.model_type = args.model_type
        self.model = Trunk(args, self.layer)
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

    @property
    def layers(self) -> list[Any]:
        """The layers, first to last."""
        return list(self.model.layers)

    @property
    def context_length(self) -> int:
        """Tokens, prompt and reply together; attention is never windowed here, so a window bounds them."""
        longest = self.args.max_position_embeddings
        return min(longest, self.args.sliding_window or longest)

    def make_cache(self) -> list[KVCache]:
        """An empty cache for one conversation: a KVCache for each layer."""
        return [KVCache() for _ in self.layers]

    def sanitize(self, weights: dict[str, Any]) -> dict[str, Any]:
        """`weights` under the names of this model: without rotary buffers, and without a tied head's copy."""
        weights = drop_rotary_buffers(weights)
        if self.args.tie_word_embeddings:
            drop_tied_head(weights)
        return weights

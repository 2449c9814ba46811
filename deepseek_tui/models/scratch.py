"""The "DeepSeek V3 from scratch" architecture, as its checkpoints were trained.

Latent attention (DeepSeek-V2, arXiv 2405.04434) with a rotary key of its own for every head, learned
positions beside the rotary ones, a mixture of experts whose bias counts in the choice and in the weights,
and prediction heads (after DeepSeek-V3, arXiv 2412.19437) that look one id further ahead than the paper's.
Modules carry the names of the checkpoint's entries; the experts of a layer are stacked into one array.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import mlx.core as mx
import mlx.nn as nn

from deepseek_tui.models.base import BaseModelArgs, GatedMLP, ModelConfigError
from deepseek_tui.models.cache import KVCache
from deepseek_tui.models.layers import SwitchGLU

NORM_EPS = 1e-6
ABSORB_UP_TO = 8
"""Queries at once up to which attention works on the compressed cache; more are cheaper decompressed."""


@dataclass
class ModelArgs(BaseModelArgs):
    """Sizes of the model, named as its training configuration names them."""

    vocab_size: int
    block_size: int
    n_layer: int
    n_head: int
    n_embd: int
    kv_lora_rank: int
    q_lora_rank: int
    rope_dim: int
    n_experts: int
    expert_intermediate_size: int
    n_experts_per_token: int = 2
    shared_expert_intermediate_size: int = 0
    use_shared_expert: bool = True
    mtp_num_heads: int = 0
    bias: bool = True
    mtp_loss_weight: float = 0.3
    rope_base: float = 10000.0
    rope_inv_freq: list[float] | None = None
    """Rotary frequencies where the checkpoint's own are not those of `rope_base`, `rope_dim` / 2 of them."""
    model_type: str = "scratch"

    def check(self) -> None:
        """Raises `ModelConfigError` where the sizes do not go together."""
        self.require_positive(
            "vocab_size",
            "block_size",
            "n_layer",
            "n_head",
            "n_embd",
            "kv_lora_rank",
            "q_lora_rank",
            "rope_dim",
            "n_experts",
            "n_experts_per_token",
            "expert_intermediate_size",
            "rope_base",
        )
        if self.use_shared_expert:
            self.require_positive("shared_expert_intermediate_size")
        if self.n_embd % self.n_head:
            raise ModelConfigError(f"n_embd = {self.n_embd} is no multiple of n_head = {self.n_head}.")
        if self.rope_dim % 2:
            raise ModelConfigError(f"rope_dim = {self.rope_dim} should be even.")
        if self.n_experts_per_token > self.n_experts:
            raise ModelConfigError(
                f"n_experts_per_token = {self.n_experts_per_token} is more than n_experts = {self.n_experts}."
            )
        if self.rope_inv_freq is not None:
            numbers = [x for x in self.rope_inv_freq if type(x) in (int, float) and x > 0]
            if len(numbers) != self.rope_dim // 2 or len(numbers) != len(self.rope_inv_freq):
                raise ModelConfigError(
                    f"rope_inv_freq should be {self.rope_dim // 2} numbers above 0, half of rope_dim."
                )

    @property
    def head_dim(self) -> int:
        """Width of a head's content part; the rotary part adds `rope_dim`."""
        return self.n_embd // self.n_head

    def inv_freq(self) -> list[float]:
        """Rotation per position of each pair of dimensions, in radians."""
        if self.rope_inv_freq is not None:
            return [float(x) for x in self.rope_inv_freq]
        return [float(self.rope_base) ** (-i / self.rope_dim) for i in range(0, self.rope_dim, 2)]


class RMSNorm(nn.Module):
    """weight * x / (rms(x) + eps): eps is added to the root, so `mx.fast.rms_norm` is not the same thing."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.weight = mx.ones((dims,))

    def __call__(self, x: Any) -> Any:
        wide = x.astype(mx.float32)
        # The floor is lost in eps. Without it the root's gradient is infinite where a prediction head reads
        # the zeros past the end, and every gradient becomes NaN.
        rms = mx.sqrt(mx.maximum(mx.mean(wide * wide, axis=-1, keepdims=True), 1e-30))
        return (self.weight * (wide / (rms + NORM_EPS))).astype(x.dtype)


def _matrix(linear: Any) -> Any:
    """The weight of a linear layer as a plain matrix, whether it is stored packed or not."""
    if "scales" not in linear:
        return linear.weight
    return mx.dequantize(
        linear.weight, linear.scales, linear.get("biases"), linear.group_size, linear.bits, linear.mode
    )


class Attention(nn.Module):
    """Multi-head latent attention; the cache holds the normed latent and the rotated keys of all heads."""

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        heads, dims = args.n_head, args.n_embd
        self.n_head = heads
        self.head_dim = args.head_dim
        self.rope_dim = args.rope_dim
        self.scale = float((args.head_dim + args.rope_dim) ** -0.5)
        self.kv_proj = nn.Linear(dims, args.kv_lora_rank, bias=False)
        self.kv_norm = RMSNorm(args.kv_lora_rank)
        self.k_decompress = nn.Linear(args.kv_lora_rank, dims, bias=False)
        self.v_decompress = nn.Linear(args.kv_lora_rank, dims, bias=False)
        self.q_proj = nn.Linear(dims, args.q_lora_rank, bias=False)
        self.q_decompress = nn.Linear(args.q_lora_rank, dims, bias=False)
        self.k_rope_proj = nn.Linear(dims, heads * args.rope_dim, bias=False)
        self.q_rope_proj = nn.Linear(args.q_lora_rank, heads * args.rope_dim, bias=False)
        self.o_proj = nn.Linear(dims, dims, bias=args.bias)
        # mx.fast.rope wants wavelengths over 2 pi. The leading underscore keeps it out of the parameters.
        self._wavelengths = 1.0 / mx.array(args.inv_freq(), dtype=mx.float32)

    def __call__(self, x: Any, cache: KVCache | None = None) -> Any:
        """x [B, T, D] -> [B, T, D]; with a cache, x continues what the cache has seen."""
        B, T, _ = x.shape
        offset = cache.offset if cache is not None else 0
        q = self.q_proj(x)
        q_content = self._heads(self.q_decompress(q))
        q_rope = self._rotate(self._heads(self.q_rope_proj(q)), offset)
        k_rope = self._rotate(self._heads(self.k_rope_proj(x)), offset)
        latent = self.kv_norm(self.kv_proj(x))[:, None]
        if cache is not None:
            latent, k_rope = cache.update_and_fetch(latent, k_rope)
        attend = self._compressed if cache is not None and T <= ABSORB_UP_TO else self._decompressed
        out = attend(q_content, q_rope, latent, k_rope)
        return self.o_proj(out.transpose(0, 2, 1, 3).reshape(B, T, -1))

    def _heads(self, x: Any) -> Any:
        B, T, _ = x.shape
        return x.reshape(B, T, self.n_head, -1).transpose(0, 2, 1, 3)

    def _rotate(self, x: Any, offset: int) -> Any:
        return mx.fast.rope(
            x,
            self.rope_dim,
            traditional=False,
            base=None,
            scale=1.0,
            offset=offset,
            freqs=self._wavelengths,
        )

    def _decompressed(self, q_content: Any, q_rope: Any, latent: Any, k_rope: Any) -> Any:
        keys = mx.concatenate([self._heads(self.k_decompress(latent[:, 0])), k_rope], axis=-1)
        values = self._heads(self.v_decompress(latent[:, 0]))
        queries = mx.concatenate([q_content, q_rope], axis=-1)
        mask = "causal" if queries.shape[2] > 1 else None
        return mx.fast.scaled_dot_product_attention(queries, keys, values, scale=self.scale, mask=mask)

    def _compressed(self, q_content: Any, q_rope: Any, latent: Any, k_rope: Any) -> Any:
        """The same attention with k_decompress moved to the query and v_decompress to the result.

        Scores and sums are over the latent (kv_lora_rank wide, shared by the heads), so nothing of the past
        is decompressed again (DeepSeek-V2, section 2.1.2).
        """
        up_k = _matrix(self.k_decompress).reshape(self.n_head, self.head_dim, -1)
        up_v = _matrix(self.v_decompress).reshape(self.n_head, self.head_dim, -1)
        scores = (q_rope * self.scale) @ k_rope.swapaxes(-1, -2)
        T, S = scores.shape[-2:]
        if T > 1:
            seen = mx.arange(S - T, S)[:, None] >= mx.arange(S)[None]
            scores = mx.where(seen, scores, -float("inf"))
        out = mx.fast.scaled_dot_product_attention(
            q_content @ up_k, latent, latent, scale=self.scale, mask=scores.astype(q_content.dtype)
        )
        return out @ up_v.swapaxes(-1, -2)


class MoE(nn.Module):
    """Top-k experts by router logits plus bias, weighted by the softmax of just those; and the shared one."""

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        self.top_k = args.n_experts_per_token
        self.router = nn.Linear(args.n_embd, args.n_experts, bias=False)
        # Set by balancing the load, not by gradients.
        self.expert_bias = mx.zeros((args.n_experts,))
        self.freeze(recurse=False, keys=["expert_bias"])
        self.experts = SwitchGLU(args.n_embd, args.expert_intermediate_size, args.n_experts, bias=args.bias)
        if args.use_shared_expert:
            self.shared_expert = GatedMLP(args.n_embd, args.shared_expert_intermediate_size, bias=args.bias)

    def __call__(self, x: Any) -> Any:
        rows = x.reshape(-1, x.shape[-1])
        logits = self.router(rows).astype(mx.float32) + self.expert_bias
        chosen = mx.argpartition(-mx.stop_gradient(logits), kth=self.top_k - 1, axis=-1)[..., : self.top_k]
        weights = mx.softmax(mx.take_along_axis(logits, chosen, axis=-1), axis=-1, precise=True)
        each = self.experts(rows, chosen)
        out = (each * weights[..., None].astype(each.dtype)).sum(axis=-2)
        if "shared_expert" in self:
            out = out + self.shared_expert(rows)
        return out.reshape(x.shape)


class Block(nn.Module):
    """One layer: attention and experts, each after a norm and added to its input."""

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        self.ln_1 = RMSNorm(args.n_embd)
        self.attn = Attention(args)
        self.ln_2 = RMSNorm(args.n_embd)
        self.mlp = MoE(args)

    def __call__(self, x: Any, cache: KVCache | None = None) -> Any:
        x = x + self.attn(self.ln_1(x), cache)
        return x + self.mlp(self.ln_2(x))


class PredictionHead(nn.Module):
    """Joins a hidden state with the embedding of a later id and looks further; no norm at its end."""

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        self.combine_proj = nn.Linear(2 * args.n_embd, args.n_embd, bias=args.bias)
        self.norm1 = RMSNorm(args.n_embd)
        self.norm2 = RMSNorm(args.n_embd)
        self.attn = Attention(args)
        self.mlp = MoE(args)
        self.attn_norm = RMSNorm(args.n_embd)
        self.mlp_norm = RMSNorm(args.n_embd)

    def __call__(self, hidden: Any, embedded: Any, cache: KVCache | None = None) -> Any:
        x = self.combine_proj(mx.concatenate([self.norm1(hidden), self.norm2(embedded)], axis=-1))
        x = x + self.attn(self.attn_norm(x), cache)
        return x + self.mlp(self.mlp_norm(x))


class Losses(NamedTuple):
    """What training minimises, as scalars: `total` = `main` + mtp_loss_weight * `mtp`."""

    total: Any
    main: Any
    mtp: Any | None


def _cross_entropy(logits: Any, targets: Any) -> Any:
    """Mean over the targets that are not -1, which stands for "no target here"."""
    counted = targets != -1
    each = nn.losses.cross_entropy(logits.astype(mx.float32), mx.maximum(targets, 0))
    return (each * counted).sum() / mx.maximum(counted.sum(), 1)


class Model(nn.Module):
    """The whole model. It holds at most `block_size` positions; `window` says what to feed again then."""

    def __init__(self, args: ModelArgs) -> None:
        super().__init__()
        self.args = args
        self.wte = nn.Embedding(args.vocab_size, args.n_embd)
        self.wpe = nn.Embedding(args.block_size, args.n_embd)
        self.h = [Block(args) for _ in range(args.n_layer)]
        self.ln_f = RMSNorm(args.n_embd)
        if args.mtp_num_heads:
            self.mtp_heads = [PredictionHead(args) for _ in range(args.mtp_num_heads)]

    def __call__(self, tokens: Any, cache: list[KVCache] | None = None) -> Any:
        """Ids [B, T] -> logits [B, T, V] of the id after each. Raises ValueError past `context_length`."""
        return self.wte.as_linear(self.hidden(tokens, cache))

    def hidden(self, tokens: Any, cache: list[KVCache] | None = None) -> Any:
        """Ids [B, T] -> hidden states [B, T, D] after the final norm. Raises ValueError past the context."""
        offset = cache[0].offset if cache else 0
        end = offset + tokens.shape[1]
        if end > self.args.block_size:
            raise ValueError(f"{end} positions do not fit this model's context of {self.args.block_size}.")
        x = self.wte(tokens) + self.wpe(mx.arange(offset, end))
        for i, block in enumerate(self.h):
            x = block(x, cache[i] if cache else None)
        return self.ln_f(x)

    def mtp(
        self, hidden: Any, next_tokens: Any, depth: int = 1, cache: KVCache | None = None
    ) -> tuple[Any, Any]:
        """Prediction head `depth` (from 1): what it makes of hidden states and the ids `depth` places on.

        `hidden` [B, T, D]: from `hidden()` for head 1, the first result of head depth - 1 for the others.
        `next_tokens` [B, T]: row i holds the id at i + depth; an id of -1, for "not known yet", embeds as
        zeros, as in training. `cache`: one entry of `make_mtp_cache()`. Returns (hidden' [B, T, D],
        logits [B, T, V]); row i of the logits was trained against the id at i + depth + 2.
        """
        embedded = self.wte(mx.maximum(next_tokens, 0)) * (next_tokens >= 0)[..., None]
        out = self.mtp_heads[depth - 1](hidden, embedded.astype(hidden.dtype), cache)
        return out, self.wte.as_linear(out)

    def losses(self, tokens: Any, targets: Any) -> Losses:
        """Training losses of ids [B, T] against the ids that follow them [B, T] (-1: not counted).

        Head d reads the ids d places on, zeros past the end, and row i is held against target i + d + 1;
        the heads' losses are averaged. Sequences too short for any head have no `mtp` loss.
        """
        B, T = tokens.shape
        current = self.hidden(tokens)
        main = _cross_entropy(self.wte.as_linear(current), targets)
        each = []
        for depth in range(1, self.args.mtp_num_heads + 1):
            if depth + 1 >= T:
                break
            ahead = mx.concatenate([tokens[:, depth:], mx.full((B, depth), -1, dtype=tokens.dtype)], axis=1)
            current, logits = self.mtp(current, ahead, depth)
            each.append(_cross_entropy(logits[:, : T - depth - 1], targets[:, depth + 1 :]))
        if not each:
            return Losses(main, main, None)
        mtp = mx.stack(each).mean()
        return Losses(main + self.args.mtp_loss_weight * mtp, main, mtp)

    def make_cache(self) -> list[KVCache]:
        """One empty cache per layer, for `hidden` and `__call__`."""
        return [KVCache() for _ in self.h]

    def make_mtp_cache(self) -> list[KVCache]:
        """One empty cache per prediction head; their positions count from 0 on their own."""
        return [KVCache() for _ in range(self.args.mtp_num_heads)]

    @property
    def layers(self) -> list[Block]:
        """The layers, first to last."""
        return list(self.h)

    @property
    def context_length(self) -> int:
        """Positions the model was trained for; the learned ones end there."""
        return self.args.block_size

    @property
    def window(self) -> int:
        """Past this many ids the last `window` are fed again from position 0, with new caches."""
        return self.args.block_size

    def sanitize(self, weights: dict[str, Any]) -> dict[str, Any]:
        """Checkpoint entries -> this model's: buffers and the tied head dropped, experts stacked."""
        kept: dict[str, Any] = {}
        stacks: dict[str, dict[int, Any]] = {}
        for name, value in weights.items():
            if name.endswith((".causal_mask", ".rope.inv_freq")):
                continue
            found = re.fullmatch(r"(.+\.mlp\.experts)\.(\d+)\.(.+)", name)
            if found:
                stacks.setdefault(f"{found[1]}.{found[3]}", {})[int(found[2])] = value
            else:
                kept[name] = value
        head = {name: kept.pop(name) for name in list(kept) if name.startswith("lm_head.")}
        for name, value in head.items():
            kept.setdefault(name.replace("lm_head.", "wte."), value)
        for name, parts in stacks.items():
            kept[name] = mx.stack([parts[i] for i in sorted(parts)])
        return kept

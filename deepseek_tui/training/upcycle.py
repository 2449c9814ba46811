"""From a Llama or Qwen-style model to one of the deepseek_v3 architecture that says nearly the same.

Attention becomes latent attention (`upcycle_attention`), layers that matter least are left out
(`upcycle_layers`), feed-forwards become shared and routed experts (`upcycle_experts`). Everything is computed
from the activations on a calibration text; nothing is trained. The result is a start for training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten, tree_unflatten
from numpy.typing import NDArray

from deepseek_tui.models import deepseek_v3, llama
from deepseek_tui.models.base import attention_mask
from deepseek_tui.training.errors import TrainingError
from deepseek_tui.training.upcycle_attention import Heads, Inputs, Target, convert, directions
from deepseek_tui.training.upcycle_experts import FeedForward, Sizes, ridge, split
from deepseek_tui.training.upcycle_layers import choose_layers
from deepseek_tui.training.upcycle_measure import Distance, Ends, distance, run_layers
from deepseek_tui.training.upcycle_rope import assign, frequencies

STEPS = ("attention", "layers", "experts")
_STATISTICS_ROWS = 4
_SEARCH_TOKENS = 512

Report = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What the copy is to look like; None: a size that suits the source.

    `layers`: how many stay. `kv_rank`, `rope_dim`, `nope_dim`: widths of the latent, of the shared rotating
    key and of each head's content part. `dense_layers`: how many at the start keep a whole feed-forward.
    """

    steps: tuple[str, ...] = STEPS
    layers: int | None = None
    experts: int = 8
    shared: int = 1
    expert_size: int | None = None
    top_k: int = 2
    dense_layers: int = 1
    kv_rank: int | None = None
    rope_dim: int | None = None
    nope_dim: int | None = None
    seed: int = 0


@dataclass
class Upcycled:
    """`weights` under the names of models/deepseek_v3.py; `config`: contents of config.json; `layers`: source
    layers that stayed; `distances`: from the source on text kept apart, after each step."""

    weights: dict[str, Any]
    config: dict[str, Any]
    layers: list[int]
    distances: dict[str, Distance]


def upcycle(source: Any, tokens: Any, plan: Plan, report: Report = lambda _: None) -> Upcycled:
    """`source`: a models/llama.py or qwen3.py Model, not quantized. `tokens` [B, T]: calibration text; the
    last quarter of the rows is kept apart to measure on. Raises TrainingError for what cannot be
    converted."""
    check_source(source, plan)
    return _Job(source, tokens, plan, report).run()


def check_source(source: Any, plan: Plan) -> None:
    """Raises TrainingError where the model cannot be converted, or not as the plan says."""
    if not isinstance(source, llama.Model):
        raise TrainingError(
            f"A model of the type {source.model_type!r} cannot be upcycled.",
            "Take one with grouped-query attention: llama, mistral or qwen3.",
        )
    args = source.args
    if args.attention_bias or args.mlp_bias:
        raise TrainingError("The source has biases in its projections, which deepseek_v3 has no place for.")
    if set(plan.steps) - set(STEPS) or not plan.steps:
        raise TrainingError(f"The steps are {', '.join(STEPS)}.")
    if plan.layers is not None and not 1 <= plan.layers <= args.num_hidden_layers:
        raise TrainingError(f"The source has {args.num_hidden_layers} layers, and {plan.layers} are to stay.")
    sizes = _sizes(args, plan)
    if "experts" in plan.steps and (
        min(sizes.hidden, sizes.top_k, sizes.routed) < 1
        or sizes.top_k > sizes.routed
        or (sizes.shared + 1) * sizes.hidden > args.intermediate_size
    ):
        raise TrainingError(
            f"The source has {args.intermediate_size} neurons a layer: {sizes.shared} shared and "
            f"{sizes.routed} routed experts of {sizes.hidden} ({sizes.top_k} chosen) cannot be made of them.",
            "Shared and one routed expert together hold at most all neurons.",
        )
    rope = plan.rope_dim
    if rope is not None and (rope < 2 or rope % 2):
        raise TrainingError(f"The shared rotating key cannot be {rope} wide.", "Take an even number.")


def _sizes(args: Any, plan: Plan) -> Sizes:
    size = plan.expert_size or max(args.intermediate_size // 8 // 64 * 64, args.intermediate_size // 8, 1)
    return Sizes(plan.experts, plan.shared, size, plan.top_k)


class _Job:
    def __init__(self, source: Any, tokens: Any, plan: Plan, report: Report) -> None:
        self.source, self.plan, self.report = source, plan, report
        self.ends = Ends(source)
        apart = max(tokens.shape[0] // 4, 1)
        self.tokens, self.held = tokens[:-apart], tokens[-apart:]
        args = source.args
        half = args.head_size // 2
        self.kept = list(range(args.num_hidden_layers))
        self.sizes = _sizes(args, plan)
        rope = plan.rope_dim or max(args.kv_heads * half // 2 * 2, 2)
        self.args = deepseek_v3.ModelArgs(
            vocab_size=args.vocab_size,
            hidden_size=args.hidden_size,
            intermediate_size=args.intermediate_size,
            num_hidden_layers=args.num_hidden_layers,
            num_attention_heads=args.num_attention_heads,
            kv_lora_rank=plan.kv_rank or args.kv_heads * args.head_size,
            qk_rope_head_dim=rope,
            qk_nope_head_dim=plan.nope_dim or max(half, 1),
            v_head_dim=args.head_size,
            max_position_embeddings=args.max_position_embeddings,
            rms_norm_eps=args.rms_norm_eps,
            rope_scaling=args.rope_scaling,
            tie_word_embeddings=args.tie_word_embeddings,
            moe_intermediate_size=self.sizes.hidden,
            first_k_dense_replace=plan.dense_layers,
        )
        self.distances: dict[str, Distance] = {}
        self._truth = run_layers(source.layers, self.ends.embed(self.held))

    def run(self) -> Upcycled:
        layers = self._attention()
        self._measure("attention", layers)
        if "layers" in self.plan.steps and self.plan.layers not in (None, len(layers)):
            layers = self._remove(layers)
            self._measure("layers", layers)
        if "experts" in self.plan.steps:
            layers = self._experts(layers)
            self._measure("experts", layers)
        return Upcycled(self._weights(layers), self._config(), self.kept, self.distances)

    def _measure(self, step: str, layers: list[Any]) -> None:
        copy = run_layers(layers, self.ends.embed(self.held))
        self.distances[step] = found = distance(self.ends, self._truth, copy)
        self.report(f"{step}: {found} (on {self.held.size} tokens kept apart)")

    # --- attention ---

    def _attention(self) -> list[Any]:
        seen = list[tuple[Heads, Inputs]]()
        x = self.ends.embed(self.tokens)
        for layer in self.source.layers:
            heads, inputs = _watch(layer, x, self.source.args)
            seen.append((heads, inputs))
            x = run_layers([layer], x)
        target = self._ladder(seen)
        found = []
        for index, (heads, inputs) in enumerate(seen):
            made = convert(heads, inputs, target)
            found.append(self._latent_layer(index, made.weights))
            self.report(f"attention of layer {index}: content kept but {made.error:.2%}")
        return found

    def _ladder(self, seen: list[tuple[Heads, Inputs]]) -> Target:
        """The base of the shared key's rotation: so many of its pairs for each of the source's, from one
        to one for each key head, whichever leaves the least error over all layers."""
        args = self.source.args
        own = frequencies(
            args.head_size,
            args.rope_theta,
            args.rope_scaling,
            args.max_position_embeddings,
            interleaved=False,
        )
        weights = [directions(heads, inputs).weight for heads, inputs in seen]
        best: tuple[float, Target] | None = None
        for per_pair in range(1, args.kv_heads + 1):
            width = self.args.qk_rope_head_dim
            base = float(args.rope_theta ** (width / (per_pair * args.head_size)))
            shared = frequencies(
                width, base, args.rope_scaling, args.max_position_embeddings, interleaved=True
            )
            left = sum(
                assign(weight, own, shared, inputs.distances)[1] / max(weight.sum(), 1e-12)
                for weight, (_, inputs) in zip(weights, seen, strict=True)
            ) / len(seen)
            self.report(f"{per_pair} shared pair(s) for each of the source's: {left:.4f} of the score lost")
            if best is None or left < best[0]:
                best = left, Target(self.args.kv_lora_rank, self.args.qk_nope_head_dim, own, shared)
                self.args = replace(self.args, rope_theta=base)
        assert best is not None
        return best[1]

    def _latent_layer(self, index: int, attention: dict[str, NDArray[np.float32]]) -> Any:
        source = self.source.layers[index]
        layer = deepseek_v3.Layer(self.args, index)
        layer.self_attn.update(_tree(attention))
        for name in ("mlp", "input_layernorm", "post_attention_layernorm"):
            setattr(layer, name, getattr(source, name))
        layer.eval()
        return layer

    # --- layers ---

    def _remove(self, layers: list[Any]) -> list[Any]:
        rows = max(_SEARCH_TOKENS // self.tokens.shape[1], 1)
        self.kept = choose_layers(
            self.ends,
            layers,
            self.tokens[:rows],
            self.plan.layers or len(layers),
            lambda index, kl: self.report(f"without layer {index}: KL {kl:.3f}"),
        )
        self.args = replace(self.args, num_hidden_layers=len(self.kept))
        return [layers[index] for index in self.kept]

    # --- experts ---

    def _experts(self, layers: list[Any]) -> list[Any]:
        sizes = self.sizes
        self.args = replace(
            self.args,
            n_routed_experts=sizes.routed,
            n_shared_experts=sizes.shared or None,
            num_experts_per_tok=sizes.top_k,
        )
        rng = np.random.default_rng(self.plan.seed)
        truth = x = self.ends.embed(self.tokens)
        found = []
        ends = [*self.kept[1:], len(self.source.layers)]
        for place, (layer, end) in enumerate(zip(layers, ends, strict=True)):
            truth = run_layers(self.source.layers[self.kept[place] : end], truth)
            new = self._routed_layer(place, layer, x, truth, rng)
            x = run_layers([new], x)
            found.append(new)
            lost: Any = mx.square(x - truth).sum() / mx.square(truth).sum()
            self.report(f"experts of layer {self.kept[place]}: {lost.item():.1%} of the state lost")
        return found

    def _routed_layer(self, place: int, layer: Any, x: Any, truth: Any, rng: np.random.Generator) -> Any:
        """`layer` with experts, fitted so that from the copy's own state x it leads to the source's."""
        middle = x + _attend(layer, x)
        inner = _numbers(layer.post_attention_layernorm(middle))
        wanted = _numbers(truth - middle)
        dense = FeedForward(*(_array(layer.mlp[f"{name}_proj"].weight) for name in ("gate", "up", "down")))
        new = deepseek_v3.Layer(self.args, place)
        for name in ("self_attn", "input_layernorm", "post_attention_layernorm"):
            setattr(new, name, getattr(layer, name))
        if place < self.args.first_k_dense_replace:
            down = ridge(dense.activations(inner), wanted, dense.down)
            made = {"gate_proj.weight": dense.gate, "up_proj.weight": dense.up, "down_proj.weight": down}
        else:
            made = split(dense, inner, wanted, self.sizes, rng)
        new.mlp.update(_tree(made))
        new.eval()
        return new

    # --- result ---

    def _weights(self, layers: list[Any]) -> dict[str, Any]:
        weights = {
            name: array
            for name, array in tree_flatten(self.source.parameters())
            if not name.startswith("model.layers.")
        }
        for index, layer in enumerate(layers):
            for name, array in tree_flatten(layer.parameters()):
                weights[f"model.layers.{index}.{name}"] = array
        return weights

    def _config(self) -> dict[str, Any]:
        # Readers take a size of their own for a key that is not there, so "none" is written out.
        config = asdict(self.args)
        if self.args.n_routed_experts is None:
            config["moe_intermediate_size"] = None
            config["first_k_dense_replace"] = self.args.num_hidden_layers
        for key in ("prediction_embedding", "prediction_head"):
            del config[key]
        config["architectures"] = ["DeepseekV3ForCausalLM"]
        config["num_key_value_heads"] = self.args.num_attention_heads
        return config


def _watch(layer: Any, x: Any, args: Any) -> tuple[Heads, Inputs]:
    """The layer's attention weights, and what it saw of x [B, T, D]."""
    h = layer.input_layernorm(x)
    received, distances = _attention_statistics(layer.self_attn, h[:_STATISTICS_ROWS])
    inputs = _numbers(h)
    by_position = np.tile(received, x.shape[0])
    q, k = (_projection(layer.self_attn, name, inputs, args) for name in ("q", "k"))
    size = args.head_size
    v = _array(layer.self_attn.v_proj.weight).reshape(-1, size, inputs.shape[1])
    o, norm = _array(layer.self_attn.o_proj.weight), _array(layer.input_layernorm.weight)
    return Heads(q, k, v, o, norm), Inputs(inputs, by_position, distances)


def _projection(attention: Any, name: str, inputs: Any, args: Any) -> Any:
    """Query or key heads [heads, d, D], pairs (j, j + d / 2)."""
    weight = _array(attention[f"{name}_proj"].weight)
    heads = weight.reshape(-1, args.head_size, weight.shape[1])
    norm = attention.get(f"{name}_norm")
    if norm is not None:
        heads = _without_norm(heads, _array(norm.weight), inputs, args.rms_norm_eps)
    if args.rope_traditional:
        heads = np.concatenate([heads[:, ::2], heads[:, 1::2]], axis=1)
    return heads


def _without_norm(heads: Any, weight: Any, inputs: Any, eps: float) -> Any:
    """The linear maps nearest to heads behind a norm of their own (Qwen3): such a norm cannot be folded into
    the weights, so its effect on this text is fitted by least squares, held near one factor for the head."""
    found = []
    square = inputs.T @ inputs
    hold = 0.01 * np.trace(square) / len(square)
    square[np.diag_indices_from(square)] += hold
    for head in heads:
        y = inputs @ head.T
        normed = y / np.sqrt(np.square(y).mean(-1, keepdims=True) + eps) * weight
        plain = head * weight[:, None]
        factor = (normed * (inputs @ plain.T)).sum() / max(np.square(inputs @ plain.T).sum(), 1e-12)
        left = normed - inputs @ (plain * factor).T
        found.append(plain * factor + np.linalg.solve(square, inputs.T @ left).T)
    return np.stack(found)


def _attention_statistics(attention: Any, h: Any) -> tuple[Any, Any]:
    """Of inputs [B, T, D]: attention received by position [T], mean 1, half of it spread evenly; and the
    share of attention by distance [T], half of it spread evenly."""
    B, T, _ = h.shape
    q = attention.prepare_queries(attention.q_proj(h).reshape(B, T, attention.heads, -1))
    k = attention.prepare_keys(attention.k_proj(h).reshape(B, T, attention.kv_heads, -1))
    q, k = (attention._rope(a.transpose(0, 2, 1, 3), 0) for a in (q, k))
    k = mx.repeat(k, attention.heads // attention.kv_heads, axis=1)
    scores = (q * attention.scale) @ k.swapaxes(-1, -2)
    scores = mx.where(attention_mask(T, None), scores, -mx.inf)
    share = np.array(mx.softmax(scores, axis=-1).mean(axis=(0, 1)), np.float64)
    received = share.sum(0)
    away = np.arange(T)[:, None] - np.arange(T)[None, :]
    distances = np.bincount(away[away >= 0], weights=share[away >= 0], minlength=T) / T
    even = np.bincount(away[away >= 0], minlength=T) / (T * (T + 1) / 2)
    return 0.5 + 0.5 * received, 0.5 * distances + 0.5 * even


def _attend(layer: Any, x: Any) -> Any:
    """What the layer's attention adds to x [B, T, D]."""
    mask = attention_mask(x.shape[1], None)
    rows = []
    for row in range(x.shape[0]):
        rows.append(layer.self_attn(layer.input_layernorm(x[row : row + 1]), mask, None))
        mx.eval(rows[-1])
    return mx.concatenate(rows)


def _array(weight: Any) -> NDArray[np.float32]:
    return np.array(weight.astype(mx.float32))


def _numbers(x: Any) -> NDArray[np.float32]:
    """[B, T, D] -> [B * T, D]."""
    return _array(x).reshape(-1, x.shape[-1])


def _tree(weights: dict[str, Any]) -> Any:
    return tree_unflatten([(name, mx.array(array.astype(np.float32))) for name, array in weights.items()])

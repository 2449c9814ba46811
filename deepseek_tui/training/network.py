"""What training needs of a model: its hidden states as a function of a flat dictionary of weights.

Losses are differentiated with respect to that dictionary, whose names are the model's own parameter names, so
what is trained can be saved and loaded without translation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import mlx.core as mx
from mlx.utils import tree_flatten, tree_unflatten

from deepseek_tui.training.errors import TrainingError

Weights = dict[str, Any]
"""Parameter name -> array."""


@dataclass
class Hidden:
    """`states` [B, T, width] after the final norm. `loads` [routed layers, experts]: how often each expert
    was chosen; `balance`: the sequence-wise balance loss, averaged over rows, summed over layers. Both None
    for a model without experts."""

    states: Any
    loads: Any = None
    balance: Any = None


class Network(Protocol):
    """A model as a pure function of its weights."""

    head: str
    """Name of the output head's weight (the embedding's, where they are tied)."""
    routers: tuple[str, ...]
    """The trunk's modules that choose experts, in the order of the rows of `loads`."""
    ahead_routers: tuple[str, ...]
    """Those of the prediction layers."""
    prediction_layers: int
    ahead_prefixes: tuple[str, ...]
    """What the names of the prediction layers' weights begin with."""

    def hidden(self, weights: Weights, tokens: Any, segments: Any = None) -> Hidden:
        """tokens [B, T] -> hidden states. `segments` [B, T]: documents that may not see one another, 0 for
        padding; None: each row is one document."""

    def predict(self, weights: Weights, states: Any, following: Any, segments: Any, depth: int) -> Hidden:
        """One step of multi-token prediction, row i from state i and the id `depth` places on."""


def parameters(model: Any) -> Weights:
    """The weights of a model by name. They are the model's own arrays."""
    return dict(tree_flatten(model.parameters()))


def start_computing(*trees: Any) -> None:
    """Begins to compute arrays without waiting for them."""
    begin: Any = mx.async_eval
    begin(*trees)


def document_mask(segments: Any) -> Any:
    """bool [B, 1, T, T]: True where a token may look: backwards, within its own document."""
    length = segments.shape[-1]
    same = segments[:, None, :, None] == segments[:, None, None, :]
    return mx.logical_and(same, mx.tril(mx.ones((length, length), mx.bool_)))


def attend(q: Any, k: Any, v: Any, scale: float, segments: Any, kind: str = "fused") -> Any:
    """Causal attention of whole rows, within documents. q, k [B, heads, T, n], v [B, heads, T, m].

    `kind`: "fused" is MLX's own; "padded" widens v to n numbers before, for devices whose fused attention
    wants them alike; "plain" writes the scores out.
    """
    if kind == "plain":
        T = q.shape[2]
        mask = mx.tril(mx.ones((T, T), mx.bool_)) if segments is None else document_mask(segments)
        scores = (q * scale) @ k.swapaxes(-1, -2)
        scores = mx.where(mask, scores, mx.array(mx.finfo(scores.dtype).min, scores.dtype))
        return mx.softmax(scores, axis=-1, precise=True) @ v
    width = v.shape[-1]
    if kind == "padded" and width < q.shape[-1]:
        v = mx.pad(v, [(0, 0)] * 3 + [(0, q.shape[-1] - width)])
    mask = "causal" if segments is None else document_mask(segments)
    return mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask=mask)[..., :width]


def make_network(
    model: Any, *, experts: str = "dense", attention: str = "fused", checkpoint: bool = False
) -> Network:
    """The network of a model that `deepseek_tui.checkpoints` built, weights left behind in it.

    `experts`: "dense" computes every expert for every token and masks, "gather" only the chosen ones (more
    bookkeeping, fewer products). `attention`: see `attend`. `checkpoint` computes layers again in the
    backward pass and so keeps only their inputs in memory.
    """
    if model.model_type == "deepseek_v3":
        from deepseek_tui.training.deepseek import DeepseekNetwork

        return DeepseekNetwork(model.args, experts=experts, attention=attention, checkpoint=checkpoint)
    if model.model_type in ("llama", "mistral", "qwen3"):
        return ModuleNetwork(model, checkpoint=checkpoint)
    raise TrainingError(
        f"Models of the type {model.model_type!r} cannot be trained.", "Known: deepseek_v3, llama, qwen3."
    )


class ModuleNetwork:
    """Models of grouped-query attention and a feed-forward: Llama and Qwen3, by their own modules."""

    def __init__(self, model: Any, checkpoint: bool = False) -> None:
        self._model = model
        self._checkpoint = checkpoint
        self.head = "lm_head.weight" if "lm_head" in model else "model.embed_tokens.weight"
        self.routers: tuple[str, ...] = ()
        self.ahead_routers: tuple[str, ...] = ()
        self.ahead_prefixes: tuple[str, ...] = ()
        self.prediction_layers = 0

    def hidden(self, weights: Weights, tokens: Any, segments: Any = None) -> Hidden:
        trunk = self._model.model
        x = lookup(weights["model.embed_tokens.weight"], tokens)
        mask = "causal" if segments is None else document_mask(segments)
        for index, layer in enumerate(trunk.layers):
            own = below(weights, f"model.layers.{index}.")
            x = self._run(layer, own, x, mask)
        return Hidden(mx.fast.rms_norm(x, weights["model.norm.weight"], trunk.norm.eps))

    def _run(self, layer: Any, own: Weights, x: Any, mask: Any) -> Any:
        def call(own: Weights, x: Any) -> Any:
            layer.update(tree_unflatten(list(own.items())))
            x = x + _attend(layer.self_attn, layer.input_layernorm(x), mask)
            return x + layer.mlp(layer.post_attention_layernorm(x))

        return (mx.checkpoint(call) if self._checkpoint else call)(own, x)

    def predict(self, *_: Any) -> Hidden:
        raise TrainingError("This model has no prediction layer to train.")


def _attend(attention: Any, x: Any, mask: Any) -> Any:
    """models/llama.py's attention over whole rows, without a cache."""
    B, T, _ = x.shape
    q = attention.prepare_queries(attention.q_proj(x).reshape(B, T, attention.heads, -1))
    k = attention.prepare_keys(attention.k_proj(x).reshape(B, T, attention.kv_heads, -1))
    v = attention.v_proj(x).reshape(B, T, attention.kv_heads, -1).transpose(0, 2, 1, 3)
    q, k = (attention._rope(heads.transpose(0, 2, 1, 3), 0) for heads in (q, k))
    out = mx.fast.scaled_dot_product_attention(q, k, v, scale=attention.scale, mask=mask)
    return attention.o_proj(out.transpose(0, 2, 1, 3).reshape(B, T, -1))


def lookup(table: Any, tokens: Any) -> Any:
    """table[vocabulary, width] at tokens. Its gradient is added up in float32: in 16 bits, what a frequent
    token's last occurrences add would be lost in the sum of the first."""

    def forward(table: Any, tokens: Any) -> Any:
        return table[tokens]

    def backward(primals: Any, cotangent: Any, _: Any) -> tuple[Any, Any]:
        table, tokens = primals
        total = mx.zeros(table.shape, mx.float32).at[tokens].add(cotangent.astype(mx.float32))
        return total.astype(table.dtype), mx.zeros_like(tokens)

    function: Any = mx.custom_function(forward)
    function.vjp(backward)
    return function(table, tokens)


def below(weights: Weights, prefix: str) -> Weights:
    """The weights of one module, by their names inside it."""
    return {name.removeprefix(prefix): array for name, array in weights.items() if name.startswith(prefix)}

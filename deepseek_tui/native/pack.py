"""Describes an MLX model to the compiled library: where its weights lie and how they are stored."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from deepseek_tui.models import deepseek_v3, llama
from deepseek_tui.models.rope import rotation
from deepseek_tui.native.library import (
    BFLOAT16,
    FLOAT16,
    FLOAT32,
    MAX_GROUPS,
    MOST_CHOSEN,
    MOST_EXPERTS,
    Layer,
    Matrix,
    Shape,
)

_SCORING = {"sigmoid": 0, "softmax": 1}
_CHOICE = {"greedy": 0, "group_limited_greedy": 1, "noaux_tc": 2}


class UnsupportedModelError(Exception):
    """The compiled library has no way for this model; MLX computes it."""


class Packer:
    """Fills the library's structures and keeps alive what they point at."""

    def __init__(self) -> None:
        self._kept: list[Any] = []

    def matrix(self, module: Any) -> Matrix:
        """The weights of a linear map, an embedding, or a stack of either, as rows under each other."""
        weight = module.weight
        rows, columns = weight.size // weight.shape[-1], weight.shape[-1]
        bias = module.get("bias")
        found = Matrix(rows=rows, cols=columns, bias=None if bias is None else self.vector(bias))
        found.weight = self._address(weight)
        if "scales" not in module:
            found.kind = _kind(weight)
            return found
        if module.bits not in (4, 8) or module.group_size not in (32, 64, 128) or "biases" not in module:
            raise UnsupportedModelError(f"{module.bits} bits in groups of {module.group_size}")
        found.kind, found.group = module.bits, module.group_size
        found.cols = columns * 32 // module.bits
        if found.cols // found.group > MAX_GROUPS:
            raise UnsupportedModelError(f"rows of {found.cols}")
        found.scale_kind = _kind(module.scales)
        if _kind(module.biases) != found.scale_kind:
            raise UnsupportedModelError("scales and biases of different types")
        found.scales, found.biases = self._address(module.scales), self._address(module.biases)
        return found

    def vector(self, array: Any) -> int:
        """The address of a float32 copy."""
        copy = np.array(array.astype(mx.float32)).reshape(-1)
        self._kept.append(copy)
        return int(copy.ctypes.data)

    def norm(self, module: Any) -> int:
        return self.vector(module.weight)

    def _address(self, array: Any) -> int:
        array = mx.contiguous(array)
        if array.dtype == mx.bfloat16:
            array = array.view(mx.uint16)
        mx.eval(array)
        view = np.asarray(memoryview(array))
        self._kept.append((array, view))
        return int(view.ctypes.data)


def _kind(array: Any) -> int:
    kinds = {mx.float32: FLOAT32, mx.float16: FLOAT16, mx.bfloat16: BFLOAT16}
    if array.dtype not in kinds:
        raise UnsupportedModelError(str(array.dtype))
    return kinds[array.dtype]


def describe(model: Any, packer: Packer) -> tuple[Shape, Any]:
    """The shape and the layers (a ctypes array) of a model. Raises `UnsupportedModelError`."""
    if isinstance(model, deepseek_v3.Model):
        shape, layers = _deepseek(model, packer)
    elif isinstance(model, llama.Model):
        shape, layers = _llama(model, packer)
    else:
        raise UnsupportedModelError(type(model).__module__)
    for layer in layers:
        _check_pairs(layer)
    shape.layers = len(layers)
    shape.mlp = max((int(layer.gate.rows) for layer in layers), default=0)
    return shape, (Layer * len(layers))(*layers)


def _check_pairs(layer: Layer) -> None:
    """Gate and up share their ordered input, so they must be stored alike."""
    for gate, up in ((layer.gate, layer.up), (layer.expert_gate, layer.expert_up)):
        if (gate.kind, gate.group, gate.cols, gate.rows) != (up.kind, up.group, up.cols, up.rows):
            raise UnsupportedModelError("gate and up projections stored differently")


def _rotate(shape: Shape, packer: Packer, args: Any, dims: int, interleaved: bool) -> None:
    turning = rotation(dims, args.rope_theta, args.rope_scaling, args.max_position_embeddings)
    if turning is None:
        raise UnsupportedModelError("a rope that follows the length")
    shape.rotated, shape.interleaved = dims, interleaved
    shape.frequencies, shape.rope_factor = packer.vector(turning[0]), turning[1]


def _mlp(layer: Layer, mlp: Any, packer: Packer) -> None:
    layer.gate, layer.up = packer.matrix(mlp.gate_proj), packer.matrix(mlp.up_proj)
    layer.down = packer.matrix(mlp.down_proj)


def _llama(model: Any, packer: Packer) -> tuple[Shape, list[Layer]]:
    args = model.args
    size = args.head_size
    shape = Shape(
        hidden=args.hidden_size, heads=args.num_attention_heads, kv_heads=args.kv_heads,
        key_size=size, value_size=size, out_size=size, scale=size**-0.5,
        eps=args.rms_norm_eps, head_eps=args.rms_norm_eps,
    )  # fmt: skip
    _rotate(shape, packer, args, size, args.rope_traditional)
    return shape, [_llama_layer(module, packer) for module in model.layers]


def _llama_layer(module: Any, packer: Packer) -> Layer:
    layer, attention = Layer(), module.self_attn
    layer.input_norm = packer.norm(module.input_layernorm)
    layer.post_norm = packer.norm(module.post_attention_layernorm)
    for name in "qkvo":
        setattr(layer, name, packer.matrix(attention[f"{name}_proj"]))
    if "q_norm" in attention:
        layer.q_norm, layer.k_norm = packer.norm(attention.q_norm), packer.norm(attention.k_norm)
    _mlp(layer, module.mlp, packer)
    return layer


def _deepseek(model: Any, packer: Packer) -> tuple[Shape, list[Layer]]:
    args, modules = model.args, model.model.layers
    attention = modules[0].self_attn
    shape = Shape(
        hidden=args.hidden_size, heads=args.num_attention_heads, kv_heads=1, latent=1,
        key_size=args.kv_lora_rank, value_size=args.qk_rope_head_dim, nope=args.qk_nope_head_dim,
        out_size=args.v_head_dim, scale=attention.scale, eps=args.rms_norm_eps,
        latent_eps=attention.kv_a_layernorm.eps,
    )  # fmt: skip
    _rotate(shape, packer, args, args.qk_rope_head_dim, args.rope_interleave is not False)
    if args.n_routed_experts:
        shape.experts, shape.top_k = args.n_routed_experts, args.num_experts_per_tok
        if shape.experts > MOST_EXPERTS or shape.top_k > MOST_CHOSEN:
            raise UnsupportedModelError(f"{shape.top_k} of {shape.experts} experts")
        shape.expert_size = args.moe_intermediate_size
        shape.groups, shape.chosen_groups = args.n_group or 1, args.topk_group or 1
        shape.scoring, shape.choice = _SCORING[args.scoring_func], _CHOICE[args.topk_method]
        shape.normalise, shape.routed_factor = args.norm_topk_prob, args.routed_scaling_factor
    return shape, [_deepseek_layer(module, packer) for module in modules]


def _deepseek_layer(module: Any, packer: Packer) -> Layer:
    layer, attention, mlp = Layer(), module.self_attn, module.mlp
    layer.input_norm = packer.norm(module.input_layernorm)
    layer.post_norm = packer.norm(module.post_attention_layernorm)
    if "q_proj" in attention:
        layer.q = packer.matrix(attention.q_proj)
    else:
        layer.q_a, layer.q = packer.matrix(attention.q_a_proj), packer.matrix(attention.q_b_proj)
        layer.q_a_norm = packer.norm(attention.q_a_layernorm)
    layer.kv_a, layer.kv_norm = (
        packer.matrix(attention.kv_a_proj_with_mqa),
        packer.norm(attention.kv_a_layernorm),
    )
    layer.embed, layer.unembed = packer.matrix(attention.embed_q), packer.matrix(attention.unembed_out)
    layer.o = packer.matrix(attention.o_proj)
    if not isinstance(mlp, deepseek_v3.MoE):
        _mlp(layer, mlp, packer)
        return layer
    layer.router = packer.vector(mlp.gate.weight)
    if "e_score_correction_bias" in mlp.gate:
        layer.router_bias = packer.vector(mlp.gate.e_score_correction_bias)
    experts = mlp.switch_mlp
    layer.expert_gate, layer.expert_up = packer.matrix(experts.gate_proj), packer.matrix(experts.up_proj)
    layer.expert_down = packer.matrix(experts.down_proj)
    if "shared_experts" in mlp:
        _mlp(layer, mlp.shared_experts, packer)
    return layer

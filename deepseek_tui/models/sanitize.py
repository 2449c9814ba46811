"""From the published (Hugging Face) layout of tensors to the one that MLX directories and our modules use."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

PARTS = ("weight", "scales", "biases")
"""What a map consists of; the last two only where it is quantized."""


def drop_rotary_buffers(weights: dict[str, Any]) -> dict[str, Any]:
    """A copy without the rotary frequencies that some files carry: they are computed from the config."""
    return {name: array for name, array in weights.items() if "rotary_emb.inv_freq" not in name}


def drop_tied_head(weights: dict[str, Any]) -> None:
    """Removes, in place, the head that some files write although it is the embedding."""
    for part in PARTS:
        weights.pop(f"lm_head.{part}", None)


def stack_experts(weights: dict[str, Any], prefix: str, experts: int) -> None:
    """A layer's experts.0..n-1 become one tensor switch_mlp, in place; where one is missing none is moved."""
    if experts > len(weights):
        return
    for projection in ("gate_proj", "up_proj", "down_proj"):
        for part in PARTS:
            names = [f"{prefix}.experts.{index}.{projection}.{part}" for index in range(experts)]
            if all(name in weights for name in names):
                arrays = [weights.pop(name) for name in names]
                if len({array.shape for array in arrays}) == 1:
                    weights[f"{prefix}.switch_mlp.{projection}.{part}"] = mx.stack(arrays)
                else:
                    weights.update(zip(names, arrays, strict=True))


def split_kv_b(weights: dict[str, Any], prefix: str, heads: int, nope: int) -> None:
    """kv_b_proj [heads * (nope + value), rank] becomes embed_q [heads, rank, nope] and unembed_out
    [heads, value, rank], in place: the half that makes keys, turned round, and the half that makes values."""
    name = f"{prefix}.kv_b_proj.weight"
    array = weights.get(name)
    if array is None or array.ndim != 2 or array.shape[0] % heads:
        return
    del weights[name]
    scales = weights.pop(f"{prefix}.kv_b_proj.scales", None)
    if scales is not None:
        rank = weights[f"{prefix}.kv_a_layernorm.weight"].shape[0]
        array = mx.dequantize(
            array,
            scales,
            weights.pop(f"{prefix}.kv_b_proj.biases", None),
            group_size=rank // scales.shape[-1],
            bits=array.shape[-1] * 32 // rank,
        )
    array = array.reshape(heads, -1, array.shape[-1])
    weights[f"{prefix}.embed_q.weight"] = mx.contiguous(array[:, :nope].swapaxes(-1, -2))
    weights[f"{prefix}.unembed_out.weight"] = mx.contiguous(array[:, nope:])

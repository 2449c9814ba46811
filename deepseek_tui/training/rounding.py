"""Training with the rounding that the finished model will have: quantization in the forward pass.

The gradient goes through as if nothing had been rounded (straight-through, Bengio et al. 2013). The rounding
is that of `mx.quantize` itself, so it cannot differ from what the export does.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from deepseek_tui.checkpoints.recipes import Recipe
from deepseek_tui.training.network import Weights

Plan = dict[str, dict[str, int]]
"""Parameter name -> {"bits", "group_size"}."""

STORED = mx.bfloat16
"""What weights are before they are packed, and what the scales of the groups are."""


def quantizable(model: Any) -> dict[str, int]:
    """Module path -> width of its rows, for every module whose weight can be packed."""
    return {
        path: module.weight.shape[-1]
        for path, module in model.named_modules()
        if hasattr(module, "to_quantized")
    }


def rounding_plan(model: Any, recipe: Recipe) -> Plan:
    """How each weight of `model` will be packed by `recipe`, the same choice as conversion makes."""
    chosen = recipe.choose(quantizable(model), len(model.layers))
    return {
        f"{path}.weight": {"bits": bits, "group_size": recipe.group_size} for path, bits in chosen.items()
    }


def packed(weight: Any, how: dict[str, int]) -> tuple[Any, Any, Any]:
    """(codes, scales, biases) of a weight, as they are stored."""
    codes, scales, biases = mx.quantize(weight.astype(STORED), group_size=how["group_size"], bits=how["bits"])
    return codes, scales, biases


def rounded(weight: Any, how: dict[str, int], dtype: Any) -> Any:
    """What `weight` is after packing and unpacking, computed in `dtype`; its gradient is passed on whole."""

    def forward(weight: Any) -> Any:
        codes, scales, biases = packed(weight, how)
        return mx.dequantize(
            codes,
            scales.astype(dtype),
            biases.astype(dtype),
            group_size=how["group_size"],
            bits=how["bits"],
        )

    def backward(primal: Any, cotangent: Any, _: Any) -> Any:
        return cotangent.astype(primal.dtype)

    function = mx.custom_function(forward)
    function.vjp(backward)
    return function(weight)


def for_compute(weights: Weights, dtype: Any, plan: Plan | None = None) -> Weights:
    """`weights` as the forward pass takes them: in `dtype`, rounded where `plan` says; what routes tokens
    (gate and correction bias) stays in float32."""
    ready: Weights = {}
    for name, weight in weights.items():
        if ".gate." in name and ".mlp." in name:
            ready[name] = weight
        elif plan and name in plan:
            ready[name] = rounded(weight, plan[name], dtype)
        else:
            ready[name] = weight.astype(dtype)
    return ready

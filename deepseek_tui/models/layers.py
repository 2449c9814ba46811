"""Linear maps in stacks: one per attention head, one per expert. Named as MLX directories name them."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn

from deepseek_tui.models.base import on_cpu, swiglu

_SORT_FROM = 64
"""Chosen (token, expert) pairs from which sorting them by expert pays for itself."""

_SPLIT_FROM = 24
"""Tokens per expert from which one matrix product per expert beats gathering on a CPU: 2.3 times as fast at
900 tokens with top-2 of 8, three times slower at 12 tokens per expert of 64."""


class MultiLinear(nn.Module):
    """A separate map for each head: x[B, heads or 1, T, inputs] -> [B, heads, T, outputs], no bias."""

    def __init__(self, inputs: int, outputs: int, heads: int) -> None:
        super().__init__()
        self.weight = mx.random.normal((heads, outputs, inputs)) * inputs**-0.5

    def __call__(self, x: Any, transpose: bool = True) -> Any:
        """`transpose=False` goes the other way: [..., outputs] -> [..., inputs]."""
        return x @ (self.weight.swapaxes(-1, -2) if transpose else self.weight)

    def to_quantized(self, group_size: int, bits: int, mode: str = "affine") -> QuantizedMultiLinear:
        return QuantizedMultiLinear(self.weight, group_size, bits, mode)


class QuantizedMultiLinear(nn.Module):
    """MultiLinear with packed weights."""

    def __init__(self, weight: Any, group_size: int, bits: int, mode: str) -> None:
        super().__init__()
        self.group_size, self.bits, self.mode = group_size, bits, mode
        self.weight, self.scales, *biases = mx.quantize(weight, group_size, bits, mode=mode)
        if biases:
            self.biases = biases[0]
        self.freeze()

    def __call__(self, x: Any, transpose: bool = True) -> Any:
        return mx.quantized_matmul(
            x,
            self.weight,
            scales=self.scales,
            biases=self.get("biases"),
            transpose=transpose,
            group_size=self.group_size,
            bits=self.bits,
            mode=self.mode,
        )


class SwitchLinear(nn.Module):
    """One map per expert, row by row as chosen: x[..., 1, inputs], indices[...] -> [..., 1, outputs]."""

    def __init__(self, inputs: int, outputs: int, experts: int, bias: bool = False) -> None:
        super().__init__()
        self.weight = mx.random.normal((experts, outputs, inputs)) * inputs**-0.5
        if bias:
            self.bias = mx.zeros((experts, outputs))

    def __call__(self, x: Any, indices: Any, is_sorted: bool = False) -> Any:
        y = mx.gather_mm(x, self.weight.swapaxes(-1, -2), rhs_indices=indices, sorted_indices=is_sorted)
        return y + self.bias[indices][..., None, :] if "bias" in self else y

    def one(self, x: Any, expert: int) -> Any:
        """All rows of x[..., inputs] through the same expert."""
        y = x @ self.weight[expert].T
        return y + self.bias[expert] if "bias" in self else y

    def to_quantized(self, group_size: int, bits: int, mode: str = "affine") -> QuantizedSwitchLinear:
        return QuantizedSwitchLinear(self.weight, group_size, bits, mode, self.get("bias"))


class QuantizedSwitchLinear(nn.Module):
    """SwitchLinear with packed weights."""

    def __init__(self, weight: Any, group_size: int, bits: int, mode: str, bias: Any = None) -> None:
        super().__init__()
        self.group_size, self.bits, self.mode = group_size, bits, mode
        self.weight, self.scales, *biases = mx.quantize(weight, group_size, bits, mode=mode)
        if biases:
            self.biases = biases[0]
        if bias is not None:
            self.bias = bias
        self.freeze()

    def __call__(self, x: Any, indices: Any, is_sorted: bool = False) -> Any:
        y = mx.gather_qmm(
            x,
            self.weight,
            self.scales,
            self.get("biases"),
            rhs_indices=indices,
            transpose=True,
            group_size=self.group_size,
            bits=self.bits,
            mode=self.mode,
            sorted_indices=is_sorted,
        )
        return y + self.bias[indices][..., None, :] if "bias" in self else y


class SwitchGLU(nn.Module):
    """The routed experts: each a GatedMLP, all in three stacked tensors.

    x[..., inputs], indices[..., k] -> [..., k, inputs]: the k chosen experts' outputs, not yet weighted.
    """

    def __init__(self, inputs: int, hidden: int, experts: int, bias: bool = False) -> None:
        super().__init__()
        self.gate_proj = SwitchLinear(inputs, hidden, experts, bias)
        self.up_proj = SwitchLinear(inputs, hidden, experts, bias)
        self.down_proj = SwitchLinear(hidden, inputs, experts, bias)

    def __call__(self, x: Any, indices: Any) -> Any:
        indices = mx.stop_gradient(indices)
        if self._one_by_one(indices.size):
            return self._per_expert(x, indices)
        if indices.size < _SORT_FROM:
            return self._gathered(x[..., None, None, :], indices, False).squeeze(-2)
        order, back = _by_expert(indices)
        rows = x.reshape(-1, 1, x.shape[-1])[order // indices.shape[-1]]
        out = self._gathered(rows, indices.flatten()[order], True)
        return out[back].reshape(*indices.shape, -1)

    def _gathered(self, x: Any, indices: Any, is_sorted: bool) -> Any:
        gate = self.gate_proj(x, indices, is_sorted)
        up = self.up_proj(x, indices, is_sorted)
        return self.down_proj(swiglu(gate, up, self.training), indices, is_sorted)

    def _one_by_one(self, chosen: int) -> bool:
        """Whether to multiply expert by expert: it waits for the routing, so only where nothing else runs."""
        if self.training or isinstance(self.gate_proj, QuantizedSwitchLinear) or not on_cpu():
            return False
        weight = self.gate_proj.weight
        # Gathering on a CPU knows no other type than float32.
        return bool(chosen >= _SPLIT_FROM * weight.shape[0]) or weight.dtype != mx.float32

    def _per_expert(self, x: Any, indices: Any) -> Any:
        order, back = _by_expert(indices)
        rows = x.reshape(-1, x.shape[-1])[order // indices.shape[-1]]
        experts = self.gate_proj.weight.shape[0]
        counts = (indices.flatten()[:, None] == mx.arange(experts)).sum(0).tolist()
        outputs, start = [], 0
        for expert, count in enumerate(counts):
            if not count:
                continue
            part = rows[start : start + count]
            start += count
            gate, up = self.gate_proj.one(part, expert), self.up_proj.one(part, expert)
            inner = swiglu(gate, up, self.training)
            outputs.append(self.down_proj.one(inner, expert))
        return mx.concatenate(outputs)[back].reshape(*indices.shape, -1)


def _by_expert(indices: Any) -> tuple[Any, Any]:
    """The order that sorts the chosen pairs by expert, and the order that undoes it."""
    order = mx.argsort(indices.flatten())
    return order, mx.argsort(order)

"""Linear layers of many experts in one array, with biases, and the gated MLP over chosen ones."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn

SORT_FROM = 64
"""Rows (tokens times experts each) from which grouping them by expert pays for the sorting."""


class ExpertLinear(nn.Module):
    """`experts` linear layers of the same shape: weight [E, out, in], bias [E, out] where there is one."""

    def __init__(self, experts: int, dims_in: int, dims_out: int, bias: bool) -> None:
        super().__init__()
        bound = dims_in**-0.5
        self.weight = mx.random.uniform(-bound, bound, (experts, dims_out, dims_in))
        if bias:
            self.bias = mx.zeros((experts, dims_out))

    def __call__(self, x: Any, chosen: Any, grouped: bool) -> Any:
        """x [..., 1, in] and expert numbers [...] (rising when `grouped`) -> [..., 1, out]."""
        y = mx.gather_mm(x, self.weight.swapaxes(-1, -2), rhs_indices=chosen, sorted_indices=grouped)
        return y + self.bias[chosen][..., None, :] if "bias" in self else y

    def to_quantized(
        self, group_size: int | None = None, bits: int | None = None, mode: str = "affine", **_: Any
    ) -> QuantizedExpertLinear:
        """The same layers with packed weights, as `mlx.nn.quantize` asks for them."""
        return QuantizedExpertLinear(self, group_size, bits, mode)


class QuantizedExpertLinear(nn.Module):
    """`ExpertLinear` with packed weights."""

    def __init__(self, plain: ExpertLinear, group_size: int | None, bits: int | None, mode: str) -> None:
        super().__init__()
        self.group_size = group_size or 64
        self.bits = bits or 4
        self.mode = mode
        self.weight, self.scales, *rest = mx.quantize(
            plain.weight, group_size=self.group_size, bits=self.bits, mode=mode
        )
        if rest:
            self.biases = rest[0]
        if "bias" in plain:
            self.bias = plain.bias
        self.freeze()

    def __call__(self, x: Any, chosen: Any, grouped: bool) -> Any:
        """As `ExpertLinear`."""
        y = mx.gather_qmm(
            x,
            self.weight,
            self.scales,
            self.get("biases"),
            rhs_indices=chosen,
            transpose=True,
            group_size=self.group_size,
            bits=self.bits,
            mode=self.mode,
            sorted_indices=grouped,
        )
        return y + self.bias[chosen][..., None, :] if "bias" in self else y


def gather_experts(x: Any, chosen: Any, gate: Any, up: Any, down: Any) -> Any:
    """down(silu(gate(x)) * up(x)) of each row's chosen experts: x [N, D], chosen [N, K] -> [N, K, D].

    Many rows are computed grouped by expert, so that each expert's weights are read once.
    """
    N, K = chosen.shape
    flat = chosen.reshape(-1)
    grouped = N * K >= SORT_FROM
    order = mx.argsort(flat) if grouped else mx.arange(N * K)
    experts = flat[order]
    rows = x[order // K][:, None]
    inner = nn.silu(gate(rows, experts, grouped)) * up(rows, experts, grouped)
    out = down(inner, experts, grouped)[:, 0]
    if grouped:
        out = out[mx.argsort(order)]
    return out.reshape(N, K, -1)

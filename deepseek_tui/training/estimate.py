"""What a run will need, before it begins: parameters, memory, time; and how well it uses the device."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import mlx.core as mx

from deepseek_tui.engine.device import on_gpu
from deepseek_tui.training.config import TrainStage
from deepseek_tui.training.network import parameters
from deepseek_tui.training.objective import Teacher
from deepseek_tui.training.optimizer import is_matrix
from deepseek_tui.training.sources import Source

_PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12, "5090": 210e12}
"""Dense bfloat16 products a second by the makers' data sheets."""
_USED = 0.25
"""Share of the peak that an estimate of time counts on."""


@dataclass(frozen=True)
class Estimate:
    """`active`: parameters that work on a token. Memory in bytes."""

    parameters: int
    trained: int
    active: int
    tokens: int
    flops: float
    state_memory: int
    batch_memory: int
    seconds: float


def active_parameters(model: Any) -> int:
    """Parameters that a token meets in the trunk and the head, a lookup in the embedding not counted."""
    args = model.args
    experts = getattr(args, "n_routed_experts", None) or 0
    share = (getattr(args, "num_experts_per_tok", None) or 0) / experts if experts else 1.0
    last = len(model.layers)
    total = 0.0
    for name, array in parameters(model).items():
        if array.ndim < 2 or name.endswith("embed_tokens.weight"):
            continue
        if name.startswith("model.layers.") and int(name.split(".")[2]) >= last:
            continue
        total += array.size * (share if ".switch_mlp." in name else 1.0)
    if getattr(args, "tie_word_embeddings", False):
        total += args.vocab_size * args.hidden_size
    return int(total)


def forward_flops(model: Any, length: int) -> float:
    """Useful operations of one token's forward pass: two for each active parameter, and attention to half of
    a row of `length`. Experts that are computed and then masked are not counted: they are no use."""
    args = model.args
    size = getattr(args, "qk_nope_head_dim", 0) + getattr(args, "qk_rope_head_dim", 0)
    size = size + args.v_head_dim if size else 2 * args.head_size
    attention = args.num_attention_heads * size * length * len(model.layers)
    return float(2 * active_parameters(model) + attention)


def step_flops(model: Any, stage: TrainStage, sources: list[Source], teacher: Teacher | None) -> float:
    """Useful operations of one step: forward and twice that backward, and the teacher's forward pass."""
    total = 0.0
    for source in sources:
        length = source.data.info.length
        passes = 1.0 if stage.objectives()[source.settings.objective].ahead_only else 3.0
        total += source.tokens * passes * forward_flops(model, length)
        if source.settings.objective == "distil" and teacher is not None:
            total += source.tokens * 2 * sum(a.size for a in teacher.weights.values() if a.ndim > 1)
    return total


def estimate(model: Any, stage: TrainStage, sources: list[Source], dtype: Any) -> Estimate:
    """What a stage will take. Memory of the batch is rough: what layers keep for the backward pass."""
    weights = parameters(model)
    total = sum(array.size for array in weights.values())
    only = any(kind.ahead_only for kind in stage.objectives().values())
    last = len(model.layers)
    trained = {
        name: array
        for name, array in weights.items()
        if not only or (name.startswith("model.layers.") and int(name.split(".")[2]) >= last)
    }
    count = sum(array.size for array in trained.values())
    state = sum(array.size * 4 * (3 if is_matrix(name, array) else 4) for name, array in trained.items())
    tokens = sum(source.tokens for source in sources) * stage.steps
    flops = step_flops(model, stage, sources, None)
    peak = stage.peak_tflops * 1e12 or peak_flops(dtype)
    return Estimate(
        parameters=total,
        trained=count,
        active=active_parameters(model),
        tokens=tokens,
        flops=flops * stage.steps,
        state_memory=state + total * dtype.size,
        batch_memory=max(_batch_memory(model, stage, source, dtype) for source in sources),
        seconds=flops * stage.steps / (peak * _USED),
    )


def _batch_memory(model: Any, stage: TrainStage, source: Source, dtype: Any) -> int:
    args = model.args
    rows = (source.settings.micro or source.settings.rows) * source.data.info.length
    inner = getattr(args, "moe_intermediate_size", None) or args.intermediate_size
    experts = getattr(args, "n_routed_experts", None) or 0
    width = 12 * args.hidden_size + 4 * inner * (experts + (getattr(args, "n_shared_experts", 0) or 0) or 1)
    kept = args.hidden_size if stage.checkpoint else width
    logits = min(stage.chunk, rows) * args.vocab_size * 4 * 4
    return int(rows * kept * dtype.size * len(model.layers) + logits)


def peak_flops(dtype: Any) -> float:
    """Products and sums a second that the device can do: by its data sheet, or measured where unknown."""
    if on_gpu():
        name = str(mx.device_info().get("device_name", ""))
        for part, peak in _PEAKS.items():
            if part in name:
                return peak
    return _measured(dtype)


def _measured(dtype: Any) -> float:
    size = 2048 if on_gpu() else 512
    a = mx.random.normal((size, size)).astype(dtype)
    mx.eval(a @ a)
    best = 0.0
    for _ in range(3):
        started = time.perf_counter()
        mx.eval([a @ a for _ in range(4)])
        best = max(best, 8 * size**3 / (time.perf_counter() - started))
    return best


class Meter:
    """Adds to a record what it means for the run: utilisation (MFU) and time left."""

    def __init__(self, flops: float, peak: float, steps: int) -> None:
        self._flops, self._peak, self._steps = flops, peak, steps

    def completed(self, record: dict[str, Any]) -> dict[str, Any]:
        """The record with `mfu` (share of the device's peak that was useful work) and `seconds_left`."""
        pace = record.get("steps_per_s")
        if not pace:
            return record
        left = (self._steps - record["step"]) / pace
        return {**record, "mfu": self._flops * pace / self._peak, "seconds_left": left}

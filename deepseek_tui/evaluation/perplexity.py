"""Perplexity of a model on texts: per source, and at other precisions than it is stored in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten

from deepseek_tui.engine.template import render
from deepseek_tui.engine.tokenizer import Tokenizer
from deepseek_tui.evaluation.statistics import Interval, bootstrap_mean
from deepseek_tui.evaluation.suite import EvaluationError
from deepseek_tui.training.documents import read_documents

_ROW_TOKENS = 512


def read_rows(
    path: Path, tokenizer: Tokenizer, *, row: int = _ROW_TOKENS, limit: int | None = None
) -> list[list[int]]:
    """The documents of a .jsonl file (`{"text"}` or `{"messages"}`), or a plain text as one, each cut into
    rows of at most `row` ids that overlap by one. `limit`: ids in all. Raises UserError for
    an unusable file."""
    rows: list[list[int]] = []
    total = 0
    for ids in _documents(path, tokenizer):
        for start in range(0, max(len(ids) - 1, 0), row - 1):
            part = ids[start : start + row]
            if limit is not None and total + len(part) > limit:
                part = part[: limit - total]
            if len(part) > 1:
                rows.append(part)
                total += len(part)
        if limit is not None and total >= limit - 1:
            break
    if not rows:
        raise EvaluationError(f"{path} holds no text to measure on.")
    return rows


def _documents(path: Path, tokenizer: Tokenizer) -> Iterable[list[int]]:
    if ".jsonl" not in path.suffixes and path.suffix != ".json":
        try:
            yield tokenizer.encode_prompt(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            raise EvaluationError(f"{path} cannot be read: {reason}.") from error
        return
    for document in read_documents([path]):
        if document.text is not None:
            yield tokenizer.encode_prompt(document.text)
        else:
            yield render(tokenizer, document.messages, add_generation_prompt=False)


def perplexity(model: Any, rows: Sequence[Sequence[int]]) -> Interval:
    """exp of the mean negative log-likelihood of each id given those before it in its row; the interval comes
    from resampling rows."""
    losses, counts = [], []
    for row in rows:
        loss = row_loss(model, row)
        losses.append(loss / (len(row) - 1))
        counts.append(float(len(row) - 1))
    mean = bootstrap_mean(losses, counts)
    return Interval(math.exp(mean.value), math.exp(mean.low), math.exp(mean.high))


def row_loss(model: Any, row: Sequence[int], start: int = 1) -> float:
    """Negative log-likelihood in nats of row[start:], summed."""
    return -row_score(model, row, start)[0]


def row_score(model: Any, row: Sequence[int], start: int) -> tuple[float, bool]:
    """Log-likelihood in nats of row[start:], and whether each id of it was the most likely one."""
    ids = mx.array([list(row)])
    logits = model(ids[:, :-1]).astype(mx.float32)[0, start - 1 :]
    wanted = ids[0, start:]
    picked = mx.take_along_axis(logits, wanted[:, None], axis=-1)[:, 0]
    likelihood: Any = (picked - mx.logsumexp(logits, axis=-1)).sum()
    agree: Any = mx.argmax(logits, axis=-1) == wanted
    return float(likelihood.item()), bool(agree.all().item())


def round_weights(model: Any, bits: int, group_size: int = 64) -> int:
    """Rounds, in place, every weight that quantization would pack; `bits` 16: bfloat16.

    Returns how many weights were left alone because their width fits no group.
    """
    left = 0
    for _, module in model.named_modules():
        if not hasattr(module, "to_quantized") or "scales" in module:
            continue
        weight = module.weight
        if bits == 16:
            module.weight = weight.astype(mx.bfloat16).astype(weight.dtype)
        elif weight.shape[-1] % group_size:
            left += 1
        else:
            packed, scales, biases = mx.quantize(weight.astype(mx.bfloat16), group_size, bits)
            module.weight = mx.dequantize(packed, scales, biases, group_size, bits).astype(weight.dtype)
    mx.eval([array for _, array in tree_flatten(model.parameters())])
    return left

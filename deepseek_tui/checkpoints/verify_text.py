"""What a conversion costs on a text: the perplexity of the model before and after."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from deepseek_tui.checkpoints.info import describe
from deepseek_tui.checkpoints.load import load_model
from deepseek_tui.checkpoints.original import load_original

TEXT = """\
A lighthouse keeper writes down the weather every evening. Most of the pages say little: wind from the west,
light rain, two ships passed. Yet when the harbour was rebuilt, the engineers asked for those pages first,
because a hundred years of small facts told them more about the sea than any single storm could.

To make bread, mix five hundred grams of flour with three hundred and fifty grams of water, a little salt and
a spoon of yeast. Let the dough rest until it has doubled, fold it twice, and bake it for forty minutes in a
hot oven. If the crust is pale, leave it for five minutes more. If it sounds hollow when you knock on it, it
is done.

"Why does the moon follow us?" the child asked. "It does not," said her father. "It is so far away that our
walking makes no difference to where we see it. The trees are near, so they seem to run past; the moon is
far, so it seems to come along." She thought about this for a while. "Then it would follow everybody," she
said, "at the same time." He laughed, and said that this was exactly right.

A program that sorts a list compares two items, swaps them when they are in the wrong order, and goes on to
the next pair. After one pass the largest item is at the end. After as many passes as there are items the list
is in order. There are faster ways, but none is easier to explain.
"""
"""Plain prose of several kinds, written for this measurement."""

WINDOW = 256
_RANDOM_IDS = 512
_MEMORY_SHARE = 0.6


def perplexity(model: Any, ids: list[int]) -> float:
    """exp of the mean negative log-likelihood of every id but the first of each window of ids."""
    window = min(WINDOW, model.context_length)
    loss, count = 0.0, 0
    for start in range(0, len(ids), window):
        piece = mx.array([ids[start : start + window]])
        if piece.shape[1] < 2:
            continue
        logits = model(piece[:, :-1]).astype(mx.float32)
        losses: Any = nn.losses.cross_entropy(logits, piece[:, 1:], reduction="sum")
        loss += float(losses.item())
        count += piece.shape[1] - 1
    mean = loss / max(count, 1)
    return math.exp(mean) if mean < 700 else math.inf


def compare(
    source: Path,
    converted: Path,
    encode: Callable[[str], list[int]] | None,
    text: str | None = None,
    *,
    n_experts_per_token: int | None = None,
) -> dict[str, Any]:
    """The perplexity of both models on `text` (None: `TEXT`), one loaded after the other.

    Without a tokenizer (`encode`) on ids drawn by chance. Keys: text, tokens, before, after, change (after /
    before - 1); instead of figures `skipped` says why there are none. Raises `CheckpointError`.
    """
    facts = describe(converted)
    needed = facts.parameters * 4
    if needed > _MEMORY_SHARE * _memory():
        return {
            "skipped": f"unpacked the model takes {needed / 1e9:.1f} GB, more than this machine has to spare"
        }
    if encode is not None:
        what = "given" if text is not None else "built-in"
        ids = encode(TEXT if text is None else text)
    else:
        what = "random ids"
        mx.random.seed(0)
        drawn: Any = mx.random.randint(0, facts.vocabulary or 2, (_RANDOM_IDS,))
        ids = drawn.tolist()
    before = perplexity(_load(source, n_experts_per_token), ids)
    mx.clear_cache()
    after = perplexity(load_model(converted).model, ids)
    change = after / before - 1
    return {"text": what, "tokens": len(ids), "before": before, "after": after, "change": change}


def _load(source: Path, n_experts_per_token: int | None) -> Any:
    if n_experts_per_token is not None:
        return load_original(source, n_experts_per_token=n_experts_per_token).model
    return load_model(source).model


def _memory() -> int:
    """Bytes of memory in this machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

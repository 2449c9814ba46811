"""Upcycling from one model directory to another: loading, calibration text, writing."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx

from deepseek_tui.checkpoints.build import is_always_float32
from deepseek_tui.checkpoints.load import load_model
from deepseek_tui.checkpoints.save import save_model_dir
from deepseek_tui.engine.tokenizer import Tokenizer, load_tokenizer
from deepseek_tui.training.calibration import pack, read_text, sample_chats
from deepseek_tui.training.errors import TrainingError
from deepseek_tui.training.upcycle import Plan, Report, check_source, upcycle
from deepseek_tui.training.upcycle_measure import Distance

_PAPERS = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "generation_config.json",
)
_TOKEN_KEYS = ("bos_token_id", "eos_token_id", "pad_token_id")


@dataclass(frozen=True)
class Calibration:
    """`file`: the text (None: the source writes its own); `tokens` of it in rows of `row`."""

    file: Path | None = None
    tokens: int = 8192
    row: int = 256


@dataclass(frozen=True)
class Done:
    """What was written: see `upcycle.Upcycled`."""

    layers: list[int]
    distances: dict[str, Distance]
    parameters: int


def upcycle_directory(
    source: Path,
    out: Path,
    plan: Plan,
    calibration: Calibration,
    *,
    dtype: str = "bfloat16",
    report: Report = lambda _: None,
) -> Done:
    """Writes the upcycled copy of the directory `source` as `out`, tokenizer and template with it.

    Raises TrainingError for a source or a plan that will not do, CheckpointError where files cannot be read
    or written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise TrainingError(f"{out} exists already.", "Choose another name or remove it first.")
    loaded = load_model(source, quantized=False)
    check_source(loaded.model, plan)
    tokenizer = load_tokenizer(source)
    if tokenizer is None:
        raise TrainingError(f"{source} has no tokenizer.json, so no text can be given to it.")
    tokens = _text(loaded.model, tokenizer, calibration, plan.seed, report)
    made = upcycle(loaded.model, tokens, plan, report)
    kind = getattr(mx, dtype)
    weights = {
        name: array if is_always_float32(name) else array.astype(kind) for name, array in made.weights.items()
    }
    config = {**made.config, "torch_dtype": dtype}
    config.update({key: loaded.config[key] for key in _TOKEN_KEYS if key in loaded.config})
    parameters = sum(int(array.size) for array in weights.values())
    if config["tie_word_embeddings"]:
        # mlx-lm knows this architecture with a head of its own only.
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    files = [source / name for name in _PAPERS if (source / name).is_file()]
    save_model_dir(out, weights, config, files=files)
    return Done(made.layers, made.distances, parameters)


def _text(model: Any, tokenizer: Tokenizer, wanted: Calibration, seed: int, report: Report) -> Any:
    rows = max(wanted.tokens // wanted.row, 1)
    if wanted.file is not None:
        return pack(read_text(wanted.file, tokenizer), wanted.row, rows)
    from deepseek_tui.training.skills.firsts import first_messages

    report(f"The source writes {rows} chats of {wanted.row} tokens to be measured on")
    count = rows * 3 // 2  # some replies end early
    firsts = first_messages(count, random.Random(f"calibration-{seed}"))
    chats = sample_chats(
        model,
        tokenizer,
        firsts,
        length=wanted.row,
        seed=seed,
        on_progress=lambda done: report(f"{done} of {count} chats"),
    )
    return pack(chats, wanted.row, rows)

"""Tiny models and data for the tests of training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from deepseek_tui.training.build import new_model
from deepseek_tui.training.rows import Rows, RowsWriter

CONFIG: dict[str, Any] = {
    "model_type": "deepseek_v3",
    "vocab_size": 40,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_nextn_predict_layers": 1,
    "num_attention_heads": 2,
    "n_shared_experts": 1,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "kv_lora_rank": 32,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 16,
    "first_k_dense_replace": 1,
    "max_position_embeddings": 64,
    "tie_word_embeddings": True,
}

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 40,
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 64,
    "tie_word_embeddings": True,
}


def model(seed: int = 1, **changes: Any) -> Any:
    """A deepseek_v3 model of some ten thousand random weights."""
    return new_model({**CONFIG, **changes}, seed)


def teacher(seed: int = 2) -> Any:
    """A Llama with the same vocabulary, its weights large enough to have opinions."""
    made = new_model(LLAMA, seed)
    made.update({"model": {"embed_tokens": {"weight": made.model.embed_tokens.weight * 20}}})
    return made


def tokens(rows: int, length: int, seed: int = 0) -> Any:
    """Random ids [rows, length]."""
    return mx.random.randint(0, CONFIG["vocab_size"], (rows, length), key=mx.random.key(seed))


def write_rows(folder: Path, count: int = 24, length: int = 16, seed: int = 0) -> Rows:
    """Prepared rows that can be learned: each counts upwards from a random id."""
    random = np.random.Generator(np.random.PCG64(seed))
    writer = RowsWriter(folder, length, CONFIG["vocab_size"], "tiny", segments=False)
    start = random.integers(0, CONFIG["vocab_size"], (count, 1))
    ids = (start + np.arange(length)) % CONFIG["vocab_size"]
    writer.add(ids, np.ones(ids.shape, np.float32), None, documents=count)
    writer.close()
    return Rows(folder)


def write_lines(path: Path, bodies: list[Any]) -> Path:
    """A JSONL file."""
    path.write_text("".join(json.dumps(body) + "\n" for body in bodies), encoding="utf-8")
    return path

"""Qwen3, dense: Llama's layers with a norm on every query and key head.

Numbers agree with transformers' Qwen3ForCausalLM ("Qwen3 Technical Report", arXiv 2505.09388).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import mlx.nn as nn

from deepseek_tui.models import llama


@dataclass
class ModelArgs(llama.ModelArgs):
    """The keys of config.json that shape the model, under their names there."""

    model_type: str = "qwen3"
    head_dim: int | None = 128
    max_position_embeddings: int = 32768

    @classmethod
    def adapt(cls, config: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
        config = super().adapt(config, names)
        # Published files name a window and switch it off beside it.
        if not config.get("use_sliding_window"):
            config["sliding_window"] = None
        return config


class Attention(llama.Attention):
    """Grouped-query attention with normalised queries and keys."""

    def __init__(self, args: llama.ModelArgs) -> None:
        super().__init__(args)
        self.q_norm = nn.RMSNorm(args.head_size, eps=args.rms_norm_eps)
        self.k_norm = nn.RMSNorm(args.head_size, eps=args.rms_norm_eps)

    def prepare_queries(self, q: Any) -> Any:
        return self.q_norm(q)

    def prepare_keys(self, k: Any) -> Any:
        return self.k_norm(k)


class Layer(llama.Layer):
    attention = Attention


class Model(llama.Model):
    """A Qwen3 language model: model(tokens[B, T], cache) -> logits[B, T, vocab]."""

    layer = Layer

"""Tiny random models, packed, and their two ways of being computed."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx.utils import tree_map

from deepseek_tui.models.registry import model_class
from deepseek_tui.native.build import library
from deepseek_tui.native.model import NativeModel, with_floats
from tests.models.support import randomise

needs_library = pytest.mark.skipif(library() is None, reason="no C compiler here")


def packed_model(
    config: dict[str, Any], group: int = 32, bits: int = 4, dtype: Any = mx.float32, seed: int = 0
) -> Any:
    """A random model; weights whose rows are whole groups are packed, the rest is of type `dtype`."""
    model_type, args_type = model_class(config)
    model = model_type(args_type.from_dict(config))
    randomise(model, seed)
    if bits < 16:
        nn.quantize(model, group, bits, class_predicate=lambda _, m: _fits(m, group))
    model.update(tree_map(lambda a: a.astype(dtype) if a.dtype == mx.float32 else a, model.parameters()))
    model.eval()
    mx.eval(model.parameters())
    return model


def _fits(module: Any, group: int) -> bool:
    return hasattr(module, "to_quantized") and module.weight.shape[-1] % group == 0


def both(model: Any, threads: int = 2) -> tuple[NativeModel, Any]:
    """A packed model by the compiled library, and by MLX with float32 weights."""
    return NativeModel(model, library(), threads), with_floats(model)


def tokens_for(model: Any, count: int, seed: int = 0) -> Any:
    mx.random.seed(seed)
    return mx.random.randint(0, model.args.vocab_size, (1, count))

"""deepseek-tui: a full-screen terminal chat that runs language models on your own machine with Apple MLX.

The same engine for programs:

    import deepseek_tui
    model, tokenizer = deepseek_tui.load("path/to/model")
    for response in deepseek_tui.stream_generate(model, tokenizer, "Once upon a time", max_tokens=64):
        print(response.text, end="", flush=True)

Importing this package loads neither MLX nor the screen; the functions below do when they are called.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepseek_tui.engine.generate import GenerationResponse
    from deepseek_tui.engine.tokenizer import Tokenizer

__version__ = "0.1.0"
__all__ = ["__version__", "generate", "load", "stream_generate"]


def load(
    path: str | Path, adapter_path: str | Path | None = None, lazy: bool = False
) -> tuple[Any, Tokenizer | None]:
    """Loads a model and its tokenizer.

    `path`: a model directory, a GGUF file, or the directory of an original checkpoint. `adapter_path`: LoRA
    weights to put over it. `lazy`: leave weights on disk until they are used. The model maps tokens [B, T] to
    logits [B, T, V]; `model.make_cache()` gives what `cache=` takes. The tokenizer is None where the path
    brings none. Raises UserError for what cannot be loaded.
    """
    from deepseek_tui.engine.blas import prefer_fast_blas

    prefer_fast_blas()
    from deepseek_tui.checkpoints.load import load_model
    from deepseek_tui.engine.tokenizer import load_tokenizer

    loaded = load_model(path, adapter_path=adapter_path, lazy=lazy)
    return loaded.model, load_tokenizer(loaded.path)


def stream_generate(
    model: Any, tokenizer: Tokenizer | None, prompt: Any, max_tokens: int = 256, **options: Any
) -> Iterator[GenerationResponse]:
    """Yields the reply to `prompt` (text or token ids) token by token.

    Options and fields are those of `deepseek_tui.engine.generate.stream_generate`.
    """
    from deepseek_tui.engine.blas import prefer_fast_blas

    prefer_fast_blas()
    from deepseek_tui.engine.generate import stream_generate as stream

    return stream(model, tokenizer, prompt, max_tokens, **options)


def generate(
    model: Any, tokenizer: Tokenizer | None, prompt: Any, verbose: bool = False, **options: Any
) -> str:
    """The whole reply to `prompt` as text; with `verbose` it is printed as it comes, figures after it."""
    from deepseek_tui.engine.blas import prefer_fast_blas

    prefer_fast_blas()
    from deepseek_tui.engine.generate import generate as whole

    return whole(model, tokenizer, prompt, verbose, **options)

"""One measurement in a process of its own: `python -m deepseek_tui.bench.worker ENGINE MODEL PROMPT REPLY`.

ENGINE is ours, mlx_lm or llama_cpp. The prompt is PROMPT token ids of running text, repeated as needed,
and REPLY tokens are decoded greedily whatever they are, so every engine does the same work. Prints JSON:
load_seconds (imports not counted), first_seconds (prompt in, first token out), prompt_tps, decode_tps,
peak_bytes (resident, the whole process).
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

TEXT = (
    "The lighthouse stood at the end of a long spit of rock. Every evening at six the keeper climbed its 214 "
    "steps, trimmed the lamp and wrote down the weather. In winter the waves reached the second window; in "
    "summer boats came close enough to talk to. He knew their names, their captains and what they carried. "
)


def main() -> int:
    engine, model, prompt, reply = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    load_seconds, tokens = ENGINES[engine](model, prompt)
    begun = time.perf_counter()
    next(tokens)
    first = time.perf_counter()
    for _ in range(reply - 1):
        next(tokens)
    ended = time.perf_counter()
    scale = 1 if sys.platform == "darwin" else 1024
    result = {
        "load_seconds": load_seconds,
        "first_seconds": first - begun,
        "prompt_tps": prompt / (first - begun),
        "decode_tps": (reply - 1) / (ended - first),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale,
    }
    print(json.dumps(result))
    return 0


def _prompt(encode: Callable[[str], list[int]], length: int) -> list[int]:
    ids = encode(TEXT)
    return (ids * (length // len(ids) + 1))[:length]


def _ours(path: str, length: int) -> tuple[float, Iterator[Any]]:
    import deepseek_tui
    from deepseek_tui.engine.blas import prefer_fast_blas

    prefer_fast_blas()
    import deepseek_tui.checkpoints.load
    import deepseek_tui.engine.generate
    import deepseek_tui.engine.tokenizer  # imports are not to be in the figure

    started = time.perf_counter()
    model, tokenizer = deepseek_tui.load(path)
    seconds = time.perf_counter() - started
    assert tokenizer is not None, f"{path} has no tokenizer"
    ids = _prompt(tokenizer.encode, length)
    # Without a tokenizer no token ends the reply.
    return seconds, deepseek_tui.stream_generate(model, None, ids, max_tokens=1 << 20)


def _mlx_lm(path: str, length: int) -> tuple[float, Iterator[Any]]:
    import mlx.core as mx
    from mlx_lm import load
    from mlx_lm.generate import generate_step

    started = time.perf_counter()
    model, tokenizer = load(path)[:2]
    if mx.default_device() == mx.Device(mx.cpu):
        # Its faster mode there: bfloat16 activations, as it loads, are several times slower.
        model.set_dtype(mx.float32)
        mx.eval(model.parameters())
    seconds = time.perf_counter() - started
    ids = _prompt(lambda text: tokenizer.encode(text, add_special_tokens=False), length)
    return seconds, generate_step(mx.array(ids), model, max_tokens=1 << 20)


def _llama_cpp(path: str, length: int) -> tuple[float, Iterator[Any]]:
    from llama_cpp import Llama

    started = time.perf_counter()
    model = Llama(path, n_ctx=length + 1024, n_threads=2, n_threads_batch=2, n_batch=512, verbose=False)
    seconds = time.perf_counter() - started
    ids = _prompt(lambda text: model.tokenize(text.encode(), add_bos=False), length)
    return seconds, model.generate(ids, temp=0.0, repeat_penalty=1.0)


ENGINES: dict[str, Any] = {"ours": _ours, "mlx_lm": _mlx_lm, "llama_cpp": _llama_cpp}

if __name__ == "__main__":
    sys.path[:] = [p for p in sys.path if p != str(Path(__file__).parent)]
    raise SystemExit(main())

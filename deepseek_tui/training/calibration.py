"""Text for a model to be measured on: its own, sampled with a kept seed, or a file's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx

from deepseek_tui.engine.protocol import ChatMessage
from deepseek_tui.engine.sampling import make_sampler
from deepseek_tui.engine.template import render
from deepseek_tui.engine.tokenizer import Tokenizer
from deepseek_tui.evaluation.decode import decode_rows
from deepseek_tui.training.documents import parse_line
from deepseek_tui.training.errors import TrainingError

TEMPERATURE = 0.8
MIN_P = 0.05


def sample_chats(
    model: Any,
    tokenizer: Tokenizer,
    first_messages: Sequence[str],
    *,
    length: int,
    seed: int,
    rows: int = 32,
    on_progress: Callable[[int], None] = lambda _: None,
) -> list[list[int]]:
    """What `model` says to each first message, chat template included, `length` ids a chat at most.

    A reply that ends early is followed by the start of a next turn where the template has one.
    """
    if tokenizer.chat_template is not None:
        prompts = [render(tokenizer, [ChatMessage("user", text)]) for text in first_messages]
    else:
        prompts = [tokenizer.encode_prompt(text) for text in first_messages]
    prompts = [prompt[: length - 1] for prompt in prompts]
    sampler = make_sampler(temp=TEMPERATURE, min_p=MIN_P, seed=seed)
    replies = decode_rows(
        model,
        prompts,
        max_tokens=length,
        ends=tokenizer.eos_token_ids,
        choose=sampler,
        rows=rows,
        on_progress=on_progress,
    )
    return [(prompt + reply)[:length] for prompt, reply in zip(prompts, replies, strict=True)]


def read_text(path: Path, tokenizer: Tokenizer) -> list[list[int]]:
    """The documents of a .jsonl file (`{"text"}` or `{"messages"}`) or one of plain text, as ids.

    Raises TrainingError for a file that cannot be read, names the line that is wrong.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise TrainingError(f"{path} cannot be read: {reason}.") from error
    if path.suffix != ".jsonl":
        return [tokenizer.encode(content)]
    found = []
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        document = parse_line(line, f"{path}:{number}")
        if document.text is not None:
            found.append(tokenizer.encode(document.text))
        else:
            found.append(render(tokenizer, document.messages, add_generation_prompt=False))
    return found


def pack(documents: Iterable[Sequence[int]], length: int, rows: int) -> Any:
    """The documents one after another, cut into rows [at most `rows`, length]. Raises TrainingError for too
    little text."""
    stream: list[int] = []
    for document in documents:
        stream.extend(document)
        if len(stream) >= length * rows:
            break
    count = min(len(stream) // length, rows)
    if count < 2:
        raise TrainingError(
            f"The calibration text has {len(stream)} tokens; {2 * length} are the least that can be used.",
            "Give a longer text.",
        )
    return mx.array(stream[: count * length]).reshape(count, length)

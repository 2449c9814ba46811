"""How often replies run in circles, by sampling setting: `python -m deepseek_tui.bench.loops [MODEL]`.

Every prompt is answered under every setting at once, one row of a batch each, since the rows share it.
A reply loops when some 8 tokens come three times or more. Facts have known answers: a setting that stops
loops by making answers wrong shows there.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepseek_tui.bench.prompts import FACTS, FREE, LISTS, TALK
from deepseek_tui.engine.blas import prefer_fast_blas

if TYPE_CHECKING:
    from deepseek_tui.engine.tokenizer import Tokenizer

GRAM, TIMES = 8, 3


@dataclass
class Setting:
    """One way of sampling and what came of it."""

    temp: float = 0.0
    top_p: float = 0.9
    min_p: float = 0.0
    penalty: float = 1.0
    window: int = 64
    replies: list[list[int]] = field(default_factory=list)
    ended: int = 0
    looped: int = 0
    asked: int = 0
    right: int = 0

    def __str__(self) -> str:
        how = "greedy" if self.temp == 0 else f"temp {self.temp} top_p {self.top_p}"
        how += f" min_p {self.min_p}" if self.min_p else ""
        return how + (f" penalty {self.penalty} over {self.window}" if self.penalty != 1 else "")


SETTINGS = (
    *(Setting(penalty=p) for p in (1.0, 1.05, 1.1, 1.2)),
    Setting(penalty=1.1, window=256),
    *(Setting(t, penalty=p) for t in (0.3, 0.5, 0.7) for p in (1.0, 1.1)),
    Setting(0.3, penalty=1.05),
    Setting(0.5, penalty=1.2),
    Setting(0.7, top_p=1.0, min_p=0.1, penalty=1.1),
)


def loops(ids: Sequence[int]) -> bool:
    """Whether some `GRAM` ids in a row come `TIMES` times or more."""
    grams = Counter(tuple(ids[i : i + GRAM]) for i in range(len(ids) - GRAM + 1))
    return max(grams.values(), default=0) >= TIMES


def answer_all(
    model: Any, tokenizer: Tokenizer, prompt: str, settings: Sequence[Setting], limit: int, seed: int
) -> list[list[int]]:
    """One reply per setting, its end-of-turn id included where it came within `limit` tokens.

    A reply is cut short where it is known to loop.
    """
    import mlx.core as mx

    from deepseek_tui.engine.protocol import ChatMessage
    from deepseek_tui.engine.sampling import make_logits_processors, make_sampler
    from deepseek_tui.engine.template import render

    ids = render(tokenizer, [ChatMessage("user", prompt)])
    samplers = [make_sampler(s.temp, s.top_p, s.min_p, seed=seed) for s in settings]
    processors = [
        make_logits_processors(repetition_penalty=s.penalty, repetition_context_size=s.window)
        for s in settings
    ]
    replies: list[list[int]] = [[] for _ in settings]
    rows = list(range(len(settings)))
    cache = model.make_cache()
    logits = model(mx.array([ids] * len(rows)), cache=cache)[:, -1]
    for _ in range(limit):
        chosen = []
        for place, row in enumerate(rows):
            own = logits[place : place + 1]
            for process in processors[row]:
                own = process(mx.array(ids + replies[row]), own)
            chosen.append(samplers[row](own))
        new: Any = mx.concatenate(chosen).tolist()
        for row, token in zip(rows, new, strict=True):
            replies[row].append(token)
        # A reply that has begun to loop has told what is asked of it.
        kept = [
            i
            for i, (row, token) in enumerate(zip(rows, new, strict=True))
            if token not in tokenizer.eos_token_ids and not loops(replies[row])
        ]
        if not kept:
            break
        if len(kept) < len(rows):
            rows = [rows[i] for i in kept]
            for layer in cache:
                layer.state = tuple(array[mx.array(kept)] for array in layer.state)
        logits = model(mx.array([[new[i]] for i in kept]), cache=cache)[:, -1]
        mx.eval(logits)
    return replies


def measure(model: Any, tokenizer: Tokenizer, settings: Sequence[Setting], limit: int, seed: int) -> None:
    """Runs every prompt and counts, in the settings themselves."""
    questions: list[tuple[str, str | None]] = [(prompt, None) for prompt in (*FREE, *LISTS, *TALK)]
    questions += FACTS
    # Mixed, so that the table on the way there means something.
    random.Random(0).shuffle(questions)
    began = time.monotonic()
    for number, (prompt, answer) in enumerate(questions):
        replies = answer_all(model, tokenizer, prompt, settings, limit, seed + number)
        for setting, reply in zip(settings, replies, strict=True):
            setting.replies.append(reply)
            setting.ended += reply[-1] in tokenizer.eos_token_ids
            setting.looped += loops(reply)
            setting.asked += answer is not None
            if answer:
                text = tokenizer.decode(reply).lower()
                setting.right += bool(re.search(rf"\b(?:{answer})\b", text))
        seconds = time.monotonic() - began
        print(f"{number + 1}/{len(questions)} prompts, {seconds:.0f} s", file=sys.stderr, flush=True)
        if (number + 1) % 10 == 0:
            print(table(settings), file=sys.stderr, flush=True)


def table(settings: Sequence[Setting]) -> str:
    """One line per setting, the fewest loops first."""
    count, facts = len(settings[0].replies), settings[0].asked
    lines = [f"{'setting':<42} looped  ended  right  tokens   ({count} replies, {facts} facts)"]
    for s in sorted(settings, key=lambda s: (s.looped, -s.right, -s.ended)):
        mean = sum(map(len, s.replies)) / count
        lines.append(f"{s!s:<42} {s.looped:>6} {s.ended:>6} {s.right:>6} {mean:>7.0f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deepseek_tui.bench.loops", description=__doc__)
    parser.add_argument("model", nargs="?", help="a model directory; the built-in model if left out")
    parser.add_argument("--max-tokens", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    prefer_fast_blas()
    import deepseek_tui
    from deepseek_tui.paths import builtin_model

    path = Path(args.model) if args.model else builtin_model()
    model, tokenizer = deepseek_tui.load(path) if path else (None, None)
    if model is None or tokenizer is None:
        sys.exit("There is no built-in model here: give the directory of one with a tokenizer.")
    measure(model, tokenizer, SETTINGS, args.max_tokens, args.seed)
    print(table(SETTINGS))


if __name__ == "__main__":
    main()

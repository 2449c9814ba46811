"""Everything that was asked to be measured of one or two models, as plain data and as a table."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from deepseek_tui.checkpoints.build import LoadedModel
from deepseek_tui.checkpoints.load import load_model
from deepseek_tui.engine.session import Session
from deepseek_tui.engine.tokenizer import Tokenizer, load_tokenizer
from deepseek_tui.evaluation.choices import Question, score
from deepseek_tui.evaluation.perplexity import perplexity, read_rows, round_weights
from deepseek_tui.evaluation.statistics import compare, wilson
from deepseek_tui.evaluation.suite import (
    Chat,
    EvaluationError,
    Outcome,
    greedy_answers,
    run_suite,
    sampled_answers,
)
from deepseek_tui.models.base import on_cpu

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Wishes:
    """What to measure. `mode`: "greedy" or "sampled" for the chats; `precisions`: bits to round to before the
    perplexity (16: bfloat16), the stored weights always come first."""

    chats: Sequence[Chat] = ()
    mode: str = "greedy"
    seed: int = 0
    rows: int = 32
    texts: Sequence[Path] = ()
    text_tokens: int = 20_000
    precisions: Sequence[int] = ()
    questions: dict[str, list[Question]] = field(default_factory=dict)


@dataclass
class Measured:
    """What came out for one model. `passed`: by suite or question file, item by item, for comparisons."""

    model: str
    outcomes: list[Outcome] = field(default_factory=list)
    perplexities: list[dict[str, Any]] = field(default_factory=list)
    passed: dict[str, list[bool]] = field(default_factory=dict)


def load_plain(path: Path) -> LoadedModel:
    """The model as MLX computes it: on a CPU with its weights unpacked, so that many rows go at once."""
    return load_model(path, quantized=False if on_cpu() else None)


def measure(path: Path, wishes: Wishes, progress: Progress = lambda _: None) -> Measured:
    """Loads the model at `path` and measures it. Raises UserError for a model or file that will not do."""
    tokenizer = load_tokenizer(path)
    if tokenizer is None:
        raise EvaluationError(f"{path} has no tokenizer.json, so text cannot be given to it.")
    loaded = load_plain(path)
    found = Measured(str(path))
    name = path.name
    if wishes.chats:
        _chats(
            found,
            loaded,
            tokenizer,
            path,
            wishes,
            lambda done, all_: progress(f"{name}: {done} of {all_} replies"),
        )
    for file, questions in wishes.questions.items():
        scored = score(
            loaded.model,
            tokenizer,
            questions,
            lambda done, all_: progress(f"{name}: {done} of {all_} questions"),
        )
        found.passed[f"{file}, by sum"] = [item.by_sum for item in scored]
        found.passed[f"{file}, by byte"] = [item.by_byte for item in scored]
    if wishes.texts:
        found.perplexities = _perplexities(loaded, tokenizer, path, wishes, progress)
    return found


def _chats(
    found: Measured,
    loaded: LoadedModel,
    tokenizer: Tokenizer,
    path: Path,
    wishes: Wishes,
    progress: Callable[[int, int], None],
) -> None:
    if tokenizer.chat_template is None:
        raise EvaluationError(f"{path} has no chat template, so it cannot hold a conversation.")
    if wishes.mode == "sampled":
        answer = sampled_answers(Session(loaded, tokenizer, path), seed=wishes.seed)
    else:
        answer = greedy_answers(loaded.model, tokenizer, rows=wishes.rows)
    found.outcomes = run_suite(answer, wishes.chats, progress)
    found.passed["chats"] = [outcome.passed for outcome in found.outcomes]


def _perplexities(
    loaded: Any, tokenizer: Tokenizer, path: Path, wishes: Wishes, progress: Progress
) -> list[dict[str, Any]]:
    sources = {str(file): read_rows(file, tokenizer, limit=wishes.text_tokens) for file in wishes.texts}
    found = []
    for bits in (None, *wishes.precisions):
        # Rounding changes the weights: each precision starts from the stored ones.
        model = loaded.model if bits is None else load_model(path, quantized=False).model
        left = 0 if bits is None else round_weights(model, bits)
        label = f"as stored ({loaded.precision})" if bits is None else _precision(bits)
        for source, rows in sources.items():
            progress(f"{path.name}: perplexity of {Path(source).name}, {label}")
            figure = asdict(perplexity(model, rows))
            figure |= {"source": source, "precision": label, "tokens": sum(len(row) - 1 for row in rows)}
            found.append(figure | {"left_plain": left})
    return found


def _precision(bits: int) -> str:
    return "bfloat16" if bits == 16 else f"{bits}-bit"


def as_data(found: Measured) -> dict[str, Any]:
    """As JSON takes it."""
    data: dict[str, Any] = {"model": found.model}
    if found.outcomes:
        data["chats"] = _chats_data(found.outcomes)
    data["choices"] = {
        name: asdict(wilson(sum(items), len(items))) | {"items": len(items)}
        for name, items in found.passed.items()
        if name != "chats"
    }
    data["perplexity"] = copy.deepcopy(found.perplexities)
    return {key: value for key, value in data.items() if value}


def _chats_data(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    replies = [reply for outcome in outcomes for reply in outcome.replies]
    kinds: dict[str, list[bool]] = {}
    for outcome in outcomes:
        kinds.setdefault(outcome.chat.kind, []).append(outcome.passed)
    return {
        "passed": sum(outcome.passed for outcome in outcomes),
        "chats": len(outcomes),
        "score": asdict(wilson(sum(o.passed for o in outcomes), len(outcomes))),
        "kinds": {kind: {"passed": sum(items), "chats": len(items)} for kind, items in kinds.items()},
        "ended": asdict(wilson(sum(reply.ended for reply in replies), len(replies))),
        "looped": asdict(wilson(sum(reply.looped for reply in replies), len(replies))),
        "replies": [_outcome_data(outcome) for outcome in outcomes],
    }


def _outcome_data(outcome: Outcome) -> dict[str, Any]:
    turns = [
        {
            "user": user,
            "reply": reply.text,
            "right": reply.right,
            "ended": reply.ended,
            "looped": reply.looped,
        }
        for (user, _), reply in zip(outcome.chat.turns, outcome.replies, strict=True)
    ]
    return {"id": outcome.chat.id, "passed": outcome.passed, "turns": turns}


def compared(first: Measured, second: Measured) -> dict[str, Any]:
    """Paired comparisons (first minus second) of everything both passed or failed item by item."""
    return {
        name: asdict(compare(items, second.passed[name]))
        for name, items in first.passed.items()
        if name in second.passed
    }


def as_text(data: dict[str, Any]) -> str:
    """A report for people, of what `as_data` gave."""
    lines = [data["model"]]
    chats = data.get("chats")
    if chats:
        lines.append(f"  chats right   {_share(chats['score'])}, {chats['passed']} of {chats['chats']}")
        lines.append(f"  replies ended {_share(chats['ended'])}")
        lines.append(f"  replies loop  {_share(chats['looped'])}")
        lines += [
            f"    {kind:<12}{item['passed']:>3} of {item['chats']}" for kind, item in chats["kinds"].items()
        ]
    for name, item in data.get("choices", {}).items():
        lines.append(f"  {name}: {_share(item)} of {item['items']}")
    for item in data.get("perplexity", ()):
        lines.append(
            f"  perplexity {item['value']:.3f} ({item['low']:.3f} to {item['high']:.3f}), "
            f"{item['precision']}, {item['tokens']} tokens of {item['source']}"
        )
    return "\n".join(lines)


def comparison_text(data: dict[str, Any]) -> str:
    """The same for what `compared` gave."""
    return "\n".join(
        f"{name}: the first is {_points(item['difference'])} points better; only it {item['only_first']}, "
        f"only the second {item['only_second']}, p = {item['p']:.3f}"
        for name, item in data.items()
    )


def _share(item: dict[str, float]) -> str:
    return f"{item['value']:.1%} ({item['low']:.1%} to {item['high']:.1%})"


def _points(item: dict[str, float]) -> str:
    return f"{100 * item['value']:+.1f} ({100 * item['low']:+.1f} to {100 * item['high']:+.1f})"

"""`deepseek-tui evaluate`: chats that a program checks, perplexity, multiple choice; of one model or two."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", metavar="MODEL", help="the model to measure (the one that chat would use)")
    add("--against", metavar="MODEL", help="compare it with this one, item by item")
    add("--sampled", action="store_true", help="sample as the chat does, instead of the most likely tokens")
    add("--seed", type=int, default=0, metavar="N", help="for sampling (0)")
    add("--chats", type=Path, metavar="FILE", help="chats of your own in place of the built-in suite")
    add("--no-chats", action="store_true", help="leave the chats out")
    add("--kinds", nargs="+", metavar="KIND", help="only these kinds of chats")
    add(
        "--text",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="perplexity on these (.jsonl or plain)",
    )
    add("--text-tokens", type=int, default=20_000, metavar="N", help="tokens of each text (20000)")
    add(
        "--precision",
        type=int,
        nargs="+",
        choices=(2, 3, 4, 5, 6, 8, 16),
        default=[],
        metavar="BITS",
        help="perplexity also with weights rounded so (16: bfloat16)",
    )
    add("--choices", type=Path, nargs="+", default=[], metavar="FILE", help="questions with choices, .jsonl")
    add("--lm-eval", nargs="+", metavar="TASK", help="tasks of lm-evaluation-harness, where it is installed")
    add("--limit", type=int, metavar="N", help="examples of each of its tasks")
    add("--rows", type=int, default=32, metavar="N", help="chats answered together (32)")
    add("--json", action="store_true", help="print one JSON object, replies included")


def run(args: argparse.Namespace) -> int:
    from deepseek_tui.engine.blas import prefer_fast_blas

    prefer_fast_blas()
    from deepseek_tui.evaluation.report import as_data, as_text, compared, comparison_text, measure
    from deepseek_tui.settings import load_settings, resolve_model

    settings = load_settings()
    paths = [resolve_model(args.model, settings)]
    if args.against:
        paths.append(resolve_model(args.against, settings))
    wishes = _wishes(args)
    found = [measure(path, wishes, _progress) for path in paths]
    data: dict[str, Any] = {"models": [as_data(item) for item in found]}
    if args.lm_eval:
        from deepseek_tui.evaluation.lm_eval import evaluate_tasks

        for path, item in zip(paths, data["models"], strict=True):
            item["lm_eval"] = evaluate_tasks(path, args.lm_eval, limit=args.limit)
    if args.against:
        data["comparison"] = compared(*found)
    _progress("")
    if args.json:
        print(json.dumps(data, indent=2, ensure_ascii=False, default=str))
        return 0
    for item in data["models"]:
        print(as_text(item))
        if "lm_eval" in item:
            print(json.dumps(item["lm_eval"], indent=2, default=str))
    if args.against:
        print(comparison_text(data["comparison"]))
    return 0


def _wishes(args: argparse.Namespace) -> Any:
    from deepseek_tui.evaluation.choices import load_questions
    from deepseek_tui.evaluation.report import Wishes
    from deepseek_tui.evaluation.suite import CHATS, EvaluationError, load_chats

    alone = args.text or args.choices or args.lm_eval
    chats = (
        []
        if args.no_chats or (alone and not args.chats and not args.kinds)
        else load_chats(args.chats or CHATS)
    )
    if args.kinds:
        known = {chat.kind for chat in chats}
        if unknown := set(args.kinds) - known:
            raise EvaluationError(
                f"There are no chats of the kind {', '.join(sorted(unknown))}.",
                f"Kinds: {', '.join(sorted(known))}.",
            )
        chats = [chat for chat in chats if chat.kind in args.kinds]
    return Wishes(
        chats=chats,
        mode="sampled" if args.sampled else "greedy",
        seed=args.seed,
        rows=args.rows,
        texts=args.text,
        text_tokens=args.text_tokens,
        precisions=args.precision,
        questions={str(file): load_questions(file) for file in args.choices},
    )


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

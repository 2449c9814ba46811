"""`deepseek-tui bench`: how fast this machine runs a model, beside other programs that are installed."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="MODEL", help="model to measure (the one that chat would use)")
    parser.add_argument(
        "--mlx-model", type=Path, metavar="DIR", help="the same weights as mlx-lm can read them"
    )
    parser.add_argument("--gguf", type=Path, metavar="FILE", help="the same weights for llama-cpp-python")
    parser.add_argument("--prompt-tokens", type=int, nargs="+", default=[32, 256, 900], metavar="N")
    parser.add_argument("--reply-tokens", type=int, default=64, metavar="N", help="tokens to decode (64)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="times that each is measured (3)")
    parser.add_argument("--no-peers", action="store_true", help="leave other programs out")
    parser.add_argument("--no-screen", action="store_true", help="leave the full-screen chat out")
    parser.add_argument("--json", action="store_true", help="every single value, as JSON")


def run(args: argparse.Namespace) -> int:
    from deepseek_tui.bench.report import Plan, as_markdown, measure, peers_for
    from deepseek_tui.settings import load_settings, resolve_model

    model = resolve_model(args.model, load_settings())
    plan = Plan(
        model=model,
        peers={} if args.no_peers else peers_for(model, args.mlx_model, args.gguf),
        prompts=args.prompt_tokens,
        reply=args.reply_tokens,
        rounds=args.rounds,
        screen=not args.no_screen,
    )
    result = measure(plan, _progress if sys.stderr.isatty() else lambda _: None)
    if sys.stderr.isatty():
        _progress("")
    print(json.dumps(result, indent=2) if args.json else as_markdown(result))
    return 0


def _progress(text: str) -> None:
    print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

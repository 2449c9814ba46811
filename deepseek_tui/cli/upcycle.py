"""`deepseek-tui models upcycle`: a Llama or Qwen-style model becomes one of the deepseek_v3 architecture."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

DESCRIPTION = (
    "Turn a model with grouped-query attention (llama, mistral, qwen3) into one with the deepseek_v3 "
    "architecture: latent attention, fewer layers, shared and routed experts. Nothing is trained; each step "
    "says how far the copy's next-token distribution is from the source's. `deepseek-tui train` takes it on."
)


def configure_upcycle(parser: argparse.ArgumentParser) -> None:
    parser.description = DESCRIPTION
    parser.add_argument(
        "source", metavar="SRC", help="the model to start from (a directory or an installed one)"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="the directory to write")
    parser.add_argument(
        "--steps",
        nargs="+",
        choices=("attention", "layers", "experts"),
        default=["attention", "layers", "experts"],
        help="what to change beside the attention, which always is (all)",
    )
    parser.add_argument("--layers", type=int, metavar="N", help="layers that stay (all)")
    parser.add_argument("--experts", type=int, default=8, metavar="N", help="routed experts of a layer (8)")
    parser.add_argument("--shared", type=int, default=1, metavar="N", help="experts that see every token (1)")
    parser.add_argument("--top-k", type=int, default=2, metavar="N", help="experts chosen for a token (2)")
    parser.add_argument(
        "--expert-size", type=int, metavar="N", help="neurons of an expert (an eighth of the source's)"
    )
    parser.add_argument(
        "--kv-lora-rank", type=int, metavar="N", help="width of the latent (half of keys and values)"
    )
    parser.add_argument(
        "--rope-dim", type=int, metavar="N", help="width of the shared rotating key (half the keys)"
    )
    parser.add_argument(
        "--nope-dim", type=int, metavar="N", help="content numbers of a query head (half the head)"
    )
    parser.add_argument(
        "--calibration",
        type=Path,
        metavar="FILE",
        help="text to measure on: .jsonl (text or messages) or plain; without it the source writes its own",
    )
    parser.add_argument("--tokens", type=int, default=8192, metavar="N", help="tokens of it to use (8192)")
    parser.add_argument("--row", type=int, default=256, metavar="N", help="tokens seen together (256)")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16"), default="bfloat16", help="how it is written (bfloat16)"
    )


def run(args: argparse.Namespace) -> int:
    from deepseek_tui.engine.blas import prefer_fast_blas

    prefer_fast_blas()
    from deepseek_tui.settings import load_settings, resolve_model
    from deepseek_tui.training.upcycle import Plan
    from deepseek_tui.training.upcycle_directory import Calibration, upcycle_directory

    plan = Plan(
        steps=tuple(args.steps),
        layers=args.layers,
        experts=args.experts,
        shared=args.shared,
        top_k=args.top_k,
        expert_size=args.expert_size,
        kv_rank=args.kv_lora_rank,
        rope_dim=args.rope_dim,
        nope_dim=args.nope_dim,
        seed=args.seed,
    )
    done = upcycle_directory(
        resolve_model(args.source, load_settings()),
        args.out,
        plan,
        Calibration(args.calibration, args.tokens, args.row),
        dtype=args.dtype,
        report=_say,
    )
    print(f"{args.out}: {done.parameters / 1e6:.1f} M parameters, {len(done.layers)} layers")
    for step, distance in done.distances.items():
        print(f"after {step:<9} {distance}")
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

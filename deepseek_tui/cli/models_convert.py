"""`deepseek-tui models convert` and `quantize`."""

from __future__ import annotations

import argparse
import sys

from deepseek_tui.cli.progress import ByteProgress, size, thousands
from deepseek_tui.text.sanitize import sanitize_line


def run(args: argparse.Namespace) -> int:
    from deepseek_tui.engine.blas import prefer_fast_blas

    prefer_fast_blas()
    from deepseek_tui.checkpoints.convert import Options, convert
    from deepseek_tui.checkpoints.recipes import Recipe
    from deepseek_tui.settings import load_settings_or_defaults, resolve_model

    recipe = None
    if args.action == "quantize" or args.quantize:
        recipe = Recipe(args.q_bits, args.q_group_size, args.quant_predicate, args.q_embed_bits)
    options = Options(args.dtype, recipe, args.action == "convert" and args.dequantize)
    source = resolve_model(args.source, load_settings_or_defaults()[0])
    progress = ByteProgress("converting")
    try:
        made = convert(
            source,
            args.out,
            options,
            n_experts_per_token=args.top_k,
            replace=args.force,
            on_progress=progress,
        )
    finally:
        progress.clear()
    print(
        f"{sanitize_line(str(made.path))}: {thousands(made.parameters)} parameters, {size(made.bytes)}, "
        f"{made.bits_per_weight:.2f} bits a weight",
        file=sys.stderr,
    )
    if made.left_plain:
        hint = " Smaller groups may reach them." if args.q_group_size > 32 else ""
        print(
            f"{len(made.left_plain)} modules stay unquantized: their width is no multiple of "
            f"{args.q_group_size} ({made.left_plain[0]} first).{hint}",
            file=sys.stderr,
        )
    if not made.has_tokenizer:
        print("There was no tokenizer beside the weights: put one in before chatting.", file=sys.stderr)
    return 0

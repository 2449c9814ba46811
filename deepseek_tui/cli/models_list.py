"""`deepseek-tui models list`, `remove` and `path`."""

from __future__ import annotations

import argparse
import json
import sys

from deepseek_tui import paths
from deepseek_tui.cli.progress import size
from deepseek_tui.text.sanitize import sanitize_line


def run(args: argparse.Namespace) -> int:
    if args.action == "list":
        return _list(args)
    if args.action == "path":
        return _path(args)
    return _remove(args)


def _list(args: argparse.Namespace) -> int:
    from deepseek_tui.checkpoints.catalog import CATALOG, installed
    from deepseek_tui.settings import load_settings_or_defaults, resolve_model

    settings = load_settings_or_defaults()[0]
    in_use = resolve_model(None, settings) if settings.model or paths.builtin_model() else None
    have = [
        {"name": m.name, "path": str(m.path), "model_type": m.model_type, "bytes": m.size}
        for m in installed(paths.models_dir())
    ]
    built_in = paths.builtin_model()
    if built_in is not None:
        weights = sum(f.stat().st_size for f in built_in.iterdir() if f.is_file())
        have.insert(
            0, {"name": "built-in", "path": str(built_in), "model_type": "deepseek_v3", "bytes": weights}
        )
    for model in have:
        model["in_use"] = in_use is not None and model["path"] == str(in_use)
    names = {model["name"] for model in have}
    more = [
        {
            "name": e.name,
            "title": e.title,
            "repo": e.repo,
            "licence": e.licence,
            "bytes": e.download_bytes,
            "memory": e.memory_bytes(),
            "context": e.context,
        }
        for e in CATALOG
        if e.repo and e.name not in names
    ]
    if args.json:
        print(json.dumps({"installed": have, "available": more}, ensure_ascii=False))
        return 0
    print("Installed (* in use)")
    for model in have:
        star = "*" if model["in_use"] else " "
        name, kind = sanitize_line(str(model["name"])), sanitize_line(str(model["model_type"]))
        print(f"{star} {name:<28} {size(int(str(model['bytes']))):>9}  {kind}")
    if not have:
        print("  none")
    print("\nCan be pulled: deepseek-tui models pull NAME")
    for e in CATALOG:
        if e.repo and e.name not in names:
            print(
                f"  {e.name:<28} {size(e.download_bytes):>9}  {e.title}; "
                f"{size(e.memory_bytes())} of memory, context {e.context:,}, {e.licence}"
            )
    return 0


def _path(args: argparse.Namespace) -> int:
    from deepseek_tui.settings import load_settings_or_defaults, resolve_model

    if args.model is None:
        print(paths.models_dir())
    else:
        print(resolve_model(args.model, load_settings_or_defaults()[0]))
    return 0


def _remove(args: argparse.Namespace) -> int:
    from deepseek_tui.checkpoints.catalog import remove

    gone = remove(args.model, paths.models_dir())
    print(f"removed {sanitize_line(gone.name)} ({size(gone.size)})", file=sys.stderr)
    return 0

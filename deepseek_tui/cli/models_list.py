"""`deepseek-tui models list`, `remove` and `path`."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from deepseek_tui import memory, paths
from deepseek_tui.cli.progress import size
from deepseek_tui.errors import UserError
from deepseek_tui.text.sanitize import sanitize_line


@dataclass(frozen=True)
class Installed:
    """A model that can be used now; the fields are those of `list --json`.

    `memory`: with a conversation of 4,096 tokens, weights as stored; `memory_float32`: with weights
    unpacked, as on a CPU. Both 0, `context` 0 and `licence` "" where the files do not tell.
    """

    name: str
    path: str
    model_type: str
    bytes: int
    in_use: bool
    licence: str
    memory: int
    memory_float32: int
    context: int


@dataclass(frozen=True)
class Available:
    """A model that can be pulled by name. `memory` as above; `here`: bytes of a stopped download."""

    name: str
    title: str
    repo: str
    licence: str
    bytes: int
    memory: int
    memory_float32: int
    context: int
    here: int


def run(args: argparse.Namespace) -> int:
    if args.action == "list":
        return _list(args)
    if args.action == "path":
        return _path(args)
    return _remove(args)


def _list(args: argparse.Namespace) -> int:
    have = _installed()
    more = _available({model.name for model in have})
    if args.json:
        listing = {
            "installed": [asdict(m) for m in have],
            "available": [asdict(m) for m in more],
            "memory_free": memory.free_bytes(),
            "memory_total": memory.total_bytes(),
        }
        print(json.dumps(listing, ensure_ascii=False))
        return 0
    print("Installed (* in use)")
    for model in have:
        star = "*" if model.in_use else " "
        kind = sanitize_line(model.model_type)
        print(f"{star} {sanitize_line(model.name):<26} {size(model.bytes):>8}  {kind}")
    if not have:
        print("  none")
    if more:
        print("\nCan be pulled: deepseek-tui models pull NAME")
    for entry in more:
        here = f" ({size(entry.here)} of it are here)" if entry.here else ""
        weight = size(entry.bytes) if entry.bytes else ""
        print(f"  {sanitize_line(entry.name):<26} {weight:>8}  {sanitize_line(entry.title)}{here}")
        if entry.memory:
            print(f"{'':39}{size(entry.memory)} of memory, context {entry.context:,}, {entry.licence}")
    return 0


def _installed() -> list[Installed]:
    from deepseek_tui.checkpoints.catalog import installed

    found = [(m.name, m.path, m.model_type, m.size) for m in installed(paths.models_dir())]
    built_in = paths.builtin_model()
    if built_in is not None:
        weight = sum(file.stat().st_size for file in built_in.iterdir() if file.is_file())
        found.insert(0, ("built-in", built_in, "deepseek_v3", weight))
    used = _in_use()
    return [
        Installed(name, str(path), kind, count, path == used, *_figures(path))
        for name, path, kind, count in found
    ]


def _figures(path: Path) -> tuple[str, int, int, int]:
    """Licence, memory, memory in float32 and context, as far as the heads of the files tell."""
    from deepseek_tui.checkpoints.catalog import memory_bytes
    from deepseek_tui.checkpoints.info import describe

    try:
        facts = describe(path)
    except UserError:
        return "", 0, 0, 0
    context, cache = facts.context or 0, facts.cache_per_token or 0
    plain = memory_bytes(facts.memory["as-stored"], cache, context)
    unpacked = memory_bytes(4 * facts.parameters, 2 * cache, context)
    return facts.licence or "", plain, unpacked, context


def _in_use() -> Path | None:
    """The model that the settings name; None where it is gone, which is no reason not to list the others."""
    from deepseek_tui.settings import load_settings_or_defaults, resolve_model

    with contextlib.suppress(UserError):
        return resolve_model(None, load_settings_or_defaults()[0])
    return None


def _available(names: set[str]) -> list[Available]:
    from deepseek_tui.checkpoints.catalog import CATALOG, partials

    begun = {p.name: p for p in partials(paths.models_dir()) if p.name not in names}
    known = [
        Available(
            *(e.name, e.title, e.repo, e.licence, e.download_bytes, e.memory_bytes()),
            *(e.memory_bytes(float32=True), e.context, begun.pop(e.name).bytes if e.name in begun else 0),
        )
        for e in CATALOG
        if e.repo and e.name not in names
    ]
    others = [Available(p.name, p.repo, p.repo, "", 0, 0, 0, 0, p.bytes) for p in begun.values() if p.repo]
    return known + others


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

"""`deepseek-tui history`: the conversations of this machine, from a script."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from typing import TYPE_CHECKING

from deepseek_tui.errors import UserError
from deepseek_tui.text.sanitize import sanitize, sanitize_line

if TYPE_CHECKING:
    from deepseek_tui.history.store import Conversation, Store


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="conversations, the newest first")
    listing.add_argument("--limit", type=int, metavar="N", help="at most N of them")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    show = actions.add_parser("show", help="the messages of one conversation")
    show.add_argument("id", help="its id, or the beginning of it")
    show.add_argument("--json", action="store_true", help="one JSON object")
    remove = actions.add_parser("remove", help="delete one conversation for good")
    remove.add_argument("id", help="its id, or the beginning of it")


def run(args: argparse.Namespace) -> int:
    from deepseek_tui import paths
    from deepseek_tui.history.store import Store

    store = Store(paths.history_path())
    try:
        if store.recovered:
            print(f"The history file was damaged and is set aside as {store.recovered}.", file=sys.stderr)
        match args.action:
            case "list":
                _list(store, args)
            case "show":
                _show(store, args)
            case "remove":
                found = _find(store, args.id)
                store.purge(found.id)
                print(f"removed {found.id[:8]} {sanitize_line(found.title)}", file=sys.stderr)
    finally:
        store.close()
    return 0


def _list(store: Store, args: argparse.Namespace) -> None:
    for c in store.conversations(limit=args.limit):
        if args.json:
            print(json.dumps(dataclasses.asdict(c), ensure_ascii=False))
        else:
            day = time.strftime("%Y-%m-%d %H:%M", time.localtime(c.updated))
            print(f"{c.id[:8]}  {day}  {c.message_count:4}  {sanitize_line(c.title) or 'Untitled'}")


def _show(store: Store, args: argparse.Namespace) -> None:
    found = _find(store, args.id)
    if args.json:
        whole = dataclasses.asdict(found)
        whole["messages"] = [dataclasses.asdict(m) for m in store.messages(found.id)]
        print(json.dumps(whole, ensure_ascii=False))
        return
    clean = sanitize if sys.stdout.isatty() else str
    for m in store.path(found.id):
        state = "" if m.state == "complete" else f" ({m.state})"
        print(f"## {m.role}{state}\n\n{clean(m.text)}\n")


def _find(store: Store, start: str) -> Conversation:
    """The one conversation whose id begins so. Raises UserError when there is none, or more than one."""
    found = [c for c in store.conversations() if c.id.startswith(start)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UserError(
            f"No conversation has an id that begins with {start!r}.", "deepseek-tui history list shows them."
        )
    raise UserError(f"{len(found)} conversations have an id that begins with {start!r}.", "Give more of it.")

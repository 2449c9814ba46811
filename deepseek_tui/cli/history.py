"""`deepseek-tui history`: the conversations of this machine, from a script."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from deepseek_tui.cli.progress import ByteProgress
from deepseek_tui.errors import UserError
from deepseek_tui.text.sanitize import sanitize, sanitize_line

if TYPE_CHECKING:
    from deepseek_tui.history.store import Conversation, Store

_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="conversations, the pinned ones and then the newest first")
    listing.add_argument("words", nargs="*", metavar="WORD", help="only those with these in title or folder")
    listing.add_argument("--folder", metavar="NAME", help="only those in this folder")
    listing.add_argument("--archived", action="store_true", help="the archived ones instead")
    listing.add_argument("--limit", type=_count, metavar="N", help="at most N of them")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    show = actions.add_parser("show", help="the messages of one conversation")
    show.add_argument("id", help="its id, or the beginning of it")
    show.add_argument("--json", action="store_true", help="one JSON object")
    search = actions.add_parser("search", help="find messages by their words, the best first")
    search.add_argument("words", nargs="+", metavar="WORD", help='beginnings of words, or "words in a row"')
    search.add_argument("--in", dest="inside", metavar="ID", help="only in this conversation")
    search.add_argument("--limit", type=_count, default=20, metavar="N", help="at most N (default 20)")
    search.add_argument("--json", action="store_true", help="one JSON object a line")
    export = actions.add_parser("export", help="write conversations as files")
    which = export.add_mutually_exclusive_group(required=True)
    which.add_argument("id", nargs="?", help="the id of one, or the beginning of it")
    which.add_argument("--all", action="store_true", help="all of them, archived ones too")
    export.add_argument(
        "--format",
        choices=("json", "markdown", "html", "text"),
        default="json",
        help="json (default) has everything, all branches too; the others the branch shown",
    )
    export.add_argument(
        "--out",
        metavar="PATH",
        help="a file, or a folder for one file each; without it to standard output",
    )
    importing = actions.add_parser("import", help="take in conversations from a file")
    importing.add_argument(
        "file",
        metavar="FILE",
        help="our JSON, an export of ChatGPT or Claude (zip or conversations.json), or a list of messages"
        " with role and content; - reads standard input",
    )
    remove = actions.add_parser("remove", help="delete conversations for good")
    what = remove.add_mutually_exclusive_group(required=True)
    what.add_argument("id", nargs="?", help="the id of one, or the beginning of it")
    what.add_argument(
        "--older-than",
        type=_age,
        metavar="AGE",
        help="all not used for that long, such as 30d (m, h, d, w), but for the pinned ones",
    )
    remove.add_argument("--dry-run", action="store_true", help="only say which")


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
            case "search":
                _search(store, args)
            case "export":
                _export(store, args)
            case "import":
                _import(store, args)
            case "remove":
                _remove(store, args)
    finally:
        store.close()
    return 0


def _list(store: Store, args: argparse.Namespace) -> None:
    found = store.conversations(
        args.limit, text=" ".join(args.words), folder=args.folder, archived=args.archived
    )
    for c in found:
        if args.json:
            print(json.dumps(dataclasses.asdict(c), ensure_ascii=False))
        else:
            title = sanitize_line(c.title) or "Untitled"
            folder = f"{sanitize_line(c.folder)}/ " if c.folder else ""
            pin = "* " if c.pinned else ""
            print(f"{c.id[:8]}  {_day(c.updated)}  {c.message_count:4}  {pin}{folder}{title}")


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


def _search(store: Store, args: argparse.Namespace) -> None:
    while left := store.index_more(1.0):
        if sys.stderr.isatty():
            print(f"\r\x1b[Kreading {left} older messages", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    inside = _find(store, args.inside).id if args.inside else None
    hits = store.search(" ".join(args.words), conversation=inside, limit=args.limit)
    for hit in hits:
        if args.json:
            print(json.dumps(dataclasses.asdict(hit), ensure_ascii=False))
        else:
            title = sanitize_line(hit.title) or "Untitled"
            print(f"{hit.conversation[:8]}  {_day(hit.created)}  {title}")
            print(f"          {hit.role}: {sanitize_line(hit.snippet)}")
    if not hits and not args.json:
        print("Nothing was found.", file=sys.stderr)


def _export(store: Store, args: argparse.Namespace) -> None:
    from deepseek_tui.history.export import export, file_name

    ids = store.ids() if args.all else [_find(store, args.id).id]
    wholes = map(store.whole, ids)
    if args.out is None:
        if sys.stdout.isatty():
            for piece in export(wholes, args.format):
                print(sanitize(piece), end="")
        else:
            # The same bytes whatever the locale.
            for piece in export(wholes, args.format):
                sys.stdout.buffer.write(piece.encode())
            sys.stdout.flush()
        return
    target = Path(args.out)
    if target.is_dir() or args.out.endswith("/"):
        for whole in wholes:
            _write(target / file_name(whole, args.format), export([whole], args.format))
        where = f"{_conversations(len(ids))} as files into {target}"
    else:
        _write(target, export(wholes, args.format))
        where = f"{_conversations(len(ids))} to {target}"
    print(f"wrote {where}", file=sys.stderr)


def _write(target: Path, pieces: Iterator[str]) -> None:
    from deepseek_tui import paths

    paths.atomic_write(target, "".join(pieces).encode())


def _import(store: Store, args: argparse.Namespace) -> None:
    from deepseek_tui.history.import_file import LARGEST, import_data

    name = "The text on standard input" if args.file == "-" else args.file
    try:
        if args.file == "-":
            data = sys.stdin.buffer.read(LARGEST + 1)
        else:
            with Path(args.file).open("rb") as file:
                data = file.read(LARGEST + 1)
    except OSError as error:
        raise UserError(f"{name} cannot be read: {error.strerror or error}.") from error
    progress = ByteProgress("importing")
    done = import_data(store, data, name, time.time(), progress)
    progress.clear()
    known = f", {done.known} were there already" if done.known else ""
    print(f"imported {_conversations(done.added)}{known}", file=sys.stderr)


def _remove(store: Store, args: argparse.Namespace) -> None:
    if args.older_than is None:
        chosen = [_find(store, args.id)]
    else:
        limit = time.time() - args.older_than
        chosen = [c for c in store.conversations(archived=None) if c.updated <= limit and not c.pinned]
    verb = "would remove" if args.dry_run else "removed"
    for c in chosen:
        if not args.dry_run:
            store.purge(c.id)
        print(f"{verb} {c.id[:8]} {sanitize_line(c.title) or 'Untitled'}", file=sys.stderr)
    if args.older_than is not None:
        print(f"{verb} {_conversations(len(chosen))}", file=sys.stderr)
    if not args.dry_run:
        store.tidy()


def _find(store: Store, start: str) -> Conversation:
    """The one conversation whose id begins so. Raises UserError when there is none, or more than one."""
    found = store.ids(start)
    if len(found) == 1:
        return store.get(found[0])
    if not found:
        raise UserError(
            f"No conversation has an id that begins with {start!r}.", "deepseek-tui history list shows them."
        )
    raise UserError(f"{len(found)} conversations have an id that begins with {start!r}.", "Give more of it.")


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _conversations(count: int) -> str:
    return f"{count} conversation" + ("s" if count != 1 else "")


def _count(word: str) -> int:
    if not word.isascii() or not word.isdigit():
        raise argparse.ArgumentTypeError(f"{word!r} is no whole number")
    return int(word[:18])


def _age(word: str) -> float:
    number, unit = word[:-1], word[-1:]
    if not (number.isascii() and number.isdigit() and unit in _UNITS):
        raise argparse.ArgumentTypeError(f"{word!r} is no age; write a number and m, h, d or w, such as 30d")
    return float(int(number[:9]) * _UNITS[unit])

"""The command `deepseek-tui`: finds the command asked for, imports only that, turns errors into sentences.

Exit codes: 0 fine, 1 the work failed, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from deepseek_tui.errors import UserError

# Name, module below deepseek_tui.cli, one line of help. Each module has `configure(parser)` and `run(args)`.
COMMANDS = {
    "chat": ("chat", "the full-screen chat (also without a command)"),
    "run": ("run", "one answer, without the screen: for scripts and pipes"),
    "models": ("models", "list, fetch, inspect, convert, check and remove models"),
    "history": ("history", "list, search, export, import and remove conversations"),
    "train": ("train", "train a model by a config: from text to a model directory"),
    "doctor": ("doctor", "device, versions, paths, model check, and what is wrong"),
    "evaluate": ("evaluate", "chats that a program checks, perplexity, multiple choice; of one model or two"),
    "bench": ("bench", "measure speed and memory, beside mlx-lm and llama.cpp"),
    "engine": ("engine", "the engine child on standard input and output, for --engine-command"),
}


def build_parser(command: str | None) -> argparse.ArgumentParser:
    """The parser of `command` alone, or with None the one that lists all commands."""
    parser = argparse.ArgumentParser(
        prog="deepseek-tui",
        description="Chat with language models on your own machine. Without a command: the full-screen chat.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"deepseek-tui {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=command is not None)
    for name, (module, text) in COMMANDS.items():
        if command is None:
            commands.add_parser(name, help=text)
        elif name == command:
            sub = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
            sub.add_argument("--debug", action="store_true", help="show a traceback when something fails")
            importlib.import_module(f"deepseek_tui.cli.{module}").configure(sub)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry of the console script. Returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    try:
        return _dispatch(words)
    except UserError as error:
        if debug:
            raise
        print(f"deepseek-tui: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output went away; keep the interpreter from complaining at its own flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if debug:
            raise
        print(
            f"deepseek-tui: {type(error).__name__}: {error}. This is a fault of the program; "
            "--debug shows where it happened.",
            file=sys.stderr,
        )
        return 1


def _dispatch(words: list[str]) -> int:
    top = build_parser(None)
    if words and words[0] in ("-h", "--help", "--version"):
        top.parse_args(words[:1])
    if words and words[0] in COMMANDS:
        command = words.pop(0)
    elif words and not words[0].startswith("-"):
        top.error(f"there is no command {words[0]!r}; choose from {', '.join(COMMANDS)}")
    else:
        command = "chat"
    args = build_parser(command).parse_args([command, *words])
    module = importlib.import_module(f"deepseek_tui.cli.{COMMANDS[command][0]}")
    code: int = module.run(args)
    return code


def _version() -> str:
    from deepseek_tui import __version__

    return __version__

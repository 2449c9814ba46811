"""`deepseek-tui` and `deepseek-tui chat`: the full-screen chat."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import sys
from pathlib import Path

from deepseek_tui.cli.options import add_model_options, add_sampling_options, sampling_from
from deepseek_tui.errors import UserError


def configure(parser: argparse.ArgumentParser) -> None:
    add_model_options(parser)
    add_sampling_options(parser)
    parser.add_argument(
        "--persona", metavar="NAME", help="begin new conversations with a persona, kept with F3, F7"
    )
    parser.add_argument("--theme", metavar="NAME", help="colours of the screen")
    parser.add_argument(
        "--engine-command",
        metavar="COMMAND",
        help='run the model elsewhere, such as "ssh mac deepseek-tui engine"',
    )


def run(args: argparse.Namespace) -> int:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserError(
            "The chat needs a terminal for input and output.", "In a script use: deepseek-tui run -p TEXT"
        )
    from deepseek_tui.personas import load_persona
    from deepseek_tui.settings import BUILT_IN, load_settings_or_defaults, resolve_model
    from deepseek_tui.tui.app import run_chat

    settings, problems = load_settings_or_defaults()
    if args.theme:
        settings = dataclasses.replace(settings, theme=args.theme)
    wanted = args.model or (load_persona(args.persona).model if args.persona else None)
    command = args.engine_command or settings.engine_command
    model: Path | None = None
    model_problem = None
    if command:
        # The path or name means something on the machine where the engine runs, perhaps not on this one.
        model = Path(wanted or settings.model or BUILT_IN)
    else:
        try:
            model = resolve_model(wanted, settings)
        except UserError as error:
            model_problem = str(error)
    if not sys.stderr.isatty():
        # Textual draws on stderr; `deepseek-tui 2>log` is to show the chat all the same.
        sys.__stderr__ = sys.__stdout__  # type: ignore[misc]  # final only by convention
    return run_chat(
        model=model,
        adapter_path=args.adapter_path,
        model_problem=model_problem,
        settings=settings,
        problems=problems,
        engine_command=shlex.split(command) if command else None,
        sampling=sampling_from(args),
        system_prompt=args.system_prompt,
        persona=args.persona,
    )

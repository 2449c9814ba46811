"""`deepseek-tui engine`: the engine child, so that a model can run on another machine."""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        'Speaks line-delimited JSON. Use: deepseek-tui --engine-command "ssh HOST deepseek-tui engine"'
    )


def run(args: argparse.Namespace) -> int:  # noqa: ARG001
    from deepseek_tui.engine.server import main

    return main()

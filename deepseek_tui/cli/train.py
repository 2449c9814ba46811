"""`deepseek-tui train CONFIG.toml`: from text to a model, stage by stage."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepseek_tui.training.config import RunConfig

DESCRIPTION = (
    "Runs the stages of a config file: tokenizer, prepare, sample, upcycle, train, export. What each makes "
    "lies below the run's folder. A run that was cut short goes on with --resume, as if it had not been."
)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = DESCRIPTION
    parser.add_argument("config", type=Path, metavar="CONFIG.toml", help="what to do; see docs/training.md")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="check the config, print parameters, memory and time, do nothing",
    )
    parser.add_argument("--resume", action="store_true", help="go on where an earlier run ended")
    parser.add_argument(
        "--seconds",
        type=float,
        default=0.0,
        metavar="S",
        help="stop a training stage, resumable, after S seconds",
    )
    parser.add_argument("--tensorboard", action="store_true", help="write TensorBoard files too")
    parser.add_argument(
        "--quiet", action="store_true", help="show nothing; the log file is written all the same"
    )


def run(args: argparse.Namespace) -> int:
    from deepseek_tui.engine.blas import prefer_fast_blas

    prefer_fast_blas()
    from deepseek_tui.training.config import load_config

    config = load_config(args.config)
    if args.dry_run:
        return _dry_run(config)
    import mlx.core as mx

    from deepseek_tui.training.progress import Progress
    from deepseek_tui.training.stages import Runner

    group: Any = mx.distributed.init()
    if group.size() == 1:
        group = None
    is_first = group is None or group.rank() == 0
    config.folder.mkdir(parents=True, exist_ok=True)
    progress = Progress(
        config.folder if is_first else config.folder / f"process-{group.rank()}",
        quiet=args.quiet or not is_first,
        tensorboard=args.tensorboard and is_first,
    )
    try:
        done = Runner(config, progress.say, progress.record, seconds=args.seconds, group=group).run(
            args.resume
        )
    finally:
        progress.close()
    if not done:
        progress.say("The time is up; go on with --resume.")
    return 0


def _dry_run(config: RunConfig) -> int:
    from deepseek_tui.training.dry_run import lines

    for line in lines(config):
        print(line)
    sys.stdout.flush()
    return 0

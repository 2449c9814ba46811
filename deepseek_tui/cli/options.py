"""Flags that several commands share. Names and meanings are mlx-lm's where it has the flag."""

from __future__ import annotations

import argparse
import json

from deepseek_tui.engine.protocol import Sampling
from deepseek_tui.errors import UserError


def add_model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help="a model directory, a GGUF file, the name of an installed model, or built-in",
    )
    parser.add_argument("--adapter-path", metavar="DIR", help="a trained adapter to put on the model")
    parser.add_argument("--system-prompt", metavar="TEXT", help="what the model is told before anything else")


def add_sampling_options(parser: argparse.ArgumentParser) -> None:
    """One flag for each field of Sampling; unset ones leave the choice to settings and model."""
    group = parser.add_argument_group("sampling")
    add = group.add_argument
    add("--max-tokens", "-m", type=int, metavar="N", help="most tokens in one reply (256)")
    add("--temp", type=float, metavar="T", help="temperature; 0 takes the likeliest token every time (0.7)")
    add("--top-p", type=float, metavar="P", help="keep the likeliest tokens that hold P of the mass (0.9)")
    add("--min-p", type=float, metavar="P", help="drop tokens under P times the likeliest one")
    add("--top-k", type=int, metavar="K", help="keep the K likeliest tokens")
    add("--xtc-probability", type=float, metavar="P", help="chance of XTC sampling at a token")
    add("--xtc-threshold", type=float, metavar="P", help="threshold of XTC sampling")
    add("--repetition-penalty", type=float, metavar="F", help="divide the logits of recent tokens by F")
    add("--repetition-context-size", type=int, metavar="N", help="how many recent tokens that looks at (20)")
    add("--presence-penalty", type=float, metavar="F", help="subtract F from tokens that occurred")
    add("--presence-context-size", type=int, metavar="N", help="how many recent tokens that looks at (20)")
    add("--frequency-penalty", type=float, metavar="F", help="subtract F for each time a token occurred")
    add("--frequency-context-size", type=int, metavar="N", help="how many recent tokens that looks at (20)")
    add("--logit-bias", metavar="JSON", help="add to logits by token id, such as '{\"42\": -5}'")
    add("--seed", type=int, metavar="N", help="the same seed gives the same answer")
    add("--stop", action="append", metavar="TEXT", help="end the reply before this text; may be repeated")


def sampling_from(args: argparse.Namespace) -> Sampling:
    """The Sampling that the flags of `add_sampling_options` describe."""
    bias: dict[str, float] | None = None
    if args.logit_bias is not None:
        try:
            bias = {str(int(k)): float(v) for k, v in json.loads(args.logit_bias).items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise UserError(
                f"--logit-bias {args.logit_bias!r} is not a JSON object from token ids to numbers.",
                "Write it like '{\"42\": -5}'.",
            ) from error
    names = [f for f in Sampling.__dataclass_fields__ if f not in ("stop", "logit_bias")]
    given = {name: getattr(args, name) for name in names}
    return Sampling(**given, logit_bias=bias, stop=tuple(args.stop) if args.stop else None)

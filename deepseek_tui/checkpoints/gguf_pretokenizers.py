"""How a text is cut into words before byte-level BPE joins their bytes: the rules that GGUF knows by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deepseek_tui.checkpoints.errors import CheckpointError


@dataclass(frozen=True)
class Splitting:
    """`steps`: the pre_tokenizer of tokenizer.json; `composes`: texts are brought to NFC first;
    `whole_words`: a word that is a token is taken whole, whatever its merges."""

    steps: dict[str, Any]
    composes: bool = False
    whole_words: bool = False


def _split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def _bytes(*, words: bool) -> dict[str, Any]:
    """Bytes to letters; `words`: cut as GPT-2 does first."""
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": words}


def _sequence(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "pretokenizers": list(steps)}


def _contractions(digits: str) -> str:
    """The rule that began with GPT-4's tokenizer; `digits`: how many figures make a word."""
    return (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
        + digits
        + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )


_GPT2 = Splitting(_bytes(words=True))
_SMOLLM = Splitting(_sequence({"type": "Digits", "individual_digits": True}, _bytes(words=True)))
_LLAMA3 = Splitting(_sequence(_split(_contractions(r"\p{N}{1,3}")), _bytes(words=False)), whole_words=True)
_QWEN2 = Splitting(_sequence(_split(_contractions(r"\p{N}")), _bytes(words=False)), composes=True)
_DEEPSEEK_LLM = Splitting(
    _sequence(
        _split(r"[\r\n]"),
        # The letters that come as capital and small ones: Latin, Greek, Cyrillic, Armenian, Georgian and kin.
        _split(r"\s?[\p{Lu}\p{Ll}\p{Lt}]+"),
        _split("\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+"),
        _split(r"\s+$"),
        _split("[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"),
        {"type": "Digits", "individual_digits": True},
        _bytes(words=False),
    )
)
_DEEPSEEK_V3 = Splitting(
    _sequence(
        _split(r"\p{N}{1,3}"),
        _split("[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"),
        _split(
            r"[!\x22#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|"
            r" ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        ),
        _bytes(words=False),
    )
)

SPLITTINGS: dict[str, Splitting] = {
    # Files from before the rules had names; GPT-2's is what their models were trained with most often.
    "default": _GPT2,
    "gpt-2": _GPT2,
    "gpt2": _GPT2,
    "smollm": _SMOLLM,
    "llama-bpe": _LLAMA3,
    "llama3": _LLAMA3,
    "llama-v3": _LLAMA3,
    "qwen2": _QWEN2,
    "deepseek-llm": _DEEPSEEK_LLM,
    "deepseek-v3": _DEEPSEEK_V3,
    "deepseek-r1-qwen": _QWEN2,
}


def pre_tokenizer(name: object) -> Splitting:
    """The rule that tokenizer.ggml.pre names. Raises CheckpointError for one that is not known."""
    if not isinstance(name, str) or name not in SPLITTINGS:
        raise CheckpointError(
            f"The GGUF file splits words by the rule {str(name)[:40]!r}, which is not supported.",
            f"Supported are {', '.join(SPLITTINGS)}.",
        )
    return SPLITTINGS[name]

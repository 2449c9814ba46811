"""The tokenizer in a GGUF file, as the files that a model directory has: tokenizer.json and its like.

Two kinds are known: byte-level BPE ("gpt2", with the splitting rule named by tokenizer.ggml.pre) and
SentencePiece BPE ("llama", whose merges follow from the scores of its pieces).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.gguf_pretokenizers import pre_tokenizer
from deepseek_tui.checkpoints.gguf_reader import GGUFFile, Value

UNKNOWN, CONTROL, USER_DEFINED, BYTE = 2, 3, 4, 6
"""Kinds of tokens, as tokenizer.ggml.token_type numbers them (1 is a plain one, 5 an unused one)."""

SPACE = "\u2581"  # SentencePiece writes a space as this lower block.
_PREFIX = "tokenizer.ggml."


def tokenizer_files(metadata: Mapping[str, Value]) -> dict[str, str]:
    """File name -> content: tokenizer.json, tokenizer_config.json and generation_config.json.

    Raises CheckpointError when there is no tokenizer, a contradictory one, or one of an unknown kind.
    """
    vocabulary = _Vocabulary(metadata)
    kind = metadata.get(_PREFIX + "model")
    if kind == "gpt2":
        parts = _byte_level(vocabulary, metadata)
    elif kind == "llama":
        parts = _sentence_piece(vocabulary, metadata)
    else:
        raise CheckpointError(
            f"The GGUF file has a tokenizer of the kind {str(kind)[:40]!r}, which is not supported.",
            "Supported are gpt2 (byte-level BPE) and llama (SentencePiece BPE).",
        )
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": vocabulary.added(),
        **parts,
        "post_processor": _post_processor(vocabulary, metadata, byte_level=kind == "gpt2"),
    }
    files = {"tokenizer": tokenizer, "tokenizer_config": _config(vocabulary, metadata)}
    files["generation_config"] = _ids(vocabulary)
    return {f"{name}.json": json.dumps(content, ensure_ascii=False) for name, content in files.items()}


def tokenizer_files_of(file: GGUFFile) -> dict[str, str]:
    """`tokenizer_files` of an open file; errors then name the file."""
    try:
        return tokenizer_files(file.metadata)
    except CheckpointError as error:
        raise CheckpointError(f"{file.path}: {error.message}", error.hint) from None


class _Vocabulary:
    """The tokens with their kinds and scores, and the tokens that have a part to play."""

    def __init__(self, metadata: Mapping[str, Value]) -> None:
        tokens = metadata.get(_PREFIX + "tokens")
        if not isinstance(tokens, list) or not tokens or not all(isinstance(token, str) for token in tokens):
            raise CheckpointError("The GGUF file holds no tokens (tokenizer.ggml.tokens).")
        self.tokens: list[str] = tokens
        self.ids = {token: number for number, token in enumerate(tokens)}
        if len(self.ids) != len(tokens):
            raise CheckpointError("The GGUF file holds one token under two numbers: it is damaged.")
        self.kinds = self._numbers(metadata, "token_type", np.ones(len(tokens), np.int32))
        self.scores = self._numbers(metadata, "scores", np.zeros(len(tokens), np.float32))
        self.metadata = metadata

    def _numbers(self, metadata: Mapping[str, Value], key: str, default: Any) -> Any:
        values = metadata.get(_PREFIX + key, default)
        if not isinstance(values, np.ndarray) or len(values) != len(self.tokens):
            raise CheckpointError(
                f"tokenizer.ggml.{key} has not one value for each of the {len(self.tokens)} tokens."
            )
        return values

    def part(self, role: str) -> tuple[int, str] | None:
        """Number and text of the token with a role ("bos", "eos", ...), if there is one."""
        number = self.metadata.get(f"{_PREFIX}{role}_token_id")
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(self.tokens):
            return None
        return number, self.tokens[number]

    def added(self) -> list[dict[str, Any]]:
        """The tokens that are found in a text before it is split, as tokenizer.json lists them."""
        special = {
            number: int(kind) != USER_DEFINED for number, kind in enumerate(self.kinds) if kind in (3, 4)
        }
        for role in ("bos", "eos", "eot", "unknown"):
            if (part := self.part(role)) is not None:
                special[part[0]] = True
        return [
            {
                "id": number,
                "content": self.tokens[number],
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": special[number],
            }
            for number in sorted(special)
        ]


def _model(vocabulary: _Vocabulary, merges: Sequence[Any], **options: Any) -> dict[str, Any]:
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": vocabulary.ids,
        "merges": merges,
        **options,
    }


def _byte_level(vocabulary: _Vocabulary, metadata: Mapping[str, Value]) -> dict[str, Any]:
    merges = metadata.get(_PREFIX + "merges")
    if not isinstance(merges, list) or not all(isinstance(merge, str) for merge in merges):
        raise CheckpointError("The GGUF file holds no merges (tokenizer.ggml.merges).")
    pairs = [merge.split(" ") for merge in merges]
    known = vocabulary.ids
    for pair in pairs:
        if len(pair) != 2 or not {pair[0], pair[1], pair[0] + pair[1]} <= known.keys():
            raise CheckpointError(
                f"The merge {' '.join(pair)[:60]!r} of the GGUF file joins tokens that it lacks."
            )
    splitting = pre_tokenizer(metadata.get(_PREFIX + "pre", "default"))
    return {
        "normalizer": {"type": "NFC"} if splitting.composes else None,
        "pre_tokenizer": splitting.steps,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": _model(vocabulary, pairs, ignore_merges=splitting.whole_words),
    }


def _sentence_piece(vocabulary: _Vocabulary, metadata: Mapping[str, Value]) -> dict[str, Any]:
    prefixed = metadata.get(_PREFIX + "add_space_prefix", True) is True
    normal: list[dict[str, Any]] = [{"type": "Prepend", "prepend": SPACE}] if prefixed else []
    normal.append({"type": "Replace", "pattern": {"String": " "}, "content": SPACE})
    decode: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    if prefixed:
        decode.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    unknown = vocabulary.part("unknown")
    return {
        "normalizer": {"type": "Sequence", "normalizers": normal},
        "pre_tokenizer": None,
        "decoder": {"type": "Sequence", "decoders": decode},
        "model": _model(
            vocabulary,
            _merges(vocabulary),
            byte_fallback=True,
            fuse_unk=True,
            unk_token=unknown[1] if unknown else None,
        ),
    }


def _merges(vocabulary: _Vocabulary) -> list[list[str]]:
    """The pairs that SentencePiece joins, best first: the neighbours whose whole scores highest."""
    plain = {
        token: float(vocabulary.scores[number])
        for token, number in vocabulary.ids.items()
        if vocabulary.kinds[number] not in (UNKNOWN, CONTROL, USER_DEFINED, BYTE)
    }
    found = [
        (-score, vocabulary.ids[token[:cut]], vocabulary.ids[token[cut:]], token[:cut], token[cut:])
        for token, score in plain.items()
        # A piece is a word at most; a token of thousands of letters would cost its square.
        if len(token) <= 64
        for cut in range(1, len(token))
        if token[:cut] in plain and token[cut:] in plain
    ]
    return [[left, right] for *_, left, right in sorted(found)]


def _post_processor(
    vocabulary: _Vocabulary, metadata: Mapping[str, Value], *, byte_level: bool
) -> dict[str, Any] | None:
    # SentencePiece models begin their texts with bos unless told otherwise, the others only when told to.
    begins = metadata.get(_PREFIX + "add_bos_token", not byte_level) is True
    begin = vocabulary.part("bos") if begins else None
    if begin is None:
        return None
    token = {"SpecialToken": {"id": begin[1], "type_id": 0}}
    first, second = ({"Sequence": {"id": name, "type_id": number}} for number, name in enumerate("AB"))
    return {
        "type": "TemplateProcessing",
        "single": [token, first],
        "pair": [token, first, second],
        "special_tokens": {begin[1]: {"id": begin[1], "ids": [begin[0]], "tokens": [begin[1]]}},
    }


def _config(vocabulary: _Vocabulary, metadata: Mapping[str, Value]) -> dict[str, Any]:
    byte_level = metadata.get(_PREFIX + "model") == "gpt2"
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": metadata.get(_PREFIX + "add_bos_token", not byte_level) is True,
        "clean_up_tokenization_spaces": False,
    }
    roles = {"bos": "bos_token", "eos": "eos_token", "unknown": "unk_token", "padding": "pad_token"}
    for role, name in roles.items():
        if (part := vocabulary.part(role)) is not None:
            config[name] = part[1]
    template = metadata.get("tokenizer.chat_template")
    if isinstance(template, str):
        config["chat_template"] = template
    return config


def _ids(vocabulary: _Vocabulary) -> dict[str, Any]:
    """generation_config.json: a reply ends with any of the tokens that end a text, a turn or a message."""
    ends = list(dict.fromkeys(part[0] for role in ("eos", "eot", "eom") if (part := vocabulary.part(role))))
    ids: dict[str, Any] = {"eos_token_id": ends[0] if len(ends) == 1 else ends} if ends else {}
    for role, name in (("bos", "bos_token_id"), ("padding", "pad_token_id")):
        if (part := vocabulary.part(role)) is not None:
            ids[name] = part[0]
    return ids

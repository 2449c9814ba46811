"""The tokenizer out of a GGUF file cuts texts as the model's own does."""

from __future__ import annotations

import functools
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.gguf_pretokenizers import SPLITTINGS
from deepseek_tui.checkpoints.gguf_tokenizer import SPACE, tokenizer_files
from deepseek_tui.engine.tokenizer import load_tokenizer
from tests.checkpoints.gguf_files import gguf_bytes

BUILT_IN = Path(__file__).parents[2] / "weights"
TEXTS = ["Hello  world! 12345 it's naïve 日本\n\n\tx", "<|im_end|>", "", " a", "\u00e9 e\u0301 👩‍👩‍👧"]


def bytes_only_metadata(rule: str) -> dict[str, Any]:
    """A tokenizer that knows the 256 bytes and nothing else, and cuts words by `rule`."""
    letters = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": rule,
        "tokenizer.ggml.tokens": letters,
        "tokenizer.ggml.merges": [],
    }


@functools.cache
def byte_level_metadata() -> dict[str, Any]:
    """The metadata that a GGUF file of the built-in model would have."""
    definition = json.loads((BUILT_IN / "tokenizer.json").read_text())
    vocabulary = definition["model"]["vocab"]
    tokens = sorted(vocabulary, key=lambda token: int(vocabulary[token]))
    special = {token["id"] for token in definition["added_tokens"]}
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in definition["model"]["merges"]]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": np.array(
            [3 if i in special else 1 for i in range(len(tokens))], np.int32
        ),
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": "{{ messages }}",
    }


def written(folder: Path, metadata: dict[str, Any]) -> Any:
    for name, content in tokenizer_files(metadata).items():
        (folder / name).write_text(content, encoding="utf-8")
    return load_tokenizer(folder)


def test_byte_level_ids_are_those_of_the_directory(tmp_path: Path) -> None:
    ours, theirs = written(tmp_path, byte_level_metadata()), load_tokenizer(BUILT_IN)
    assert theirs is not None
    for text in TEXTS:
        assert ours.encode(text) == theirs.encode(text)
        assert ours.encode_trusted(text) == theirs.encode_trusted(text)
        assert ours.decode(ours.encode(text)) == text
    assert ours.eos_token_ids == {2}
    assert ours.bos_token_id == 1
    assert ours.chat_template == "{{ messages }}"


@pytest.mark.parametrize("rule", SPLITTINGS)
def test_every_rule_keeps_every_text(rule: str) -> None:
    definition = tokenizer_files(bytes_only_metadata(rule))["tokenizer.json"]
    tokenizer = tokenizers.Tokenizer.from_str(definition)
    for text in TEXTS:
        decoded = tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False)
        assert decoded == (
            text if not SPLITTINGS[rule].composes else tokenizers.normalizers.NFC().normalize_str(text)
        )


def cut(rule: str, text: str) -> list[str]:
    definition = tokenizer_files(bytes_only_metadata(rule))["tokenizer.json"]
    tokenizer = tokenizers.Tokenizer.from_str(definition)
    return [text[start:end] for _, (start, end) in tokenizer.pre_tokenizer.pre_tokenize_str(text)]


def test_rules_cut_as_their_models_do() -> None:
    assert cut("llama-bpe", "I'LL 12345x\n\n  y") == ["I", "'LL", " ", "123", "45", "x", "\n\n", " ", " y"]
    assert cut("qwen2", "x 123") == ["x", " ", "1", "2", "3"]
    assert cut("deepseek-v3", "x=f 1234你好") == ["x", "=f", " ", "123", "4", "你好"]
    assert cut("deepseek-llm", "ab 12\n你好") == ["ab", " ", "1", "2", "\n", "你好"]
    assert cut("gpt-2", "it's 123") == ["it", "'s", " 123"]


PIECES = ["a", "b", "c", SPACE, "ab", "bc", "abc", SPACE + "a", "ca", "cab", SPACE + "ab", "aa"]


def sentence_piece_metadata(scores: list[float]) -> dict[str, Any]:
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *PIECES]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": np.array([2, 3, 3, *[6] * 256, *[1] * len(PIECES)], np.int32),
        "tokenizer.ggml.scores": np.array([0, 0, 0, *[0] * 256, *scores], np.float32),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
    }


def sentence_piece(text: str, scores: list[float]) -> list[str]:
    """SentencePiece's algorithm: again and again join the neighbours whose whole has the best score."""
    score = dict(zip(PIECES, scores, strict=True))
    parts = list(SPACE + text.replace(" ", SPACE))
    while True:
        found = [
            (-score[left + right], index)
            for index, (left, right) in enumerate(itertools.pairwise(parts))
            if left + right in score
        ]
        if not found:
            return parts
        _, index = min(found)
        parts[index : index + 2] = [parts[index] + parts[index + 1]]


SCORES = st.permutations(range(len(PIECES))).map(lambda order: [-float(place) for place in order])


@settings(max_examples=150, deadline=None)
@given(st.text("abc ", min_size=1, max_size=12), SCORES)
def test_sentence_piece_joins_by_score(text: str, scores: list[float]) -> None:
    tokenizer = tokenizers.Tokenizer.from_str(
        tokenizer_files(sentence_piece_metadata(scores))["tokenizer.json"]
    )
    encoded = tokenizer.encode(text)
    assert encoded.tokens == ["<s>", *sentence_piece(text, scores)]
    assert tokenizer.decode(encoded.ids) == text


def test_sentence_piece_spells_the_unknown_in_bytes(tmp_path: Path) -> None:
    tokenizer = written(tmp_path, sentence_piece_metadata([-float(n) for n in range(len(PIECES))]))
    for text in ("é", "ab 日本", "<s>"):
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.eos_token_ids == {2}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tokenizer.ggml.model": "bert"}, "kind 'bert'"),
        ({"tokenizer.ggml.pre": "viking"}, "rule 'viking'"),
        ({"tokenizer.ggml.tokens": []}, "no tokens"),
        ({"tokenizer.ggml.tokens": ["a", "a"]}, "under two numbers"),
        ({"tokenizer.ggml.merges": ["zz qq"]}, "joins tokens that it lacks"),
        ({"tokenizer.ggml.merges": ["a"]}, "joins tokens that it lacks"),
        ({"tokenizer.ggml.merges": 3}, "no merges"),
        ({"tokenizer.ggml.token_type": np.array([1], np.int32)}, "one value for each"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, Any], said: str) -> None:
    with pytest.raises(CheckpointError, match=said):
        tokenizer_files(byte_level_metadata() | change)


def test_a_folder_with_nothing_but_a_gguf_file_has_the_tokenizer_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(gguf_bytes(byte_level_metadata(), {}))
    found, direct = load_tokenizer(tmp_path), load_tokenizer(file)
    assert found is not None
    assert direct is not None
    assert found.encode("ab <s>") == direct.encode("ab <s>")
    # Two of them are a question; a tokenizer.json beside one is an answer.
    (tmp_path / "other.gguf").write_bytes(file.read_bytes())
    assert load_tokenizer(tmp_path) is None
    (tmp_path / "other.gguf").unlink()
    (tmp_path / "tokenizer.json").write_text(tokenizers.Tokenizer(tokenizers.models.BPE()).to_str())
    own = load_tokenizer(tmp_path)
    assert own is not None
    assert own.vocab_size == 0

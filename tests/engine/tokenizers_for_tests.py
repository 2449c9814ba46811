"""Small tokenizers of the kinds that models bring."""

from __future__ import annotations

import json
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, decoders, models, normalizers

from tests.conftest import WEIGHTS


def byte_level(special: list[str], plain: list[str]) -> tokenizers.Tokenizer:
    """Byte-level BPE with a real vocabulary, `special` control tokens and `plain` added ones."""
    found = tokenizers.Tokenizer.from_file(str(WEIGHTS / "tokenizer.json"))
    found.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in special])
    found.add_tokens([AddedToken(text, special=False, normalized=False) for text in plain])
    return found


def sentence_piece() -> tokenizers.Tokenizer:
    """BPE as in Llama 2: a lower block for the space, one in front of the text, bytes for the unknown."""
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    words += ["\u2581", *"abcdefghijklmnopqrstuvwxyz<>/.|_"]
    pairs = [("t", "h"), ("th", "e"), ("\u2581", "the"), ("i", "n"), ("\u2581", "a"), ("in", "g")]
    words += [a + b for a, b in pairs]
    vocabulary = {word: i for i, word in enumerate(words)}
    model = models.BPE(vocab=vocabulary, merges=pairs, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    found = tokenizers.Tokenizer(model)
    found.normalizer = normalizers.Sequence(
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    )
    found.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    found.add_special_tokens(
        [AddedToken(t, special=True, normalized=False) for t in ("<unk>", "<s>", "</s>")]
    )
    return found


def write(folder: Path, tokenizer: tokenizers.Tokenizer, **config: object) -> Path:
    """A directory with the tokenizer and its tokenizer_config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **config}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder

"""Trains a tokenizer: byte-level BPE (Sennrich et al. 2016; on bytes, Radford et al. 2019), digits apart."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from deepseek_tui.training.documents import Document
from deepseek_tui.training.errors import TrainingError

END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL_TOKENS = (END_OF_TEXT, START, END)
"""Ids 0, 1 and 2, in this order."""

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] "
    "+ '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""ChatML: each message between start and end, the role on its first line."""


def train_tokenizer(
    documents: Iterable[Document], vocab_size: int, folder: Path, *, context: int = 2048
) -> None:
    """Writes tokenizer.json, tokenizer_config.json and chat_template.jinja for the text of `documents`.

    `vocab_size` counts everything: the 256 bytes and the special tokens too. Every digit is a token of its
    own, so that numbers are read alike wherever they stand. Raises TrainingError where the text has too few
    distinct pieces for the vocabulary.
    """
    if vocab_size < 256 + len(SPECIAL_TOKENS):
        raise TrainingError(
            f"A vocabulary of {vocab_size} is too small: bytes and special tokens alone are "
            f"{256 + len(SPECIAL_TOKENS)}."
        )
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(documents), trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": START,
        "eos_token": END,
        "pad_token": END_OF_TEXT,
        "unk_token": END_OF_TEXT,
        "add_bos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": context,
        "chat_template": CHAT_TEMPLATE,
    }
    text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")


def _texts(documents: Iterable[Document]) -> Iterator[str]:
    for document in documents:
        if document.text is not None:
            yield document.text
        for message in document.messages:
            yield message.role + "\n"
            yield message.content

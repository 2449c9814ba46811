"""A chat model of a megabyte: the weights of a fixture with a tokenizer and a template made here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from deepseek_tui.engine.protocol import Sampling
from deepseek_tui.engine.tokenizer import Tokenizer

FIXTURES = Path(__file__).parents[1] / "fixtures"
CONTROL = ["<|bos|>", "<|im_end|>", "<|im_start|>"]
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_tiny(folder: Path, *, template: bool = True, tokenizer: bool = True) -> Path:
    """A model directory with 512 tokens of context whose end of turn is id 1. Its replies are noise."""
    shutil.copytree(FIXTURES / "llama-tiny", folder, ignore=shutil.ignore_patterns("reference*", "README*"))
    if not tokenizer:
        return folder
    trained = tokenizers.Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        special_tokens=CONTROL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # The commonest pairs of letters come from any English text long enough; this file will do.
    trained.train([str(path) for path in sorted(Path(__file__).parent.glob("*.py"))], trainer)
    trained.save(str(folder / "tokenizer.json"))
    config = {"bos_token": CONTROL[0], "eos_token": CONTROL[1]}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    if template:
        (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folder


def only_ascii(tokenizer: Tokenizer, **sampling: object) -> Sampling:
    """Settings under which noise is at least readable, and never ends by itself."""
    texts = {i: tokenizer.decode([i], skip_special=False) for i in range(512)}
    banned = {str(i): -1e4 for i, text in texts.items() if not text.isascii() or i < len(CONTROL)}
    return Sampling(logit_bias=banned, **sampling)  # type: ignore[arg-type]  # the caller's settings

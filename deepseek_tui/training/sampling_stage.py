"""The stage that lets a teacher write: prompts in, prepared rows out."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from deepseek_tui.checkpoints.load import load_model
from deepseek_tui.engine.tokenizer import load_tokenizer
from deepseek_tui.training.config import RunConfig, SampleStage
from deepseek_tui.training.documents import read_documents, without_repetitions
from deepseek_tui.training.errors import TrainingError
from deepseek_tui.training.rows import RowsWriter, fingerprint
from deepseek_tui.training.sampler import Sampler, SamplerSettings, clean
from deepseek_tui.training.training_stage import compute_dtype


def sample(config: RunConfig, stage: SampleStage, output: Path, say: Callable[[str], None]) -> None:
    """Draws batches until `stage.rows` rows were drawn, and writes those that are good to learn from.

    Batch n is drawn with the seed `stage.seed` + n: the same rows every time on the same device.
    """
    folder = config.resolve(stage.teacher)
    model = load_model(folder, dtype=compute_dtype(stage.precision), quantized=False).model
    tokenizer = load_tokenizer(folder)
    if tokenizer is None:
        raise TrainingError(f"{folder} has no tokenizer.json, so its chats cannot be begun.")
    prompts = first_messages(config, stage)
    sampler = Sampler(model, tokenizer, settings_of(stage))
    unwanted = [tokenizer.encode(form) for text in stage.unwanted for form in (text, f" {text}")]
    writer = RowsWriter(
        output,
        stage.row_length,
        model.args.vocab_size,
        fingerprint(folder / "tokenizer.json"),
        segments=False,
    )
    drawn = kept = number = 0
    while drawn < stage.rows:
        count = min(stage.batch, stage.rows - drawn)
        started = time.perf_counter()
        batch = sampler.batch(prompts, count, stage.seed + number)
        rate = count * stage.row_length / (time.perf_counter() - started)
        tokens, weights = clean(
            batch, user_weight=stage.user_weight, keep_from=stage.keep_from, unwanted=unwanted
        )
        writer.add(tokens, weights, None, documents=len(tokens))
        drawn, kept, number = drawn + count, kept + len(tokens), number + 1
        say(f"{stage.name}: {drawn:,} of {stage.rows:,} rows, {kept:,} kept, {rate:,.0f} tokens/s")
    writer.close()


def first_messages(config: RunConfig, stage: SampleStage) -> list[str]:
    """What chats may begin with: the texts, or the first user messages, of the prompt files."""
    if not stage.prompts:
        return []
    found = []
    for document in without_repetitions(read_documents(config.files(stage.prompts, stage.name))):
        said = [message.content for message in document.messages if message.role == "user"]
        text = document.text if document.text is not None else next(iter(said), "")
        if text.strip():
            found.append(text)
    return found


def settings_of(stage: SampleStage) -> SamplerSettings:
    """The sampler's settings out of a stage's keys."""
    return SamplerSettings(
        length=stage.row_length,
        temperatures=stage.temperatures,
        min_p=stage.min_p,
        repetition=stage.repetition,
        reply_tokens=stage.reply_tokens,
        user_tokens=stage.user_tokens,
        prompted=stage.prompted,
        system=stage.system,
    )

"""What a run would do: its stages, sizes, memory and time, without doing it."""

from __future__ import annotations

from collections.abc import Iterator

from deepseek_tui.training.config import PrepareStage, RunConfig, SampleStage, TokenizerStage, TrainStage
from deepseek_tui.training.errors import TrainingError
from deepseek_tui.training.estimate import estimate
from deepseek_tui.training.progress import duration
from deepseek_tui.training.training_stage import compute_dtype, open_sources, open_stage_model


def lines(config: RunConfig) -> Iterator[str]:
    """For people, one stage after the other. Raises TrainingError where a stage could not even begin."""
    yield f"{config.path}: {len(config.stages)} stages, written below {config.folder}"
    for stage in config.stages:
        kind = type(stage).__name__.removesuffix("Stage").lower()
        match stage:
            case TrainStage():
                yield from _train(config, stage)
            case SampleStage():
                tokens = stage.rows * stage.row_length
                batches = -(-stage.rows // stage.batch)
                yield f"{stage.name} ({kind}): {tokens:,} tokens in {batches} batches"
            case TokenizerStage() | PrepareStage():
                yield f"{stage.name} ({kind}): {_size(config, stage)}"
            case _:
                yield f"{stage.name} ({kind})"


def _size(config: RunConfig, stage: TokenizerStage | PrepareStage) -> str:
    files = config.files(stage.files, stage.name)
    total = sum(file.stat().st_size for file in files)
    return f"{len(files)} file{'s' if len(files) > 1 else ''}, {total / 1e6:,.1f} MB"


def _train(config: RunConfig, stage: TrainStage) -> Iterator[str]:
    needed = [stage.model, stage.tokenizer, stage.teacher, *(source.data for source in stage.sources)]
    waiting = [p for p in needed if p and p.startswith("stage:") and not config.resolve(p).exists()]
    if waiting:
        yield f"{stage.name} (train): {stage.steps:,} steps; sizes once {', '.join(waiting)} is made"
        return
    model, _, _ = open_stage_model(config, stage)
    sources = open_sources(config, stage)
    if not sources:
        raise TrainingError(f"{config.path}: stage {stage.name!r} has no sources.")
    e = estimate(model, stage, sources, compute_dtype(stage.precision))
    yield (
        f"{stage.name} (train): {e.parameters / 1e6:,.1f} M parameters, {e.trained / 1e6:,.1f} M trained, "
        f"{e.active / 1e6:,.1f} M at work for a token"
    )
    yield f"  {stage.steps:,} steps, {e.tokens:,} tokens, {e.flops:.3g} operations"
    yield (
        f"  memory: {e.state_memory / 1e9:.2f} GB for weights and optimizer, about "
        f"{e.batch_memory / 1e9:.2f} GB for a batch"
    )
    yield f"  time: about {duration(e.seconds)} on this device, if a quarter of its peak is used"

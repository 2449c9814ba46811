"""The stage that trains: from a config's tables to a trainer, and its result into a model folder."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx

from deepseek_tui.checkpoints.recipes import Recipe
from deepseek_tui.engine.device import on_gpu
from deepseek_tui.engine.tokenizer import load_tokenizer
from deepseek_tui.training import build
from deepseek_tui.training.config import RunConfig, TrainStage
from deepseek_tui.training.errors import TrainingError
from deepseek_tui.training.estimate import Meter, peak_flops, step_flops
from deepseek_tui.training.kernels import use_kernels
from deepseek_tui.training.network import make_network, parameters
from deepseek_tui.training.objective import Teacher
from deepseek_tui.training.rounding import rounding_plan
from deepseek_tui.training.rows import Rows
from deepseek_tui.training.sampler import Turns
from deepseek_tui.training.schedule import Schedule
from deepseek_tui.training.sources import Source, SourceSettings
from deepseek_tui.training.trainer import Trainer, TrainSettings

Record = Callable[[dict[str, Any]], None]


def compute_dtype(precision: str) -> Any:
    """What a stage computes in: "auto" is bfloat16 on a GPU and float32 on a CPU."""
    if precision == "auto":
        return mx.bfloat16 if on_gpu() else mx.float32
    return getattr(mx, precision)


def open_stage_model(config: RunConfig, stage: TrainStage) -> tuple[Any, dict[str, Any], Path]:
    """(model in float32, its config, folder of its tokenizer) that a stage begins with."""
    if stage.model is not None:
        folder = config.resolve(stage.model)
        model, body = build.open_model(folder)
    else:
        assert stage.config is not None
        assert stage.tokenizer is not None
        folder = config.resolve(stage.tokenizer)
        body = _read_config(config.resolve(stage.config), folder)
        model = build.new_model(body, config.seed)
    if stage.add_prediction_layer:
        model, body = build.with_prediction_layer(model, body)
    return model, body, folder


def train(
    config: RunConfig,
    stage: TrainStage,
    record: Record,
    *,
    seconds: float = 0.0,
    group: Any = None,
) -> bool:
    """Trains, going on from the newest checkpoint; writes the model when done. False: the time was up."""
    model, body, folder = open_stage_model(config, stage)
    dtype = compute_dtype(stage.precision)
    use_kernels(stage.kernels)
    network = make_network(
        model, experts=stage.experts, attention=stage.attention, checkpoint=stage.checkpoint
    )
    sources = open_sources(config, stage, group)
    check_vocabulary(config, stage, sources, model)
    teacher = _teacher(config, stage, dtype)
    rounding = stage.rounding
    plan = None
    if rounding is not None:
        plan = rounding_plan(
            model, Recipe(rounding.bits, rounding.group_size, rounding.mixed, rounding.embed_bits)
        )
    meter = Meter(
        step_flops(model, stage, sources, teacher), stage.peak_tflops * 1e12 or peak_flops(dtype), stage.steps
    )
    trainer = Trainer(
        network,
        parameters(model),
        sources,
        settings_of(stage, seconds, rounding.start if rounding else 1.0),
        config.output(stage.name) / "checkpoints",
        dtype=dtype,
        teacher=teacher,
        plan=plan,
        recipe=_recipe(stage, config.seed, sources),
        report=lambda entry: record(meter.completed(entry)),
        group=group,
    )
    if trainer.resume():
        record({"step": trainer.state.step, "note": "resumed"})
    finished = trainer.run()
    if finished and (group is None or group.rank() == 0):
        files = build.model_files(folder)
        target = config.output(stage.name) / "model"
        build.export_model(target, model, trainer.weights, body, files=files)
    return finished


def settings_of(stage: TrainStage, seconds: float = 0.0, round_from: float = 1.0) -> TrainSettings:
    """The trainer's settings out of a stage's tables."""
    compiled = stage.compile == "on" or (stage.compile == "auto" and mx.metal.is_available() and on_gpu())
    return TrainSettings(
        schedule=Schedule(stage.steps, **dataclasses.asdict(stage.schedule)),
        optimizer=stage.optimizer,
        objectives=stage.objectives(),
        balance_rate=stage.balance_rate,
        round_from=round_from,
        log_every=stage.log_every,
        validate_every=stage.validate_every,
        save_every=stage.save_every,
        keep=stage.keep,
        spike=stage.spike,
        compiled=compiled,
        seconds=seconds,
    )


def open_sources(config: RunConfig, stage: TrainStage, group: Any = None) -> list[Source]:
    """The prepared rows of a stage, checked to be of one tokenizer."""
    rank, size = (group.rank(), group.size()) if group is not None else (0, 1)
    found = []
    for number, table in enumerate(stage.sources):
        rows = Rows(config.resolve(table.data))
        settings = SourceSettings(
            table.data.removeprefix("stage:"),
            table.rows,
            table.objective,
            table.weight,
            table.micro,
            table.held_out,
        )
        found.append(Source(settings, rows, config.seed + number, rank=rank, size=size))
    if len({source.data.info.tokenizer for source in found}) > 1:
        raise TrainingError(
            f"{config.path}: stage {stage.name!r}: its sources were prepared with different tokenizers."
        )
    return found


def check_vocabulary(config: RunConfig, stage: TrainStage, sources: list[Source], model: Any) -> None:
    """Raises TrainingError where a source has ids that the model has no row for."""
    for source in sources:
        if source.data.info.vocab_size > model.args.vocab_size:
            raise TrainingError(
                f"{config.path}: stage {stage.name!r}: the rows of {source.settings.name} have "
                f"{source.data.info.vocab_size} token ids, and the model {model.args.vocab_size}."
            )


def _teacher(config: RunConfig, stage: TrainStage, dtype: Any) -> Teacher | None:
    if stage.teacher is None:
        return None
    folder = config.resolve(stage.teacher)
    model, _ = build.open_model(folder, dtype)
    prefix: list[int] = []
    if stage.teacher_system is not None:
        tokenizer = load_tokenizer(folder)
        if tokenizer is None:
            raise TrainingError(f"{folder} has no tokenizer.json, so teacher_system cannot be encoded.")
        prefix = Turns(tokenizer, stage.teacher_system).prefix
    return Teacher(make_network(model), parameters(model), tuple(prefix))


def _recipe(stage: TrainStage, seed: int, sources: list[Source]) -> str:
    """What must be the same for a checkpoint to be gone on from."""
    data = [dataclasses.asdict(source.data.info) for source in sources]
    keys = ("log_every", "validate_every", "save_every", "keep", "peak_tflops", "spike")
    body = {k: v for k, v in dataclasses.asdict(stage).items() if k not in keys}
    return hashlib.sha256(json.dumps([seed, body, data], sort_keys=True).encode()).hexdigest()


def _read_config(path: Path, tokenizer: Path) -> dict[str, Any]:
    """A config.json for a new model; its vocabulary is the tokenizer's where it does not say."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path} cannot be read as a model's config ({error}).") from error
    if not isinstance(body, dict):
        raise TrainingError(f"{path} holds no object, so it is no model's config.")
    found = load_tokenizer(tokenizer)
    if found is None:
        raise TrainingError(f"{tokenizer} has no tokenizer.json.")
    size = body.setdefault("vocab_size", found.vocab_size)
    if size < found.vocab_size:
        raise TrainingError(f"{path} gives vocab_size {size}, and the tokenizer has {found.vocab_size}.")
    for key, token in (
        ("bos_token_id", found.bos_token_id),
        ("eos_token_id", min(found.eos_token_ids, default=None)),
    ):
        if token is not None:
            body.setdefault(key, token)
    return body

"""Runs the stages of a config one after the other, each once."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deepseek_tui.checkpoints.recipes import PLAIN, Recipe
from deepseek_tui.engine.tokenizer import Tokenizer, load_tokenizer
from deepseek_tui.training import build
from deepseek_tui.training.config import (
    ExportStage,
    PrepareStage,
    RunConfig,
    SampleStage,
    Stage,
    TokenizerStage,
    TrainStage,
    UpcycleStage,
)
from deepseek_tui.training.documents import read_documents, without_repetitions
from deepseek_tui.training.encoding import Encoder
from deepseek_tui.training.errors import TrainingError
from deepseek_tui.training.network import parameters
from deepseek_tui.training.packing import pack
from deepseek_tui.training.rows import fingerprint, write_json
from deepseek_tui.training.tokenizer import train_tokenizer
from deepseek_tui.training.training_stage import compute_dtype, train

_DONE = ".done"
"""Folder of a file for each stage that was finished."""

Say = Callable[[str], None]
"""Takes a line for people."""
Report = Callable[[str, dict[str, Any]], None]
"""Takes a stage's name and a record of its log."""


class Runner:
    """Runs a config. `say` and `report` show what happens; `seconds` bounds each training stage; `group`:
    processes that train together, of which the first alone does everything else."""

    def __init__(
        self, config: RunConfig, say: Say, report: Report, *, seconds: float = 0.0, group: Any = None
    ) -> None:
        self.config, self.say, self.report = config, say, report
        self.seconds, self.group = seconds, group

    @property
    def _is_first(self) -> bool:
        return self.group is None or self.group.rank() == 0

    def run(self, resume: bool) -> bool:
        """All stages in order; True when the last is done, False where the time was up.

        Raises TrainingError where there is something from before and `resume` is not asked for, or where that
        was made with other settings.
        """
        begun = [stage.name for stage in self.config.stages if self.config.output(stage.name).exists()]
        if begun and not resume:
            raise TrainingError(
                f"{self.config.folder} holds stages of an earlier run ({', '.join(begun)}).",
                "Go on with --resume, or choose another folder.",
            )
        for stage in self.config.stages:
            if self._is_done(stage):
                self.say(f"{stage.name}: done before")
                continue
            self.say(f"{stage.name}: {_kind(stage)}")
            if not self._run(stage):
                return False
        return True

    def _run(self, stage: Stage) -> bool:
        finished = True
        if isinstance(stage, TrainStage):
            finished = train(
                self.config,
                stage,
                lambda record: self.report(stage.name, record),
                seconds=self.seconds,
                group=self.group,
            )
        elif self._is_first:
            self._make(stage)
        if self._is_first and finished:
            marker = self._marker(stage)
            marker.parent.mkdir(parents=True, exist_ok=True)
            write_json(marker, {"recipe": recipe_of(self.config, stage)})
        self._wait()
        return finished

    def _make(self, stage: Stage) -> None:
        output = self.config.output(stage.name)
        if not isinstance(stage, TrainStage) and output.exists():
            # What a stage that was cut short left behind.
            shutil.rmtree(output)
        match stage:
            case TokenizerStage():
                documents = read_documents(self.config.files(stage.files, stage.name))
                train_tokenizer(documents, stage.vocab_size, output, context=stage.context)
            case PrepareStage():
                self._prepare(stage, output)
            case SampleStage():
                from deepseek_tui.training.sampling_stage import sample

                sample(self.config, stage, output, self.say)
            case UpcycleStage():
                self._upcycle(stage, output)
            case ExportStage():
                self._export(stage, output)

    def _prepare(self, stage: PrepareStage, output: Path) -> None:
        folder = self.config.resolve(stage.tokenizer)
        tokenizer = tokenizer_of(folder)
        documents = read_documents(self.config.files(stage.files, stage.name))
        if stage.deduplicate:
            documents = without_repetitions(documents)
        encoder = Encoder(tokenizer, stage.roles, stage.end_of_text)
        info = pack(
            encoder.encode(documents),
            output,
            length=stage.row_length,
            vocab_size=tokenizer.vocab_size,
            tokenizer=fingerprint(folder / "tokenizer.json"),
            split_long="assistant" not in stage.roles or not _holds_chats(stage, self.config),
        )
        self.say(f"{stage.name}: {info.documents:,} documents, {info.tokens:,} tokens in {info.rows:,} rows")

    def _upcycle(self, stage: UpcycleStage, output: Path) -> None:
        from deepseek_tui.training.upcycle import Plan
        from deepseek_tui.training.upcycle_directory import Calibration, upcycle_directory

        names = {f.name for f in dataclasses.fields(Plan)}
        plan = Plan(**{name: value for name, value in vars(stage).items() if name in names})
        text = self.config.resolve(stage.calibration) if stage.calibration else None
        upcycle_directory(
            self.config.resolve(stage.source),
            output,
            plan,
            Calibration(text, stage.tokens, stage.row),
            report=self.say,
        )

    def _export(self, stage: ExportStage, output: Path) -> None:
        source = self.config.resolve(stage.model)
        model, config = build.open_model(source)
        files = build.model_files(source) + self.config.files(stage.files, stage.name)
        recipe = None
        if stage.bits < PLAIN:
            recipe = Recipe(stage.bits, stage.group_size, stage.mixed, stage.embed_bits)
        build.export_model(output, model, parameters(model), config, recipe=recipe, files=files)
        size = sum(file.stat().st_size for file in output.iterdir())
        self.say(f"{stage.name}: {output} ({size / 1e6:.1f} MB)")

    def _is_done(self, stage: Stage) -> bool:
        marker = self._marker(stage)
        if not marker.is_file():
            return False
        if json.loads(marker.read_text(encoding="utf-8")).get("recipe") != recipe_of(self.config, stage):
            raise TrainingError(
                f"The stage {stage.name!r} was made with other settings than {self.config.path} has now.",
                f"Remove {marker} and those of later stages to make them again, or choose another folder.",
            )
        return True

    def _marker(self, stage: Stage) -> Path:
        return self.config.folder / _DONE / f"{stage.name}.json"

    def _wait(self) -> None:
        """Until all processes are here."""
        if self.group is not None and self.group.size() > 1:
            import mlx.core as mx

            mx.eval(mx.distributed.all_sum(mx.zeros(()), group=self.group))


def recipe_of(config: RunConfig, stage: Stage) -> str:
    """Tells one way of making a stage from another: a hash of its settings and the seed."""
    body = json.dumps([config.seed, _kind(stage), dataclasses.asdict(stage)], sort_keys=True)
    return hashlib.sha256(body.encode()).hexdigest()


def tokenizer_of(folder: Path) -> Tokenizer:
    """The tokenizer of a model folder. Raises TrainingError where it has none."""
    found = load_tokenizer(folder)
    if found is None:
        raise TrainingError(f"{folder} has no tokenizer.json.")
    return found


def _kind(stage: Stage) -> str:
    return type(stage).__name__.removesuffix("Stage").lower()


def _holds_chats(stage: PrepareStage, config: RunConfig) -> bool:
    """Whether the first document is a chat: those are never cut into pieces."""
    first = next(iter(read_documents(config.files(stage.files, stage.name))), None)
    return first is not None and first.text is None


__all__ = ["Runner", "compute_dtype", "recipe_of", "tokenizer_of"]

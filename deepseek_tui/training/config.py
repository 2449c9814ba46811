"""What a training run is: stages in a TOML file, from text to a model folder.

Each stage writes below the run's folder, under its name; `stage:NAME` in a later one means what that made.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from deepseek_tui.training.errors import TrainingError
from deepseek_tui.training.objective import ObjectiveSettings
from deepseek_tui.training.optimizer import OptimizerSettings
from deepseek_tui.training.table import read_table

_STAGE = "stage:"


@dataclass(frozen=True)
class TokenizerStage:
    """Trains a tokenizer on the text of `files`."""

    name: str
    files: tuple[str, ...]
    vocab_size: int
    context: int = 2048


@dataclass(frozen=True)
class PrepareStage:
    """Encodes and packs documents. `tokenizer`: a model folder. `roles`: weight in the loss of each role."""

    name: str
    files: tuple[str, ...]
    tokenizer: str
    row_length: int = 1024
    roles: dict[str, float] = field(default_factory=lambda: {"assistant": 1.0})
    end_of_text: str | None = None
    deduplicate: bool = True


@dataclass(frozen=True)
class SampleStage:
    """Lets `teacher` write chats. See `sampler.SamplerSettings` for the meaning of the keys."""

    name: str
    teacher: str
    rows: int
    prompts: tuple[str, ...] = ()
    prompted: float = 0.75
    row_length: int = 512
    batch: int = 4096
    system: str | None = None
    temperatures: tuple[float, ...] = (0.6, 0.7, 0.8, 0.9, 1.0)
    min_p: float = 0.05
    repetition: float = 0.2
    reply_tokens: int = 280
    user_tokens: int = 90
    user_weight: float = 0.3
    unwanted: tuple[str, ...] = ()
    keep_from: float = 0.5
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: int = 0


@dataclass(frozen=True)
class UpcycleStage:
    """Turns a Llama-like `source` into a deepseek_v3 model; keys as `models upcycle` has them."""

    name: str
    source: str
    calibration: str | None = None
    tokens: int = 8192
    row: int = 256
    steps: tuple[str, ...] = ("attention", "layers", "experts")
    layers: int | None = None
    experts: int = 8
    shared: int = 1
    top_k: int = 2
    expert_size: int | None = None
    kv_rank: int | None = None
    rope_dim: int | None = None
    nope_dim: int | None = None
    dense_layers: int = 1
    seed: int = 0


@dataclass(frozen=True)
class SourceTable:
    """Prepared rows and their part in a step; see `sources.SourceSettings`."""

    data: str
    rows: int
    objective: Literal["predict", "distil", "ahead"] = "predict"
    weight: float = 1.0
    micro: int = 0
    held_out: int = 0


@dataclass(frozen=True)
class RoundingTable:
    """`start`: share of the run after which the forward pass rounds as the export will."""

    start: float = 0.8
    bits: int = 4
    group_size: int = 64
    mixed: str | None = None
    embed_bits: int | None = None


@dataclass(frozen=True)
class ScheduleTable:
    """See `schedule.Schedule`."""

    warmup: int = 40
    decay_from: float = 0.45
    floor: float = 0.03


@dataclass(frozen=True)
class TrainStage:
    """Trains `model` (a folder), or a new one of `config` (a config.json) with `tokenizer`.

    `sources` decide the objective of their rows: "predict" (cross-entropy), "distil" (KL to `teacher` plus
    `distil_predict` times cross-entropy), "ahead" (the prediction layers alone, to the model's own words).
    `ahead`: weight of the prediction layers' loss beside the others. `add_prediction_layer` gives the model
    one, begun as a copy of its last layer. `teacher_system`: a system message that the teacher sees before
    each row and the model does not.
    """

    name: str
    steps: int
    sources: tuple[SourceTable, ...]
    model: str | None = None
    config: str | None = None
    tokenizer: str | None = None
    teacher: str | None = None
    teacher_system: str | None = None
    add_prediction_layer: bool = False
    distil_predict: float = 0.0
    ahead: float = 0.0
    balance: float = 1e-4
    balance_rate: float = 1e-3
    chunk: int = 8192
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    experts: Literal["dense", "gather"] = "dense"
    attention: Literal["fused", "padded", "plain"] = "fused"
    checkpoint: bool = False
    compile: Literal["auto", "on", "off"] = "auto"
    kernels: Literal["auto", "on", "off"] = "auto"
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    schedule: ScheduleTable = field(default_factory=ScheduleTable)
    rounding: RoundingTable | None = None
    log_every: int = 10
    validate_every: int = 500
    save_every: int = 500
    keep: int = 2
    spike: float = 3.0
    peak_tflops: float = 0.0

    def __post_init__(self) -> None:
        if (self.model is None) == (self.config is None):
            raise ValueError("exactly one of model and config is needed")
        if self.config is not None and self.tokenizer is None:
            raise ValueError("a new model needs a tokenizer")
        kinds = {source.objective for source in self.sources}
        if not kinds:
            raise ValueError("there are no sources to train on")
        if "distil" in kinds and self.teacher is None:
            raise ValueError("a source is to be distilled and there is no teacher")
        if "ahead" in kinds and len(kinds) > 1:
            raise ValueError("prediction layers are trained alone: every source then has the objective ahead")
        if self.steps < 1:
            raise ValueError("steps is less than 1")

    def objectives(self) -> dict[str, ObjectiveSettings]:
        """What each kind of source minimises."""
        common = ObjectiveSettings(ahead=self.ahead, balance=self.balance, chunk=self.chunk)
        kinds = {
            "predict": common,
            "distil": replace(common, predict=self.distil_predict, distil=1.0),
            "ahead": replace(common, ahead=0.0, ahead_only=True),
        }
        return {name: kinds[name] for name in sorted({source.objective for source in self.sources})}


@dataclass(frozen=True)
class ExportStage:
    """Writes `model` as it is shipped. `files`: what else goes into its folder."""

    name: str
    model: str
    bits: int = 4
    group_size: int = 64
    mixed: str | None = None
    embed_bits: int | None = None
    files: tuple[str, ...] = ()


Stage = TokenizerStage | PrepareStage | SampleStage | UpcycleStage | TrainStage | ExportStage

KINDS: dict[str, type[Any]] = {
    "tokenizer": TokenizerStage,
    "prepare": PrepareStage,
    "sample": SampleStage,
    "upcycle": UpcycleStage,
    "train": TrainStage,
    "export": ExportStage,
}


@dataclass(frozen=True)
class RunConfig:
    """A config file, read. Paths in it count from `base`, the folder of the file."""

    path: Path
    folder: Path
    seed: int
    stages: tuple[Stage, ...]

    @property
    def base(self) -> Path:
        return self.path.parent

    def output(self, name: str) -> Path:
        """Where a stage writes."""
        return self.folder / name

    def resolve(self, place: str) -> Path:
        """A path of the config: `stage:NAME` is what that stage made."""
        if not place.startswith(_STAGE):
            return (self.base / Path(place).expanduser()).absolute()
        name, _, rest = place.removeprefix(_STAGE).partition("/")
        stage = next((stage for stage in self.stages if stage.name == name), None)
        output = self.output(name)
        return (output / "model" if isinstance(stage, TrainStage) else output) / rest

    def files(self, patterns: tuple[str, ...], where: str) -> list[Path]:
        """Files that match, in the order of the patterns. Raises TrainingError for one that matches none."""
        found: list[Path] = []
        for pattern in patterns:
            path = self.resolve(pattern)
            fixed = next(p for p in path.parents if not set("*?[") & set(str(p)))
            matches = sorted(fixed.glob(str(path.relative_to(fixed))))
            if not matches:
                raise TrainingError(f"{self.path}: stage {where!r}: no file matches {pattern!r}.")
            found += matches
        return found


def load_config(path: Path) -> RunConfig:
    """Reads and checks a config file. Raises TrainingError naming file, stage, key and value."""
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise TrainingError(f"{path} cannot be read: {reason}.") from error
    except tomllib.TOMLDecodeError as error:
        raise TrainingError(f"{path} is not valid TOML: {error}.") from error
    known = {"folder", "seed", "stage"}
    for key in body:
        if key not in known:
            raise TrainingError(f"{path} has no key {key!r}.", f"Keys are {', '.join(sorted(known))}.")
    tables, seed, folder = body.get("stage", []), body.get("seed", 0), body.get("folder")
    if not isinstance(tables, list) or not tables:
        raise TrainingError(f"{path} has no stages.", "Each is a [[stage]] with name and kind.")
    if not isinstance(folder, str) or not isinstance(seed, int) or isinstance(seed, bool):
        raise TrainingError(
            f"{path} needs folder (text: where the run is written) and seed (a whole number)."
        )
    stages = tuple(_stage(table, number, path) for number, table in enumerate(tables, 1))
    config = RunConfig(path, (path.parent / Path(folder).expanduser()).absolute(), seed, stages)
    _check_references(config)
    return config


def _stage(table: Any, number: int, path: Path) -> Stage:
    where = f"{path}: stage {table.get('name', number) if isinstance(table, dict) else number!r}"
    kind = table.get("kind") if isinstance(table, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise TrainingError(f"{where} has the kind {kind!r}.", f"It may be {', '.join(KINDS)}.")
    stage: Stage = read_table(KINDS[kind], {k: v for k, v in table.items() if k != "kind"}, where)
    if not stage.name.replace("-", "").replace("_", "").isalnum():
        raise TrainingError(f"{where}: a name has letters, digits, - and _ only.")
    return stage


def _check_references(config: RunConfig) -> None:
    seen: set[str] = set()
    for stage in config.stages:
        if stage.name in seen:
            raise TrainingError(f"{config.path} has two stages named {stage.name!r}.")
        for value in _texts(stage):
            if value.startswith(_STAGE) and value.removeprefix(_STAGE).partition("/")[0] not in seen:
                raise TrainingError(
                    f"{config.path}: stage {stage.name!r} uses {value!r}; no stage before it has that name."
                )
        seen.add(stage.name)


def _texts(stage: Stage) -> list[str]:
    found: list[str] = []
    for value in vars(stage).values():
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, str):
                found.append(item)
            elif isinstance(item, SourceTable):
                found.append(item.data)
    return found

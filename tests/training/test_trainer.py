"""The loop: learning, balancing, stopping, and going on as if nothing had happened."""

from __future__ import annotations

import dataclasses
import itertools
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from deepseek_tui.checkpoints.recipes import Recipe
from deepseek_tui.training.checkpoints import checkpoints, load_state
from deepseek_tui.training.errors import TrainingError
from deepseek_tui.training.network import Weights, make_network, parameters
from deepseek_tui.training.objective import ObjectiveSettings, Teacher
from deepseek_tui.training.optimizer import OptimizerSettings, is_matrix, orthogonal
from deepseek_tui.training.rounding import rounding_plan
from deepseek_tui.training.rows import Rows
from deepseek_tui.training.schedule import Schedule
from deepseek_tui.training.sources import Source, SourceSettings
from deepseek_tui.training.trainer import Trainer, TrainSettings
from tests.training import tiny

FAST = OptimizerSettings(lr=0.02, adam_lr=5e-3, embedding_lr=5e-3)
PREDICT = {"predict": ObjectiveSettings(ahead=0.3)}


def trainer(folder: Path, steps: int = 12, **changes: Any) -> Trainer:
    """A trainer of a tiny model on counting rows. Keys of TrainSettings, `rows`, `micro`, `objective`,
    `recipe`, `report`, `teacher` and `plan` may be given."""
    model = tiny.model()
    data = folder / "rows"
    rows = tiny.write_rows(data) if not data.exists() else Rows(data)
    objective = changes.pop("objective", "predict")
    source = Source(
        SourceSettings("count", changes.pop("rows", 6), objective, micro=changes.pop("micro", 0), held_out=4),
        rows,
        seed=1,
    )
    own: dict[str, Any] = {k: changes.pop(k) for k in ("recipe", "report", "teacher") if k in changes}
    if changes.pop("rounded", False):
        own["plan"] = rounding_plan(model, Recipe(4, 32))
    settings = TrainSettings(
        Schedule(steps, warmup=3), FAST, changes.pop("objectives", PREDICT), compiled=False,
        save_every=changes.pop("save_every", 5), validate_every=changes.pop("validate_every", 0), **changes,
    )  # fmt: skip
    network = make_network(model)
    return Trainer(
        network, parameters(model), [source], settings, folder / "checkpoints", dtype=mx.float32, **own
    )


def same(one: Weights, other: Weights) -> bool:
    return one.keys() == other.keys() and all(bool(mx.array_equal(one[n], other[n]).item()) for n in one)


def test_training_lowers_the_loss_of_rows_it_never_saw(tmp_path: Path) -> None:
    records: list[dict[str, Any]] = []
    run = trainer(tmp_path, 40, validate_every=20, report=records.append)
    before = run.validate()["validation.count.entropy"]
    assert run.run()
    after = [r["validation.count.entropy"] for r in records if "validation.count.entropy" in r]
    assert before > 3.5
    assert after[-1] < 0.5 * before
    assert {"loss", "norm", "rate", "tokens_per_s", "busiest", "predict.ahead_loss"} <= records[0].keys()


@pytest.mark.parametrize("killed_at", [5, 7])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path, killed_at: int) -> None:
    whole = trainer(tmp_path / "whole", rounded=True, round_from=0.5)
    assert whole.run()
    parted = trainer(tmp_path / "parted", rounded=True, round_from=0.5)

    class Killed(Exception):
        pass

    advance = parted._advance

    def until() -> Any:
        if parted.state.step == killed_at:
            raise Killed
        return advance()

    parted._advance = until  # type: ignore[method-assign]
    with pytest.raises(Killed):
        parted.run()
    again = trainer(tmp_path / "parted", rounded=True, round_from=0.5)
    assert again.resume()
    # A killed run loses at most what came after its last checkpoint.
    assert again.state.step == 5
    assert again.run()
    assert same(again.weights, whole.weights)
    assert same(again.state.optimizer, whole.state.optimizer)
    assert dataclasses.replace(again.state, trained={}, fixed={}, optimizer={}) == dataclasses.replace(
        whole.state, trained={}, fixed={}, optimizer={}
    )


def test_checkpoints_are_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trainer(tmp_path, 5)
    run.run()
    folder = tmp_path / "checkpoints"
    before = checkpoints(folder)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    run.state.step = 6
    monkeypatch.setattr("deepseek_tui.training.checkpoints.write_json", full)
    with pytest.raises(TrainingError, match="No space left"):
        run.save()
    assert checkpoints(folder) == before
    assert sorted(folder.iterdir()) == before
    (before[-1] / "optimizer.safetensors").write_bytes(b"broken")
    with pytest.raises(TrainingError, match="cannot be read"):
        load_state(before[-1])


def test_only_the_newest_checkpoints_stay(tmp_path: Path) -> None:
    trainer(tmp_path, 8, save_every=2, keep=2).run()
    assert [path.name for path in checkpoints(tmp_path / "checkpoints")] == ["step-00000006", "step-00000008"]


def test_other_settings_do_not_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    trainer(tmp_path, 5, recipe="one").run()
    with pytest.raises(TrainingError, match="other settings"):
        trainer(tmp_path, 5, recipe="two").resume()


def test_parts_of_a_step_add_up_to_the_whole(tmp_path: Path) -> None:
    whole, parts = trainer(tmp_path, 4), trainer(tmp_path, 4, micro=2)
    whole.run()
    shutil.rmtree(tmp_path / "checkpoints")
    parts.run()
    for name, array in whole.weights.items():
        np.testing.assert_allclose(np.array(parts.weights[name]), np.array(array), atol=2e-4)


def test_balancing_moves_the_load(tmp_path: Path) -> None:
    ends = []
    for rate in (0.0, 0.005):
        records: list[dict[str, Any]] = []
        run = trainer(tmp_path / str(rate), 40, balance_rate=rate, report=records.append)
        # A bias that sends every token to the same two experts.
        for name in run.state.fixed:
            run.state.fixed[name] = mx.array([0.15, 0.15, 0.0, 0.0])
        run.run()
        ends.append(records[-1]["busiest"])
    assert ends[0] > 1.8
    assert ends[1] < 1.6


def test_a_loss_that_is_not_finite_stops_and_names_step_and_rows(tmp_path: Path) -> None:
    run = trainer(tmp_path, 10)
    run.state.trained["model.norm.weight"] = mx.full((32,), float("nan"))
    with pytest.raises(TrainingError, match=r"step 1 is not finite .* rows were count: \d+, "):
        run.run()
    assert not checkpoints(tmp_path / "checkpoints")


def test_a_leap_of_the_loss_stops(tmp_path: Path) -> None:
    run = trainer(tmp_path, 40, save_every=0, spike=2.0)
    run.state.step, run.state.average = 30, 0.1
    run.state.positions["count"] = 30 * 6
    with pytest.raises(TrainingError, match="step 31 leapt to"):
        run.run()


def test_prediction_layers_alone_leave_the_trunk_as_it_is(tmp_path: Path) -> None:
    run = trainer(
        tmp_path, 6, objective="ahead", objectives={"ahead": ObjectiveSettings(ahead_only=True, balance=0.0)}
    )
    before = dict(run.weights)
    run.run()
    moved = {n for n, a in run.weights.items() if not mx.array_equal(a, before[n]).item()}
    assert moved
    assert all(name.startswith("model.layers.3.") for name in moved)


def test_a_student_comes_nearer_to_its_teacher(tmp_path: Path) -> None:
    taught = tiny.teacher()
    run = trainer(
        tmp_path,
        30,
        objective="distil",
        objectives={"distil": ObjectiveSettings(predict=0.0, distil=1.0)},
        teacher=Teacher(make_network(taught), parameters(taught), prefix=(3, 4)),
    )
    before = run.validate()["validation.count.divergence"]
    run.run()
    assert run.validate()["validation.count.divergence"] < 0.6 * before


def test_muon_makes_updates_orthogonal() -> None:
    matrices = mx.random.normal((3, 16, 40), key=mx.random.key(1))
    found = orthogonal(matrices, mx.float32)
    sizes = np.linalg.svd(np.array(found), compute_uv=False)
    assert sizes.min() > 0.7
    assert sizes.max() < 1.3
    weights = parameters(tiny.model())
    chosen = {name for name, array in weights.items() if is_matrix(name, array)}
    assert "model.layers.1.mlp.switch_mlp.up_proj.weight" in chosen
    assert not {"model.embed_tokens.weight", "model.layers.1.mlp.gate.weight", "model.norm.weight"} & chosen


def test_the_schedule_rises_stays_and_falls() -> None:
    schedule = Schedule(100, warmup=10, decay_from=0.5, floor=0.1)
    factors = [schedule.factor(step) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9:51] == [1.0] * 42
    assert factors[75] == pytest.approx(0.5)
    assert factors[99] == pytest.approx(0.1)
    assert all(later <= earlier for earlier, later in itertools.pairwise(factors[9:]))


TWO = """
import sys
from pathlib import Path
from deepseek_tui.engine.blas import prefer_fast_blas
prefer_fast_blas()
import mlx.core as mx
from tests.training import tiny
from deepseek_tui.training.sources import Source, SourceSettings
from tests.training.test_trainer import trainer

folder, group = Path(sys.argv[1]), mx.distributed.init(strict=True, backend="ring")
run = trainer(folder, 4, rows=6)
run.group = group
run.sources = [
    Source(SourceSettings("count", 6, held_out=4), run.sources[0].data, 1, rank=group.rank(), size=2)
]
run._steps.clear()
run.run()
"""


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    alone = trainer(tmp_path, 4)
    alone.run()
    shutil.rmtree(tmp_path / "checkpoints")
    hosts = [[f"127.0.0.1:{port}"] for port in free_ports(2)]
    (tmp_path / "hosts.json").write_text(str(hosts).replace("'", '"'))
    env = {**os.environ, "MLX_HOSTFILE": str(tmp_path / "hosts.json")}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TWO, str(tmp_path)],
            env={**env, "MLX_RANK": str(rank)},
            cwd=Path(__file__).parents[2],
            stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()
    state = load_state(checkpoints(tmp_path / "checkpoints")[-1])
    for name, array in alone.state.trained.items():
        np.testing.assert_allclose(np.array(state.trained[name]), np.array(array), atol=2e-4)


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports

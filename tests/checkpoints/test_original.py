"""An original checkpoint says what it is; what contradicts it, is missing or too much is named."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from deepseek_tui.checkpoints.convert import convert
from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.load import load_model
from deepseek_tui.checkpoints.original import find_original, load_original, weight_names
from deepseek_tui.checkpoints.torch_pickle import TorchCheckpoint
from tests.checkpoints import pt_files as pt
from tests.models.scratch_reference import Array, Options, Reference, random_state

FIXTURE = Path(__file__).parents[1] / "fixtures" / "scratch-tiny"
State = dict[str, Array]


@pytest.fixture
def state() -> State:
    return random_state(Options(n_layer=2, mtp_num_heads=1, n_experts=3))


def agrees(model: Any, state: State, top_k: int = 2) -> bool:
    ids = np.arange(12) * 5 % 61
    reference = Reference(state, top_k)
    wanted = reference.logits(reference.hidden(ids))
    return bool(np.abs(np.array(model(mx.array(ids)[None])[0]) - wanted).max() < 2e-4)


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_original(path, **options)
    return str(caught.value)


def test_what_the_tensors_tell_is_what_config_json_says(tmp_path: Path) -> None:
    told = json.loads((FIXTURE / "config.json").read_text())
    (tmp_path / "state.pt").write_bytes((FIXTURE / "state.pt").read_bytes())
    alone, beside = load_original(tmp_path), load_original(FIXTURE)
    for key, value in told.items():
        assert beside.config[key] == value
        if key != "dropout":
            assert alone.config[key] == value
    assert alone.config["model_type"] == "scratch"
    tokens = mx.arange(20)[None]
    assert mx.array_equal(alone.model(tokens), beside.model(tokens))
    assert alone.parameters == sum(
        array.size
        for name, array in random_state(
            Options(512, 64, 2, 4, 64, 16, 24, 16, 4, 2, 32, 48, 1), scale=0.0
        ).items()
        if not name.endswith((".causal_mask", ".inv_freq")) and name != "lm_head.weight"
    )


@pytest.mark.parametrize(
    "options",
    [
        Options(),
        Options(bias=False, mtp_num_heads=0),
        Options(shared_expert_intermediate_size=0, mtp_num_heads=3, n_layer=1),
        Options(n_experts=1, n_experts_per_token=1),
    ],
    ids=str,
)
def test_variants_are_told_from_their_tensors(tmp_path: Path, options: Options) -> None:
    state = random_state(options)
    loaded = load_original(pt.write_state(tmp_path / "any.pt", state))
    assert agrees(loaded.model, state, options.n_experts_per_token)
    assert loaded.config["mtp_num_heads"] == options.mtp_num_heads
    assert loaded.config["use_shared_expert"] == (options.shared_expert_intermediate_size > 0)
    assert loaded.config["bias"] == options.bias


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_prefixes_of_parallel_and_compiled_models_come_off(tmp_path: Path, state: State, prefix: str) -> None:
    assert agrees(load_original(pt.write_state(tmp_path / "p.pt", state, prefix)).model, state)


def test_every_way_to_name_a_checkpoint_finds_it(tmp_path: Path, state: State) -> None:
    assert find_original(tmp_path) is None
    assert "holds no .pt or .pth checkpoint" in refusal(tmp_path)
    other = pt.write_state(tmp_path / "epoch3.pth", state)
    assert find_original(tmp_path) == find_original(other) == other
    second = pt.write_state(tmp_path / "epoch4.pt", state)
    assert "several checkpoints: epoch3.pth, epoch4.pt" in refusal(tmp_path)
    assert load_original(second).path == tmp_path
    best = pt.write_state(tmp_path / "best_deepseek_v3.pt", state)
    assert find_original(tmp_path) == best
    assert agrees(load_model(tmp_path).model, state)


def test_experts_per_token_come_from_whoever_says(tmp_path: Path, state: State) -> None:
    file = pt.write_state(tmp_path / "state.pt", state)
    assert load_original(file).config["n_experts_per_token"] == 2
    (tmp_path / "config.json").write_text('{"n_experts_per_token": 1}')
    one = load_original(file)
    assert agrees(one.model, state, 1)
    assert not agrees(one.model, state, 2)
    assert agrees(load_original(file, n_experts_per_token=3).model, state, 3)
    assert "n_experts_per_token = 4 is more than n_experts = 3" in refusal(file, n_experts_per_token=4)


def test_a_configuration_saved_in_the_checkpoint_counts(tmp_path: Path, state: State) -> None:
    state.pop("lm_head.weight")
    items = {name: pt.tensor(str(i), array.shape) for i, (name, array) in enumerate(state.items())}
    config = pt.dictionary({"n_experts_per_token": pt.integer(3)})
    body = pt.dictionary(
        {"model": pt.dictionary(items), "config": pt.name("conf", "ModelConfig") + b")\x81" + config + b"b"}
    )
    storages = {str(i): array.tobytes() for i, array in enumerate(state.values())}
    path = tmp_path / "state.pt"
    path.write_bytes(pt.archive(pt.program(body), storages))
    assert agrees(load_original(path).model, state, 3)


@pytest.mark.parametrize(
    ("key", "value", "tensors"),
    [("n_layer", 3, 2), ("bias", False, True), ("rope_dim", 8, 6), ("n_head", "3", 3)],
)
def test_a_config_that_contradicts_the_tensors_is_named(
    tmp_path: Path, state: State, key: str, value: Any, tensors: Any
) -> None:
    file = pt.write_state(tmp_path / "state.pt", state)
    (tmp_path / "config.json").write_text(json.dumps({key: value}))
    assert f"config.json gives {key} = {value}, the tensors of {file} say {tensors}" in refusal(file)


@pytest.mark.parametrize(
    ("text", "why"),
    [("{", "is not valid JSON"), ("[1]", "should hold an object"), ("[" * 100_000, "nested too deeply")],
)
def test_a_config_that_cannot_be_read_is_named(tmp_path: Path, state: State, text: str, why: str) -> None:
    (tmp_path / "config.json").write_text(text)
    assert why in refusal(pt.write_state(tmp_path / "state.pt", state))


def without(name: str) -> Callable[[State], None]:
    return lambda state: void(state.pop(name))


def with_entry(name: str, *shape: int, dtype: str = "float32") -> Callable[[State], None]:
    return lambda state: state.update({name: np.ones(shape, dtype)})


def void(_: object) -> None:
    return None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (without("ln_f.weight"), r"lacks ln_f\.weight\."),
        (without("wpe.weight"), r"lacks wpe\.weight: it is not a checkpoint of this architecture"),
        (without("h.1.mlp.experts.2.up_proj.bias"), r"lacks h\.1\.mlp\.experts\.2\.up_proj\.bias\."),
        (without("h.0.attn.rope.inv_freq"), r"no h\.0\.attn\.rope\.inv_freq to tell.*rope_dim in a config"),
        (with_entry("h.0.attn.q_norm.weight", 11), r"holds h\.0\.attn\.q_norm\.weight, which"),
        (with_entry("lm_head.bias", 61), r"holds lm_head\.bias, which this architecture has not"),
        (with_entry("h.7.ln_1.weight", 30), r"lacks h\.2, but has h\.7"),
        (with_entry("wpe.weight", 0, 30), r"wpe\.weight of shape \[0, 30\], not a matrix"),
        (with_entry("wpe.weight", 40, 31), r"wpe\.weight of shape \[40, 31\].*ask for \[40, 30\]"),
        (with_entry("wpe.weight", 39, 30), r"causal_mask of shape \[1, 1, 40, 40\].*\[1, 1, 39, 39\]"),
        (with_entry("h.1.ln_2.weight", 29), r"h\.1\.ln_2\.weight of shape \[29\].*ask for \[30\]"),
        (with_entry("h.0.attn.k_rope_proj.weight", 19, 30), r"with 19 rows, which a rope_dim of 6"),
        (with_entry("h.0.ln_1.weight", 30, dtype="int64"), r"h\.0\.ln_1\.weight in int64"),
        (with_entry("lm_head.weight", 61, 30), r"wte\.weight and an lm_head\.weight that differ"),
        (with_entry("h.1.attn.rope.inv_freq", 3), r"h\.1\.attn\.rope\.inv_freq unlike h\.0"),
        (lambda s: void(s["ln_f.weight"].fill(np.nan)), r"ln_f\.weight that are not finite"),
    ],
)
def test_what_is_missing_extra_or_contradictory_is_named(
    tmp_path: Path, state: State, change: Callable[[State], None], why: str
) -> None:
    change(state)
    message = refusal(pt.write_state(tmp_path / "state.pt", state))
    assert re.search(why, message), message


def test_either_name_of_the_tied_tensor_is_enough_and_buffers_may_be_absent(
    tmp_path: Path, state: State
) -> None:
    full = dict(state)
    (tmp_path / "config.json").write_text('{"rope_dim": 6}')
    for name in list(state):
        if name.endswith((".causal_mask", ".inv_freq")):
            del state[name]
    for gone in ("wte.weight", "lm_head.weight"):
        part = {name: array for name, array in state.items() if name != gone}
        assert agrees(load_original(pt.write_state(tmp_path / "state.pt", part)).model, full)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_precisions_compute_from_the_values_they_hold(tmp_path: Path, state: State, dtype: str) -> None:
    cast = {name: array.astype(dtype) for name, array in state.items()}
    loaded = load_original(pt.write_state(tmp_path / "state.pt", cast), dtype=mx.float32)
    # The rotary frequencies were rounded with the rest, and the original would run with those.
    assert agrees(loaded.model, cast)
    assert ("rope_inv_freq" in loaded.config) == (dtype == "float16")


def test_loading_reports_bytes_up_to_the_whole(tmp_path: Path, state: State) -> None:
    seen: list[tuple[int, int]] = []
    load_original(
        pt.write_state(tmp_path / "state.pt", state),
        on_progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1] > 0


def test_an_mlx_directory_holds_every_value_bit_for_bit(tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_bytes((FIXTURE / "state.pt").read_bytes())
    (tmp_path / "tokenizer.json").write_text("{}")
    out = convert(tmp_path / "state.pt", tmp_path / "mlx").path
    assert (out / "tokenizer.json").read_text() == "{}"
    back = load_model(out)
    assert back.config == load_original(tmp_path).config
    modules = dict(tree_flatten(back.model.parameters()))
    with TorchCheckpoint(FIXTURE / "state.pt") as source:
        used = set()
        for name in weight_names(source):
            stacked = re.fullmatch(r"(.*\.experts)\.(\d+)\.(.*)", name)
            array = modules[f"{stacked[1]}.{stacked[3]}"][int(stacked[2])] if stacked else modules[name]
            used.add(f"{stacked[1]}.{stacked[3]}" if stacked else name)
            assert np.array(array).tobytes() == source.read(source.tensors[name]).tobytes()
    assert used == modules.keys()
    tokens = mx.arange(30)[None]
    assert mx.array_equal(back.model(tokens), load_original(FIXTURE).model(tokens))
    with pytest.raises(CheckpointError, match="exists already"):
        convert(tmp_path, out)


def test_rounded_rotary_frequencies_survive_the_mlx_directory(tmp_path: Path, state: State) -> None:
    half = {name: array.astype("float16") for name, array in state.items()}
    pt.write_state(tmp_path / "state.pt", half)
    model = load_model(convert(tmp_path, tmp_path / "mlx").path, dtype=mx.float32).model
    assert agrees(model, half)

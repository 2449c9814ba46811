"""Every way a model directory can be wrong has its one sentence: what, where, what to do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.folder import INDEX
from deepseek_tui.checkpoints.load import load_model
from tests.models.support import FIXTURES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    shutil.copytree(FIXTURES / "deepseek-v3-tiny", folder)
    return folder


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_model(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith((".", "?"))
    return message


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not ...}))


def change_weights(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "model.safetensors"
    weights: Any = mx.load(str(path))
    mx.eval(weights)
    change(weights)
    path.unlink()
    mx.save_safetensors(str(path), weights)


def test_no_such_directory(tmp_path: Path) -> None:
    assert "There is no model at" in refusal(tmp_path / "none")


def test_an_empty_directory(tmp_path: Path) -> None:
    assert f"{tmp_path} is empty" in refusal(tmp_path)


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no model")
    assert "notes.txt is no model" in refusal(tmp_path / "notes.txt")


def test_no_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    assert "has no config.json" in refusal(folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "not valid JSON"),
        (b'{"model_type": ', "not valid JSON"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (b"[1, 2]", "should hold an object and holds a list"),
        (b"null", "should hold an object"),
        (b'{"a":' * 1000 + b"1" + b"}" * 1000, "config.json"),
        (b'{"a":' * 200_000 + b"1" + b"}" * 200_000, "nested too deeply"),
    ],
    ids=["empty", "cut off", "not text", "list", "null", "1,000 deep", "200,000 deep"],
)
def test_a_config_that_is_none(folder: Path, text: bytes, words: str) -> None:
    (folder / "config.json").write_bytes(text)
    message = refusal(folder)
    assert words in message
    assert "config.json" in message


CONFIGS: dict[str, tuple[dict[str, Any], str]] = {
    "no model_type": ({"model_type": ...}, "has no model_type"),
    "a model_type that is no text": ({"model_type": 5}, "has no model_type"),
    "an unknown model_type": ({"model_type": "gpt9"}, "'gpt9' is known neither here nor to the installed"),
    "code to run": ({"model_file": "model.py"}, "asks to run code"),
    "a key that is missing": ({"kv_lora_rank": ...}, "lacks the key 'kv_lora_rank'"),
    "the experts' size missing": ({"moe_intermediate_size": ...}, "lacks the key 'moe_intermediate_size'"),
    "text for a number": ({"hidden_size": "64"}, "gives hidden_size = '64', which should be int"),
    "a fraction for a size": ({"hidden_size": 64.5}, "gives hidden_size = 64.5"),
    "true for a number": ({"num_hidden_layers": True}, "gives num_hidden_layers = True"),
    "a negative size": ({"num_hidden_layers": -3}, "gives num_hidden_layers = -3"),
    "zero": ({"num_attention_heads": 0}, "gives num_attention_heads = 0"),
    "a billion layers": ({"num_hidden_layers": 10**9}, "counts 1,000,000,000 layers"),
    "more experts chosen than there are": ({"num_experts_per_tok": 9}, "chooses 9 of 8 experts"),
    "groups that do not divide": ({"n_group": 3}, "8 experts in 3 groups"),
    "an unknown routing": ({"topk_method": "dice"}, "'dice' is not supported"),
    "an unknown scoring": ({"scoring_func": "tanh"}, "'tanh' is not supported"),
    "an unknown activation": ({"hidden_act": "gelu"}, "only silu is known"),
    "an unknown rope": ({"rope_scaling": {"type": "su"}}, "rope_scaling type 'su' is not supported"),
    "a rope without factor": ({"rope_scaling": {"type": "linear"}}, "needs factor"),
    "a rope that is no table": ({"rope_scaling": 5}, "gives rope_scaling = 5"),
    "another quantization": ({"quantization_config": {"quant_method": "awq"}}, "by the method 'awq'"),
    "another size": ({"hidden_size": 72}, "has the shape"),
    "more layers than tensors": ({"num_hidden_layers": 5}, "lacks 36 tensors (model.layers.3."),
    "fewer experts": ({"n_routed_experts": 4, "n_group": 2}, "has no place for"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_that_will_not_do(folder: Path, name: str) -> None:
    changes, words = CONFIGS[name]
    change_config(folder, **changes)
    message = refusal(folder)
    assert words in message
    assert str(folder) in message


def test_auto_map_is_not_followed(folder: Path) -> None:
    change_config(folder, auto_map={"AutoModel": "modeling.Evil"})
    assert load_model(folder).parameters == 237_048


def test_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "reference.safetensors").unlink()
    assert "has no weights" in refusal(folder)


def test_missing_tensors_are_counted_and_named(folder: Path) -> None:
    change_weights(folder, lambda w: [w.pop("model.norm.weight"), w.pop("lm_head.weight")])
    assert "lacks 2 tensors (lm_head.weight, model.norm.weight)" in refusal(folder)


def test_an_expert_that_is_missing_shows(folder: Path) -> None:
    change_weights(folder, lambda w: w.pop("model.layers.1.mlp.experts.5.up_proj.weight"))
    message = refusal(folder)
    assert "lacks 1 tensor (model.layers.1.mlp.switch_mlp.up_proj.weight)" in message
    assert "holds 7 tensors (model.layers.1.mlp.experts.0.up_proj.weight" in message


def test_unexpected_tensors_are_named(folder: Path) -> None:
    change_weights(folder, lambda w: w.update({"model.extra": mx.zeros((3,))}))
    assert "holds 1 tensor (model.extra) that this architecture has no place for" in refusal(folder)


def test_a_wrong_shape_is_told_with_both_shapes(folder: Path) -> None:
    change_weights(folder, lambda w: w.update({"model.norm.weight": mx.zeros((63,))}))
    assert "model.norm.weight has the shape [63] and config.json calls for [64]" in refusal(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["model.norm.weight", "model.layers.2.mlp.experts.7.down_proj.weight"])
def test_numbers_that_are_none(folder: Path, name: str, value: float) -> None:
    def spoil(weights: dict[str, Any]) -> None:
        flat = weights[name].flatten()
        flat[5] = value
        weights[name] = flat.reshape(weights[name].shape)

    change_weights(folder, spoil)
    assert "not finite" in refusal(folder)


@pytest.mark.parametrize("left", [4, 2000, -1])
def test_a_file_cut_short(folder: Path, left: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:left])
    message = refusal(folder)
    assert "model.safetensors is damaged" in message


def split(folder: Path) -> dict[str, str]:
    """The fixture in two files with an index; returns the index's map, not yet written."""
    weights: Any = mx.load(str(folder / "model.safetensors"))
    mx.eval(weights)
    weight_map = {}
    for number, part in enumerate((sorted(weights)[::2], sorted(weights)[1::2]), 1):
        file = f"model-0000{number}-of-00002.safetensors"
        mx.save_safetensors(str(folder / file), {name: weights[name] for name in part})
        weight_map.update(dict.fromkeys(part, file))
    (folder / "model.safetensors").unlink()
    return weight_map


def test_two_files_with_an_index_load(folder: Path) -> None:
    weight_map = split(folder)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    assert load_model(folder).parameters == 237_048


@pytest.mark.parametrize(
    "outside", ["../model.safetensors", "/etc/passwd", "sub/a.safetensors", "a.py", ".."]
)
def test_an_index_that_leads_outside(folder: Path, outside: str) -> None:
    weight_map = split(folder)
    shutil.copy(FIXTURES / "deepseek-v3-tiny" / "model.safetensors", folder.parent)
    weight_map["lm_head.weight"] = outside
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))
    assert "is no weight file of this folder" in refusal(folder)


def test_an_index_that_names_an_absent_file(folder: Path) -> None:
    weight_map = split(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))
    assert "names model-00002-of-00002.safetensors, which is not in the folder" in refusal(folder)


def test_an_index_that_promises_too_much(folder: Path) -> None:
    weight_map = split(folder)
    weight_map["model.more.weight"] = "model-00001-of-00002.safetensors"
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))
    assert "lacks 1 tensors that" in refusal(folder)


@pytest.mark.parametrize("content", ['{"weight_map": 5}', "{}", '{"weight_map": {"a": 1}}'])
def test_an_index_that_is_none(folder: Path, content: str) -> None:
    (folder / INDEX).write_text(content)
    assert "has no weight_map" in refusal(folder)


def test_one_tensor_in_two_files(folder: Path) -> None:
    shutil.copy(folder / "model.safetensors", folder / "model-2.safetensors")
    assert "Both model-2.safetensors and model.safetensors" in refusal(folder)


def test_adapters_are_refused_for_now(folder: Path) -> None:
    with pytest.raises(CheckpointError, match="Adapters cannot be loaded yet"):
        load_model(folder, adapter_path=folder)

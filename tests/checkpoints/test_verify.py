"""Verifying: what a conversion could get wrong is found and named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from deepseek_tui.checkpoints.convert import Options, convert
from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.load import load_model
from deepseek_tui.checkpoints.recipes import Recipe
from deepseek_tui.checkpoints.verify import Report, failures, verify
from deepseek_tui.checkpoints.verify_text import compare, perplexity
from deepseek_tui.checkpoints.verify_truth import E4M3
from tests.checkpoints import gguf_files
from tests.checkpoints.model_folders import (
    Arrays,
    change,
    flip_bit,
    parameters,
    published,
    random_model,
    write_folder,
)
from tests.models.support import BUILT_IN, FIXTURES, deepseek_config

DEEPSEEK = FIXTURES / "deepseek-v3-tiny"
SCRATCH = FIXTURES / "scratch-tiny"
FOUR_BITS = Options(recipe=Recipe(4, 32))
Q_A = "model.layers.0.self_attn.q_a_proj.weight"


def after(
    source: Path, folder: Path, alter: Callable[[Arrays], None], options: Options | None = None
) -> Report:
    """The report on a conversion whose result `alter` has worked on."""
    convert(source, folder / "out", options)
    assert verify(source, folder / "out").ok
    change(folder / "out", alter)
    return verify(source, folder / "out")


def only(report: Report) -> tuple[str, str]:
    """Name and note of the one tensor that differs."""
    assert not report.ok
    (check,) = report.differing
    return check.name, check.note


def test_a_dropped_tensor_is_named(tmp_path: Path) -> None:
    report = after(DEEPSEEK, tmp_path, lambda arrays: arrays.__delitem__("model.norm.weight"))
    assert report.missing == ["model.norm.weight"]
    assert list(failures(report)) == ["model.norm.weight is missing."]


def test_a_dropped_stack_names_each_expert(tmp_path: Path) -> None:
    name = "h.1.mlp.experts.up_proj.weight"
    report = after(SCRATCH, tmp_path, lambda arrays: arrays.__delitem__(name))
    assert sorted(report.missing) == [f"h.1.mlp.experts.{i}.up_proj.weight" for i in range(4)]


@pytest.mark.parametrize("options", [None, FOUR_BITS])
@pytest.mark.parametrize(
    ("source", "stack", "names"),
    [
        (DEEPSEEK, "model.layers.1.mlp.switch_mlp.up_proj", "model.layers.1.mlp.experts.{}.up_proj.weight"),
        (SCRATCH, "h.0.mlp.experts.down_proj", "h.0.mlp.experts.{}.down_proj.weight"),
    ],
)
def test_a_swapped_pair_of_experts_is_named(
    tmp_path: Path, source: Path, stack: str, names: str, options: Options | None
) -> None:
    def swap(arrays: Arrays) -> None:
        for name in [name for name in arrays if name.startswith(f"{stack}.") and "bias" not in name]:
            arrays[name] = arrays[name][mx.array([0, 2, 1, *range(3, arrays[name].shape[0])])]

    report = after(source, tmp_path, swap, options)
    assert not report.ok
    assert {check.name: check.note for check in report.differing} == {
        names.format(1): f"it holds {names.format(2)}",
        names.format(2): f"it holds {names.format(1)}",
    }
    assert report.missing == []
    assert report.used_twice == []


def test_an_expert_used_twice_and_the_one_it_displaced_are_named(tmp_path: Path) -> None:
    def double(arrays: Arrays) -> None:
        stack = arrays["model.layers.2.mlp.switch_mlp.gate_proj.weight"]
        stack[5] = stack[0]

    report = after(DEEPSEEK, tmp_path, double)
    assert report.used_twice == ["model.layers.2.mlp.experts.0.gate_proj.weight"]
    assert report.missing == ["model.layers.2.mlp.experts.5.gate_proj.weight"]


@pytest.mark.parametrize("options", [None, FOUR_BITS])
def test_a_transposed_matrix_is_named(tmp_path: Path, options: Options | None) -> None:
    name = "model.layers.1.self_attn.q_proj.weight"
    source = FIXTURES / "llama-tiny"

    def turn(arrays: Arrays) -> None:
        if options is None:
            arrays[name] = mx.contiguous(arrays[name].T)
            return
        plain: Any = mx.load(str(source / "model.safetensors"))
        packed = mx.quantize(plain[name].T, 32, 4)
        for part, array in zip(("weight", "scales", "biases"), packed, strict=True):
            arrays[name.replace("weight", part)] = array

    found, note = only(after(source, tmp_path, turn, options))
    assert found == name
    assert note == "it is transposed" if options is None else "further than one step" in note


def test_the_half_of_the_latent_map_that_makes_keys_turned_round_is_found(tmp_path: Path) -> None:
    name = "model.layers.0.self_attn.embed_q.weight"
    report = after(
        DEEPSEEK, tmp_path, lambda arrays: arrays.update({name: mx.contiguous(arrays[name].swapaxes(1, 2))})
    )
    found, note = only(report)
    assert found == "model.layers.0.self_attn.kv_b_proj.weight"
    assert note == "it is transposed"


@pytest.mark.parametrize("dtype", [None, "bfloat16"])
@pytest.mark.parametrize("source", [DEEPSEEK, SCRATCH, FIXTURES / "qwen3-tiny"])
def test_one_changed_bit_is_found_in_every_tensor(tmp_path: Path, source: Path, dtype: str | None) -> None:
    convert(source, tmp_path / "out", Options(dtype))
    file = tmp_path / "out" / "model.safetensors"
    loaded: Any = mx.load(str(file))
    whole = dict(loaded)
    mx.eval(whole)
    damaged = {name: flip_bit(array, array.size // 2) for name, array in whole.items()}
    mx.save_safetensors(str(file), damaged)
    report = verify(source, tmp_path / "out")
    hurt = {check.found_in.split("[")[0].split(",")[0] for check in report.differing}
    # Both halves of kv_b_proj are found under the first.
    assert hurt == {name for name in whole if not name.endswith(".unembed_out.weight")}
    stacked = [check for check in report.differing if ".experts." in check.name]
    assert all("1 of" in check.note for check in stacked)


def test_one_changed_bit_of_a_code_is_noted(tmp_path: Path) -> None:
    def flip(arrays: Arrays, bit: int) -> None:
        arrays[Q_A] = flip_bit(arrays[Q_A], 7, bit)

    report = after(DEEPSEEK, tmp_path, lambda arrays: flip(arrays, 0), FOUR_BITS)
    near = [check for check in report.tensors if check.status not in ("exact", "quantized")]
    assert [check.name for check in near] == [Q_A]
    # A step further off or nearer than the best code: told, and only beyond one step an error.
    change(tmp_path / "out", lambda arrays: flip(arrays, 3))
    assert only(verify(DEEPSEEK, tmp_path / "out"))[0] == Q_A


def test_a_tensor_from_nowhere_is_extra(tmp_path: Path) -> None:
    report = after(
        FIXTURES / "llama-tiny", tmp_path, lambda arrays: arrays.update({"model.more": mx.zeros((3,))})
    )
    assert report.extra == ["model.more"]
    assert not report.ok


def test_a_ninth_expert_is_extra(tmp_path: Path) -> None:
    name = "model.layers.1.mlp.switch_mlp.up_proj.weight"
    report = after(
        DEEPSEEK,
        tmp_path,
        lambda arrays: arrays.update({name: mx.concatenate([arrays[name], arrays[name][:1]])}),
    )
    assert report.extra == [f"{name}[8]"]


def test_a_changed_setting_is_named(tmp_path: Path) -> None:
    out = convert(DEEPSEEK, tmp_path / "out").path
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(config | {"rope_theta": 10001.0}))
    assert verify(DEEPSEEK, out).config == ["rope_theta: 10000.0 became 10001.0"]


def test_a_tied_head_that_is_not_the_embedding_is_found(tmp_path: Path) -> None:
    """Loading drops a head that the config calls tied, so nothing else would notice."""
    config = deepseek_config(tie_word_embeddings=True)
    arrays = published(random_model(config))
    source = write_folder(
        tmp_path / "source", config, arrays | {"lm_head.weight": arrays["model.norm.weight"]}
    )
    out = convert(source, tmp_path / "out").path
    assert [check.name for check in verify(source, out).differing] == ["lm_head.weight"]


def test_the_head_written_out_for_others_must_be_the_embedding(tmp_path: Path) -> None:
    config = deepseek_config(tie_word_embeddings=True)
    source = write_folder(tmp_path / "source", config, published(random_model(config)))
    for options in (None, FOUR_BITS):
        report = after(
            source,
            tmp_path,
            lambda arrays: arrays.update({"lm_head.weight": flip_bit(arrays["lm_head.weight"], 3)}),
            options,
        )
        assert report.extra == ["lm_head.weight"]
        shutil.rmtree(tmp_path / "out")


def test_a_head_written_out_for_others_may_be_converted_again(tmp_path: Path) -> None:
    config = deepseek_config(tie_word_embeddings=True)
    source = write_folder(tmp_path / "source", config, published(random_model(config)))
    once = convert(source, tmp_path / "once").path
    assert verify(once, convert(once, tmp_path / "twice", FOUR_BITS).path).ok


def test_heads_of_queries_in_the_wrong_order_are_found_in_gguf(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(gguf_files.gguf_bytes(*gguf_files.llama_file({"attn_q.weight": gguf_files.Q8_0})))
    name = "model.layers.1.self_attn.k_proj.weight"
    report = after(file, tmp_path, lambda arrays: arrays.update({name: arrays[name][::-1]}))
    assert only(report)[0] == "blk.1.attn_k.weight"


def test_quantized_weights_that_are_others_are_found(tmp_path: Path) -> None:
    def exchange(arrays: Arrays) -> None:
        one, two = "model.layers.0.mlp.up_proj", "model.layers.1.mlp.up_proj"
        for part in ("weight", "scales", "biases"):
            a, b = f"{one}.{part}", f"{two}.{part}"
            arrays[a], arrays[b] = arrays[b], arrays[a]

    report = after(FIXTURES / "llama-tiny", tmp_path, exchange, FOUR_BITS)
    assert {check.name: check.note for check in report.differing} == {
        "model.layers.0.mlp.up_proj.weight": "it holds model.layers.1.mlp.up_proj.weight",
        "model.layers.1.mlp.up_proj.weight": "it holds model.layers.0.mlp.up_proj.weight",
    }
    assert all(check.relative_error > 1 for check in report.differing)


def test_the_json_has_stable_names(tmp_path: Path) -> None:
    out = convert(DEEPSEEK, tmp_path / "out", FOUR_BITS).path
    report = verify(DEEPSEEK, out)
    found = json.loads(json.dumps(report.to_json()))
    assert found.keys() == {
        "ok", "counts", "worst_relative_error", "source", "converted", "tensors", "missing", "used_twice",
        "extra", "config", "buffers", "perplexity",
    }  # fmt: skip
    assert found["tensors"][0].keys() == {
        "name", "found_in", "status", "relative_error", "max_error", "note",
    }  # fmt: skip
    source: Any = mx.load(str(DEEPSEEK / "model.safetensors"))
    assert {tensor["name"] for tensor in found["tensors"]} == set(source)
    assert sum(found["counts"].values()) == len(source)


def test_buffers_are_told_apart_from_parameters(tmp_path: Path) -> None:
    report = verify(SCRATCH, convert(SCRATCH, tmp_path / "out").path)
    assert {name.rsplit(".", 1)[1] for name in report.buffers} == {"causal_mask", "inv_freq"}
    assert len(report.buffers) + len(report.tensors) == 146


def test_errors_are_those_of_the_numbers(tmp_path: Path) -> None:
    out = convert(FIXTURES / "llama-tiny", tmp_path / "out", FOUR_BITS).path
    plain: Any = mx.load(str(FIXTURES / "llama-tiny" / "model.safetensors"))
    made = parameters(load_model(out, quantized=False).model)
    for check in verify(FIXTURES / "llama-tiny", out).tensors:
        source, found = np.array(plain[check.name]), np.array(made[check.name])
        off = found.astype(np.float64) - source
        assert check.max_error == pytest.approx(np.abs(off).max(), rel=1e-4, abs=1e-9)
        assert check.relative_error == pytest.approx(
            np.linalg.norm(off) / np.linalg.norm(source), rel=1e-4, abs=1e-9
        )


def test_the_definition_of_eight_bit_floats_agrees_with_mlx() -> None:
    codes = mx.arange(256).astype(mx.uint8)
    assert np.array_equal(E4M3, np.array(mx.from_fp8(codes, dtype=mx.float32)), equal_nan=True)


def test_perplexity_is_what_it_says() -> None:
    model = load_model(FIXTURES / "llama-tiny").model
    ids = [int(x) for x in np.random.default_rng(0).integers(0, 512, 300)]
    logs = []
    for start in (0, 256):
        piece = np.array(ids[start : start + 256])
        logits = np.array(model(mx.array(piece[None])))[0].astype(np.float64)
        logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
        logs += [logits[i, piece[i + 1]] for i in range(len(piece) - 1)]
    assert perplexity(model, ids) == pytest.approx(np.exp(-np.mean(logs)), rel=1e-4)


def test_quantizing_hard_costs_perplexity(tmp_path: Path, built_in: tuple[Any, Any]) -> None:
    out = convert(BUILT_IN, tmp_path / "out", Options(recipe=Recipe(3, 64))).path
    found = compare(BUILT_IN, out, built_in[1].encode, "The sea is wide, and the sky above it is blue.")
    assert found["text"] == "given"
    assert found["after"] > found["before"] > 1
    assert found["change"] == pytest.approx(found["after"] / found["before"] - 1)


def test_without_a_tokenizer_ids_are_drawn(tmp_path: Path) -> None:
    out = convert(SCRATCH, tmp_path / "out", Options("bfloat16")).path
    found = compare(SCRATCH, out, None)
    assert found["text"] == "random ids"
    assert found["after"] == pytest.approx(found["before"], rel=0.05)
    assert found == compare(SCRATCH, out, None)


def test_only_directories_are_verified(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no MLX model directory"):
        verify(SCRATCH, SCRATCH)

"""Converting: what comes out computes what went in, mlx-lm reads it, and nothing is ever half there."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from deepseek_tui.checkpoints.convert import Options, convert, convert_in_place
from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.load import load_model
from deepseek_tui.checkpoints.recipes import Recipe
from deepseek_tui.checkpoints.safetensors_reader import read_header
from deepseek_tui.checkpoints.verify import verify
from tests.checkpoints import gguf_files, model_folders
from tests.checkpoints.model_folders import (
    parameters,
    published,
    random_model,
    read_by_mlx_lm,
    write_folder,
)
from tests.models.support import (
    BUILT_IN,
    FIXTURES,
    deepseek_config,
    difference,
    fixture_config,
    greedy,
    llama_config,
    qwen3_config,
    reference,
)

NAMES = ("deepseek-v3-tiny", "deepseek-v3-tiny-yarn", "llama-tiny", "qwen3-tiny", "scratch-tiny")
YARN = {
    "type": "yarn",
    "factor": 4.0,
    "original_max_position_embeddings": 32,
    "beta_fast": 32,
    "beta_slow": 1,
    "mscale": 0.707,
    "mscale_all_dim": 0.707,
}
PROMPT = mx.array([3, 1, 4, 1, 5, 9, 2, 6])


def greedy_theirs(model: Any, count: int) -> list[int]:
    tokens, chosen = PROMPT[None], list[int]()
    for _ in range(count):
        chosen.append(int(model(tokens)[0, -1].argmax()))
        tokens = mx.concatenate([tokens, mx.array([[chosen[-1]]])], axis=1)
    return chosen


def quantization(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "config.json").read_text())["quantization"]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_result_computes_the_reference(tmp_path: Path, name: str) -> None:
    convert(FIXTURES / name, tmp_path / "out")
    model = load_model(tmp_path / "out").model
    expected = reference(name)
    assert difference(model(expected["tokens_0"][None])[0], expected["logits_0"]) < 2e-4
    report = verify(FIXTURES / name, tmp_path / "out")
    assert report.ok
    assert report.count("exact") == len(report.tensors)


@pytest.mark.parametrize("options", [Options(), Options("bfloat16"), Options(recipe=Recipe(4, 32))])
@pytest.mark.parametrize("name", ["deepseek-v3-tiny", "llama-tiny", "qwen3-tiny"])
def test_mlx_lm_says_the_same(tmp_path: Path, name: str, options: Options) -> None:
    out = convert(FIXTURES / name, tmp_path / "out", options).path
    assert greedy_theirs(read_by_mlx_lm(out), 12) == greedy(load_model(out).model, PROMPT, 12)


@pytest.mark.parametrize("model_type", ["deepseek_v3", "deepseek_v2"])
@pytest.mark.parametrize("options", [Options(), Options(recipe=Recipe(8, 32))])
def test_mlx_lm_reads_published_layouts_with_a_tied_head(
    tmp_path: Path, model_type: str, options: Options
) -> None:
    config = deepseek_config(model_type=model_type, tie_word_embeddings=True)
    if model_type == "deepseek_v2":
        config |= {"topk_method": "greedy", "scoring_func": "softmax", "norm_topk_prob": False}
        config["rope_scaling"] = YARN
    source = write_folder(tmp_path / "source", config, published(random_model(config)), shards=3)
    out = convert(source, tmp_path / "out", options).path
    assert verify(source, out).ok
    tokens = mx.random.randint(0, 160, (1, 20))
    ours, theirs = load_model(out).model(tokens), read_by_mlx_lm(out)(tokens)
    size = float(mx.abs(ours).max())
    assert difference(ours, theirs) < 1e-3 * size
    if options.recipe is None:
        assert difference(ours, load_model(source).model(tokens)) < 1e-5 * size


@pytest.mark.parametrize("config", [deepseek_config(), llama_config(), qwen3_config()])
@pytest.mark.parametrize("mixed", [None, "mixed_3_6", "mixed_4_6"])
def test_weights_are_packed_as_mlx_lm_packs_them(
    tmp_path: Path, config: dict[str, Any], mixed: str | None
) -> None:
    from mlx_lm.convert import mixed_quant_predicate_builder
    from mlx_lm.utils import quantize_model

    config = config | {"num_hidden_layers": 9}
    source = write_folder(tmp_path / "source", config, parameters(random_model(config)))
    out = convert(source, tmp_path / "out", Options(recipe=Recipe(4, 64, mixed))).path
    theirs = read_by_mlx_lm(source)
    predicate: Any = mixed_quant_predicate_builder(mixed, theirs, 64) if mixed else None
    theirs, _ = quantize_model(theirs, dict(config), 64, 4, quant_predicate=predicate)
    ours: Any = mx.load(str(out / "model.safetensors"))
    expected = parameters(theirs)
    assert ours.keys() == expected.keys()
    assert all(mx.array_equal(ours[name], expected[name]) for name in expected)
    assert difference(read_by_mlx_lm(out)(PROMPT[None]), theirs(PROMPT[None])) == 0


def test_what_mlx_lm_quantized_can_be_unpacked_and_packed_again(tmp_path: Path) -> None:
    from mlx_lm.utils import quantize_model, save_config, save_model

    source = write_folder(tmp_path / "source", deepseek_config(), parameters(random_model(deepseek_config())))
    theirs, config = quantize_model(read_by_mlx_lm(source), deepseek_config(), 64, 4)
    packed = tmp_path / "packed"
    save_model(packed, theirs)
    save_config(config, packed / "config.json")
    logits = load_model(packed).model(PROMPT[None])

    copied = convert(packed, tmp_path / "copied").path
    assert verify(packed, copied).count("exact") == len(verify(packed, copied).tensors)
    plain = convert(packed, tmp_path / "plain", Options(dequantize=True)).path
    assert "quantization" not in json.loads((plain / "config.json").read_text())
    assert not any(name.endswith(".scales") for name in read_header(plain / "model.safetensors"))
    assert difference(load_model(plain).model(PROMPT[None]), logits) < 1e-4
    wider = convert(packed, tmp_path / "wider", Options(recipe=Recipe(8, 32))).path
    assert quantization(wider) == {"bits": 8, "group_size": 32, "mode": "affine"}
    assert difference(load_model(wider).model(PROMPT[None]), logits) < 0.05 * float(mx.abs(logits).max())
    for folder in (plain, wider):
        assert verify(packed, folder).ok


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
def test_more_bits_mean_less_error(tmp_path: Path, bits: int) -> None:
    convert(FIXTURES / "llama-tiny", tmp_path / "out", Options(recipe=Recipe(bits, 32)))
    report = verify(FIXTURES / "llama-tiny", tmp_path / "out")
    assert report.ok
    worst = max(check.relative_error for check in report.tensors)
    # Uniform steps over the range of 32 normal numbers: about range / 2^bits / sqrt(12).
    assert 0.6 / 2**bits < worst < 1.6 / 2**bits


def test_embeddings_can_be_wider_and_the_router_is_never_packed(tmp_path: Path) -> None:
    config = fixture_config("scratch-tiny")
    out = convert(FIXTURES / "scratch-tiny", tmp_path / "out", Options(recipe=Recipe(4, 32, None, 8))).path
    names = read_header(out / "model.safetensors").keys()
    assert quantization(out)["wte"] == {"bits": 8, "group_size": 32, "mode": "affine"}
    routers = [name for name in names if ".router." in name]
    assert len(routers) == config["n_layer"] + config["mtp_num_heads"]
    assert all(name.endswith(".weight") for name in routers)
    plain = convert(FIXTURES / "llama-tiny", tmp_path / "plain", Options(recipe=Recipe(4, 32, None, 16))).path
    assert "model.embed_tokens.scales" not in read_header(plain / "model.safetensors")
    assert greedy_theirs(read_by_mlx_lm(plain), 8) == greedy(load_model(plain).model, PROMPT, 8)


def test_shards_in_and_out(tmp_path: Path) -> None:
    config = llama_config()
    arrays = parameters(random_model(config))
    source = write_folder(tmp_path / "source", config, arrays, shards=4)
    seen: list[tuple[int, int]] = []
    convert(
        source,
        tmp_path / "out",
        shard_bytes=100_000,
        on_progress=lambda done, total: seen.append((done, total)),
    )
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) > 2
    assert index["metadata"]["total_size"] == sum(array.nbytes for array in arrays.values()) == seen[-1][1]
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1]
    expected = load_model(source).model(PROMPT[None])
    assert difference(load_model(tmp_path / "out").model(PROMPT[None]), expected) == 0
    assert difference(read_by_mlx_lm(tmp_path / "out")(PROMPT[None]), expected) < 1e-4


def fp8(array: Any) -> tuple[Any, Any]:
    """An array as published DeepSeek-V3 files have it: codes, and the scale of each block of 32 x 32."""
    rows, columns = array.shape
    values = np.array(array)
    scale = np.zeros((-(-rows // 32), -(-columns // 32)), np.float32)
    for i, j in np.ndindex(scale.shape):
        block = values[i * 32 : i * 32 + 32, j * 32 : j * 32 + 32]
        scale[i, j] = np.abs(block).max() / 448
        block /= scale[i, j]
    return mx.to_fp8(mx.array(values)), mx.array(scale)


def test_published_eight_bit_floats_are_unpacked(tmp_path: Path) -> None:
    config = deepseek_config() | {
        "quantization_config": {"quant_method": "fp8", "weight_block_size": [32, 32]},
        "torch_dtype": "bfloat16",
    }
    arrays = published(random_model(config))
    for name in [name for name in arrays if name.endswith("_proj.weight")]:
        arrays[name], arrays[f"{name}_scale_inv"] = fp8(arrays[name])
    source = write_folder(tmp_path / "source", config, arrays)
    out = convert(source, tmp_path / "out").path
    written = json.loads((out / "config.json").read_text())
    assert "quantization_config" not in written
    header = read_header(out / "model.safetensors")
    assert header["model.layers.1.mlp.switch_mlp.up_proj.weight"].dtype == "BF16"
    assert header["model.norm.weight"].dtype == "F32"
    assert verify(source, out).ok
    expected = load_model(source, dtype=mx.bfloat16).model(PROMPT[None])
    assert difference(load_model(out, dtype=mx.bfloat16).model(PROMPT[None]), expected) < 1e-2
    packed = convert(source, tmp_path / "packed", Options(recipe=Recipe(4, 64))).path
    assert verify(source, packed).ok
    read_by_mlx_lm(packed)


KINDS = {
    "attn_q.weight": gguf_files.Q4_0,
    "ffn_up.weight": gguf_files.Q4_1,
    "token_embd.weight": gguf_files.Q8_0,
}
GGUF: dict[str, Callable[[], tuple[dict[str, Any], gguf_files.Tensors]]] = {
    "llama-tiny": gguf_files.llama_file,
    "llama-tiny packed": lambda: gguf_files.llama_file(KINDS),
    "qwen3-tiny": gguf_files.qwen3_file,
    "deepseek-v3-tiny": lambda: gguf_files.deepseek_file("deepseek-v3-tiny", split=False),
    "deepseek-v3-tiny-yarn": lambda: gguf_files.deepseek_file("deepseek-v3-tiny-yarn", split=True),
}


@pytest.mark.parametrize("name", GGUF)
def test_gguf_files(tmp_path: Path, name: str) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(gguf_files.gguf_bytes(*GGUF[name]()))
    out = convert(file, tmp_path / "out").path
    tokens = greedy(load_model(file).model, PROMPT, 12)
    assert greedy(load_model(out).model, PROMPT, 12) == tokens
    assert greedy_theirs(read_by_mlx_lm(out), 12) == tokens
    report = verify(file, out)
    assert report.ok
    assert report.count("exact") == len(report.tensors)
    requantized = convert(file, tmp_path / "four", Options("float32", Recipe(4, 32))).path
    assert verify(file, requantized).ok


def test_prediction_layers_are_kept_where_mlx_lm_does_not_look(tmp_path: Path) -> None:
    out = convert(BUILT_IN, tmp_path / "out").path
    assert any(name.startswith("model.layers.20.") for name in read_header(out / "mtp.safetensors"))
    assert load_model(out, lazy=True).model.prediction_layers == 1
    theirs = read_by_mlx_lm(out)
    tokens = mx.arange(100, 110)[None]
    assert difference(load_model(out).model(tokens), theirs(tokens)) < 1e-3


def test_papers_go_along_and_checksums_of_other_files_do_not(tmp_path: Path) -> None:
    out = convert(BUILT_IN, tmp_path / "out", Options(recipe=Recipe(8, 64))).path
    names = {path.name for path in out.iterdir()}
    assert {"tokenizer.json", "chat_template.jinja", "generation_config.json", "NOTICE"} <= names
    assert "SHA256SUMS" not in names
    assert (out / "tokenizer.json").read_bytes() == (BUILT_IN / "tokenizer.json").read_bytes()


def test_nothing_is_overwritten_unless_asked(tmp_path: Path) -> None:
    out = convert(FIXTURES / "llama-tiny", tmp_path / "out").path
    with pytest.raises(CheckpointError, match="exists already"):
        convert(FIXTURES / "qwen3-tiny", out)
    assert json.loads((out / "config.json").read_text())["model_type"] == "llama"
    convert(FIXTURES / "qwen3-tiny", out, replace=True)
    assert json.loads((out / "config.json").read_text())["model_type"] == "qwen3"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_stopping_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(FIXTURES / "llama-tiny", tmp_path / "out", on_progress=stop)
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
from deepseek_tui.checkpoints.convert import convert
def die(done, total):
    if done > total // 2:
        os.kill(os.getpid(), signal.SIGKILL)
convert(sys.argv[1], sys.argv[2], on_progress=die)
"""


def test_a_killed_conversion_leaves_no_model_and_the_next_one_clears_up(tmp_path: Path) -> None:
    from deepseek_tui.checkpoints.catalog import installed

    source, out = str(FIXTURES / "llama-tiny"), tmp_path / "models" / "out"
    died = subprocess.run([sys.executable, "-c", KILLED, source, str(out)], check=False)
    assert died.returncode == -signal.SIGKILL
    left = list(out.parent.iterdir())
    assert len(left) == 1
    assert not out.exists()
    assert installed(out.parent) == []
    assert not (left[0] / "config.json").exists()
    assert list(left[0].glob("*.safetensors")) == []
    convert(source, out)
    assert [path.name for path in out.parent.iterdir()] == ["out"]


PEAK = """
import sys
def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
from deepseek_tui.checkpoints.convert import Options, convert
from deepseek_tui.checkpoints.recipes import Recipe
convert(sys.argv[3], sys.argv[2] + "-warm", Options("bfloat16", Recipe()))
before = peak()
convert(sys.argv[1], sys.argv[2], Options("bfloat16", Recipe()))
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory from /proc")
def test_memory_is_bounded_by_a_tensor_not_by_the_file(tmp_path: Path) -> None:
    config = deepseek_config(
        hidden_size=256, intermediate_size=512, moe_intermediate_size=64, num_hidden_layers=16
    )
    model = random_model(config)
    source = write_folder(tmp_path / "big", config, published(model))
    small = write_folder(tmp_path / "small", llama_config(), parameters(random_model(llama_config())))
    size = sum(array.nbytes for array in parameters(model).values())
    largest = max(array.nbytes for array in parameters(model).values())
    assert size > 50 * largest
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(source), str(tmp_path / "out"), str(small)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"MALLOC_ARENA_MAX": "1"},
    )
    assert int(done.stdout) < size // 3


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "llama-tiny", tmp_path / "source")

    def spoil(arrays: dict[str, Any]) -> None:
        arrays["model.norm.weight"] = mx.full(arrays["model.norm.weight"].shape, float("nan"))

    model_folders.change(tmp_path / "source", spoil)
    with pytest.raises(CheckpointError, match=r"model\.norm\.weight of .* not finite"):
        convert(tmp_path / "source", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_numbers_too_large_for_the_type_are_told(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "llama-tiny", tmp_path / "source")

    def grow(arrays: dict[str, Any]) -> None:
        arrays["model.norm.weight"] = arrays["model.norm.weight"] * 1e6

    model_folders.change(tmp_path / "source", grow)
    with pytest.raises(CheckpointError, match="too large for float16"):
        convert(tmp_path / "source", tmp_path / "out", Options("float16"))
    assert convert(tmp_path / "source", tmp_path / "out", Options("bfloat16")).path.is_dir()


def test_a_source_that_lacks_a_tensor_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "deepseek-v3-tiny", tmp_path / "source")

    def drop(arrays: dict[str, Any]) -> None:
        del arrays["model.layers.1.mlp.experts.3.up_proj.weight"]

    model_folders.change(tmp_path / "source", drop)
    with pytest.raises(CheckpointError, match="lacks"):
        convert(tmp_path / "source", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_full_disk_is_found_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(CheckpointError, match="Make room"):
        convert(FIXTURES / "llama-tiny", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_original_checkpoint_becomes_a_directory_where_it_lies(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(FIXTURES / "scratch-tiny", folder)
    (folder / "config.json").unlink()
    convert_in_place(folder)
    assert not (folder / "state.pt").exists()
    config = json.loads((folder / "config.json").read_text())
    assert config["model_type"] == "scratch"
    assert config["n_experts_per_token"] == 2
    assert verify(FIXTURES / "scratch-tiny", folder).ok


def test_experts_per_token_can_be_told(tmp_path: Path) -> None:
    shutil.copyfile(FIXTURES / "scratch-tiny" / "state.pt", tmp_path / "state.pt")
    out = convert(tmp_path / "state.pt", tmp_path / "out", n_experts_per_token=3).path
    assert json.loads((out / "config.json").read_text())["n_experts_per_token"] == 3
    assert not verify(tmp_path / "state.pt", out).ok
    assert verify(tmp_path / "state.pt", out, n_experts_per_token=3).ok


@pytest.mark.parametrize("wrong", [Recipe, Options])
def test_impossible_wishes_are_told(wrong: type) -> None:
    with pytest.raises(CheckpointError, match="Choose"):
        wrong(7) if wrong is Recipe else wrong("int8")

"""GGUF files compute what the published checkpoints compute, and lose nothing on the way."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.gguf import convert_gguf, load_gguf
from deepseek_tui.checkpoints.gguf_quants import read_weights
from deepseek_tui.checkpoints.gguf_reader import GGUFFile
from deepseek_tui.checkpoints.load import load_model
from tests.checkpoints import gguf_files as made

BIG = os.environ.get("DEEPSEEK_TUI_TEST_GGUF")
"""A real GGUF file of SmolLM2-135M-Instruct, for the tests that need one."""


def write(path: Path, metadata: dict[str, Any], tensors: made.Tensors, **options: int) -> Path:
    path.write_bytes(made.gguf_bytes(metadata, tensors, **options))
    return path


FILES: dict[str, Callable[[], tuple[dict[str, Any], made.Tensors]]] = {
    "llama-tiny": made.llama_file,
    "qwen3-tiny": made.qwen3_file,
    "deepseek-v3-tiny": lambda: made.deepseek_file("deepseek-v3-tiny", split=False),
    "deepseek-v3-tiny-yarn": lambda: made.deepseek_file("deepseek-v3-tiny-yarn", split=True),
}


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("name", FILES)
def test_logits_are_those_of_the_published_checkpoint(name: str, version: int, tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf", *FILES[name](), version=version)
    seen: list[tuple[int, int]] = []
    loaded = load_gguf(path, on_progress=lambda done, total: seen.append((done, total)))
    _, _, reference = made.fixture(name)
    for index in range(3):
        logits = loaded.model(mx.array(reference[f"tokens_{index}"][None]))[0]
        assert np.abs(np.array(logits) - reference[f"logits_{index}"]).max() < 2e-4
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1] > 0


def test_split_and_joined_latent_maps_are_the_same(tmp_path: Path) -> None:
    tokens = mx.array([[5, 6, 7, 8]])
    one, two = (
        load_gguf(
            write(tmp_path / f"{split}.gguf", *made.deepseek_file("deepseek-v3-tiny", split=split))
        ).model(tokens)
        for split in (False, True)
    )
    assert np.abs(np.array(one) - np.array(two)).max() < 1e-5


QUANTIZED = {
    ".ffn_gate.weight": made.Q4_0,
    ".ffn_up.weight": made.Q4_1,
    ".attn_q.weight": made.Q8_0,
    ".attn_v.weight": made.F16,
    ".attn_output.weight": made.BF16,
    "token_embd.weight": made.Q8_0,
}


def test_quantized_tensors_are_bit_for_bit_those_of_mlx(tmp_path: Path) -> None:
    metadata, tensors = made.llama_file(QUANTIZED)
    path = write(tmp_path / "m.gguf", metadata, {k: v for k, v in tensors.items() if v[0] != made.BF16})
    theirs: Any = mx.load(str(path))
    ours = dict(convert_gguf(write(tmp_path / "n.gguf", metadata, tensors))[1])
    same = {
        "model.layers.0.mlp.gate_proj": "blk.0.ffn_gate",
        "model.layers.1.mlp.up_proj": "blk.1.ffn_up",
        "model.embed_tokens": "token_embd",
    }
    for name, theirs_name in same.items():
        for part in ("weight", "scales", "biases"):
            assert mx.array_equal(ours[f"{name}.{part}"], theirs[f"{theirs_name}.{part}"]).item()


def test_config_says_how_each_module_is_packed(tmp_path: Path) -> None:
    config, arrays = convert_gguf(write(tmp_path / "m.gguf", *made.llama_file(QUANTIZED)))
    weights = dict(arrays)
    packed = {name.removesuffix(".scales") for name in weights if name.endswith(".scales")}
    assert packed == {"model.embed_tokens"} | {
        f"model.layers.{layer}.{module}"
        for layer in (0, 1)
        for module in ("self_attn.q_proj", "mlp.gate_proj", "mlp.up_proj")
    }
    settings = config["quantization"]
    for module in packed:
        how = settings.get(module, settings)
        width = config["hidden_size"]
        assert how["group_size"] == 32
        assert weights[f"{module}.weight"].shape[-1] * 32 // width == how["bits"]
    assert weights["model.layers.0.self_attn.o_proj.weight"].dtype == mx.bfloat16
    assert weights["model.layers.0.self_attn.v_proj.weight"].dtype == mx.float16


def test_a_quantized_file_runs_like_its_dequantized_weights(tmp_path: Path) -> None:
    kinds = {"norm.weight": made.F32, ".weight": made.Q8_0}
    metadata, tensors = made.llama_file(kinds)
    packed = load_gguf(write(tmp_path / "m.gguf", metadata, tensors))
    assert packed.precision == "8-bit"
    _, _, reference = made.fixture("llama-tiny")
    logits = np.array(packed.model(mx.array(reference["tokens_0"][None]))[0])
    # 8 bits with a scale for 32: well under a hundredth of the spread of the logits.
    assert np.abs(logits - reference["logits_0"]).mean() < 0.02 * reference["logits_0"].std()


def test_scales_too_large_for_half_precision_stay_exact(tmp_path: Path) -> None:
    block = np.float16(60000).tobytes() + bytes(range(16))
    metadata, tensors = made.llama_file()
    kind, shape, _ = made.quantized(np.zeros((160, 64), np.float32), made.Q4_0)
    tensors["blk.0.ffn_up.weight"] = (kind, shape, block * (160 * 2))
    weights = dict(convert_gguf(write(tmp_path / "m.gguf", metadata, tensors))[1])
    base = "model.layers.0.mlp.up_proj"
    codes, scales, biases = (weights[f"{base}.{part}"] for part in ("weight", "scales", "biases"))
    first = mx.dequantize(codes, scales, biases, group_size=32, bits=4)[0, :16]
    assert first.tolist() == [60000.0 * (code - 8) for code in range(16)]


def test_k_quants_agree_with_a_second_reader(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    rng = np.random.default_rng(3)
    raw = rng.integers(0, 256, (512, 210), np.uint8)
    raw[:, 208:] = np.float16(0.002).tobytes()[0], np.float16(0.002).tobytes()[1]
    metadata = made.common("llama", made.fixture("llama-tiny")[0])
    tensors: made.Tensors = {"token_embd.weight": (made.Q6_K, (512, 256), raw.tobytes())}
    path = write(tmp_path / "m.gguf", metadata, tensors)
    ours = read_weights(GGUFFile(path), "token_embd.weight").values
    theirs: Any = mx.load(str(path))
    assert ours.dtype == mx.float16
    assert np.abs(np.array(ours) - np.array(theirs["token_embd.weight"])).max() <= 1e-3
    assert np.abs(np.array(ours)).max() > 0.5


def test_without_the_extra_the_message_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    metadata, tensors = made.llama_file()
    tensors["token_embd.weight"] = (made.Q6_K, (8, 256), bytes(210 * 8))
    with pytest.raises(CheckpointError, match=r"Q6_K.*pip install 'deepseek-tui\[gguf\]'"):
        dict(convert_gguf(write(tmp_path / "m.gguf", metadata, tensors))[1])


@pytest.mark.parametrize("kind", [made.F32, made.F16, made.BF16, made.Q8_0])
def test_numbers_that_are_none_are_refused(tmp_path: Path, kind: int) -> None:
    metadata, tensors = made.llama_file({".ffn_up.weight": kind})
    kind, shape, raw = tensors["blk.1.ffn_up.weight"]
    tensors["blk.1.ffn_up.weight"] = (kind, shape, b"\xff" * len(raw))
    with pytest.raises(CheckpointError, match=r"blk\.1\.ffn_up\.weight .*not numbers"):
        load_gguf(write(tmp_path / "m.gguf", metadata, tensors))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"general.architecture": "mamba"}, "architecture 'mamba' .* not supported.*llama, qwen3, deepseek2"),
        ({"llama.expert_count": 8}, "with experts"),
        ({"llama.block_count": 7}, "announces 7 layers but holds tensors of 2"),
        ({"llama.block_count": 16_000_000}, "announces 16000000 layers but holds tensors of 2"),
        ({"llama.block_count": 4_000_000_000}, "block_count is 4000000000, which is not a sensible size"),
        ({"llama.attention.head_count": 0}, "head_count is 0"),
        ({"llama.attention.head_count": "four"}, "head_count is four"),
        ({"llama.attention.head_count_kv": 3}, "do not fit together"),
        ({"llama.rope.dimension_count": 8}, "not supported"),
        ({"llama.rope.scaling.type": "longrope", "llama.rope.scaling.factor": 2.0}, "'longrope'"),
        ({"llama.rope.freq_base": float("nan")}, "freq_base is nan"),
        ({"llama.feed_forward_length": 96}, "shape"),
    ],
)
def test_what_cannot_be_run_is_said(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    metadata, tensors = made.llama_file()
    with pytest.raises(CheckpointError, match=said):
        load_gguf(write(tmp_path / "m.gguf", metadata | change, tensors))


def test_tensors_that_nothing_would_use_are_named(tmp_path: Path) -> None:
    metadata, tensors = made.llama_file()
    tensors["blk.0.attn_sinks.weight"] = made.plain(np.zeros(4, np.float32))
    with pytest.raises(CheckpointError, match=r"blk\.0\.attn_sinks\.weight"):
        load_gguf(write(tmp_path / "m.gguf", metadata, tensors))


def test_unknown_position_scaling_is_refused(tmp_path: Path) -> None:
    metadata, tensors = made.llama_file()
    tensors["rope_freqs.weight"] = made.plain(np.linspace(1, 3, 8))
    with pytest.raises(CheckpointError, match="rope_freqs"):
        load_gguf(write(tmp_path / "m.gguf", metadata, tensors))


def test_a_model_split_over_files_is_one(tmp_path: Path) -> None:
    metadata, tensors = made.llama_file()
    names = list(tensors)
    halves = [{name: tensors[name] for name in part} for part in (names[:9], names[9:])]
    for number, half in enumerate(halves):
        own = metadata if number == 0 else {}
        split = {"split.no": number, "split.count": 2, "split.tensors.count": len(names)}
        write(tmp_path / f"m-0000{number + 1}-of-00002.gguf", own | split, half)
    _, _, reference = made.fixture("llama-tiny")
    for path in (tmp_path / "m-00002-of-00002.gguf", tmp_path):
        logits = np.array(load_model(path).model(mx.array(reference["tokens_0"][None]))[0])
        assert np.abs(logits - reference["logits_0"]).max() < 2e-4
    (tmp_path / "m-00002-of-00002.gguf").rename(tmp_path / "other")
    with pytest.raises(CheckpointError, match=r"lacks m-00002-of-00002\.gguf"):
        load_model(tmp_path / "m-00001-of-00002.gguf")
    (tmp_path / "m-00001-of-00002.gguf").rename(tmp_path / "m.gguf")
    with pytest.raises(CheckpointError, match="one of 2 files"):
        load_model(tmp_path / "m.gguf")


def test_prediction_layers_are_kept(tmp_path: Path) -> None:
    metadata, tensors = made.deepseek_file("deepseek-v3-tiny", split=True)
    rng = np.random.default_rng(5)
    copied = {
        name.replace("blk.2.", "blk.3."): value
        for name, value in tensors.items()
        if name.startswith("blk.2.")
    }
    extra = {"eh_proj": rng.normal(size=(64, 128)), "enorm": np.ones(64), "hnorm": np.ones(64)}
    extra["shared_head_norm"] = np.ones(64)
    nextn = {f"blk.3.nextn.{name}.weight": made.plain(array) for name, array in extra.items()}
    metadata |= {"deepseek2.block_count": 4, "deepseek2.nextn_predict_layers": 1}
    model = load_gguf(write(tmp_path / "m.gguf", metadata, tensors | copied | nextn)).model
    _, _, reference = made.fixture("deepseek-v3-tiny")
    tokens = mx.array(reference["tokens_0"][None])
    assert np.abs(np.array(model(tokens)[0]) - reference["logits_0"]).max() < 2e-4
    _, logits = model.mtp(model.hidden(tokens), tokens)
    assert logits.shape == (1, tokens.shape[1], 384)
    assert np.isfinite(np.array(logits)).all()


@pytest.mark.skipif(BIG is None, reason="needs DEEPSEEK_TUI_TEST_GGUF")
def test_a_real_file_is_bit_for_bit_what_mlx_reads() -> None:
    assert BIG is not None
    theirs: Any = mx.load(BIG)
    ours = dict(convert_gguf(BIG)[1])
    assert len(ours) == len(theirs)
    for part in ("weight", "scales", "biases"):
        assert mx.array_equal(ours[f"model.embed_tokens.{part}"], theirs[f"token_embd.{part}"]).item()
        name = f"mlp.down_proj.{part}"
        assert mx.array_equal(ours[f"model.layers.29.{name}"], theirs[f"blk.29.ffn_down.{part}"]).item()


def test_reading_the_head_imports_no_model_library() -> None:
    code = "import sys, deepseek_tui.checkpoints.gguf_reader; sys.exit('mlx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

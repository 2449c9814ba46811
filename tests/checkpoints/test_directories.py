"""Model directories: ours read by mlx-lm, theirs and the published layout read by us, packed and plain."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx.utils import tree_flatten

from deepseek_tui.checkpoints.build import build_model
from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.folder import INDEX
from deepseek_tui.checkpoints.load import load_model
from deepseek_tui.checkpoints.safetensors_reader import read_header
from deepseek_tui.checkpoints.save import save_model_dir
from tests.models.support import (
    BUILT_IN,
    FIXTURES,
    deepseek_config,
    difference,
    fixture_config,
    llama_config,
    qwen3_config,
    randomise,
    reference,
)

CONFIGS = {
    "deepseek_v3": deepseek_config(),
    "llama": llama_config(tie_word_embeddings=True),
    "qwen3": qwen3_config(),
}


def our_model(config: dict[str, Any]) -> Any:
    from deepseek_tui.models.registry import model_class

    model_type, args_type = model_class(config)
    model = model_type(args_type.from_dict(config))
    randomise(model, 5)
    return model.eval()


def parameters(model: Any) -> dict[str, Any]:
    return dict(tree_flatten(model.parameters()))


def read_by_mlx_lm(path: Path) -> Any:
    from mlx_lm.utils import load_model as load_theirs

    model, _ = load_theirs(path)
    model.set_dtype(mx.float32)
    return model


def written_by_mlx_lm(path: Path, config: dict[str, Any], **quantization: Any) -> Any:
    """A directory with a random model as mlx-lm saves it, and that model."""
    import importlib

    from mlx_lm.utils import quantize_model, save_config, save_model

    module = importlib.import_module(f"mlx_lm.models.{config['model_type']}")
    model = module.Model(module.ModelArgs.from_dict(config))
    randomise(model, 9)
    config = dict(config)
    if quantization:
        predicate = quantization.pop("predicate", None)
        model, config = quantize_model(model, config, quant_predicate=predicate, **quantization)
    save_model(path, model)
    save_config(config, path / "config.json")
    return model.eval()


def stored(folder: Path) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """Type, shape and bytes of every tensor of model.safetensors."""
    header = read_header(folder / "model.safetensors")
    raw = (folder / "model.safetensors").read_bytes()
    data = raw[8 + int.from_bytes(raw[:8], "little") :]
    return {name: (info.dtype, info.shape, data[info.start : info.end]) for name, info in header.items()}


def logits_agree(ours: Any, theirs: Any, tolerance: float = 2e-5) -> None:
    tokens = mx.random.randint(0, 160, (2, 30))
    expected = theirs(tokens)
    assert difference(ours(tokens), expected) < tolerance * max(1.0, float(mx.abs(expected).max()))


@pytest.mark.parametrize("name", CONFIGS)
def test_mlx_lm_reads_what_we_write(tmp_path: Path, name: str) -> None:
    model = our_model(CONFIGS[name])
    save_model_dir(tmp_path / "out", parameters(model), CONFIGS[name])
    logits_agree(model, read_by_mlx_lm(tmp_path / "out"))


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("name", CONFIGS)
def test_mlx_lm_reads_what_we_write_packed(tmp_path: Path, name: str, bits: int) -> None:
    model = our_model(CONFIGS[name])
    nn.quantize(model, 32, bits)
    config = CONFIGS[name] | {"quantization": {"group_size": 32, "bits": bits}}
    save_model_dir(tmp_path / "out", parameters(model), config)
    theirs = read_by_mlx_lm(tmp_path / "out")
    logits_agree(load_model(tmp_path / "out").model, theirs)
    logits_agree(load_model(tmp_path / "out", quantized=True).model, theirs)


@pytest.mark.parametrize("name", CONFIGS)
def test_we_read_what_mlx_lm_writes(tmp_path: Path, name: str) -> None:
    theirs = written_by_mlx_lm(tmp_path, CONFIGS[name])
    loaded = load_model(tmp_path)
    logits_agree(loaded.model, theirs)
    assert loaded.precision == "float32"


@pytest.mark.parametrize(
    ("bits", "group_size"), [(2, 32), (3, 64), (4, 64), (4, 32), (5, 32), (6, 64), (8, 64)]
)
@pytest.mark.parametrize("keep", [False, True])
def test_we_read_what_mlx_lm_packs(tmp_path: Path, bits: int, group_size: int, keep: bool) -> None:
    theirs = written_by_mlx_lm(tmp_path, deepseek_config(), bits=bits, group_size=group_size)
    loaded = load_model(tmp_path, quantized=keep)
    logits_agree(loaded.model, theirs)
    assert loaded.precision == f"{bits}-bit"
    assert any(name.endswith(".scales") for name in parameters(loaded.model)) == keep


def test_layers_may_be_packed_each_in_its_way(tmp_path: Path) -> None:
    def predicate(path: str, module: Any) -> bool | dict[str, Any]:
        if "shared_experts" in path or path == "lm_head":
            return False
        if "switch_mlp.down_proj" in path:
            return {"group_size": 32, "bits": 8, "mode": "affine"}
        return True

    theirs = written_by_mlx_lm(tmp_path, deepseek_config(), bits=4, group_size=64, predicate=predicate)
    written = json.loads((tmp_path / "config.json").read_text())["quantization"]
    assert written["model.layers.1.mlp.switch_mlp.down_proj"]["bits"] == 8
    for keep in (False, True):
        logits_agree(load_model(tmp_path, quantized=keep).model, theirs)


def test_false_in_the_config_means_plain(tmp_path: Path) -> None:
    theirs = written_by_mlx_lm(
        tmp_path, llama_config(), bits=4, group_size=32, predicate=lambda path, _: path != "lm_head"
    )
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    config["quantization"]["lm_head"] = False
    path.write_text(json.dumps(config))
    logits_agree(load_model(tmp_path).model, theirs)


def test_quantization_config_says_the_same(tmp_path: Path) -> None:
    theirs = written_by_mlx_lm(tmp_path, llama_config(), bits=8, group_size=32)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    del config["quantization"]
    path.write_text(json.dumps(config))
    logits_agree(load_model(tmp_path).model, theirs)


def test_a_config_that_contradicts_the_tensors_is_told(tmp_path: Path) -> None:
    written_by_mlx_lm(tmp_path, llama_config(), bits=8, group_size=32)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    config["quantization"]["lm_head"] = {"group_size": 32, "bits": 4}
    path.write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="gives lm_head bits 4, but its tensors are packed with 8"):
        load_model(tmp_path)


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
def test_sixteen_bits(tmp_path: Path, dtype: Any) -> None:
    model = our_model(llama_config())
    model.set_dtype(dtype)
    save_model_dir(tmp_path / "out", parameters(model), llama_config())
    loaded = load_model(tmp_path / "out")
    assert loaded.precision == str(dtype).removeprefix("mlx.core.")
    model.set_dtype(mx.float32)
    logits_agree(loaded.model, model)
    narrow = load_model(tmp_path / "out", dtype=dtype).model
    assert narrow(mx.array([[1, 2]])).dtype == dtype


def test_experts_in_sixteen_bits_run_on_a_cpu() -> None:
    # Every expert is chosen: with fewer, rounding settles near ties another way.
    config = deepseek_config(num_experts_per_tok=12)
    weights = parameters(our_model(config))
    tokens = mx.random.randint(0, 160, (1, 7))
    wide = build_model(config, dict(weights)).model(tokens)
    narrow = build_model(config, dict(weights), dtype=mx.bfloat16).model(tokens)
    assert difference(wide, narrow) < 0.05 * float(mx.abs(wide).max())


def test_shards_and_index(tmp_path: Path) -> None:
    weights = parameters(our_model(llama_config()))
    save_model_dir(tmp_path / "out", weights, llama_config(), shard_bytes=100_000)
    names = sorted(path.name for path in (tmp_path / "out").glob("*.safetensors"))
    assert len(names) > 2
    assert names[0] == f"model-00001-of-{len(names):05d}.safetensors"
    index = json.loads((tmp_path / "out" / INDEX).read_text())
    assert list(index["weight_map"]) == sorted(weights)
    assert index["metadata"]["total_size"] == sum(array.nbytes for array in weights.values())
    assert index["metadata"]["total_parameters"] == sum(array.size for array in weights.values())
    logits_agree(load_model(tmp_path / "out").model, read_by_mlx_lm(tmp_path / "out"))


def test_files_are_the_same_as_mlx_lm_writes(tmp_path: Path) -> None:
    theirs = written_by_mlx_lm(tmp_path / "theirs", llama_config(), bits=4, group_size=32)
    config = json.loads((tmp_path / "theirs" / "config.json").read_text())
    save_model_dir(tmp_path / "ours", parameters(theirs), config)
    for name in ("config.json", INDEX):
        assert (tmp_path / "ours" / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes()
    # The order of the tensors in the file is nobody's promise.
    assert stored(tmp_path / "ours") == stored(tmp_path / "theirs")


def test_the_older_layout(tmp_path: Path) -> None:
    model = our_model(deepseek_config())
    save_model_dir(tmp_path / "out", parameters(model), deepseek_config())
    (tmp_path / "out" / INDEX).unlink()
    (tmp_path / "out" / "model.safetensors").rename(tmp_path / "out" / "weights.safetensors")
    logits_agree(load_model(tmp_path / "out").model, model)


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    weights = parameters(our_model(llama_config()))
    save_model_dir(tmp_path / "out", weights, llama_config())
    with pytest.raises(CheckpointError, match="exists already"):
        save_model_dir(tmp_path / "out", weights, llama_config())
    save_model_dir(tmp_path / "out", weights, llama_config(vocab_size=161), replace=True)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["vocab_size"] == 161
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_model_dir(
            tmp_path / "out",
            parameters(our_model(llama_config())),
            llama_config(),
            files=[tmp_path / "no-such-tokenizer.json"],
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("own", [False, True])
def test_the_published_prediction_layer_is_kept(tmp_path: Path, own: bool) -> None:
    """Layer num_hidden_layers of a Hugging Face file, with or without embedding and head of its own."""
    config = fixture_config("deepseek-v3-tiny")
    source: Any = mx.load(str(FIXTURES / "deepseek-v3-tiny" / "model.safetensors"))
    weights = dict(source)
    for name, array in source.items():
        if name.startswith("model.layers.2."):
            weights[name.replace("layers.2.", "layers.3.")] = array
    mx.random.seed(1)
    extra = {"enorm.weight": (64,), "hnorm.weight": (64,), "eh_proj.weight": (64, 128)}
    extra |= {"shared_head.norm.weight": (64,)}
    if own:
        extra |= {"embed_tokens.weight": (384, 64), "shared_head.head.weight": (384, 64)}
    weights |= {f"model.layers.3.{name}": 0.2 * mx.random.normal(shape) for name, shape in extra.items()}
    mx.save_safetensors(str(tmp_path / "model.safetensors"), weights)
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_nextn_predict_layers": 1}))
    model = load_model(tmp_path).model
    expected = reference("deepseek-v3-tiny")
    tokens = expected["tokens_0"][None]
    hidden = model.hidden(tokens)
    assert difference(model.head(hidden)[0], expected["logits_0"]) < 2e-4

    layer = "model.layers.3."
    table = weights[layer + "embed_tokens.weight"] if own else weights["model.embed_tokens.weight"]
    head = weights[layer + "shared_head.head.weight"] if own else weights["lm_head.weight"]
    norm = mx.fast.rms_norm
    joined = mx.concatenate(
        [
            norm(table[tokens[:, 1:]], weights[layer + "enorm.weight"], 1e-6),
            norm(hidden[:, :-1], weights[layer + "hnorm.weight"], 1e-6),
        ],
        axis=-1,
    )
    x = joined @ weights[layer + "eh_proj.weight"].T
    mask = mx.tril(mx.ones((28, 28), mx.bool_))
    x = norm(model.layers[2](x, mask, None), weights[layer + "shared_head.norm.weight"], 1e-6)
    drafted, logits = model.mtp(hidden[:, :-1], tokens[:, 1:])
    assert difference(drafted, x) < 1e-4
    assert difference(logits, x @ head.T) < 1e-4
    again, _ = model.mtp(drafted[:, :-1], tokens[:, 2:], depth=2)
    assert difference(again, model.mtp(drafted[:, :-1], tokens[:, 2:])[0]) == 0

    save_model_dir(tmp_path / "out", parameters(model), config)
    assert (tmp_path / "out" / "mtp.safetensors").is_file()
    assert difference(load_model(tmp_path / "out").model.mtp(hidden[:, :-1], tokens[:, 1:])[1], logits) < 1e-5
    if not own:
        logits_agree(model, read_by_mlx_lm(tmp_path / "out"))


def test_a_config_may_promise_prediction_layers_that_were_left_out(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "deepseek-v3-tiny", tmp_path / "model")
    config = fixture_config("deepseek-v3-tiny") | {"num_nextn_predict_layers": 1}
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    model = load_model(tmp_path / "model").model
    assert model.prediction_layers == 0
    with pytest.raises(ValueError, match="no prediction layer"):
        model.mtp(mx.zeros((1, 1, 64)), mx.array([[1]]))


def test_published_layout_packed_before_it_was_split() -> None:
    """Older MLX directories pack kv_b_proj whole; it is unpacked before it is split."""
    config = deepseek_config(kv_lora_rank=32)
    plain = our_model(config)
    weights = parameters(plain)
    for index in range(4):
        prefix = f"model.layers.{index}.self_attn"
        keys = weights.pop(f"{prefix}.embed_q.weight").swapaxes(-1, -2)
        whole = mx.concatenate([keys, weights.pop(f"{prefix}.unembed_out.weight")], axis=1).reshape(-1, 32)
        packed = mx.quantize(whole, group_size=32, bits=4)
        for part, array in zip(("weight", "scales", "biases"), packed, strict=True):
            weights[f"{prefix}.kv_b_proj.{part}"] = array
        rounded = mx.dequantize(*packed, group_size=32, bits=4).reshape(3, 128, 32)
        attention = plain.layers[index].self_attn
        attention.embed_q.weight = rounded[:, :64].swapaxes(-1, -2)
        attention.unembed_out.weight = rounded[:, 64:]
    said = config | {"quantization": {"group_size": 32, "bits": 4}}
    logits_agree(build_model(said, weights).model, plain)


def test_eight_bit_floats_with_block_scales(tmp_path: Path) -> None:
    config = llama_config(hidden_size=160, intermediate_size=136)
    plain = our_model(config)
    weights, stored = parameters(plain), {}
    for name, array in weights.items():
        stored[name] = array
        if "_proj" in name:
            rows, columns = -(-array.shape[0] // 128), -(-array.shape[1] // 128)
            scale = mx.random.uniform(0.001, 0.003, (rows, columns))
            spread = mx.repeat(mx.repeat(scale, 128, 0), 128, 1)[: array.shape[0], : array.shape[1]]
            stored[name] = mx.to_fp8(array / spread)
            stored[f"{name}_scale_inv"] = scale
            weights[name] = mx.from_fp8(stored[name], dtype=mx.float32) * spread
    plain.load_weights(list(weights.items()))
    loaded = build_model(config | {"quantization_config": {"quant_method": "fp8"}}, stored)
    logits_agree(loaded.model, plain)
    assert loaded.precision == "8-bit float"


def test_newer_names_for_the_rotary_settings() -> None:
    config = llama_config(rope_theta=777.0, rope_scaling={"rope_type": "linear", "factor": 2.0})
    weights = parameters(our_model(config))
    newer = {key: value for key, value in config.items() if not key.startswith("rope")}
    newer["rope_parameters"] = {"rope_type": "linear", "factor": 2.0, "rope_theta": 777.0}
    tokens = mx.random.randint(0, 160, (1, 20))
    older = build_model(config, dict(weights)).model(tokens)
    assert difference(build_model(newer, dict(weights)).model(tokens), older) == 0


def test_whether_the_head_is_tied_is_seen_where_the_config_is_silent() -> None:
    config = llama_config()
    del config["tie_word_embeddings"]
    weights = parameters(our_model(llama_config()))
    assert "lm_head" in build_model(config, dict(weights)).model
    weights.pop("lm_head.weight")
    assert "lm_head" not in build_model(config, weights).model


def test_what_a_file_carries_beside_the_weights_is_dropped() -> None:
    config = llama_config(tie_word_embeddings=True)
    weights = parameters(our_model(config))
    weights["lm_head.weight"] = mx.zeros((160, 64))
    weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = mx.zeros((8,))
    assert build_model(config, weights).parameters == 160 * 64 + 3 * (2 * 64 + 6144 * 2 + 3 * 8192) + 64


def test_progress_counts_the_bytes_of_the_file_to_the_end() -> None:
    seen: list[tuple[int, int]] = []
    loaded = load_model(BUILT_IN, on_progress=lambda done, total: seen.append((done, total)))
    assert len(seen) > 10
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    stored = sum((BUILT_IN / name).stat().st_size for name in ("model.safetensors", "mtp.safetensors"))
    assert 0.98 * stored < seen[-1][1] <= stored
    assert seen[-1][0] == seen[-1][1]
    assert (loaded.precision, loaded.parameters) == ("4-bit", 119_341_024)


def test_lazy_weights_are_read_when_they_are_used() -> None:
    before = mx.get_active_memory()
    model = load_model(BUILT_IN, lazy=True).model
    assert mx.get_active_memory() - before < 1 << 20
    mx.eval(model.model.embed_tokens.weight)
    assert mx.get_active_memory() - before > 100 << 20


def test_the_built_in_model_packed_gives_the_same() -> None:
    expected = reference("built-in")
    model = load_model(BUILT_IN, quantized=True).model
    logits = model(expected["ids"][:, :5])
    assert logits[0].argmax(-1).tolist() == expected["greedy"][:5].tolist()
    assert model.model.layers[3].mlp.switch_mlp.up_proj.bits == 4

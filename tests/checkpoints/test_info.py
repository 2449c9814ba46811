"""What is said of a model without reading its weights."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deepseek_tui.checkpoints.convert import Options, convert
from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.info import cache_bytes, context_length, describe
from deepseek_tui.checkpoints.load import load_model
from deepseek_tui.checkpoints.recipes import Recipe
from tests.checkpoints import gguf_files
from tests.checkpoints.model_folders import parameters, published, random_model, write_folder
from tests.models.support import (
    BUILT_IN,
    FIXTURES,
    deepseek_config,
    fixture_config,
    llama_config,
    qwen3_config,
)

NAMES = ("deepseek-v3-tiny", "llama-tiny", "qwen3-tiny", "scratch-tiny")


def test_the_built_in_model() -> None:
    """Against its card."""
    facts = describe(BUILT_IN)
    assert facts.architecture == "DeepSeek-V3"
    assert round(facts.parameters / 1e6) == 119
    assert round(facts.parameters_active / 1e6) == 77
    assert round((facts.parameters - facts.parameters_prediction) / 1e6) == 114
    assert (facts.experts, facts.experts_per_token, facts.layers, facts.prediction_layers) == (8, 2, 20, 1)
    assert facts.cache_per_token_layer == 288 * 2
    assert facts.cache_per_token == 288 * 2 * 20
    assert facts.cache_full_context == 288 * 2 * 20 * 1024
    assert (facts.context, facts.vocabulary, facts.tokenizer) == (1024, 49_152, 49_152)
    assert facts.has_chat_template
    assert facts.licence == "Apache-2.0"
    assert facts.precision == "4-bit"
    assert facts.quantization is not None
    assert (facts.quantization.bits, facts.quantization.group_size) == (4, 64)
    files = sum((BUILT_IN / name).stat().st_size for name in ("model.safetensors", "mtp.safetensors"))
    assert 0.99 * files < facts.memory["as-stored"] < files


@pytest.mark.parametrize("name", NAMES)
def test_figures_are_those_of_the_loaded_model(name: str) -> None:
    facts, loaded = describe(FIXTURES / name), load_model(FIXTURES / name)
    assert facts.parameters == loaded.parameters
    assert facts.context == loaded.model.context_length
    assert facts.layers == len(loaded.model.layers)
    assert facts.memory["as-stored"] == loaded.weight_bytes
    cache = loaded.model.make_cache()
    import mlx.core as mx

    mx.eval(loaded.model(mx.array([[1]]), cache))
    kept = sum(array.nbytes for layer in cache for array in layer.state)
    assert facts.cache_per_token == kept // 2  # float32 here


@pytest.mark.parametrize("bits", [4, 8])
def test_memory_at_each_precision_is_what_converting_gives(tmp_path: Path, bits: int) -> None:
    config = deepseek_config()
    source = write_folder(tmp_path / "source", config, published(random_model(config)))
    promised = describe(source).memory
    options = Options("bfloat16", Recipe(bits, 64))
    assert describe(convert(source, tmp_path / "q", options).path).memory["as-stored"] == pytest.approx(
        promised[f"{bits}-bit"], rel=0.02
    )
    half = describe(convert(source, tmp_path / "half", Options("bfloat16")).path)
    assert half.memory["as-stored"] == pytest.approx(promised["16-bit"], rel=1e-3)
    assert half.precision == "bfloat16"


def test_the_figures_do_not_depend_on_the_layout(tmp_path: Path) -> None:
    facts = describe(FIXTURES / "deepseek-v3-tiny")
    file = tmp_path / "model.gguf"
    file.write_bytes(gguf_files.gguf_bytes(*gguf_files.deepseek_file("deepseek-v3-tiny", split=False)))
    mixed = convert(
        FIXTURES / "deepseek-v3-tiny", tmp_path / "mlx", Options(recipe=Recipe(4, 32, "mixed_3_6"))
    )
    for path in (file, mixed.path):
        other = describe(path)
        for key in ("parameters", "parameters_active", "context", "cache_per_token", "layers", "experts"):
            assert getattr(other, key) == getattr(facts, key), key
    stored = describe(mixed.path).quantization
    assert stored is not None
    assert stored.bits == 3
    assert stored.overrides["lm_head"]["bits"] == 6


def test_an_original_checkpoint_converted_is_the_same_model(tmp_path: Path) -> None:
    facts = describe(FIXTURES / "scratch-tiny")
    other = describe(convert(FIXTURES / "scratch-tiny", tmp_path / "out").path)
    for key in ("parameters", "parameters_active", "parameters_prediction", "cache_per_token", "memory"):
        assert getattr(other, key) == getattr(facts, key), key
    assert facts.prediction_layers == other.prediction_layers == 1
    assert describe(FIXTURES / "scratch-tiny", n_experts_per_token=4).experts_per_token == 4


def test_active_parameters_leave_out_the_experts_not_chosen(tmp_path: Path) -> None:
    config = deepseek_config(num_experts_per_tok=3, n_routed_experts=12)
    model = random_model(config)
    facts = describe(write_folder(tmp_path / "source", config, published(model)))
    routed = sum(array.size for name, array in parameters(model).items() if ".switch_mlp." in name)
    assert facts.parameters_active == facts.parameters - routed * 9 // 12


@pytest.mark.parametrize(
    ("config", "bytes_per_layer"),
    [
        ({"kv_lora_rank": 512, "qk_rope_head_dim": 64}, 1152),  # DeepSeek-V3
        ({"kv_lora_rank": 128, "rope_dim": 32, "n_head": 8}, 768),  # the original checkpoint
        (qwen3_config(head_dim=128, num_key_value_heads=8), 4096),  # Qwen3-0.6B
        (llama_config(hidden_size=2048, num_attention_heads=32, num_key_value_heads=8), 2048),  # Llama 3.2 1B
        ({"model_type": "other"}, None),
    ],
)
def test_bytes_of_the_cache(config: dict[str, Any], bytes_per_layer: int | None) -> None:
    assert cache_bytes(config) == bytes_per_layer


def test_a_window_that_is_on_bounds_the_context() -> None:
    assert context_length(llama_config(sliding_window=64)) == 64
    assert context_length(qwen3_config(sliding_window=64, use_sliding_window=False)) == 128
    assert context_length({}) is None


@pytest.mark.parametrize(
    ("file", "text", "licence"),
    [
        ("README.md", "---\nlanguage: en\nlicense: mit\n---\n# Model\n", "mit"),
        ("README.md", "---\nlicense: other\nlicense_name: llama3.2\n---\n", "llama3.2"),
        ("MODEL_CARD.md", "# Card\n\n| licence | Apache-2.0, see NOTICE |\n", "Apache-2.0"),
        ("LICENSE", "\n   MIT License\n\nCopyright\n", "MIT License"),
        ("README.md", "no front matter\nlicense: mit\n", None),
    ],
)
def test_where_the_licence_is_found(tmp_path: Path, file: str, text: str, licence: str | None) -> None:
    shutil.copytree(FIXTURES / "llama-tiny", tmp_path / "model")
    (tmp_path / "model" / "README.md").unlink()
    (tmp_path / "model" / file).write_text(text)
    assert describe(tmp_path / "model").licence == licence


def test_the_licence_in_a_gguf_file(tmp_path: Path) -> None:
    metadata, tensors = gguf_files.llama_file()
    file = tmp_path / "model.gguf"
    file.write_bytes(gguf_files.gguf_bytes(metadata | {"general.license": "apache-2.0"}, tensors))
    assert describe(file).licence == "apache-2.0"
    # It survives the conversion, in the card.
    assert describe(convert(file, tmp_path / "out").path).licence == "apache-2.0"


def test_an_unknown_architecture_is_told_with_what_can_be_told(tmp_path: Path) -> None:
    config = fixture_config("llama-tiny") | {"model_type": "newest"}
    shutil.copytree(FIXTURES / "llama-tiny", tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    facts = describe(tmp_path / "model")
    assert not facts.is_supported
    assert facts.parameters == describe(FIXTURES / "llama-tiny").parameters


def test_no_weights_are_read(tmp_path: Path) -> None:
    """The data of the file may be a hole of a terabyte."""
    shutil.copytree(FIXTURES / "llama-tiny", tmp_path / "model")
    head = {
        "model.embed_tokens.weight": {
            "dtype": "F32",
            "shape": [1 << 19, 1 << 19],
            "data_offsets": [0, 1 << 40],
        }
    }
    raw = json.dumps(head).encode()
    with (tmp_path / "model" / "model.safetensors").open("wb") as file:
        file.write(len(raw).to_bytes(8, "little") + raw)
        file.truncate(8 + len(raw) + (1 << 40))
    assert describe(tmp_path / "model").parameters == 1 << 38


def test_mlx_is_not_needed_for_a_directory() -> None:
    code = "import sys; from deepseek_tui.checkpoints.info import describe; describe(sys.argv[1]); "
    code += "print([name for name in sys.modules if name.startswith('mlx')])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(BUILT_IN)], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="There is no model at"):
        describe(tmp_path / "nowhere")

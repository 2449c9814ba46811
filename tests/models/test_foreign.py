"""Architectures that mlx-lm has the code for and we do not: the same text as mlx-lm writes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten
from mlx_lm import utils as mlx_lm_utils
from mlx_lm.generate import generate_step

from deepseek_tui.checkpoints.convert import convert
from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.info import describe
from deepseek_tui.checkpoints.load import load_model
from deepseek_tui.engine.cache_store import CacheStore
from deepseek_tui.engine.generate import stream_generate
from deepseek_tui.engine.protocol import ChatMessage, Event, Finished, Generate
from deepseek_tui.engine.session import Session
from tests.engine.tiny import make_tiny, only_ascii

COMMON = {
    "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64, "num_attention_heads": 4,
    "num_key_value_heads": 2, "rms_norm_eps": 1e-6, "vocab_size": 512, "max_position_embeddings": 256,
    "tie_word_embeddings": True,
}  # fmt: skip
CONFIGS: dict[str, dict[str, Any]] = {
    "qwen2": COMMON | {"model_type": "qwen2", "rope_theta": 10000.0},
    "gemma2": COMMON | {"model_type": "gemma2", "head_dim": 8},
    # A window of 24 tokens in one of two layers: once it has turned over, nothing can be forgotten.
    "gemma3_text": COMMON | {
        "model_type": "gemma3_text", "head_dim": 8, "sliding_window": 24, "sliding_window_pattern": 2,
    },
    "mamba": {
        "model_type": "mamba", "vocab_size": 512, "hidden_size": 32, "intermediate_size": 64,
        "state_size": 4, "num_hidden_layers": 2, "conv_kernel": 4, "use_bias": False,
        "use_conv_bias": True, "time_step_rank": 2, "tie_word_embeddings": True,
    },
}  # fmt: skip
PROMPT = [5, 9, 300, 41, 7, 7, 120]


def make(folder: Path, name: str) -> Path:
    """A random model of that type with the tokenizer and the template of the tiny chat model."""
    make_tiny(folder)
    config = CONFIGS[name]
    module = importlib.import_module(f"mlx_lm.models.{config['model_type']}")
    model = module.Model(module.ModelArgs.from_dict(config))
    mx.random.seed(7)
    weights = {key: 0.3 * mx.random.normal(array.shape) for key, array in tree_flatten(model.parameters())}
    for file in folder.glob("*.safetensors"):
        file.unlink()
    mx.save_safetensors(str(folder / "model.safetensors"), weights)
    (folder / "config.json").write_text(json.dumps(config | {"eos_token_id": 1}))
    return folder


def reply(session: Session, messages: list[ChatMessage]) -> list[Event]:
    assert session._tokenizer is not None
    sampling = only_ascii(session._tokenizer, temp=0.0, max_tokens=12)
    request = Generate(1, "a", tuple(messages), sampling=sampling)
    return list(session.generate(request))


def text_of(events: list[Event]) -> str:
    assert isinstance(events[-1], Finished), events[-1]
    return "".join(getattr(event, "text", "") for event in events)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_same_greedy_tokens_as_mlx_lm(tmp_path: Path, name: str) -> None:
    folder = make(tmp_path / name, name)
    theirs, _ = mlx_lm_utils.load_model(folder)
    wanted = [int(token) for token, _ in generate_step(mx.array(PROMPT), theirs, max_tokens=40)]
    loaded = load_model(folder)
    found = [r.token for r in stream_generate(loaded.model, None, PROMPT, 40, prefill_step_size=3)]
    assert found == wanted
    assert loaded.parameters == sum(array.size for _, array in tree_flatten(theirs.parameters()))
    assert loaded.model.context_length == CONFIGS[name].get("max_position_embeddings", 32_768)
    assert len(loaded.model.layers) == 2


@pytest.mark.parametrize("name", CONFIGS)
def test_what_is_held_of_a_conversation_changes_nothing(tmp_path: Path, name: str) -> None:
    model = load_model(make(tmp_path / name, name)).model
    store = CacheStore(1 << 30, model.make_cache)

    def ask(conversation: str, ids: list[int]) -> tuple[int, list[int]]:
        held = store.take(conversation, ids)
        found, rest = len(held.tokens), ids[len(held.tokens) :]
        made = [r.token for r in stream_generate(model, None, rest, 9, prompt_cache=held.caches)]
        held.tokens = [*ids, *made]
        assert held.trim(held.caches[0].offset)
        store.put(conversation, held)
        assert made == [r.token for r in stream_generate(model, None, ids, 9)]
        return found, made

    opening = PROMPT * 6
    _, first = ask("a", opening)
    found, second = ask("a", [*opening, *first, 3, 4])
    assert found == len(opening) + len(first) - 1
    # Nothing may leak from a copy into what it was copied from.
    ask("b", [*opening, *first, 3, 4, *second, 6])
    ask("a", [*opening, *first, 3, 4, *second, 9])
    # A branch needs the cache to forget; where it cannot, all is computed again.
    found, _ = ask("a", [*opening, *first[:2], 8])
    assert found == (len(opening) + 2 if name in ("qwen2", "gemma2") else 0)


@pytest.mark.parametrize("name", CONFIGS)
def test_it_answers_in_a_conversation(tmp_path: Path, name: str) -> None:
    session = Session.load(make(tmp_path / name, name))
    assert session.info.model_type == name
    # Two layers, keys and values, of float32 on a CPU; a state of fixed size grows by nothing.
    per_token = 2 * 2 * CONFIGS[name].get("num_key_value_heads", 0) * 8
    assert session.info.kv_bytes_per_token in (per_token * 4, per_token * 2)
    asked = [ChatMessage("user", "hello there")]
    first = text_of(reply(session, asked))
    assert first
    later = [*asked, ChatMessage("assistant", first), ChatMessage("user", "and now?")]
    events = reply(session, later)
    assert text_of(events)
    assert isinstance(events[-1], Finished)
    # The others need the reply to be cut into tokens as the model wrote it, which noise seldom is.
    assert events[-1].stats.cached_tokens > 0 or name in ("gemma3_text", "mamba")


def test_half_precision_and_packed_weights_run_in_float32_on_a_cpu(tmp_path: Path) -> None:
    folder = make(tmp_path / "qwen2", "qwen2")
    model, config = mlx_lm_utils.load_model(folder)
    model.set_dtype(mx.bfloat16)
    packed, config = mlx_lm_utils.quantize_model(model, config, group_size=32, bits=4)
    mx.save_safetensors(str(folder / "model.safetensors"), dict(tree_flatten(packed.parameters())))
    (folder / "config.json").write_text(json.dumps(config))
    loaded = load_model(folder)
    assert loaded.precision == "4-bit"
    if mx.default_device().type == mx.cpu:
        assert {array.dtype for _, array in tree_flatten(loaded.model.parameters())} == {mx.float32}
    assert loaded.model(mx.array([PROMPT])).shape == (1, len(PROMPT), 512)


def test_without_mlx_lm_the_message_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path / "gemma2", "gemma2")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CheckpointError, match=r"'gemma2'.* pip install 'deepseek-tui\[mlx-lm\]'"):
        load_model(folder)
    facts = describe(folder)
    assert not facts.is_supported
    assert "deepseek-tui[mlx-lm]" in facts.architecture


@pytest.mark.parametrize(
    "model_type", ["gpt9", "../utils", "base", "cache", "os.path", "", "x" * 5000], ids=range(7)
)
def test_types_that_nobody_knows_are_refused_in_a_sentence(tmp_path: Path, model_type: str) -> None:
    folder = make(tmp_path / "qwen2", "qwen2")
    (folder / "config.json").write_text(json.dumps(COMMON | {"model_type": model_type}))
    with pytest.raises(CheckpointError) as refusal:
        load_model(folder)
    assert len(str(refusal.value)) < 600 + len(str(folder))


def test_no_code_of_the_folder_runs(tmp_path: Path) -> None:
    folder = make(tmp_path / "qwen2", "qwen2")
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    (folder / "qwen2.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    config = CONFIGS["qwen2"] | {"auto_map": {"AutoModelForCausalLM": "evil.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    load_model(folder)
    (folder / "config.json").write_text(json.dumps(config | {"model_file": "evil.py"}))
    with pytest.raises(CheckpointError, match="never done"):
        load_model(folder)
    assert not (tmp_path / "ran").exists()


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    folder = make(tmp_path / "qwen2", "qwen2")
    (folder / "config.json").write_text(json.dumps(CONFIGS["qwen2"] | {"num_hidden_layers": 3}))
    with pytest.raises(CheckpointError, match="mlx-lm cannot load this qwen2 model"):
        load_model(folder)


def test_convert_and_info_say_who_runs_it(tmp_path: Path) -> None:
    folder = make(tmp_path / "gemma2", "gemma2")
    facts = describe(folder)
    assert facts.is_supported
    assert "mlx-lm" in facts.architecture
    with pytest.raises(CheckpointError, match=r"gemma2 model, which is not converted here.*mlx_lm\.convert"):
        convert(folder, tmp_path / "out")

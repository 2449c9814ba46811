"""The compiled layers against MLX with float32 weights: every shape of model, every way of storing it."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from deepseek_tui.models.base import on_cpu
from deepseek_tui.models.cache import KVCache
from deepseek_tui.native.build import library
from deepseek_tui.native.model import NativeModel
from deepseek_tui.native.pack import UnsupportedModelError
from tests.models.support import deepseek_config, difference, in_pieces, llama_config, qwen3_config
from tests.native.support import both, needs_library, packed_model, tokens_for

pytestmark = [needs_library, pytest.mark.skipif(not on_cpu(), reason="the library is for CPUs")]

YARN = {
    "type": "yarn",
    "factor": 4.0,
    "original_max_position_embeddings": 32,
    "beta_fast": 32,
    "beta_slow": 1,
    "mscale": 0.7,
    "mscale_all_dim": 1.0,
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "llama": llama_config(),
    "llama tied": llama_config(tie_word_embeddings=True, num_hidden_layers=1),
    "llama biases": llama_config(attention_bias=True, mlp_bias=True),
    "llama heads of 24": llama_config(
        hidden_size=96, head_dim=24, num_attention_heads=5, num_key_value_heads=1
    ),
    "llama heads of 10": llama_config(head_dim=10, num_attention_heads=6, num_key_value_heads=3),
    "llama3 rope": llama_config(rope_scaling=LLAMA3),
    "llama linear rope": llama_config(rope_scaling={"type": "linear", "factor": 3.0}),
    "llama neighbours": llama_config(rope_traditional=True),
    "llama long rows": llama_config(hidden_size=128, intermediate_size=544, vocab_size=161),
    "qwen3": qwen3_config(),
    "qwen3 wide heads": qwen3_config(head_dim=48, num_key_value_heads=4),
    "deepseek": deepseek_config(),
    "deepseek direct queries": deepseek_config(q_lora_rank=None, rope_interleave=False),
    "deepseek yarn": deepseek_config(rope_scaling=YARN),
    "deepseek biases": deepseek_config(attention_bias=True),
    "deepseek groups": deepseek_config(n_group=4, topk_group=2),
    "deepseek greedy softmax": deepseek_config(
        topk_method="greedy", scoring_func="softmax", norm_topk_prob=False, n_shared_experts=None
    ),
    "deepseek group maximum": deepseek_config(
        topk_method="group_limited_greedy",
        scoring_func="softmax",
        n_group=3,
        topk_group=2,
        n_shared_experts=1,
    ),
    "deepseek dense": deepseek_config(n_routed_experts=None, n_shared_experts=None),
    "deepseek every other": deepseek_config(
        moe_layer_freq=2, first_k_dense_replace=0, tie_word_embeddings=True
    ),
    "deepseek small values": deepseek_config(v_head_dim=32, qk_nope_head_dim=32, qk_rope_head_dim=20),
}
TOLERANCE = 2e-4


def close(a: Any, b: Any) -> bool:
    """Within rounding of numbers of this size."""
    return difference(a, b) < TOLERANCE * max(1.0, float(mx.abs(b).max()))


@pytest.mark.parametrize("name", CONFIGS)
def test_every_architecture_gives_the_same_numbers(name: str) -> None:
    native, floats = both(packed_model(CONFIGS[name]))
    tokens = tokens_for(native, 90)
    expected = floats(tokens)
    assert close(native(tokens), expected)
    assert close(in_pieces(native, tokens, [70, 1, 1, 2, 5, 1]), expected)


@pytest.mark.parametrize("bits", [4, 8, 16])
@pytest.mark.parametrize(
    "dtype", [mx.float32, mx.bfloat16, mx.float16], ids=["float32", "bfloat16", "float16"]
)
@pytest.mark.parametrize("group", [32, 64, 128])
@pytest.mark.parametrize("make", [llama_config, deepseek_config])
def test_every_way_of_storing_gives_the_same_numbers(bits: int, dtype: Any, group: int, make: Any) -> None:
    if bits == 16 and group > 32:
        pytest.skip("plain weights have no groups")
    sizes = {
        "hidden_size": 128,
        "intermediate_size": 256,
        "moe_intermediate_size": 128,
        "num_hidden_layers": 2,
    }
    native, floats = both(packed_model(make(**sizes), group, bits, dtype))
    tokens = tokens_for(native, 20)
    expected = floats(tokens)
    assert close(native(tokens), expected)
    assert close(in_pieces(native, tokens, [1]), expected)


def test_layers_may_be_stored_each_in_its_own_way() -> None:
    model = packed_model(llama_config(hidden_size=128, intermediate_size=256), bits=16, dtype=mx.bfloat16)
    for layer in model.layers:
        attention = layer.self_attn
        attention.q_proj = attention.q_proj.to_quantized(64, 8)
        attention.k_proj = attention.k_proj.to_quantized(32, 4)
        layer.mlp.down_proj = layer.mlp.down_proj.to_quantized(128, 4)
    native, floats = both(model)
    tokens = tokens_for(native, 20)
    assert close(in_pieces(native, tokens, [1, 3, 1, 15]), floats(tokens))


@pytest.mark.parametrize("make", [llama_config, deepseek_config])
def test_threads_change_no_bit(make: Any) -> None:
    model = packed_model(make())
    tokens = tokens_for(model, 90)
    expected = np.array(in_pieces(NativeModel(model, library(), 1), tokens, [64, 1, 1, 3, 1]))
    for threads in (2, 3, 7):
        native = NativeModel(model, library(), threads)
        # More than once: threads that come late to a phase must leave no trace, in whatever order they come.
        for _ in range(12):
            assert (np.array(in_pieces(native, tokens, [64, 1, 1, 3, 1])) == expected).all()


@pytest.mark.parametrize("make", [llama_config, deepseek_config])
@pytest.mark.parametrize("bits", [4, 8, 16])
def test_a_few_tokens_at_once_give_the_bits_of_one_at_a_time(make: Any, bits: int) -> None:
    """So drafts that are checked together are judged as they would have been one by one."""
    native = NativeModel(packed_model(make(), bits=bits, dtype=mx.bfloat16), library(), 2)
    tokens = tokens_for(native, 51)
    alone = np.array(in_pieces(native, tokens, [1]))
    for sizes in ([2], [3], [4], [5], [6], [7], [8], [1, 8, 3, 2]):
        assert (np.array(in_pieces(native, tokens, sizes)) == alone).all()


@pytest.mark.parametrize("make", [llama_config, deepseek_config])
def test_a_long_context_is_looked_through_in_spans(make: Any) -> None:
    native, floats = both(packed_model(make(max_position_embeddings=8192, num_hidden_layers=1)))
    tokens = tokens_for(native, 5200)
    theirs, ours = floats.make_cache(), native.make_cache()
    mx.eval(floats.hidden(tokens[:, :5190], theirs))
    native.hidden(tokens[:, :5190], ours)
    for start, end in [(5190, 5191), (5191, 5199), (5199, 5200)]:
        assert close(native(tokens[:, start:end], ours), floats(tokens[:, start:end], theirs))


@pytest.mark.parametrize("make", [llama_config, deepseek_config])
def test_trimmed_tokens_leave_no_trace(make: Any) -> None:
    native, floats = both(packed_model(make()))
    tokens, cache = tokens_for(native, 60), native.make_cache()
    native(tokens[:, :30], cache)
    native(mx.full((1, 9), 3), cache)
    assert [layer.trim(9) for layer in cache] == [9] * len(cache)
    assert close(native(tokens[:, 30:], cache), floats(tokens)[:, 30:])


@pytest.mark.parametrize("make", [llama_config, deepseek_config])
def test_a_cache_goes_from_one_model_to_the_other_and_back(make: Any) -> None:
    native, floats = both(packed_model(make()))
    tokens = tokens_for(native, 40)
    expected = floats(tokens)
    cache = native.make_cache()
    native(tokens[:, :10], cache)
    copied: list[Any] = [KVCache() for _ in cache]
    for held, its in zip(copied, cache, strict=True):
        held.state = its.state
    assert close(floats(tokens[:, 10:20], copied), expected[:, 10:20])
    for back, its in zip(cache, copied, strict=True):
        back.state = its.state
    assert close(native(tokens[:, 20:], cache), expected[:, 20:])
    assert cache[0].offset == 40
    assert cache[0].nbytes == cache[0].keys.nbytes + cache[0].values.nbytes


def test_a_copy_of_a_cache_is_its_own() -> None:
    native, floats = both(packed_model(llama_config()))
    tokens, other = tokens_for(native, 40), tokens_for(native, 20, seed=5)
    cache, copy = native.make_cache(), native.make_cache()
    native(tokens[:, :20], cache)
    for mine, its in zip(copy, cache, strict=True):
        mine.state = its.state
        mine.trim(10)
    native(other, copy)
    assert close(native(tokens[:, 20:], cache), floats(tokens)[:, 20:])


@pytest.mark.parametrize("changes", [{}, {"prediction_embedding": True, "prediction_head": True}])
def test_the_prediction_layer_gives_the_same_drafts(changes: dict[str, Any]) -> None:
    native, floats = both(packed_model(deepseek_config(num_nextn_predict_layers=2, **changes)))
    tokens = tokens_for(native, 30)
    hidden, cache = floats.hidden(tokens), native.make_cache()[0]
    for depth in (1, 2, 3):
        expected, logits = floats.mtp(hidden[:, :-1], tokens[:, 1:], depth)
        found, drafted = native.mtp(hidden[:, :-1], tokens[:, 1:], depth)
        assert close(found, expected)
        assert close(drafted, logits)
    pieces = [
        native.mtp(hidden[:, a:b], tokens[:, a + 1 : b + 1], 1, cache)[0]
        for a, b in [(0, 20), (20, 21), (21, 29)]
    ]
    assert close(mx.concatenate(pieces, axis=1), floats.mtp(hidden[:, :-1], tokens[:, 1:])[0])


def test_rows_of_a_batch_are_computed_too() -> None:
    native, floats = both(packed_model(llama_config()))
    rows = mx.concatenate([tokens_for(native, 12), tokens_for(native, 12, seed=3)])
    assert close(native(rows), floats(rows))
    cache = native.make_cache()
    native(rows[:, :6], cache)
    assert close(native(rows[:, 6:], cache), floats(rows)[:, 6:])


def test_ids_that_are_none_and_caches_that_do_not_fit_are_refused() -> None:
    native = NativeModel(packed_model(llama_config()), library(), 2)
    for wrong in (160, -1, 1 << 30):
        with pytest.raises(ValueError, match="token ids"):
            native(mx.array([[1, wrong]]))
    with pytest.raises(ValueError, match="caches"):
        native(mx.array([[1]]), native.make_cache()[:2])
    other = NativeModel(packed_model(llama_config(num_key_value_heads=4)), library(), 2)
    cache = other.make_cache()
    other(mx.array([[1] * 4]), cache)
    with pytest.raises(ValueError, match="not one of this model"):
        native(mx.array([[1]]), cache)


@pytest.mark.parametrize(
    ("config", "bits", "group"),
    [
        (llama_config(), 3, 32),
        (llama_config(), 2, 64),
        (llama_config(rope_scaling={"type": "dynamic", "factor": 2.0}), 4, 32),
    ],
)
def test_what_the_library_has_no_way_for_is_left_to_mlx(
    config: dict[str, Any], bits: int, group: int
) -> None:
    with pytest.raises(UnsupportedModelError):
        NativeModel(packed_model(config, group, bits), library(), 1)

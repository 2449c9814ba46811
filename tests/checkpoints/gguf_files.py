"""Small GGUF files for tests: a writer, quantizers, and the tiny checkpoints in GGUF's names and order."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

Array = np.ndarray[Any, Any]
Tensors = dict[str, tuple[int, tuple[int, ...], bytes]]
"""Name -> type number, shape (outermost first), bytes."""

F32, F16, Q4_0, Q4_1, Q8_0, Q6_K, BF16 = 0, 1, 2, 3, 8, 14, 30
FIXTURES = Path(__file__).parents[1] / "fixtures"
_NUMBERS = {"u1": 0, "i1": 1, "u2": 2, "i2": 3, "u4": 4, "i4": 5, "f4": 6, "u8": 10, "i8": 11, "f8": 12}


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def typed(value: Any) -> bytes:
    """A metadata value with its type in front."""
    match value:
        case str():
            return struct.pack("<I", 8) + text(value)
        case bool():
            return struct.pack("<I?", 7, value)
        case int():
            return struct.pack("<II", 4, value)
        case float():
            return struct.pack("<If", 6, value)
        case np.ndarray():
            return struct.pack("<IIQ", 9, _NUMBERS[value.dtype.str[1:]], len(value)) + value.tobytes()
        case list():
            return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(text(item) for item in value)
    raise TypeError(value)


def gguf_bytes(metadata: dict[str, Any], tensors: Tensors, *, version: int = 3, alignment: int = 32) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    head += b"".join(text(key) + typed(value) for key, value in metadata.items())
    body = b""
    for name, (kind, shape, raw) in tensors.items():
        body += b"\0" * (-len(body) % alignment)
        head += text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape[::-1])
        head += struct.pack("<IQ", kind, len(body))
        body += raw
    return head + b"\0" * (-len(head) % alignment) + body


def plain(array: Array, kind: int = F32) -> tuple[int, tuple[int, ...], bytes]:
    if kind == BF16:
        raw = (np.ascontiguousarray(array, np.float32).view(np.uint32) >> 16).astype(np.uint16).tobytes()
    else:
        raw = array.astype({F32: np.float32, F16: np.float16}[kind]).tobytes()
    return kind, array.shape, raw


def quantized(array: Array, kind: int) -> tuple[int, tuple[int, ...], bytes]:
    """Q4_0, Q4_1 or Q8_0 of an array whose last axis divides by 32, by the definitions of these types."""
    blocks = array.reshape(-1, 32).astype(np.float32)
    if kind == Q8_0:
        scale = (np.abs(blocks).max(1, keepdims=True) / 127).astype(np.float16)
        codes = np.round(blocks / np.maximum(scale, 1e-7).astype(np.float32)).clip(-128, 127).astype(np.int8)
        return kind, array.shape, np.concatenate([scale.view(np.uint8), codes.view(np.uint8)], 1).tobytes()
    if kind == Q4_0:
        low, scale = np.zeros((len(blocks), 1), np.float16), (np.abs(blocks).max(1, keepdims=True) / 8)
        shift = 8
    else:
        low = blocks.min(1, keepdims=True).astype(np.float16)
        scale, shift = (blocks.max(1, keepdims=True) - low.astype(np.float32)) / 15, 0
    scale = scale.astype(np.float16)
    steps = (blocks - low.astype(np.float32)) / np.maximum(scale, 1e-7).astype(np.float32)
    codes = (np.round(steps) + shift).clip(0, 15).astype(np.uint8)
    parts = [scale.view(np.uint8), codes[:, :16] | (codes[:, 16:] << 4)]
    if kind == Q4_1:
        parts.insert(1, low.view(np.uint8))
    return kind, array.shape, np.concatenate(parts, 1).tobytes()


def fixture(name: str) -> tuple[dict[str, Any], dict[str, Array], dict[str, Array]]:
    """config, tensors and reference of a tiny checkpoint."""
    folder = FIXTURES / name
    config = json.loads((folder / "config.json").read_text())
    return config, load_file(folder / "model.safetensors"), load_file(folder / "reference.safetensors")


def paired(array: Array, heads: int) -> Array:
    """The rows of q or k in GGUF's order for llama: those that rotate together side by side."""
    return array.reshape(heads, 2, -1, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)


def common(arch: str, config: dict[str, Any]) -> dict[str, Any]:
    return {
        "general.architecture": arch,
        f"{arch}.block_count": config["num_hidden_layers"],
        f"{arch}.context_length": config["max_position_embeddings"],
        f"{arch}.embedding_length": config["hidden_size"],
        f"{arch}.feed_forward_length": config["intermediate_size"],
        f"{arch}.attention.head_count": config["num_attention_heads"],
        f"{arch}.attention.head_count_kv": config["num_key_value_heads"],
        f"{arch}.attention.layer_norm_rms_epsilon": float(config["rms_norm_eps"]),
        f"{arch}.rope.freq_base": float(config["rope_theta"]),
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 1,
    }


DENSE = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_a_proj": "attn_q_a", "self_attn.q_a_layernorm": "attn_q_a_norm",
    "self_attn.q_b_proj": "attn_q_b", "self_attn.kv_a_proj_with_mqa": "attn_kv_a_mqa",
    "self_attn.kv_a_layernorm": "attn_kv_a_norm", "self_attn.kv_b_proj": "attn_kv_b",
    "mlp.gate": "ffn_gate_inp",
    "mlp.shared_experts.gate_proj": "ffn_gate_shexp", "mlp.shared_experts.up_proj": "ffn_up_shexp",
    "mlp.shared_experts.down_proj": "ffn_down_shexp",
}  # fmt: skip


def renamed(weights: dict[str, Array]) -> dict[str, Array]:
    """Published names to GGUF's, experts in one stack."""
    out: dict[str, Array] = {}
    experts: dict[str, dict[int, Array]] = {}
    for name, array in weights.items():
        if match := re.fullmatch(r"model\.layers\.(\d+)\.mlp\.experts\.(\d+)\.(\w+)_proj\.weight", name):
            experts.setdefault(f"blk.{match[1]}.ffn_{match[3]}_exps.weight", {})[int(match[2])] = array
        elif match := re.fullmatch(r"model\.layers\.(\d+)\.mlp\.gate\.e_score_correction_bias", name):
            out[f"blk.{match[1]}.exp_probs_b.bias"] = array
        elif match := re.fullmatch(r"model\.layers\.(\d+)\.(.+)\.weight", name):
            out[f"blk.{match[1]}.{DENSE[match[2]]}.weight"] = array
        else:
            plain_name = {
                "model.embed_tokens": "token_embd",
                "model.norm": "output_norm",
                "lm_head": "output",
            }
            out[plain_name[name.removesuffix(".weight")] + ".weight"] = array
    for name, stack in experts.items():
        out[name] = np.stack([stack[index] for index in sorted(stack)])
    return out


def llama_file(kinds: dict[str, int] | None = None) -> tuple[dict[str, Any], Tensors]:
    """llama-tiny. `kinds`: type by ending of the tensor's GGUF name, F32 where none fits."""
    config, weights, _ = fixture("llama-tiny")
    metadata = common("llama", config)
    metadata["llama.rope.dimension_count"] = config["head_dim"]
    arrays = renamed(weights)
    for name, array in arrays.items():
        if name.endswith((".attn_q.weight", ".attn_k.weight")):
            heads = config["num_attention_heads" if ".attn_q." in name else "num_key_value_heads"]
            arrays[name] = paired(array, heads)
    tensors = encoded(arrays, kinds or {})
    tensors["rope_freqs.weight"] = plain(llama3_freqs(config))
    return metadata, tensors


def llama3_freqs(config: dict[str, Any]) -> Array:
    """The factors of Llama 3.1's scaling, written out from its definition."""
    scaling, half = config["rope_scaling"], config["head_dim"] // 2
    factors = []
    for index in range(half):
        wavelength = 2 * np.pi * config["rope_theta"] ** (index / half)
        turns = scaling["original_max_position_embeddings"] / wavelength
        if turns > scaling["high_freq_factor"]:
            factors.append(1.0)
        elif turns < scaling["low_freq_factor"]:
            factors.append(scaling["factor"])
        else:
            smooth = (turns - scaling["low_freq_factor"]) / (
                scaling["high_freq_factor"] - scaling["low_freq_factor"]
            )
            factors.append(1 / ((1 - smooth) / scaling["factor"] + smooth))
    return np.array(factors, np.float32)


def qwen3_file() -> tuple[dict[str, Any], Tensors]:
    config, weights, _ = fixture("qwen3-tiny")
    metadata = common("qwen3", config) | {
        "qwen3.attention.key_length": config["head_dim"],
        "qwen3.attention.value_length": config["head_dim"],
    }
    return metadata, encoded(renamed(weights), {})


def deepseek_file(name: str, *, split: bool) -> tuple[dict[str, Any], Tensors]:
    """`split`: kv_b in two halves, as newer files have it, k turned round."""
    config, weights, _ = fixture(name)
    nope, value, rotary = config["qk_nope_head_dim"], config["v_head_dim"], config["qk_rope_head_dim"]
    rank, heads = config["kv_lora_rank"], config["num_attention_heads"]
    metadata = common("deepseek2", config) | {
        "deepseek2.leading_dense_block_count": config["first_k_dense_replace"],
        "deepseek2.attention.q_lora_rank": config["q_lora_rank"],
        "deepseek2.attention.kv_lora_rank": rank,
        "deepseek2.rope.dimension_count": rotary,
        "deepseek2.expert_feed_forward_length": config["moe_intermediate_size"],
        "deepseek2.expert_count": config["n_routed_experts"],
        "deepseek2.expert_used_count": config["num_experts_per_tok"],
        "deepseek2.expert_shared_count": config["n_shared_experts"],
        "deepseek2.expert_group_count": config["n_group"],
        "deepseek2.expert_group_used_count": config["topk_group"],
        "deepseek2.expert_weights_scale": config["routed_scaling_factor"],
        "deepseek2.expert_weights_norm": config["norm_topk_prob"],
        "deepseek2.expert_gating_func": 2,
    }
    whole = {"key_length": nope + rotary, "value_length": value}
    lengths = whole
    arrays = renamed(weights)
    if split:
        lengths = {"key_length": rank + rotary, "value_length": rank}
        lengths |= {f"{key}_mla": length for key, length in whole.items()}
        metadata["deepseek2.attention.head_count_kv"] = 1
        for key in [key for key in arrays if ".attn_kv_b." in key]:
            both = arrays.pop(key).reshape(heads, nope + value, rank)
            arrays[key.replace("kv_b", "k_b")] = np.ascontiguousarray(both[:, :nope].swapaxes(1, 2))
            arrays[key.replace("kv_b", "v_b")] = np.ascontiguousarray(both[:, nope:])
    metadata |= {f"deepseek2.attention.{key}": length for key, length in lengths.items()}
    if scaling := config["rope_scaling"]:
        metadata |= {
            "deepseek2.rope.scaling.type": "yarn",
            "deepseek2.rope.scaling.factor": scaling["factor"],
            "deepseek2.rope.scaling.original_context_length": scaling["original_max_position_embeddings"],
            "deepseek2.rope.scaling.yarn_log_multiplier": 0.1 * scaling["mscale_all_dim"],
        }
    return metadata, encoded(arrays, {})


def encoded(arrays: dict[str, Array], kinds: dict[str, int]) -> Tensors:
    out: Tensors = {}
    for name, array in arrays.items():
        kind = next((kind for ending, kind in kinds.items() if name.endswith(ending)), F32)
        out[name] = quantized(array, kind) if kind in (Q4_0, Q4_1, Q8_0) else plain(array, kind)
    return out

"""config.json as the metadata of a GGUF file tells it, one function for each architecture."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.gguf_reader import GGUFFile

# No size of a model comes near it; a file that says more is damaged, and building it would take forever.
MAX_SIZE = 1 << 24


class Reader:
    """Typed access to the metadata below one architecture's prefix."""

    def __init__(self, file: GGUFFile, architecture: str) -> None:
        self.file, self.prefix = file, architecture

    def _fail(self, key: str, value: object, wanted: str) -> CheckpointError:
        where = f"{self.file.path}: the metadata key {self.prefix}.{key}"
        if value is None:
            return CheckpointError(f"{where} is missing.", "The file is not whole or not a language model.")
        return CheckpointError(f"{where} is {str(value)[:60]}, which is not {wanted}.")

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return f"{self.prefix}.{key}" in self.file.metadata

    def size(self, key: str, default: int | None = None, *, least: int = 1) -> int:
        """A whole number from `least` up. Some writers give one for each layer: then all must agree."""
        value = self.file.metadata.get(f"{self.prefix}.{key}", default)
        if isinstance(value, np.ndarray) and value.size and value.dtype.kind in "iu":
            if (value != value[0]).any():
                raise self._fail(key, value.tolist(), "one number for all layers")
            value = int(value[0])
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MAX_SIZE:
            raise self._fail(key, value, "a sensible size")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number. Stored in float32, it is given as the shortest decimal that means the same."""
        value = self.file.metadata.get(f"{self.prefix}.{key}", default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self._fail(key, value, "a number")
        return float(str(np.float32(value)))

    def text(self, key: str, default: str) -> str:
        """A text."""
        value = self.file.metadata.get(f"{self.prefix}.{key}", default)
        if not isinstance(value, str):
            raise self._fail(key, value, "a text")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Yes or no."""
        value = self.file.metadata.get(f"{self.prefix}.{key}", default)
        if not isinstance(value, bool):
            raise self._fail(key, value, "yes or no")
        return value


def llama_config(reader: Reader) -> dict[str, Any]:
    """Llama, and those that share its architecture (SmolLM2, Mistral)."""
    if reader.size("expert_count", 0, least=0):
        raise CheckpointError(f"{reader.file.path} is a llama with experts, which is not supported.")
    config = _dense(reader, "llama", "LlamaForCausalLM")
    config["attention_bias"] = "blk.0.attn_q.bias" in reader.file.tensors
    config["mlp_bias"] = "blk.0.ffn_up.bias" in reader.file.tensors
    if "rope_freqs.weight" in reader.file.tensors:
        config["rope_scaling"] = _llama3_scaling(reader, config)
    return config


def qwen3_config(reader: Reader) -> dict[str, Any]:
    """Qwen3, dense: rotates halves, as its published weights do, so nothing is permuted."""
    return _dense(reader, "qwen3", "Qwen3ForCausalLM")


def _common(reader: Reader, model_type: str, name: str) -> dict[str, Any]:
    tensors = reader.file.tensors
    embedding = tensors.get("token_embd.weight")
    if embedding is None or len(embedding.shape) != 2:
        raise CheckpointError(f"{reader.file.path} lacks the tensor token_embd.weight.")
    config: dict[str, Any] = {
        "architectures": [name],
        "model_type": model_type,
        "hidden_size": reader.size("embedding_length"),
        "intermediate_size": reader.size("feed_forward_length"),
        "num_hidden_layers": reader.size("block_count"),
        "num_attention_heads": reader.size("attention.head_count"),
        "rms_norm_eps": reader.number("attention.layer_norm_rms_epsilon"),
        "rope_theta": reader.number("rope.freq_base", 10000.0),
        "max_position_embeddings": reader.size("context_length"),
        "vocab_size": embedding.shape[0],
        "tie_word_embeddings": "output.weight" not in tensors,
    }
    config.update(token_ids(reader.file))
    return config


def token_ids(file: GGUFFile) -> dict[str, Any]:
    """The ids of the tokens that begin and end a text, as generation_config.json names them."""

    def one(key: str) -> int | None:
        value = file.metadata.get(f"tokenizer.ggml.{key}_token_id")
        return (
            value
            if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_SIZE
            else None
        )

    ends = [end for key in ("eos", "eot", "eom") if (end := one(key)) is not None]
    ids: dict[str, Any] = {}
    if (begin := one("bos")) is not None:
        ids["bos_token_id"] = begin
    if ends:
        unique = list(dict.fromkeys(ends))
        ids["eos_token_id"] = unique[0] if len(unique) == 1 else unique
    if (padding := one("padding")) is not None:
        ids["pad_token_id"] = padding
    return ids


def _dense(reader: Reader, model_type: str, name: str) -> dict[str, Any]:
    config = _common(reader, model_type, name)
    heads = config["num_attention_heads"]
    config["num_key_value_heads"] = reader.size("attention.head_count_kv", heads)
    width = reader.size("attention.key_length", max(1, config["hidden_size"] // heads))
    if heads % config["num_key_value_heads"] or width % 2:
        raise CheckpointError(
            f"{reader.file.path} has {heads} heads, {config['num_key_value_heads']} for keys, {width} wide: "
            "these do not fit together."
        )
    for key in ("rope.dimension_count", "attention.value_length"):
        if reader.size(key, width) != width:
            raise CheckpointError(
                f"{reader.file.path} has heads {width} wide but {key} {reader.size(key)}: not supported."
            )
    config["head_dim"] = width
    if (scaling := _rope_scaling(reader)) is not None:
        config["rope_scaling"] = scaling
    return config


def _rope_scaling(reader: Reader) -> dict[str, Any] | None:
    kind = reader.text("rope.scaling.type", "none")
    # Before there was a type, a factor alone meant linear scaling.
    if kind == "none" and reader.has("rope.scale_linear"):
        factor = reader.number("rope.scale_linear")
        return None if factor == 1 else {"rope_type": "linear", "type": "linear", "factor": factor}
    if kind == "none":
        return None
    factor = reader.number("rope.scaling.factor")
    if kind == "linear":
        return {"rope_type": "linear", "type": "linear", "factor": factor}
    if kind != "yarn":
        raise CheckpointError(
            f"{reader.file.path} scales its positions by {kind[:40]!r}, which is not supported."
        )
    return {
        "rope_type": "yarn",
        "type": "yarn",
        "factor": factor,
        "original_max_position_embeddings": reader.size("rope.scaling.original_context_length"),
        "beta_fast": reader.number("rope.scaling.yarn_beta_fast", 32.0),
        "beta_slow": reader.number("rope.scaling.yarn_beta_slow", 1.0),
    }


def _llama3_scaling(reader: Reader, config: dict[str, Any]) -> dict[str, Any]:
    """Llama 3.1's scaling, of which the file keeps the resulting factor of every frequency.

    The numbers that Meta published with the formula are tried for every likely original length, and must
    give the factors of the file.
    """
    factors = reader.file.raw("rope_freqs.weight").view(np.uint8).ravel()
    half = config["head_dim"] // 2
    if reader.file.tensors["rope_freqs.weight"].type_name == "F32" and factors.size == half * 4:
        wanted = factors.view(np.float32).astype(np.float64)
        lengths = (8192, *(1 << power for power in range(5, 21)))
        for length in lengths if (wanted >= 1).all() and np.isfinite(wanted).all() else ():
            scaling = {
                "factor": round(float(wanted.max()), 4),
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
            }
            scaling["original_max_position_embeddings"] = length
            if np.allclose(llama3_factors(config["rope_theta"], half, scaling), wanted, rtol=1e-4):
                return {"rope_type": "llama3", **scaling}
    raise CheckpointError(
        f"{reader.file.path} scales its positions (rope_freqs.weight) in a way that is not known.",
        "Llama 3.1's way is supported.",
    )


def llama3_factors(theta: float, half: int, scaling: dict[str, Any]) -> np.ndarray[Any, Any]:
    """By what each of `half` rotary frequencies is divided (Llama 3.1 model card, rope_type "llama3")."""
    turns = scaling["original_max_position_embeddings"] * theta ** (-np.arange(half) / half) / (2 * np.pi)
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    smooth = np.clip((turns - low) / (high - low), 0, 1)
    factors: np.ndarray[Any, Any] = 1 / ((1 - smooth) / scaling["factor"] + smooth)
    return factors


def deepseek_config(reader: Reader) -> dict[str, Any]:
    """DeepSeek-V2 and V3: `deepseek2` in both, told apart by how experts are scored."""
    sigmoid = reader.size("expert_gating_func", 1, least=0) == 2
    name = "DeepseekV3ForCausalLM" if sigmoid else "DeepseekV2ForCausalLM"
    config = _common(reader, "deepseek_v3" if sigmoid else "deepseek_v2", name)
    layers, ahead = config["num_hidden_layers"], reader.size("nextn_predict_layers", 0, least=0)
    if ahead:
        config["num_hidden_layers"], config["num_nextn_predict_layers"] = max(1, layers - ahead), ahead
    rotary = reader.size("rope.dimension_count")
    # Where key_length is the width of the compressed cache's keys, that of the heads is beside it.
    key = reader.size(
        "attention.key_length_mla" if reader.has("attention.key_length_mla") else "attention.key_length"
    )
    value = (
        "attention.value_length_mla" if reader.has("attention.value_length_mla") else "attention.value_length"
    )
    if key <= rotary:
        raise CheckpointError(
            f"{reader.file.path} has keys {key} wide of which {rotary} rotate: that cannot be."
        )
    config.update(
        num_key_value_heads=config["num_attention_heads"],
        q_lora_rank=reader.size("attention.q_lora_rank") if reader.has("attention.q_lora_rank") else None,
        kv_lora_rank=reader.size("attention.kv_lora_rank"),
        qk_rope_head_dim=rotary,
        qk_nope_head_dim=key - rotary,
        v_head_dim=reader.size(value),
        attention_bias=False,
        rope_scaling=_deepseek_scaling(reader),
    )
    config.update(_experts(reader, config, sigmoid=sigmoid))
    return config


def _experts(reader: Reader, config: dict[str, Any], *, sigmoid: bool) -> dict[str, Any]:
    experts = reader.size("expert_count")
    groups, used_groups = reader.size("expert_group_count", 1), reader.size("expert_group_used_count", 1)
    if not reader.has("expert_group_count"):
        # Older files leave the groups out; the published models of these sizes have them.
        published = {(61, 256, True): (8, 4), (60, 160, False): (8, 3)}
        size = (config["num_hidden_layers"], experts, sigmoid)
        groups, used_groups = published.get(size, (1, 1))
    biased = any(".exp_probs_b." in name for name in reader.file.tensors)
    greedy = "group_limited_greedy" if groups > 1 else "greedy"
    return {
        "n_routed_experts": experts,
        "n_shared_experts": reader.size("expert_shared_count", 0, least=0) or None,
        "num_experts_per_tok": reader.size("expert_used_count"),
        "moe_intermediate_size": reader.size("expert_feed_forward_length"),
        "first_k_dense_replace": reader.size("leading_dense_block_count", 0, least=0),
        "moe_layer_freq": 1,
        "n_group": groups,
        "topk_group": used_groups,
        "routed_scaling_factor": reader.number("expert_weights_scale", 1.0) or 1.0,
        "norm_topk_prob": reader.flag("expert_weights_norm", False),
        "scoring_func": "sigmoid" if sigmoid else "softmax",
        "topk_method": "noaux_tc" if biased else greedy,
    }


def _deepseek_scaling(reader: Reader) -> dict[str, Any] | None:
    scaling = _rope_scaling(reader)
    if scaling is not None and scaling["type"] == "yarn" and reader.has("rope.scaling.yarn_log_multiplier"):
        # Stored as a tenth of mscale_all_dim; in the published models mscale equals it.
        scale = round(reader.number("rope.scaling.yarn_log_multiplier") * 10, 6)
        scaling["mscale"] = scaling["mscale_all_dim"] = scale
    return scaling

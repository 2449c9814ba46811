"""What a GGUF file describes, in the words of config.json and of the published checkpoints.

The names of keys and tensors are those of the GGUF specification; the architectures `llama`, `qwen3` and
`deepseek2` are known. `layout` gives the configuration and says which tensor becomes which parameter.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.gguf_config import Reader, deepseek_config, llama_config, qwen3_config
from deepseek_tui.checkpoints.gguf_quants import GROUP_SIZE, PACKED_BITS
from deepseek_tui.checkpoints.gguf_reader import GGUFFile

How = Literal["packed", "plain", "rotary"]
"""packed: as it lies; plain: dequantized; rotary: the rows of each head put back in halves."""


@dataclass(frozen=True)
class Placement:
    """One parameter: its name, the tensor that it is made of, and how."""

    target: str
    source: str
    how: How = "packed"
    heads: int = 0


@dataclass(frozen=True)
class Layout:
    """A model as config.json would have it, and where its parameters come from."""

    config: dict[str, Any]
    placements: tuple[Placement, ...]


OUTSIDE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
DENSE = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
}  # fmt: skip
LATENT = {
    "attn_q": "self_attn.q_proj", "attn_q_a": "self_attn.q_a_proj",
    "attn_q_a_norm": "self_attn.q_a_layernorm", "attn_q_b": "self_attn.q_b_proj",
    "attn_kv_a_mqa": "self_attn.kv_a_proj_with_mqa",
    "attn_kv_a_norm": "self_attn.kv_a_layernorm", "attn_kv_b": "self_attn.kv_b_proj",
    # The halves of kv_b_proj, as files for the compressed cache and MLX directories keep them.
    "attn_k_b": "self_attn.embed_q", "attn_v_b": "self_attn.unembed_out",
    "attn_output": "self_attn.o_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
    "ffn_gate_inp": "mlp.gate",
    "ffn_gate_exps": "mlp.switch_mlp.gate_proj", "ffn_up_exps": "mlp.switch_mlp.up_proj",
    "ffn_down_exps": "mlp.switch_mlp.down_proj", "ffn_gate_shexp": "mlp.shared_experts.gate_proj",
    "ffn_up_shexp": "mlp.shared_experts.up_proj", "ffn_down_shexp": "mlp.shared_experts.down_proj",
    "nextn.eh_proj": "eh_proj", "nextn.enorm": "enorm", "nextn.hnorm": "hnorm",
    "nextn.embed_tokens": "embed_tokens", "nextn.shared_head_norm": "shared_head.norm",
    "nextn.shared_head_head": "shared_head.head",
}  # fmt: skip
# Tables that older converters stored and the model computes, or that the configuration has taken in.
COMPUTED = re.compile(r"(?:rope_freqs|blk\.\d+\.(?:attn_rot_embd|rope_freqs))\.weight")
BLOCK = re.compile(r"blk\.(\d{1,5})\.([\w.]+)\.(weight|bias)")

ARCHITECTURES: dict[str, tuple[Callable[[Reader], dict[str, Any]], dict[str, str]]] = {
    "llama": (llama_config, DENSE),
    "qwen3": (qwen3_config, DENSE),
    "deepseek2": (deepseek_config, LATENT),
}


def layout(file: GGUFFile) -> Layout:
    """Reads the head of `file`, no weights. Raises CheckpointError for what cannot be run as it was meant."""
    architecture = file.metadata.get("general.architecture")
    if not isinstance(architecture, str) or architecture not in ARCHITECTURES:
        raise CheckpointError(
            f"The GGUF architecture {str(architecture)[:60]!r} of {file.path} is not supported.",
            f"Supported are {', '.join(ARCHITECTURES)}.",
        )
    configure, names = ARCHITECTURES[architecture]
    reader = Reader(file, architecture)
    config = configure(reader)
    placements = tuple(_placements(file, config, names, rotary=architecture == "llama"))
    blocks = {int(match[1]) for name in file.tensors if (match := BLOCK.fullmatch(name))}
    count = config["num_hidden_layers"] + config.get("num_nextn_predict_layers", 0)
    # Files may announce a prediction layer and leave its tensors out: then it is not there.
    if len(blocks) == config["num_hidden_layers"]:
        config.pop("num_nextn_predict_layers", None)
        count = config["num_hidden_layers"]
    if len(blocks) != count or blocks != set(range(len(blocks))):
        raise CheckpointError(f"{file.path} announces {count} layers but holds tensors of {len(blocks)}.")
    _add_quantization(file, config, placements)
    return Layout(config, placements)


def _placements(
    file: GGUFFile, config: dict[str, Any], names: dict[str, str], *, rotary: bool
) -> Iterator[Placement]:
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    for name in file.tensors:
        if COMPUTED.fullmatch(name):
            continue
        outside, _, part = name.rpartition(".")
        if outside in OUTSIDE and part == "weight":
            yield Placement(f"{OUTSIDE[outside]}.weight", name)
            continue
        match = BLOCK.fullmatch(name)
        if match is None:
            raise _unknown(file, name)
        prefix, kind, part = f"model.layers.{match[1]}.", match[2], match[3]
        if kind == "exp_probs_b" and "ffn_gate_inp" in names:
            yield Placement(f"{prefix}mlp.gate.e_score_correction_bias", name, "plain")
        elif kind not in names:
            raise _unknown(file, name)
        elif rotary and kind in heads:
            yield Placement(f"{prefix}{names[kind]}.{part}", name, "rotary", heads[kind])
        else:
            how: How = "plain" if kind in ("ffn_gate_inp", "attn_kv_b") else "packed"
            yield Placement(f"{prefix}{names[kind]}.{part}", name, how)


def _unknown(file: GGUFFile, name: str) -> CheckpointError:
    return CheckpointError(
        f"{file.path} has the tensor {name[:80]!r}, which its architecture should not have.",
        "The model would not compute what it was trained to compute without it.",
    )


def _add_quantization(file: GGUFFile, config: dict[str, Any], placements: tuple[Placement, ...]) -> None:
    """Says which modules stay quantized, in mlx-lm's words: one setting, and the modules that differ."""
    bits: dict[str, int] = {}
    for placement in placements:
        info = file.tensors[placement.source]
        if placement.how in ("packed", "rotary") and len(info.shape) > 1 and info.type_name in PACKED_BITS:
            bits[placement.target.removesuffix(".weight")] = PACKED_BITS[info.type_name]
    if not bits:
        return
    usual = Counter(bits.values()).most_common(1)[0][0]
    others = {path: {"group_size": GROUP_SIZE, "bits": own} for path, own in bits.items() if own != usual}
    config["quantization"] = {"group_size": GROUP_SIZE, "bits": usual, **others}

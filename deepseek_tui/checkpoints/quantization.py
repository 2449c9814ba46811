"""Packed weights: which layers of a checkpoint are quantized, how, and how to make them plain again."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from deepseek_tui.checkpoints.errors import CheckpointError

BITS = (2, 3, 4, 5, 6, 8)
GROUP_SIZES = (16, 32, 64, 128)


def quantization_settings(config: dict[str, Any]) -> dict[str, Any]:
    """config.json's `quantization` (or its synonym `quantization_config`), empty for a plain checkpoint.

    Raises `CheckpointError` for methods other than MLX's affine groups and the 8-bit floats of DeepSeek-V3.
    """
    for key in ("quantization", "quantization_config"):
        found = config.get(key)
        if found is None:
            continue
        if not isinstance(found, dict):
            raise CheckpointError(f"config.json's {key} is not a table.")
        method = found.get("quant_method")
        if method is not None:
            if method == "fp8":
                return {}
            raise CheckpointError(
                f"The weights are quantized by the method {str(method)[:40]!r}, which is not supported.",
                "Take the 16-bit version of the model, or one in MLX format.",
            )
        if found.get("mode", "affine") != "affine":
            raise CheckpointError(f"The quantization mode {str(found['mode'])[:40]!r} is not supported.")
        return found
    return {}


def packed_layers(
    settings: dict[str, Any], weights: dict[str, Any], inputs: dict[str, int]
) -> dict[str, dict[str, Any]]:
    """Module path -> {"group_size", "bits"} for every layer stored packed.

    `settings`: from `quantization_settings`, where a module path may hold its own values. `inputs`: input
    size of each module that can be quantized. The shapes decide, and must agree with what the settings say of
    that layer. Raises `CheckpointError` where they do not.
    """
    layers: dict[str, dict[str, Any]] = {}
    for path, size in inputs.items():
        if f"{path}.scales" not in weights or f"{path}.weight" not in weights:
            continue
        own = settings.get(path)
        if own is False:
            continue
        groups, words = weights[f"{path}.scales"].shape[-1], weights[f"{path}.weight"].shape[-1]
        found = {"group_size": size // max(groups, 1), "bits": words * 32 // size}
        exact = groups * found["group_size"] == size and words * 32 == found["bits"] * size
        if not exact or found["bits"] not in BITS or found["group_size"] not in GROUP_SIZES:
            raise CheckpointError(
                f"{path} is packed as {words} words and {groups} groups for {size} inputs, "
                "which fits no bit width and group size that can be read."
            )
        if isinstance(own, dict):
            _check_agreement(path, own, found)
        layers[path] = found
    return layers


def _check_agreement(path: str, said: dict[str, Any], found: dict[str, Any]) -> None:
    if said.get("mode", "affine") != "affine":
        raise CheckpointError(f"The quantization mode {str(said['mode'])[:40]!r} of {path} is not supported.")
    for key, value in found.items():
        if said.get(key, value) != value:
            raise CheckpointError(
                f"config.json gives {path} {key} {said[key]!r}, but its tensors are packed with {value}."
            )


def unpack(weights: dict[str, Any], layers: dict[str, dict[str, Any]], dtype: Any) -> None:
    """Replaces the packed tensors of `layers` by plain ones, in place, computed in `dtype`."""
    for path, how in layers.items():
        scales = weights.pop(f"{path}.scales").astype(dtype)
        biases = weights.pop(f"{path}.biases", None)
        if biases is None:
            raise CheckpointError(f"The packed layer {path} has no biases.", "Fetch the model again.")
        weights[f"{path}.weight"] = mx.dequantize(
            weights[f"{path}.weight"], scales, biases.astype(dtype), **how
        )


def unpack_fp8(weights: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """The 8-bit floats of published DeepSeek-V3 files times their block scales, as float32; the rest as is.

    A scale `weight_scale_inv` [rows / block, columns / block] multiplies a block of 128 x 128 numbers, or of
    config's quantization_config.weight_block_size.
    """
    names = [name for name in weights if name.endswith(".weight_scale_inv")]
    if not names:
        return weights
    weights = dict(weights)
    block = (config.get("quantization_config") or {}).get("weight_block_size") or [128, 128]
    if not (isinstance(block, list) and len(block) == 2 and all(isinstance(n, int) and n > 0 for n in block)):
        raise CheckpointError("config.json's weight_block_size is not two sizes.")
    for name in names:
        scale = weights.pop(name)
        target = name.removesuffix("_scale_inv")
        packed = weights.get(target)
        if packed is None or packed.ndim != 2 or packed.dtype != mx.uint8:
            raise CheckpointError(f"{name} scales no tensor of 8-bit floats.", "Fetch the model again.")
        rows, columns = packed.shape
        if scale.shape != (-(-rows // block[0]), -(-columns // block[1])):
            raise CheckpointError(f"{name} has the shape {scale.shape}, which does not fit {target}.")
        scale = mx.repeat(mx.repeat(scale, block[0], axis=0), block[1], axis=1)[:rows, :columns]
        weights[target] = mx.from_fp8(packed, dtype=mx.float32) * scale.astype(mx.float32)
    return weights

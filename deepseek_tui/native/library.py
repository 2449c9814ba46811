"""The compiled library: its structures, field by field as in native.h and model.h, and its functions."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, c_float, c_int, c_int32, c_int64, c_void_p
from pathlib import Path
from typing import Any

FLOAT32, FLOAT16, BFLOAT16, PACKED4, PACKED8 = 0, 1, 2, 4, 8
MAX_GROUPS, MOST_EXPERTS, MOST_CHOSEN, MOST_THREADS = 512, 512, 64, 64

Floats = POINTER(c_float)


class Matrix(Structure):
    """`struct Matrix` of native.h; all zeros: absent."""

    _fields_ = [
        ("weight", c_void_p),
        ("scales", c_void_p),
        ("biases", c_void_p),
        ("bias", c_void_p),
        ("rows", c_int64),
        ("cols", c_int32),
        ("kind", c_int32),
        ("group", c_int32),
        ("scale_kind", c_int32),
    ]


_MATRICES = (
    "q_a", "q", "k", "v", "kv_a", "embed", "unembed", "o",
    "gate", "up", "down", "expert_gate", "expert_up", "expert_down",
)  # fmt: skip
_VECTORS = (
    "input_norm", "post_norm", "q_a_norm", "q_norm", "k_norm", "kv_norm", "router", "router_bias",
)  # fmt: skip


class Layer(Structure):
    """`struct Layer` of model.h."""

    _fields_ = [(name, Matrix) for name in _MATRICES] + [(name, c_void_p) for name in _VECTORS]


_WHOLE, _REAL = c_int32, c_float


class Shape(Structure):
    """`struct Shape` of model.h."""

    _fields_ = [
        ("hidden", _WHOLE),
        ("heads", _WHOLE),
        ("kv_heads", _WHOLE),
        ("latent", _WHOLE),
        ("key_size", _WHOLE),
        ("value_size", _WHOLE),
        ("nope", _WHOLE),
        ("rotated", _WHOLE),
        ("out_size", _WHOLE),
        ("interleaved", _WHOLE),
        ("scale", _REAL),
        ("eps", _REAL),
        ("latent_eps", _REAL),
        ("head_eps", _REAL),
        ("rope_factor", _REAL),
        ("frequencies", c_void_p),
        ("mlp", _WHOLE),
        ("experts", _WHOLE),
        ("expert_size", _WHOLE),
        ("top_k", _WHOLE),
        ("groups", _WHOLE),
        ("chosen_groups", _WHOLE),
        ("scoring", _WHOLE),
        ("choice", _WHOLE),
        ("normalise", _WHOLE),
        ("routed_factor", _REAL),
        ("layers", _WHOLE),
    ]


class Slot(Structure):
    """`struct Slot` of model.h: where one layer's keys and values are."""

    _fields_ = [("keys", c_void_p), ("values", c_void_p), ("capacity", c_int64)]


def open_library(path: Path) -> Any:
    """The functions of a compiled library. Raises OSError or AttributeError where it is not one of ours."""
    library = ctypes.CDLL(str(path))
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "native_make": (c_void_p, [POINTER(Shape), POINTER(Layer), POINTER(Matrix), c_int, c_int]),
        "native_size": (c_int64, [c_int]),
        "native_free": (None, [c_void_p]),
        "native_threads": (c_int, [c_void_p]),
        "native_run": (c_int, [c_void_p, c_int, c_int, c_void_p, c_int, c_int, POINTER(Slot)]),
        "native_product": (c_int, [c_void_p, POINTER(Matrix), c_void_p, c_int, c_void_p]),
        "native_norm": (None, [c_void_p, c_void_p, c_int, c_int, c_float, c_void_p]),
        "native_rows": (c_int, [POINTER(Matrix), c_void_p, c_int, c_void_p]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    for which, structure in enumerate((Matrix, Layer, Shape, Slot)):
        if library.native_size(which) != ctypes.sizeof(structure):
            raise OSError(f"{path} was compiled from other sources")
    return library

"""Checkpoints of PyTorch, read without PyTorch and without running anything they contain.

A .pt file is a zip archive: `data.pkl` describes the tensors, `data/<key>` holds each storage's bytes. The
description is read at once, the tensors one by one, straight from the mapped file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.pickle_machine import Call, Global, PickleMachine, Record
from deepseek_tui.checkpoints.torch_zip import TorchZip

WRAPPERS = ("model", "model_state_dict", "state_dict", "model_state", "module")
"""Keys under which training scripts keep the weights, looked for in this order."""

_MAX_WRAPPERS = 4
_MAX_DIMS = 16
_SMALL = 64 << 20
_LEGACY = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"

# Storage class or torch dtype -> NumPy's name; bfloat16 has none there and travels as its 16 bits.
_STORAGES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
_DTYPES = {
    "float32": "float32",
    "float": "float32",
    "float64": "float64",
    "double": "float64",
    "float16": "float16",
    "half": "float16",
    "bfloat16": "bfloat16",
    "int64": "int64",
    "long": "int64",
    "int32": "int32",
    "int": "int32",
    "int16": "int16",
    "short": "int16",
    "int8": "int8",
    "uint8": "uint8",
    "uint16": "uint16",
    "uint32": "uint32",
    "uint64": "uint64",
    "bool": "bool",
}


@dataclass(frozen=True)
class _Dtype:
    name: str


@dataclass(frozen=True)
class _StorageType:
    """`dtype` None: bytes whose meaning the tensors give."""

    dtype: str | None


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: str | None
    count: int


@dataclass(frozen=True)
class TorchTensor:
    """A tensor of the file, not yet read: strides and offset count elements, as in PyTorch."""

    storage_key: str
    dtype: str
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor on its own, however few of the file it views."""
        return self.size * _itemsize(self.dtype)


def _itemsize(dtype: str) -> int:
    return 2 if dtype == "bfloat16" else int(np.dtype(dtype).itemsize)


class TorchCheckpoint:
    """What a .pt file holds: `tensors` by name, and `extra`, the plain values saved beside them.

    Wrappers ({"model": ...} and the like) and the prefixes of DataParallel ("module.") and torch.compile
    ("_orig_mod.") are taken off. Raises `CheckpointError` for other files and for all that is not a tensor
    where one should be. Close it, or use it in a `with`, when the arrays are no longer read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _refuse_other_formats(path)
        self._zip = TorchZip(path)
        try:
            self._root = self._find_root()
            self._byte_order = self._read_byte_order()
            self.extra: dict[Any, Any] = {}
            self.tensors = self._state_dict(self._machine().load(self._zip.read(self._entry("data.pkl"))))
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the file."""
        self._zip.close()

    def read(self, tensor: TorchTensor) -> np.ndarray[Any, Any]:
        """The tensor's values in memory of their own, C order; bfloat16 as the uint16 of its bits.

        Raises `CheckpointError` where the bytes do not match their checksum.
        """
        dtype = np.dtype("uint16" if tensor.dtype == "bfloat16" else tensor.dtype)
        with self._zip.view(self._entry(f"data/{tensor.storage_key}")) as data:
            flat = np.frombuffer(data, dtype.newbyteorder(self._byte_order), len(data) // dtype.itemsize)
            steps = [step * dtype.itemsize for step in tensor.stride]
            view = np.lib.stride_tricks.as_strided(
                flat[tensor.offset :], tensor.shape, steps, writeable=False
            )
            values = np.array(view, dtype=dtype, order="C", copy=True)
            # What still refers to the mapped file would keep it from being closed.
            del view, flat
        return values

    def same_values(self, one: str, other: str) -> bool:
        """Whether two tensors are the same: the same view of the same storage, or equal bit for bit."""
        a, b = self.tensors[one], self.tensors[other]
        if a == b:
            return True
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        return self.read(a).tobytes() == self.read(b).tobytes()

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def _find_root(self) -> str:
        roots = [name.removesuffix("data.pkl") for name in self._zip.entries if name.endswith("/data.pkl")]
        roots = [root for root in roots if root.count("/") == 1]
        if len(roots) != 1:
            raise CheckpointError(
                f"{self.path} is a zip file, but not one that torch.save wrote: it has no data.pkl."
            )
        if f"{roots[0]}constants.pkl" in self._zip.entries:
            raise CheckpointError(
                f"{self.path} is a TorchScript program, not a checkpoint of weights.",
                "In PyTorch: torch.save(torch.jit.load(...).state_dict(), ...).",
            )
        return roots[0]

    def _read_byte_order(self) -> Any:
        entry = self._zip.entries.get(f"{self._root}byteorder")
        order = self._zip.read(entry) if entry and entry.size < 16 else b"little"
        if order not in (b"little", b"big"):
            raise CheckpointError(f"{self.path} has an unknown byte order.")
        return "<" if order == b"little" else ">"

    def _entry(self, name: str) -> Any:
        entry = self._zip.entries.get(self._root + name)
        if entry is None:
            raise CheckpointError(f"{self.path} lacks its entry {name[:80]!a}.", "Copy or download it again.")
        return entry

    def _machine(self) -> PickleMachine:
        constants: dict[tuple[str, str], Any] = {("torch", name): _Dtype(to) for name, to in _DTYPES.items()}
        for name, dtype in _STORAGES.items():
            constants["torch", name] = constants["torch.storage", name] = _StorageType(dtype)
        for name in ("UntypedStorage", "TypedStorage", "_UntypedStorage", "_TypedStorage"):
            constants["torch.storage", name] = constants["torch", name] = _StorageType(None)
        calls: dict[tuple[str, str], Call] = {
            ("collections", "OrderedDict"): _ordered_dict,
            ("torch._utils", "_rebuild_tensor"): self._tensor,
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
            ("torch._utils", "_rebuild_tensor_v3"): self._tensor_v3,
            ("torch._utils", "_rebuild_parameter"): _first,
            ("torch._utils", "_rebuild_parameter_with_state"): _first,
            ("torch", "Size"): _first,
        }
        return PickleMachine(calls, constants, _INERT, self._storage, str(self.path))

    def _broken(self, what: str) -> CheckpointError:
        return CheckpointError(f"{self.path} describes {what}.", "Copy or download the file again.")

    def _storage(self, identity: tuple[Any, ...]) -> _Storage:
        kind, storage_type, key, _location, count = identity
        if kind != "storage" or not isinstance(storage_type, _StorageType) or not isinstance(key, str):
            raise self._broken("a storage in a way that PyTorch does not")
        entry = self._entry(f"data/{key}")
        size = _itemsize(storage_type.dtype) if storage_type.dtype else 1
        if not _is_count(count) or count * size > entry.size:
            raise self._broken(f"storage {key[:80]!a} as longer than it is")
        return _Storage(key, storage_type.dtype, count)

    def _tensor(self, arguments: tuple[Any, ...]) -> TorchTensor:
        storage, offset, shape, stride, *_ = arguments
        if not isinstance(storage, _Storage) or storage.dtype is None:
            raise self._broken("a tensor without a storage of known type")
        return self._view(storage, storage.count, storage.dtype, offset, shape, stride)

    def _tensor_v3(self, arguments: tuple[Any, ...]) -> TorchTensor:
        storage, offset, shape, stride, _, _, dtype, *_ = arguments
        if not isinstance(storage, _Storage) or not isinstance(dtype, _Dtype):
            raise self._broken("a tensor without a storage of known type")
        size = _itemsize(storage.dtype) if storage.dtype else 1
        count = storage.count * size // _itemsize(dtype.name)
        return self._view(storage, count, dtype.name, offset, shape, stride)

    def _view(
        self, storage: _Storage, count: int, dtype: str, offset: Any, shape: Any, stride: Any
    ) -> TorchTensor:
        numbers = (
            [offset, *shape, *stride] if isinstance(shape, tuple) and isinstance(stride, tuple) else [-1]
        )
        if not all(map(_is_count, numbers)) or len(shape) != len(stride) or len(shape) > _MAX_DIMS:
            raise self._broken("a tensor with an impossible shape")
        tensor = TorchTensor(storage.key, dtype, shape, stride, offset)
        last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
        if offset > count or (tensor.size and last >= count):
            raise self._broken(f"a tensor of shape {list(shape)} that reaches outside of its storage")
        # Strides of 0 repeat one value, which makes a small file describe a tensor of any size.
        if tensor.nbytes > max(_SMALL, self._zip.size):
            raise self._broken(f"a tensor of shape {list(shape)}, larger than the file it comes from")
        return tensor

    def _state_dict(self, value: Any) -> dict[str, TorchTensor]:
        for _ in range(_MAX_WRAPPERS):
            if not isinstance(value, dict):
                raise CheckpointError(f"{self.path} holds {_kind(value)}, not a dictionary of tensors.")
            inner = next((key for key in WRAPPERS if _holds_weights(value.get(key))), None)
            if inner is None:
                break
            self.extra.update({key: item for key, item in value.items() if key != inner})
            value = value[inner]
        if _holds_weights(value):
            return self._named(value)
        keys = ", ".join(ascii(key) if isinstance(key, str) else _kind(key) for key in list(value)[:8])
        raise CheckpointError(
            f"{self.path} holds no weights: its keys are {keys or 'none'}.",
            f"They are looked for at the top and under {', '.join(WRAPPERS)}.",
        )

    def _named(self, value: dict[Any, Any]) -> dict[str, TorchTensor]:
        tensors: dict[str, TorchTensor] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise CheckpointError(f"{self.path} has a weight under {_kind(key)} instead of a name.")
            if not isinstance(item, TorchTensor):
                raise CheckpointError(f"{self.path} has {_kind(item)} under {key[:80]!a}, not a tensor.")
            name = _plain_name(key)
            if name in tensors:
                raise CheckpointError(f"{self.path} holds {name[:80]!a} twice, under different prefixes.")
            tensors[name] = item
        return tensors


_INERT = frozenset(
    {
        ("numpy.core.multiarray", "scalar"),
        ("numpy._core.multiarray", "scalar"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "dtype"),
        ("numpy", "ndarray"),
        ("_codecs", "encode"),
        ("torch", "device"),
    }
)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 48


def _ordered_dict(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    if arguments:
        raise ValueError("an OrderedDict is filled after it is made")
    return {}


def _first(arguments: tuple[Any, ...]) -> Any:
    return arguments[0]


def _holds_weights(value: object) -> bool:
    """Whether this is a dictionary of tensors, or one that wraps such a dictionary."""
    return isinstance(value, dict) and any(
        isinstance(item, TorchTensor) or (key in WRAPPERS and isinstance(item, dict))
        for key, item in value.items()
    )


def _kind(value: object) -> str:
    if isinstance(value, Record):
        return f"an object {value.kind}"
    if isinstance(value, Global):
        return str(value)
    return "nothing" if value is None else f"a value of kind {type(value).__name__.strip('_')}"


def _plain_name(key: str) -> str:
    """`key` without what DataParallel puts before it and torch.compile before or into it."""
    parts = [part for part in key.split(".") if part != "_orig_mod"]
    while len(parts) > 1 and parts[0] == "module":
        del parts[0]
    return ".".join(parts)


def _refuse_other_formats(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    if head.startswith(b"PK"):
        return
    if head.startswith(_LEGACY) or head[257:262] == b"ustar":
        raise CheckpointError(
            f"{path} is in the format that PyTorch wrote before version 1.6.",
            'Save it again in PyTorch: torch.save(torch.load(FILE, map_location="cpu"), NEW_FILE).',
        )
    if head.startswith(b"\x80"):
        raise CheckpointError(f"{path} is a bare pickle, not a file that torch.save wrote.")
    if head.startswith(b"GGUF") or head[8:10] == b'{"':
        raise CheckpointError(f"{path} is a GGUF or safetensors file under another name.", "Rename it.")
    raise CheckpointError(
        f"{path} is not a PyTorch file, or only a part of one.", "Copy or download the file again."
    )

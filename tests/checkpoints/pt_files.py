"""Makes .pt files by hand, sound and hostile ones, without PyTorch."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

STORAGES = {
    "float32": "FloatStorage",
    "float64": "DoubleStorage",
    "float16": "HalfStorage",
    "int64": "LongStorage",
    "bool": "BoolStorage",
}


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def integer(value: int) -> bytes:
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    raw = value.to_bytes(9, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def integers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(integer, values)) + b"t"


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + b"(" + b"".join(arguments) + b"tR"


def storage(kind: str, key: str, count: int) -> bytes:
    return b"(" + text("storage") + name("torch", kind) + text(key) + text("cpu") + integer(count) + b"tQ"


def tensor(
    key: str, shape: tuple[int, ...], kind: str = "FloatStorage", count: int | None = None, **where: Any
) -> bytes:
    """A `_rebuild_tensor_v2` of storage `key`; `offset` and `stride` as given, else a whole C-order one."""
    stride = where.get("stride", tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape))))
    count = int(np.prod(shape)) if count is None else count
    return call(
        name("torch._utils", "_rebuild_tensor_v2"),
        storage(kind, key, count),
        integer(where.get("offset", 0)),
        integers(shape),
        integers(stride),
        b"\x89",
        call(name("collections", "OrderedDict")),
    )


def dictionary(items: dict[str, bytes]) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def program(body: bytes) -> bytes:
    return b"\x80\x02" + body + b"."


def archive(pickle: bytes, storages: dict[str, bytes], **kept: Any) -> bytes:
    """The zip file around a pickle; `compression` and `root` as `zipfile` and torch.save take them."""
    out = io.BytesIO()
    root = kept.get("root", "archive")
    with zipfile.ZipFile(out, "w", kept.get("compression", zipfile.ZIP_STORED)) as file:
        file.writestr(f"{root}/data.pkl", pickle)
        for key, data in storages.items():
            file.writestr(f"{root}/data/{key}", data)
        file.writestr(f"{root}/version", "3\n")
    return out.getvalue()


def write_state(path: Path, state: dict[str, np.ndarray[Any, Any]], prefix: str = "") -> Path:
    """A state dict as torch.save would write it; arrays that are the same object share their storage."""
    keys: dict[int, str] = {}
    storages: dict[str, bytes] = {}
    items = {}
    for key, array in state.items():
        number = keys.setdefault(id(array), str(len(keys)))
        storages[number] = np.ascontiguousarray(array).tobytes()
        items[prefix + key] = tensor(number, array.shape, STORAGES[array.dtype.name])
    path.write_bytes(archive(program(dictionary(items)), storages))
    return path

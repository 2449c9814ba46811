"""PyTorch's files are read exactly, and nothing in one is ever run."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepseek_tui.checkpoints import pickle_machine
from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.pickle_machine import Record
from deepseek_tui.checkpoints.torch_pickle import TorchCheckpoint
from tests.checkpoints import pt_files as pt

FILES = Path(__file__).parents[1] / "fixtures" / "torch-files"
ZEROS = bytes(64)


def numbers(*shape: int) -> Any:
    """The values that the fixtures' generator puts into its tensors."""
    return ((np.arange(np.prod(shape, dtype=int)) * 7) % 101 - 50).reshape(shape)


def read_all(path: Path) -> dict[str, Any]:
    with TorchCheckpoint(path) as checkpoint:
        return {name: checkpoint.read(tensor) for name, tensor in checkpoint.tensors.items()}


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., str]:
    """Opens a file of these bytes, or of this pickle with one storage, and returns why that was refused."""

    def open_it(data: bytes = b"", *, body: bytes = b"", raw: bytes = b"") -> str:
        path = tmp_path / "model.pt"
        path.write_bytes(data or pt.archive(raw or pt.program(body), {"0": ZEROS}))
        with pytest.raises(CheckpointError) as caught:
            read_all(path)
        message = str(caught.value)
        assert str(path) in message
        assert message.isprintable()
        return message

    return open_it


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_dtype_and_protocol_reads_as_saved(protocol: int) -> None:
    arrays = read_all(FILES / f"dtypes-protocol{protocol}.pt")
    assert len(arrays) == 13
    for name, array in arrays.items():
        if name == "bfloat16":
            array = (array.astype(np.uint32) << 16).view(np.float32)
        else:
            assert array.dtype.name == name
        assert np.array_equal(array, numbers(3, 5).astype(array.dtype))


def test_views_of_shared_storages_are_taken_apart() -> None:
    base = numbers(6, 8)
    wanted = {
        "base": base,
        "transposed": base.T,
        "rows": base[1:5:2],
        "columns": base[:, 3:7],
        "permuted": numbers(2, 3, 4).transpose(2, 0, 1),
        "expanded": np.broadcast_to(numbers(4, 1), (4, 6)),
        "scalar": np.array(2.5),
        "empty": np.zeros((0, 3)),
        "parameter": base[2],
    }
    arrays = read_all(FILES / "views.pt")
    assert arrays.keys() == wanted.keys()
    for name, array in arrays.items():
        assert array.shape == wanted[name].shape
        assert array.flags.c_contiguous
        assert np.array_equal(array, wanted[name])


def test_weights_are_found_in_a_training_state_and_the_rest_is_kept_inert() -> None:
    with TorchCheckpoint(FILES / "training-state.pt") as checkpoint:
        assert {name: t.shape for name, t in checkpoint.tensors.items()} == {"weight": (2, 3), "bias": (2,)}
        extra = checkpoint.extra
    assert extra["step"] == 12
    assert extra["notes"] == ["a", ("b", None, True), 1 << 70]
    assert extra["shape"] == (3, 2)
    config = extra["config"]
    assert isinstance(config, Record)
    assert config.kind.name == "DemoConfig"
    assert config.fields["n_experts_per_token"] == 3
    assert extra["args"].fields == {"lr": 0.1}


@pytest.mark.parametrize("key", ["model", "state_dict", "model_state", "module"])
def test_usual_wrappers_are_taken_off(tmp_path: Path, key: str) -> None:
    weights = pt.dictionary({"a.weight": pt.tensor("0", (16,))})
    body = pt.dictionary({"rng": pt.tensor("0", (4,)), key: pt.dictionary({"model": weights})})
    path = tmp_path / "wrapped.pt"
    path.write_bytes(pt.archive(pt.program(body), {"0": ZEROS}))
    assert read_all(path).keys() == {"a.weight"}


def test_big_endian_files_read_the_same(tmp_path: Path) -> None:
    values = np.arange(6, dtype=">f4")
    path = tmp_path / "big.pt"
    path.write_bytes(
        pt.archive(pt.program(pt.dictionary({"a": pt.tensor("0", (6,))})), {"0": values.tobytes()})
    )
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("archive/byteorder", "big")
    assert read_all(path)["a"].tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("whole-module.pt", "torch.nn.modules.linear.Linear, which a state dict never needs"),
        ("legacy.pt", "before version 1.6"),
        ("quantized.pt", "torch._utils._rebuild_qtensor"),
        ("sparse.pt", "torch._utils._rebuild_sparse_tensor"),
        ("complex.pt", "torch.ComplexFloatStorage"),
        ("script.pt", "TorchScript program"),
    ],
)
def test_other_things_that_torch_saves_are_named(file: str, why: str) -> None:
    with pytest.raises(CheckpointError, match=why) as caught:
        TorchCheckpoint(FILES / file)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("module", "attribute"),
    [
        ("posix", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("subprocess", "Popen"),
        ("torch.hub", "load"),
        ("torch", "load"),
        ("torch._utils", "_rebuild_device_tensor_from_numpy"),
        ("copyreg", "_reconstructor"),
        ("collections", "OrderedDict.__init__"),
        ("os\x1b[2J", "system"),
    ],
)
def test_names_that_no_state_dict_needs_are_refused_by_name(
    refused: Callable[..., str], module: str, attribute: str
) -> None:
    call = pt.call(pt.name(module, attribute), pt.text("echo"))
    shown = f"{module}.{attribute}".replace("\x1b", "\\x1b")
    for body in (
        call,
        pt.dictionary({"a": call}),
        b"\x8c"
        + bytes([len(module)])
        + module.encode()
        + b"\x8c"
        + bytes([len(attribute)])
        + attribute.encode()
        + b"\x93",
    ):
        assert f"{shown}" in refused(body=body)


def test_a_configuration_object_is_never_made_or_called(refused: Callable[..., str]) -> None:
    config = pt.name("somewhere", "EvilConfig")
    assert "a call of somewhere.EvilConfig" in refused(body=pt.call(config, pt.text("x")))
    assert "an object of somewhere.EvilConfig" in refused(body=config + b"(" + pt.text("x") + b"t\x81")


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"\x80\x06N.", "pickle protocol 6"),
        (b"I01\n.", "the pickle instruction INT"),
        (b"\x80\x02(lp0\n.", "the pickle instruction LIST"),
        (b"\x80\x02\x82\x01.", "the pickle instruction EXT1"),
        (b"\x80\x02(i__main__\nx\n.", "the pickle instruction INST"),
        (b"\x80\x02Pabc\n.", "the pickle instruction PERSID"),
        (b"\x80\x02\x97.", "the pickle instruction NEXT_BUFFER"),
        (b"\x80\x02\x8b\x10\x00\x00\x00" + bytes(16) + b".", "the pickle instruction LONG4"),
        (b"\x80\x02", "broken pickle"),
        (b"\x80\x02N", "broken pickle"),
        (b"\x80\x02.", "broken pickle"),
        (b"\x80\x02h\x05.", "broken pickle"),
        (b"\x80\x02t.", "broken pickle"),
        (b"\x80\x02X\xff\xff\xff\x7f.", "broken pickle"),
        (b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "broken pickle"),
        (b"\x80\x02\x8a\x02\x00\x00Q.", "broken pickle"),
        (b"\x80\x02}(N]]u.", "broken pickle"),
        (b"\x80\x02}((tK\x01u.", "a dictionary key of kind tuple"),
        (b"\x80\x02N.", "holds nothing, not a dictionary"),
        (b"\x80\x02}.", "holds no weights: its keys are none"),
        (b"\x80\x02K\x07}b.", "the state of int"),
        (b"\x80\x02K\x07)R.", "a call of int"),
    ],
)
def test_broken_and_unneeded_pickles_are_refused(refused: Callable[..., str], raw: bytes, why: str) -> None:
    assert why in refused(raw=raw)


def test_a_pickle_that_only_grows_is_stopped(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nested = b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b"."
    assert "not a dictionary of tensors" in refused(raw=nested)
    # Each tuple holds the one before twice: 2 to the 40 values for whoever walks them.
    laughs = b"\x80\x02K\x01q\x00" + b"".join(b"h\x00h\x00\x86q\x00" for _ in range(40)) + b"."
    assert "a value of kind tuple" in refused(raw=laughs)
    assert "a dictionary key of kind tuple" in refused(raw=laughs[:-1] + b"}h\x00Ns.")
    monkeypatch.setattr(pickle_machine, "MAX_OPCODES", 1000)
    assert "over 1,000 steps" in refused(raw=b"\x80\x02" + b"N0" * 1000 + b"N.")
    monkeypatch.setattr(pickle_machine, "MAX_PICKLE", 1000)
    assert "more than weights need" in refused(raw=b"\x80\x02" + b"N0" * 1000 + b"N.")


@pytest.mark.parametrize(
    ("tensor", "why"),
    [
        (pt.tensor("0", (17,)), "storage '0' as longer than it is"),
        (pt.tensor("0", (17,), count=16), "reaches outside of its storage"),
        (pt.tensor("0", (4,), count=16, offset=13), "reaches outside"),
        (pt.tensor("0", (4,), count=16, stride=(6,)), "reaches outside"),
        (pt.tensor("0", (0,), count=16, offset=17), "reaches outside"),
        (pt.tensor("0", (4,), count=16, stride=(-1,)), "impossible shape"),
        (pt.tensor("0", (-4,), count=16), "impossible shape"),
        (pt.tensor("0", (4,), count=16, offset=-1), "impossible shape"),
        (pt.tensor("0", (4,), count=16, stride=(1, 1)), "impossible shape"),
        (pt.tensor("0", (1,) * 17, count=16), "impossible shape"),
        (pt.tensor("0", (1 << 40,), count=16, stride=(0,)), "larger than the file"),
        (pt.tensor("0", (1 << 60, 1 << 60), count=16, stride=(0, 0)), "impossible shape"),
        (pt.tensor("9", (4,)), "lacks its entry 'data/9'"),
        (pt.tensor("../0", (4,)), "lacks its entry 'data/../0'"),
        (b"N", "not a dictionary"),
        (pt.call(pt.name("torch._utils", "_rebuild_tensor_v2"), b"N", b"N", b"N", b"N"), "known type"),
        (pt.call(pt.name("torch._utils", "_rebuild_tensor_v2")), "broken pickle"),
        (pt.name("torch", "FloatStorage"), "not a dictionary"),
    ],
)
def test_tensors_that_do_not_fit_their_file_are_refused(
    refused: Callable[..., str], tensor: bytes, why: str
) -> None:
    body = tensor if why == "not a dictionary" else pt.dictionary({"a": tensor})
    assert why in refused(body=body)


def test_entries_that_are_no_tensors_are_named(refused: Callable[..., str]) -> None:
    weights = {"a": pt.tensor("0", (4,)), "b": pt.integer(3)}
    assert "a value of kind int under 'b', not a tensor" in refused(body=pt.dictionary(weights))
    numbered = b"}(" + pt.integer(3) + pt.tensor("0", (4,)) + b"u"
    assert "a weight under a value of kind int" in refused(body=numbered)
    twice = {"a": pt.tensor("0", (4,)), "module.a": pt.tensor("0", (4,))}
    assert "holds 'a' twice" in refused(body=pt.dictionary(twice))
    assert "its keys are 'epoch', 'loss'" in refused(body=pt.dictionary({"epoch": b"N", "loss": b"N"}))


def sound() -> bytes:
    return pt.archive(pt.program(pt.dictionary({"a": pt.tensor("0", (16,))})), {"0": ZEROS})


def test_damage_to_the_bytes_of_a_tensor_is_noticed(refused: Callable[..., str]) -> None:
    data = bytearray(sound())
    data[data.index(ZEROS)] = 1
    assert "the checksum of its entry archive/data/0 does not match" in refused(bytes(data))


def test_a_bomb_is_never_unpacked(refused: Callable[..., str]) -> None:
    pickle = pt.program(pt.dictionary({"a": pt.tensor("0", (1 << 22,))}))
    bomb = pt.archive(pickle, {"0": bytes(1 << 24)}, compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 1 << 16
    assert "compressed or encrypted" in refused(bomb)


def test_entries_may_not_share_bytes(refused: Callable[..., str]) -> None:
    data = bytearray(pt.archive(pt.program(pt.dictionary({"a": pt.tensor("0", (16,))})), {"0": ZEROS}))
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    # A second directory record of the same entry under the same header.
    name_size = struct.unpack_from("<H", data, second + 28)[0]
    record = data[second : second + 46 + name_size]
    end = data.index(b"PK\x05\x06")
    data[end:end] = record
    count, length = struct.unpack_from("<HL", data, end + len(record) + 10)
    struct.pack_into("<HHL", data, end + len(record) + 8, count + 1, count + 1, length + len(record))
    assert "archive/data/0 twice" in refused(bytes(data))
    header = struct.unpack_from("<L", data, second + 42)[0]
    third = data.index(b"PK\x01\x02", second + 1)
    struct.pack_into("<L", data, third + 42, header)
    assert "no whole PyTorch file" in refused(bytes(data))


@pytest.mark.parametrize("root", ["..", "/etc", "a\\b", "a\x1b[2J"])
def test_names_that_leave_the_archive_are_refused(refused: Callable[..., str], root: str) -> None:
    assert "which torch.save never writes" in refused(pt.archive(b"N.", {}, root=root))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"PK\x05\x06" + bytes(18), "not one that torch.save wrote"),
        (b"PK\x03\x04" + bytes(100), "no directory at its end"),
        (b"PK\x05\x06" + bytes(4) + b"\xff" * 4 + bytes(10), "outside of it"),
        (b"PK\x05\x06" + bytes(4) + b"\xfe" * 4 + b"\xfe" * 8 + bytes(2), "claims 65,278 entries"),
        (b"\x80\x02N.", "a bare pickle"),
        (b"GGUF" + bytes(40), "under another name"),
        (struct.pack("<Q", 60) + b'{"a": 1}' + bytes(60), "under another name"),
        (b"<html>not found</html>", "not a PyTorch file"),
        (b"\0" * 257 + b"ustar" + bytes(300), "before version 1.6"),
    ],
)
def test_files_of_other_kinds_are_told_apart(refused: Callable[..., str], data: bytes, why: str) -> None:
    assert why in refused(data)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.999])
def test_a_cut_off_file_is_said_to_be_one(refused: Callable[..., str], keep: float) -> None:
    data = sound()
    assert "no whole PyTorch file" in refused(data[: int(len(data) * keep)])


def test_an_absent_or_empty_file_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read: No such file"):
        TorchCheckpoint(tmp_path / "none.pt")
    (tmp_path / "empty.pt").touch()
    with pytest.raises(CheckpointError, match="not a PyTorch file, or only a part"):
        TorchCheckpoint(tmp_path / "empty.pt")

"""Whatever bytes a .pt file is made of, it loads or is refused in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.original import load_original
from deepseek_tui.checkpoints.torch_pickle import TorchCheckpoint
from tests.checkpoints import pt_files as pt

FIXTURES = Path(__file__).parents[1] / "fixtures"
STATE = (FIXTURES / "scratch-tiny" / "state.pt").read_bytes()
SAMPLES = [path.read_bytes() for path in sorted((FIXTURES / "torch-files").glob("*.pt"))]
PICKLES = [data[data.index(b"\x80") :][:4096] for data in SAMPLES]
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read_all(path: Path) -> None:
    with TorchCheckpoint(path) as checkpoint:
        for tensor in checkpoint.tensors.values():
            checkpoint.read(tensor)


def survives(path: Path, data: bytes, use: Callable[[Path], object] = read_all) -> None:
    """`use` reads a file of these bytes, or raises our own error with a sentence fit for a terminal."""
    path.write_bytes(data)
    refusal = ""
    try:
        use(path)
    except CheckpointError as error:
        refusal = str(error)
    assert not refusal or refusal.isprintable()


@st.composite
def mutated(draw: st.DrawFn, samples: list[bytes]) -> bytes:
    data = bytearray(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data) - 1))
        kind = draw(st.sampled_from(["set", "flip", "cut", "insert", "repeat", "stop"]))
        if kind == "set":
            new = draw(st.binary(min_size=1, max_size=9))
            data[at : at + len(new)] = new
        elif kind == "flip":
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del data[at : at + draw(st.integers(1, 40))]
        elif kind == "insert":
            data[at:at] = draw(st.binary(max_size=9))
        elif kind == "repeat":
            data[at:at] = data[at : at + draw(st.integers(1, 200))]
        else:
            del data[at + 1 :]
        if not data:
            data.append(0)
    return bytes(data)


@quick
@given(data=mutated(SAMPLES))
def test_mutated_files(tmp_path: Path, data: bytes) -> None:
    survives(tmp_path / "fuzz.pt", data)


@quick
@given(pickle=mutated(PICKLES))
def test_mutated_pickles_in_a_sound_archive(tmp_path: Path, pickle: bytes) -> None:
    survives(tmp_path / "fuzz.pt", pt.archive(pickle, {str(i): bytes(240) for i in range(9)}))


@quick
@given(
    steps=st.lists(
        st.sampled_from(
            [
                *(bytes([code]) for code in b"()]}tueasbR\x81\x85\x86\x87Q0N\x88\x89\x93\x94"),
                *(b"K\x01", b"J\xff\xff\xff\xff", b"h\x00", b"q\x00", b"h\x01", b"q\x01"),
                *(pt.text("a"), pt.text("storage"), pt.text("0"), pt.tensor("0", (4,))),
                pt.name("torch._utils", "_rebuild_tensor_v2"),
                pt.name("torch._utils", "_rebuild_tensor_v3"),
                pt.name("torch", "FloatStorage"),
                pt.name("torch", "float16"),
                pt.name("collections", "OrderedDict"),
                pt.name("argparse", "Namespace"),
                pt.storage("FloatStorage", "0", 8),
            ]
        ),
        max_size=40,
    )
)
def test_programs_of_allowed_steps(tmp_path: Path, steps: list[bytes]) -> None:
    survives(tmp_path / "fuzz.pt", pt.archive(pt.program(b"".join(steps)), {"0": bytes(64)}))


@settings(quick, max_examples=40)
@given(data=mutated([STATE]))
def test_mutated_checkpoints_of_the_original(tmp_path: Path, data: bytes) -> None:
    survives(tmp_path / "state.pt", data, lambda path: load_original(path, lazy=True))

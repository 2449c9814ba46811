"""SHA256SUMS: a damaged or missing file is named, before anything else that may be wrong with it."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.load import load_model
from deepseek_tui.checkpoints.sums import check_sums
from tests.models.support import FIXTURES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    shutil.copytree(FIXTURES / "llama-tiny", folder)
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in sorted(folder.iterdir())]
    (folder / "SHA256SUMS").write_text("".join(lines))
    return folder


def test_an_untouched_folder_loads(folder: Path) -> None:
    check_sums(folder)
    assert load_model(folder).parameters == 119_104


@pytest.mark.parametrize("place", [8, 500, -1])
def test_one_changed_byte_names_the_file(folder: Path, place: int) -> None:
    path = folder / "model.safetensors"
    raw = bytearray(path.read_bytes())
    raw[place] ^= 0x40
    path.write_bytes(raw)
    with pytest.raises(CheckpointError, match=r"^model\.safetensors in .* is damaged"):
        load_model(folder)


def test_a_file_that_is_gone_is_named(folder: Path) -> None:
    (folder / "README.md").unlink()
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"^README\.md, model\.safetensors should be in"):
        load_model(folder)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("0" * 64 + "  ../outside", "outside its folder"),
        ("0" * 64 + "  /etc/hostname", "outside its folder"),
        ("nonsense", "a line that is no checksum"),
        ("\xff\xfe", "a line that is no checksum"),
    ],
)
def test_a_list_that_is_none(folder: Path, line: str, words: str) -> None:
    (folder / "SHA256SUMS").write_text(line)
    with pytest.raises(CheckpointError, match=words):
        load_model(folder)


def test_no_list_no_check(tmp_path: Path) -> None:
    check_sums(tmp_path)

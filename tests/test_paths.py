from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepseek_tui import paths
from deepseek_tui.errors import UserError


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    """The modes asked for must hold where the umask would let everyone in."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_one_variable_moves_everything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DEEPSEEK_TUI_HOME", "~/elsewhere")
    home = tmp_path / "elsewhere"
    assert paths.config_path() == home / "config" / "config.toml"
    assert paths.overrides_path() == home / "config" / "overrides.toml"
    assert paths.history_path() == home / "data" / "history.db"
    assert paths.models_dir() == home / "data" / "models"
    assert paths.log_dir() == home / "logs"
    assert paths.cache_dir() == home / "cache"
    assert not home.exists(), "naming a place makes nothing"


def test_without_it_the_places_of_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DEEPSEEK_TUI_HOME", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths.data_dir().is_relative_to(tmp_path)
    assert paths.data_dir().name == "deepseek-tui"


def test_a_home_of_nobody_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSEEK_TUI_HOME", "~no-such-user-anywhere/x")
    with pytest.raises(UserError, match="DEEPSEEK_TUI_HOME"):
        paths.data_dir()


def test_directories_are_closed_to_others(tmp_path: Path) -> None:
    made = paths.ensure(tmp_path / "a" / "b")
    assert mode(made) == 0o700
    assert mode(made.parent) == 0o700
    assert paths.ensure(made) == made


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"file/data cannot be made: .*DEEPSEEK_TUI_HOME"):
        paths.ensure(tmp_path / "file" / "data")


def test_private_files(tmp_path: Path) -> None:
    os.close(paths.open_private(tmp_path / "x"))
    assert mode(tmp_path / "x") == 0o600
    with pytest.raises(UserError, match="cannot be opened"):
        paths.open_private(tmp_path)


def test_atomic_write_replaces_and_leaves_nothing_beside(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file"
    paths.atomic_write(target, b"one")
    paths.atomic_write(target, b"two")
    assert target.read_bytes() == b"two"
    assert mode(target) == 0o600
    assert list(target.parent.iterdir()) == [target]


def test_atomic_write_keeps_a_link(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "dotfiles" / "real")
    paths.atomic_write(tmp_path / "link", b"x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "dotfiles" / "real").read_bytes() == b"x"


def test_a_failed_write_leaves_the_old_state(tmp_path: Path) -> None:
    (tmp_path / "busy").mkdir()
    with pytest.raises(UserError, match="busy cannot be written"):
        paths.atomic_write(tmp_path / "busy", b"x")
    assert list(tmp_path.iterdir()) == [tmp_path / "busy"]


def test_the_built_in_model_of_an_installed_package_comes_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / "deepseek_tui"
    package.mkdir()
    monkeypatch.setattr(paths, "__file__", str(package / "paths.py"))
    assert paths.builtin_model() is None
    (tmp_path / "weights").mkdir()
    assert paths.builtin_model() is None, "a folder without config.json is no model"
    (tmp_path / "weights" / "config.json").write_text("{}")
    assert paths.builtin_model() == tmp_path / "weights"
    (package / "weights").mkdir()
    (package / "weights" / "config.json").write_text("{}")
    assert paths.builtin_model() == package / "weights"

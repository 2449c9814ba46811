from __future__ import annotations

import sys
from pathlib import Path

import pytest

from deepseek_tui import clipboard

TEXT = "zażółć [red]\n👩‍👩‍👧"


class Desk:
    """A machine with only the programs that a test puts on it."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.taken = folder / "taken"
        self.terminal: list[str] = []

    def install(self, name: str, status: int = 0) -> None:
        script = self.bin / name
        script.write_text(f'#!/bin/sh\n/bin/cat > {self.taken}\necho "$0 $LC_CTYPE $@" >&2\nexit {status}\n')
        script.chmod(0o755)

    def copy(self, text: str = TEXT) -> str:
        return clipboard.copy(text, self.terminal.append)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name in ("SSH_CONNECTION", "SSH_TTY", "TMUX", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    made = Desk(tmp_path)
    monkeypatch.setenv("PATH", str(made.bin))
    return made


@pytest.mark.parametrize(
    ("platform", "display", "program"),
    [
        ("darwin", "", "pbcopy"),
        ("linux", "WAYLAND_DISPLAY", "wl-copy"),
        ("linux", "DISPLAY", "xclip"),
        ("linux", "DISPLAY", "xsel"),
    ],
)
def test_the_program_of_the_desktop_takes_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, platform: str, display: str, program: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    if display:
        monkeypatch.setenv(display, ":0")
    desk.install(program)
    assert desk.copy() == f"Copied to the clipboard ({program})."
    assert desk.taken.read_text() == TEXT
    assert desk.terminal == []


@pytest.mark.parametrize("variable", ["SSH_CONNECTION", "SSH_TTY"])
def test_over_ssh_only_the_terminal_is_at_the_right_place(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "x")
    monkeypatch.setenv("DISPLAY", ":0")
    desk.install("xclip")
    assert "OSC 52" in desk.copy()
    assert desk.terminal == [TEXT]
    assert not desk.taken.exists()


def test_without_a_display_or_a_program_the_terminal_is_asked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.install("xclip")
    assert "does not allow it: save it to a file" in desk.copy()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    monkeypatch.setenv("TMUX", "/tmp/tmux")
    assert "set-clipboard on" in desk.copy()
    assert desk.terminal == [TEXT, TEXT]


def test_a_program_that_fails_gives_way_to_the_next(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    monkeypatch.setenv("DISPLAY", ":0")
    desk.install("wl-copy", status=1)
    (desk.bin / "xclip").write_text("no program")
    (desk.bin / "xclip").chmod(0o755)
    assert "OSC 52" in desk.copy()
    desk.install("xsel")
    assert desk.copy() == "Copied to the clipboard (xsel)."


def test_a_text_too_long_for_many_terminals_is_said(desk: Desk) -> None:
    assert "longer than many terminals take" in desk.copy("x" * 100_000)

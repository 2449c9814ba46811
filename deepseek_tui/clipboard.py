"""Copying text to where the person sits: by a program of this machine, or through the terminal.

Over SSH the clipboard of this machine is the wrong one, so only the terminal can help: it may obey the
control sequence OSC 52 (XTerm Control Sequences, "Manipulate Selection Data"), but never says whether it did.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable

# Many terminals take 100,000 bytes of one sequence, which is base64: four for every three of the text.
OSC52_BYTES = 74_000


def copy(text: str, through_terminal: Callable[[str], None]) -> str:
    """Copy `text` and return, for people, where it went.

    `through_terminal` sends a text as OSC 52; it is called where no program of this machine can help.
    """
    for command in () if _is_remote() else _programs():
        if _run(command, text):
            return f"Copied to the clipboard ({command[0]})."
    through_terminal(text)
    said = "Sent to the clipboard of your terminal (OSC 52)."
    if len(text.encode("utf-8", "replace")) > OSC52_BYTES:
        return f"{said} The text is longer than many terminals take: check it, or save it to a file."
    if os.environ.get("TMUX"):
        return f"{said} If nothing arrives: set -g set-clipboard on in tmux, or save it to a file."
    return f"{said} If nothing arrives, the terminal does not allow it: save it to a file."


def _is_remote() -> bool:
    return bool(os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY"))


def _programs() -> list[list[str]]:
    """The commands that may reach the clipboard here, the likeliest first."""
    known = []
    if sys.platform == "darwin":
        known.append(["pbcopy"])
    if os.environ.get("WAYLAND_DISPLAY"):
        known.append(["wl-copy"])
    if os.environ.get("DISPLAY"):
        known += [["xclip", "-selection", "clipboard"], ["xsel", "--clipboard", "--input"]]
    return [command for command in known if shutil.which(command[0])]


def _run(command: list[str], text: str) -> bool:
    try:
        done = subprocess.run(
            command,
            input=text.encode("utf-8", "replace"),
            # wl-copy and xclip stay in the background to serve the text; a pipe would keep us waiting.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # pbcopy takes bytes for UTF-8 only in such a locale.
            env={**os.environ, "LC_CTYPE": "UTF-8"} if command[0] == "pbcopy" else None,
            start_new_session=True,
            timeout=3,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0

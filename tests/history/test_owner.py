from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deepseek_tui.history import owner


def test_this_process_lives_and_an_ended_one_does_not() -> None:
    assert owner.is_alive(owner.this_process())
    code = "from deepseek_tui.history.owner import this_process as me; print(me(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        mark = child.stdout.readline().strip()
        assert mark.startswith(f"{child.pid}:")
        assert owner.is_alive(mark)
        child.kill()
        while owner.is_alive(mark):
            pass  # it ends before its parent, this process, has looked
    assert not owner.is_alive(mark)


def test_a_process_number_used_again_is_another_process() -> None:
    assert not owner.is_alive(f"{os.getpid()}:an-earlier-start")
    assert not owner.is_alive(f"{os.getpid()}:")


@pytest.mark.parametrize("mark", ["", "x", "-1:a", "²:a", "99999999999:a"])
def test_marks_that_are_none(mark: str) -> None:
    assert not owner.is_alive(mark)


def test_systems_without_proc_ask_ps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mark = f"{os.getpid()}:Mon Nov 24 10:00:00 2025"
    ps = tmp_path / "ps"
    ps.write_text('#!/bin/sh\necho "Ss   Mon Nov 24  10:00:00 2025"\n')
    ps.chmod(0o755)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert owner.is_alive(mark)
    ps.write_text('#!/bin/sh\necho "Z    Mon Nov 24  10:00:00 2025"\n')
    assert not owner.is_alive(mark)
    ps.write_text("#!/bin/sh\nexit 1\n")
    assert not owner.is_alive(mark)
    monkeypatch.setenv("PATH", "/nowhere")
    assert not owner.is_alive(mark)

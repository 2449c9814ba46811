"""Keys, help, themes, settings with mistakes, and a history that cannot be written."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deepseek_tui.settings import Settings
from deepseek_tui.tui.screens.help import HelpScreen
from tests.tui.helpers import NARROW, make_app, running, stored
from tests.tui.test_sidebar import write

SETTINGS = Settings(reduced_motion=True)


async def test_f1_lists_the_keys_and_escape_closes_it(tmp_path: Path) -> None:
    async with running(make_app(tmp_path)) as screen:
        await screen.press("f1")
        await screen.sees("Regenerate the last reply")
        assert "Ctrl+R" in screen.text
        await screen.press("escape")
        assert not isinstance(screen.app.screen, HelpScreen)


async def test_a_key_from_the_settings_replaces_the_built_in_one(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, keys={"chat.new": "ctrl+t", "prompt.send": "ctrl+s"})
    async with running(make_app(tmp_path, settings=settings)) as screen:
        await screen.ready()
        await screen.press(*"hello", "ctrl+s")
        await screen.sees("Hello there.")
        await screen.idle()
        await screen.press("ctrl+n")
        await screen.pilot.pause()
        assert "Hello there." in screen.text
        await screen.press("ctrl+t")
        await screen.gone("Hello there.")
        await screen.press("f1")
        await screen.sees("Ctrl+T")
        assert "Ctrl+N" not in screen.text


async def test_key_settings_that_clash_or_name_nothing_are_told(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, keys={"chat.new": "ctrl+r", "chat.nwe": "f9"})
    async with running(make_app(tmp_path, settings=settings)) as screen:
        said = "\n".join(screen.toasts)
        assert "ctrl+r is bound to chat.new and to chat.regenerate" in said
        assert "did you mean chat.new?" in said


async def test_a_theme_that_does_not_exist_is_told(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, theme="solarised\x1b[2J")
    async with running(make_app(tmp_path, settings=settings)) as screen:
        assert any("solarised" in t and "deepseek-light" in t and "\x1b" not in t for t in screen.toasts)
        assert screen.app.theme == "deepseek-dark"


@pytest.mark.parametrize("theme", ["deepseek-light", "ansi-dark", "nord"])
async def test_other_themes_work(tmp_path: Path, theme: str) -> None:
    settings = dataclasses.replace(SETTINGS, theme=theme)
    async with running(make_app(tmp_path, settings=settings), NARROW) as screen:
        await screen.ready()
        await screen.send("hello")
        await screen.sees("Hello there.")
        assert screen.app.theme == theme


async def test_without_colours_every_state_is_still_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with running(make_app(tmp_path), NARROW) as screen:
        await screen.ready()
        await screen.send("hello")
        await screen.sees("Hello there.")
        await screen.idle()
        for word in ("ready", "You", "Assistant"):
            assert word in screen.text


async def test_ctrl_c_loses_nothing_and_says_how_to_leave(tmp_path: Path) -> None:
    async with running(make_app(tmp_path)) as screen:
        await screen.press(*"draft", "ctrl+c")
        assert screen.prompt.text == "draft"
        assert screen.app.is_running
        assert any("Ctrl+Q quits" in t for t in screen.toasts)


async def test_ctrl_q_quits(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with running(app) as screen:
        await screen.ready()
        await screen.press("ctrl+q")
        await screen.until(lambda: not app.is_running)
        assert app.return_code == 0


@pytest.mark.parametrize("size", [(60, 18), (40, 12), (200, 60)])
async def test_it_works_at_every_size(tmp_path: Path, size: tuple[int, int]) -> None:
    async with running(make_app(tmp_path), size) as screen:
        await screen.ready()
        await screen.send("hello")
        await screen.sees("Hello there.")
        await screen.idle()
        assert "ready" in screen.text
        assert all(len(line) <= size[0] for line in screen.text.split("\n"))


async def test_a_resize_in_mid_reply_keeps_everything(tmp_path: Path) -> None:
    script = {"replies": [{"pieces": ["Before", " and after"], "hold_after": 1}]}
    async with running(make_app(tmp_path, script)) as screen:
        await screen.ready()
        await screen.send("hello")
        await screen.sees("Before")
        await screen.pilot.resize_terminal(60, 18)
        await screen.sees("Before")
        assert "Conversations" not in screen.text
        await screen.press("escape")
        await screen.idle()
        assert "stopped" in screen.text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_folder_without_permission_is_told_and_the_chat_goes_on(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o500)
    async with running(make_app(tmp_path)) as screen:
        await screen.until(lambda: any("kept in memory" in t for t in screen.toasts))


async def test_a_history_that_cannot_be_opened_is_told_and_the_chat_goes_on(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    async with running(make_app(tmp_path)) as screen:
        await screen.until(lambda: any("kept in memory" in t for t in screen.toasts))
        await screen.ready()
        await screen.send("hello")
        await screen.sees("Hello there.")
        await screen.idle()
        await screen.press("ctrl+n")
        await screen.gone("Hello there.")
        screen.sidebar.list.focus()
        await screen.press("enter")
        await screen.sees("Hello there.")


async def test_a_damaged_history_is_set_aside_and_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "history.db").write_bytes(b"not a database " * 100)
    async with running(make_app(tmp_path)) as screen:
        await screen.until(lambda: any("history.db.corrupt-" in t for t in screen.toasts))
        await screen.ready()
        await screen.send("hello")
        await screen.sees("Hello there.")
        await screen.idle()
    assert [m.text for m in stored(tmp_path)] == ["hello", "Hello there."]


async def test_a_disk_that_fills_up_costs_nothing_that_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "Apples")
    async with running(make_app(tmp_path)) as screen:
        await screen.ready()
        await screen.sees("Answer to Apples")
        store = screen.controller.archive._store
        assert store is not None
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        text = "long " * 4_000
        await screen.send(text)
        await screen.until(lambda: any("nothing more is saved" in t for t in screen.toasts))
        await screen.sees("Hello there.")
        await screen.idle()
        path = await screen.controller.archive.path_to(screen.controller.shown or "", None)
        assert path == []
        messages = await screen.controller.archive.call(lambda s: s.path(screen.controller.shown or ""))
        assert [m.text for m in messages] == ["Apples", "Answer to Apples", text, "Hello there."]


def test_the_screen_never_imports_mlx_nor_the_engine_textual() -> None:
    code = (
        "import sys, deepseek_tui.tui.app, deepseek_tui.tui.screens.help, deepseek_tui.tui.widgets.chat_log;"
        "sys.exit(any(m.partition('.')[0] in ('mlx', 'numpy', 'safetensors') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""The model picker, with the real list and real downloads from a hub on this machine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepseek_tui import paths
from deepseek_tui.history.store import Store
from deepseek_tui.tui.screens.models import ModelsScreen
from tests.hub_server import Fault, Hub, serve
from tests.models.support import FIXTURES
from tests.tui.helpers import NARROW, Screen, make_app, running, stored

REPO = "someone/Tiny-llama"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEEPSEEK_TUI_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DEEPSEEK_TUI_MODEL", raising=False)
    return tmp_path / "home"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with serve() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        folder = FIXTURES / "llama-tiny"
        server.repos[REPO] = {n: (folder / n).read_bytes() for n in ("config.json", "model.safetensors")}
        yield server


def install(name: str) -> Path:
    target = paths.models_dir() / name
    shutil.copytree(FIXTURES / "llama-tiny", target)
    return target


async def picker(screen: Screen) -> ModelsScreen:
    """The picker, once it knows what there is."""
    await screen.press("ctrl+o")
    await screen.sees("To download")
    found = screen.app.screen
    assert isinstance(found, ModelsScreen)
    return found


async def go_to(screen: Screen, name: str) -> None:
    found = screen.app.screen
    assert isinstance(found, ModelsScreen)
    await screen.press("home")
    for _ in range(len(found.list.rows)):
        if found.list.key == name:
            return
        await screen.press("down")
    raise AssertionError(f"{name} is not in the list:\n{screen.text}")


async def test_the_picker_tells_what_there_is_and_what_it_needs(tmp_path: Path) -> None:
    install("mine")
    built_in = str(paths.builtin_model())
    async with running(make_app(tmp_path, model=built_in)) as screen:
        await screen.ready()
        await picker(screen)
        assert "in use" in screen.text
        await go_to(screen, "mine")
        assert "context 512" in screen.text
        assert "are free" in screen.text
        await go_to(screen, "qwen3-4b")
        assert "Qwen3 4B, 4-bit" in screen.text
        assert "2.3 GB to download" in screen.text
        assert "Apache-2.0" in screen.text
        await screen.press("escape")
        assert screen.app.screen is screen.chat
        assert screen.prompt.has_focus


async def test_another_model_answers_without_a_restart(tmp_path: Path) -> None:
    target = install("mine")
    async with running(make_app(tmp_path)) as screen:
        await screen.ready()
        await screen.send("To the first")
        await screen.sees("Hello there.")
        await screen.idle()
        await picker(screen)
        await go_to(screen, "mine")
        await screen.press("enter")
        await screen.sees("Now answering: mine")
        await screen.ready()
        assert screen.status.model == "mine"
        await screen.send("To the second")
        await screen.idle()
        assert len(screen.log.blocks) >= 5
    assert [m.model for m in stored(tmp_path) if m.role == "assistant"] == ["built-in", "mine"]
    assert conversation_model(tmp_path) == str(target)
    async with running(make_app(tmp_path, model=str(target))) as screen:
        await screen.sees("To the second")
        text = screen.text
        assert text.index("To the first") < text.index("Now answering: mine") < text.index("To the second")
        assert "Written with" not in text


def conversation_model(home: Path) -> str:
    store = Store(home / "data" / "history.db")
    try:
        return store.conversations()[0].model
    finally:
        store.close()


async def test_a_reply_under_way_is_ended_by_the_model_that_began_it(tmp_path: Path) -> None:
    install("mine")
    script = {"replies": [{"pieces": ["A beginning"], "hold_after": 1}, {"pieces": ["The next"]}]}
    async with running(make_app(tmp_path, script)) as screen:
        await screen.ready()
        await screen.send("one")
        await screen.sees("A beginning")
        await screen.send("two")
        await picker(screen)
        await go_to(screen, "mine")
        await screen.press("enter")
        await screen.until(lambda: screen.app.screen is screen.chat)
        assert "A beginning" in screen.text
        await screen.press("escape")
        await screen.sees("The next")
        await screen.idle()
        assert screen.status.model == "mine"
    assert [m.model for m in stored(tmp_path) if m.role == "assistant"] == ["built-in", "mine"]


async def test_a_model_that_cannot_be_loaded_leaves_the_present_one(tmp_path: Path) -> None:
    target = install("mine")
    script = {"load": {"fail_paths": [str(target)]}}
    async with running(make_app(tmp_path, script)) as screen:
        await screen.ready()
        await picker(screen)
        await go_to(screen, "mine")
        await screen.press("enter")
        await screen.until(lambda: any("holds no model" in t for t in screen.toasts))
        await screen.until(lambda: any("answers as before" in t for t in screen.toasts))
        assert screen.status.model == "built-in"
        await screen.send("Still there?")
        await screen.sees("Hello there.")


async def test_a_conversation_of_another_model_keeps_the_present_one_and_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path / "data" / "history.db")
    conversation = store.create_conversation(model="/models/older")
    store.add_message(conversation.id, "user", "Question")
    store.add_message(conversation.id, "assistant", "Old answer", model="older")
    store.close()
    async with running(make_app(tmp_path)) as screen:
        await screen.sees("Old answer")
        await screen.sees("Written with older; built-in answers from here on.")
        await screen.ready()
        await screen.send("Again")
        await screen.sees("Hello there.")
        await screen.idle()
    assert conversation_model(tmp_path) == "built-in"


async def test_a_model_is_fetched_by_its_id_and_used(tmp_path: Path, hub: Hub) -> None:
    async with running(make_app(tmp_path), NARROW) as screen:
        await screen.ready()
        found = await picker(screen)
        await screen.press("o", *REPO, "enter")
        await screen.until(lambda: found.list.index_of("Tiny-llama") > 0 and found.list.key == "Tiny-llama")
        assert (paths.models_dir() / "Tiny-llama" / "model.safetensors").is_file()
        await screen.press("enter")
        await screen.until(lambda: screen.status.model == "Tiny-llama")
        await screen.ready()


async def test_a_stopped_download_can_be_taken_up_again(tmp_path: Path, hub: Hub) -> None:
    # A server that is busy: it is asked again and again, with time to press a key.
    busy = Fault("model.safetensors", times=1000, status=503, headers={"Retry-After": "1"})
    hub.faults.append(busy)
    async with running(make_app(tmp_path)) as screen:
        await screen.ready()
        found = await picker(screen)
        await screen.press("o", *REPO, "enter")
        await screen.until(lambda: hub.ranges("model.safetensors"))
        await screen.press("x")
        await screen.sees("stopped at")
        assert not (paths.models_dir() / "Tiny-llama").exists()
        hub.faults.clear()
        await go_to(screen, "Tiny-llama")
        assert "Enter goes on from there" in screen.text
        await screen.press("enter")
        await screen.until(lambda: (paths.models_dir() / "Tiny-llama").exists())
        await screen.until(lambda: getattr(found.list.model("Tiny-llama"), "path", None))
    source = json.loads((paths.models_dir() / "Tiny-llama" / ".source.json").read_text())
    assert source["id"] == REPO


async def test_what_goes_wrong_is_a_sentence_in_the_picker(tmp_path: Path, hub: Hub) -> None:
    async with running(make_app(tmp_path)) as screen:
        await screen.ready()
        await picker(screen)
        await screen.press("o", *"no/model", "enter")
        await screen.sees("There is no model no/model on the hub, or it is private.")
        await screen.press("o", *"/nowhere at all", "enter")
        await screen.sees("There is nothing at /nowhere at all")


async def test_a_model_of_a_path_that_is_typed_is_used(tmp_path: Path) -> None:
    async with running(make_app(tmp_path)) as screen:
        await screen.ready()
        await picker(screen)
        folder = FIXTURES / "llama-tiny"
        await screen.press("o", *str(folder), "enter")
        await screen.until(lambda: screen.status.model == "llama-tiny")
        assert screen.controller.model == str(folder)


async def test_a_model_can_be_used_at_every_start(tmp_path: Path) -> None:
    install("mine")
    async with running(make_app(tmp_path)) as screen:
        await picker(screen)
        await go_to(screen, "mine")
        await screen.press("s")
        await screen.until(lambda: any("mine is used at every start" in t for t in screen.toasts))
    assert 'model = "mine"' in paths.overrides_path().read_text()


async def test_downloads_end_with_the_app(tmp_path: Path, hub: Hub) -> None:
    hub.faults.append(Fault("model.safetensors", times=1000, status=503, headers={"Retry-After": "1"}))
    async with running(make_app(tmp_path)) as screen:
        await picker(screen)
        await screen.press("o", *REPO, "enter")
        await screen.until(lambda: hub.ranges("model.safetensors"))
        await screen.press("escape", "escape")
        shop = screen.controller.shop
    assert not shop.running(REPO)
    assert shop.pulls[REPO].ended == "stopped"


@pytest.mark.parametrize("size", [(40, 12), (60, 18)])
async def test_the_picker_works_on_a_small_screen(tmp_path: Path, size: tuple[int, int]) -> None:
    install("mine")
    async with running(make_app(tmp_path), size) as screen:
        await screen.ready()
        await screen.press("ctrl+o")
        await screen.sees("Installed")
        await go_to(screen, "mine")
        await screen.sees("mine")
        await screen.press("enter")
        await screen.until(lambda: screen.status.model == "mine")

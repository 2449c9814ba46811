"""Settings of one conversation: shown with their sources, checked, kept, used; and personas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deepseek_tui.engine.protocol import Sampling
from deepseek_tui.history.store import Store
from deepseek_tui.personas import load_persona, personas_dir
from deepseek_tui.tui.choices import Choices, source_of
from deepseek_tui.tui.widgets.setting_rows import written
from tests.tui.helpers import NARROW, Screen, make_app, running, stored


@pytest.fixture(autouse=True)
def _own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DEEPSEEK_TUI_HOME", str(tmp_path / "home"))


def kept(home: Path) -> tuple[str, dict[str, Any]]:
    """System prompt and settings of the newest conversation on disk."""
    store = Store(home / "data" / "history.db")
    try:
        newest = store.conversations()[0]
        return newest.system_prompt, newest.settings
    finally:
        store.close()


async def opened(screen: Screen) -> None:
    await screen.press("f3")
    await screen.sees("Temperature")


async def said_hello(screen: Screen) -> None:
    await screen.ready()
    await screen.send("hello")
    await screen.sees("Hello there.")
    await screen.idle()


async def test_what_is_set_is_kept_with_the_conversation_and_used(tmp_path: Path) -> None:
    async with running(make_app(tmp_path), NARROW) as screen:
        await said_hello(screen)
        await opened(screen)
        await screen.press(*"0.25", "down", "down", "down", *"7", "enter")
        await screen.gone("Temperature")
        await screen.until(lambda: kept(tmp_path)[1] == {"sampling": {"temp": 0.25, "top_k": 7}})
        await screen.send("again")
        await screen.until(lambda: len(stored(tmp_path)) == 4)
        await screen.idle()
        await opened(screen)
        await screen.sees("default 0.7, the model")
        assert "● Temperature" in screen.text
        assert "● Top-k" in screen.text
        assert "● Top-p" not in screen.text
    used = stored(tmp_path)[-1].settings
    assert (used["temp"], used["top_k"]) == (0.25, 7)
    assert "top_k" not in stored(tmp_path)[1].settings


async def test_settings_chosen_before_the_first_message_hold_for_it_and_for_it_alone(tmp_path: Path) -> None:
    async with running(make_app(tmp_path), NARROW) as screen:
        await screen.ready()
        await opened(screen)
        await screen.press(*"0", "enter")
        await screen.gone("Temperature")
        await said_hello(screen)
        assert stored(tmp_path)[-1].settings["temp"] == 0.0
        await screen.press("ctrl+n")
        await screen.gone("Hello there.")
        await said_hello(screen)
    assert kept(tmp_path) == ("", {})


async def test_a_value_that_is_not_allowed_is_a_sentence_and_is_not_kept(tmp_path: Path) -> None:
    async with running(make_app(tmp_path), NARROW) as screen:
        await said_hello(screen)
        await opened(screen)
        await screen.press("down", *"2", "down", "enter")
        await screen.sees("Top-p cannot be 2: it must be a number from 0 to 1.")
        await screen.press("up", "f8")
        await screen.gone("cannot be 2")
        await screen.press(*"often")
        await screen.sees("Top-p cannot be often")
        await screen.press("escape")
        await screen.gone("Temperature")
    assert kept(tmp_path) == ("", {})


async def test_system_prompt_thinking_and_context_policy_reach_the_engine(tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = []
    app = make_app(tmp_path, system_prompt="Be kind.")
    async with running(app, NARROW) as screen:
        generate = screen.controller.client.generate

        def spy(conversation: str, messages: Any, **options: Any) -> Any:
            asked.append({"messages": messages, **options})
            return generate(conversation, messages, **options)

        screen.controller.client.generate = spy  # type: ignore[method-assign]  # watched, not replaced
        await screen.ready()
        await opened(screen)
        await screen.sees("Be kind.")
        await screen.press("up", "end", *" And brief.", "tab", *["down"] * 10, "right", "right", "down")
        await screen.press("left", "ctrl+s")
        await screen.gone("Temperature")
        await said_hello(screen)
    assert [m.content for m in asked[0]["messages"]] == ["Be kind. And brief.", "hello"]
    assert asked[0]["context_policy"] == "stop"
    assert asked[0]["template_options"] == {"enable_thinking": False}
    assert kept(tmp_path) == ("Be kind. And brief.", {"context_policy": "stop", "thinking": False})


async def test_settings_are_kept_as_a_persona_chosen_and_exported(tmp_path: Path) -> None:
    target = tmp_path / "out.toml"
    async with running(make_app(tmp_path), NARROW) as screen:
        await screen.ready()
        await opened(screen)
        await screen.press(*"0.25", "f7")
        await screen.sees("There are no personas yet")
        await screen.press("s", *"Terse", "enter")
        await screen.sees("--persona Terse")
        await screen.press("x", "ctrl+u", *str(target), "enter")
        await screen.sees("Exported to")
        await screen.press("escape", "f8", "f7", "enter")
        await screen.sees("settings of Terse")
        assert "0.25" in screen.text
        await screen.press("enter")
        await said_hello(screen)
    assert kept(tmp_path)[1] == {"sampling": {"temp": 0.25}}
    assert load_persona("Terse").sampling == Sampling(temp=0.25)
    assert target.read_text() == (personas_dir() / "Terse.toml").read_text()


async def test_a_persona_is_deleted_and_brought_back(tmp_path: Path) -> None:
    async with running(make_app(tmp_path), NARROW) as screen:
        await screen.ready()
        await opened(screen)
        await screen.press("f7", "s", *"Terse", "enter")
        await screen.sees("--persona Terse")
        await screen.press("d")
        await screen.sees("Deleted Terse")
        assert not list(personas_dir().iterdir())
        await screen.press("u")
        await screen.sees("Brought back Terse")
        assert load_persona("Terse").name == "Terse"


@pytest.mark.parametrize("size", [(60, 18), (40, 12)])
async def test_every_setting_is_reached_on_a_small_screen(tmp_path: Path, size: tuple[int, int]) -> None:
    async with running(make_app(tmp_path), size) as screen:
        await said_hello(screen)
        await opened(screen)
        await screen.press(*["down"] * 11, "right", "enter")
        await screen.gone("Thinking")
        await screen.until(lambda: kept(tmp_path)[1] == {"thinking": True})


def test_a_value_is_shown_with_who_says_so() -> None:
    settings, model = Sampling(temp=0.1), Sampling(temp=0.5, top_k=20)
    assert source_of("temp", settings, model) == (0.1, "your settings")
    assert source_of("top_k", settings, model) == (20, "the model")
    assert source_of("max_tokens", settings, model) == (256, "built in")
    assert source_of("seed", settings, model) == (None, "")


def test_choices_come_back_from_their_column_and_nonsense_does_not() -> None:
    choices = Choices(Sampling(temp=0.2, stop=("END", "\n")), "stop", False)
    assert Choices.of(json.loads(json.dumps(choices.stored()))) == choices
    assert Choices.of({"sampling": {"temp": "hot", "top_p": 2, "odd": 1}, "thinking": "no"}) == Choices()
    assert Choices.of({"sampling": [1], "context_policy": "burn"}) == Choices()


def test_stop_strings_are_written_so_that_they_can_be_read() -> None:
    assert written(("END",)) == "END"
    assert written(("\n",)) == '["\\n"]'
    assert written(("a", "b")) == '["a", "b"]'

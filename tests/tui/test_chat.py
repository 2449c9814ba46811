"""Sending, streaming, stopping, and what happens while a model loads or an engine dies."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from deepseek_tui.tui.updates import Phase
from tests.tui.helpers import NARROW, make_app, running, stored

HELD = {"pieces": ["The beginning ", "of a long story"], "hold_after": 2}


async def test_a_message_is_answered_and_both_are_kept(tmp_path: Path) -> None:
    async with running(make_app(tmp_path, {"replies": [{"pieces": ["It is ", "**Rome**."]}]})) as screen:
        await screen.ready()
        await screen.press(*"Hello?", "enter")
        await screen.sees("It is Rome.")
        await screen.idle()
        assert "Hello?" in screen.text
        assert screen.prompt.text == ""
    user, reply = stored(tmp_path)
    assert (user.role, user.text, user.state) == ("user", "Hello?", "complete")
    assert (reply.role, reply.text, reply.state) == ("assistant", "It is **Rome**.", "complete")
    assert reply.stats["generation_tokens"] == 2
    assert reply.settings["seed"] == 1


async def test_a_reply_shows_while_it_is_written_and_escape_stops_it(tmp_path: Path) -> None:
    async with running(make_app(tmp_path, {"replies": [HELD]})) as screen:
        await screen.ready()
        await screen.send("Tell me a story")
        await screen.sees("of a long story")
        assert "writing" in screen.text
        await screen.until(lambda: stored(tmp_path)[1].text == "The beginning of a long story")
        assert stored(tmp_path)[1].state == "streaming"
        await screen.press("escape")
        await screen.sees("stopped")
        assert screen.status.phase is Phase.READY
    assert [(m.text, m.state) for m in stored(tmp_path)][1] == ("The beginning of a long story", "stopped")


async def test_a_stopped_reply_is_carried_on_in_its_place(tmp_path: Path) -> None:
    script = {"replies": [HELD, {"pieces": [", and its end."]}]}
    async with running(make_app(tmp_path, script)) as screen:
        await screen.ready()
        await screen.send("Tell me a story")
        await screen.sees("of a long story")
        await screen.press("escape")
        await screen.idle()
        await screen.press("f6")
        await screen.sees("of a long story, and its end.")
        await screen.idle()
    assert [(m.text, m.state) for m in stored(tmp_path)][1:] == [
        ("The beginning of a long story, and its end.", "complete")
    ]


async def test_a_message_sent_while_the_model_loads_waits_its_turn(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    async with running(make_app(tmp_path, gate=gate)) as screen:
        await screen.send("Early bird")
        await screen.sees("waiting for the model")
        assert [m.text for m in stored(tmp_path)] == ["Early bird", ""]
        gate.touch()
        await screen.sees("Hello there.")
        await screen.idle()
    assert [m.state for m in stored(tmp_path)] == ["complete", "complete"]


async def test_a_message_that_waits_for_the_model_can_be_stopped(tmp_path: Path) -> None:
    async with running(make_app(tmp_path, gate=tmp_path / "never")) as screen:
        await screen.send("Early bird")
        await screen.sees("waiting for the model")
        await screen.press("escape")
        await screen.idle()
        assert "stopped" in screen.text


async def test_messages_sent_during_a_reply_are_answered_in_order(tmp_path: Path) -> None:
    script = {"replies": [HELD, {"pieces": ["second"]}, {"pieces": ["third"]}]}
    async with running(make_app(tmp_path, script)) as screen:
        await screen.ready()
        for text in ("one", "two", "three"):
            await screen.send(text)
            await screen.sees(f"▌ {text}")
        await screen.sees("2 waiting")
        await screen.press("escape")
        await screen.idle()
    texts = [m.text for m in stored(tmp_path)]
    assert texts == ["one", "The beginning of a long story", "two", "second", "three", "third"]


async def test_a_dying_engine_costs_no_text_and_the_next_message_starts_another(tmp_path: Path) -> None:
    script = {"replies": [{"pieces": ["Half a ", "reply", " lost"], "die_after": 2}]}
    async with running(make_app(tmp_path, script)) as screen:
        await screen.ready()
        await screen.send("First")
        await screen.until(lambda: screen.status.phase is Phase.DEAD)
        await screen.idle()
        assert "Half a reply" in screen.text
        assert "engine" in screen.text
        reply = stored(tmp_path)[1]
        assert (reply.text, reply.state) == ("Half a reply", "failed")
        screen.controller.client._env["DEEPSEEK_TUI_FAKE"] = '{"replies": [{"pieces": ["Alive again."]}]}'
        await screen.send("Second")
        await screen.sees("Alive again.")
        await screen.idle()
        assert screen.status.phase is Phase.READY


async def test_a_model_that_cannot_be_loaded_is_a_sentence_and_is_tried_again(tmp_path: Path) -> None:
    script = {"load": {"fail": "model.safetensors is cut off."}}
    async with running(make_app(tmp_path, script), NARROW) as screen:
        await screen.until(lambda: screen.status.phase is Phase.FAILED)
        await screen.until(lambda: any("cut off" in t for t in screen.toasts))
        await screen.send("Are you there?")
        await screen.idle()
        await screen.until(lambda: "cut off" in screen.text)
    assert [(m.text, m.state) for m in stored(tmp_path)] == [("Are you there?", "complete"), ("", "failed")]


async def test_without_a_model_the_app_says_how_to_get_one_and_keeps_the_draft(tmp_path: Path) -> None:
    problem = "No model here. Put one into ~/models."
    async with running(make_app(tmp_path, model=None, model_problem=problem), NARROW) as screen:
        await screen.sees("Put one into ~/models.")
        assert "no model" in screen.text
        await screen.send("Hello")
        await screen.until(lambda: problem in screen.toasts)
        assert screen.prompt.text == "Hello"
    assert stored(tmp_path) == []


async def test_an_empty_message_is_not_sent(tmp_path: Path) -> None:
    async with running(make_app(tmp_path)) as screen:
        await screen.ready()
        await screen.press("enter", "space", "ctrl+j", "enter")
        await screen.pilot.pause()
        assert not screen.controller.replies
    assert stored(tmp_path) == []


async def test_regenerating_makes_another_reply_beside_the_old_one(tmp_path: Path) -> None:
    script = {"replies": [{"pieces": ["First try"]}, {"pieces": ["Second try"]}]}
    async with running(make_app(tmp_path, script)) as screen:
        await screen.ready()
        await screen.send("Question")
        await screen.sees("First try")
        await screen.idle()
        await screen.press("ctrl+r")
        await screen.sees("Second try")
        await screen.idle()
        assert "First try" not in screen.text
    question, first, second = stored(tmp_path)
    assert first.parent == second.parent == question.id
    assert [first.text, second.text] == ["First try", "Second try"]


async def test_a_restart_shows_the_conversation_again(tmp_path: Path) -> None:
    async with running(make_app(tmp_path, {"replies": [{"pieces": ["# Title\n\nAn answer"]}]})) as screen:
        await screen.ready()
        await screen.send("Remember me")
        await screen.sees("An answer")
        await screen.idle()
    async with running(make_app(tmp_path)) as screen:
        await screen.sees("An answer")
        assert "Remember me" in screen.text


async def test_quitting_in_mid_reply_keeps_what_was_written(tmp_path: Path) -> None:
    async with running(make_app(tmp_path, {"replies": [HELD]})) as screen:
        await screen.ready()
        await screen.send("Tell me a story")
        await screen.sees("of a long story")
    assert [(m.text, m.state) for m in stored(tmp_path)][1] == ("The beginning of a long story", "stopped")


async def test_the_end_of_the_terminal_keeps_what_was_written(tmp_path: Path) -> None:
    app = make_app(tmp_path, {"replies": [HELD]})
    async with running(app) as screen:
        await screen.ready()
        await screen.send("Tell me a story")
        await screen.sees("of a long story")
        os.kill(os.getpid(), signal.SIGHUP)
        await screen.until(lambda: not app.is_running)
    assert [(m.text, m.state) for m in stored(tmp_path)][1] == ("The beginning of a long story", "stopped")


async def test_an_engine_that_dies_while_idle_is_told(tmp_path: Path) -> None:
    async with running(make_app(tmp_path), NARROW) as screen:
        await screen.ready()
        assert screen.controller.client.hello is not None
        os.kill(screen.controller.client.hello.pid, signal.SIGKILL)
        await screen.sees("engine stopped")
        await screen.send("Are you back?")
        await screen.sees("Hello there.")
        await screen.idle()


async def test_a_new_chat_is_empty_and_a_reply_elsewhere_goes_on(tmp_path: Path) -> None:
    async with running(make_app(tmp_path, {"replies": [HELD, {"pieces": ["in the new one"]}]})) as screen:
        await screen.ready()
        await screen.send("Old chat")
        await screen.sees("of a long story")
        await screen.press("ctrl+n")
        await screen.gone("of a long story")
        await screen.send("New chat")
        await screen.until(lambda: len(screen.controller.replies) == 2)
        assert "of a long story" not in screen.text
        first = screen.controller.replies[0]
        await screen.controller.stop(first)
        await screen.sees("in the new one")
        await screen.idle()


async def test_unicode_is_kept_and_shown(tmp_path: Path) -> None:
    text = "日本語 e\u0301 👩‍👩‍👧 עברית"
    async with running(make_app(tmp_path, {"echo": True}), NARROW) as screen:
        await screen.ready()
        await screen.send(text)
        await screen.until(lambda: screen.text.count("日本語") >= 2)
        await screen.idle()
    assert stored(tmp_path)[0].text == text
    assert stored(tmp_path)[1].text.strip() == text


async def test_hostile_text_reaches_the_terminal_as_text_only(tmp_path: Path) -> None:
    evil = "\x1b]52;c;aGk=\x07[red]x[/red]\x1b[2J\x9b31m\u202eabc"
    script = {
        "load": {"name": evil},
        "hello": {"device": evil},
        "replies": [{"pieces": [evil], "notice": evil}, {"pieces": [], "fail_after": 0}],
    }
    async with running(make_app(tmp_path, script)) as screen:
        await screen.ready()
        await screen.send(evil)
        await screen.idle()
        await screen.sees("[red]x[/red]")
        shown = screen.app.export_screenshot() + screen.text
        for character in "\x1b\x07\x9b\u202e":
            assert character not in shown


async def test_two_apps_share_one_history(tmp_path: Path) -> None:
    first, second = make_app(tmp_path, {"echo": True}), make_app(tmp_path, {"echo": True})
    async with running(first) as one:
        await one.ready()
        await one.send("from the first")
        await one.idle()
        async with running(second) as two:
            await two.ready()
            await two.press("ctrl+n")
            await two.send("from the second")
            await two.idle()
            await one.send("and again")
            await one.idle()
    texts = {m.text.strip() for m in stored(tmp_path)}
    assert texts == {"from the first", "from the second", "and again"}
    assert {m.state for m in stored(tmp_path)} == {"complete"}

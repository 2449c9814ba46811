"""Acting on single messages by keys and mouse: copy, save, edit, regenerate, walk, fork, delete, details."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from deepseek_tui.history.store import Store
from deepseek_tui.settings import Settings
from tests.tui.helpers import NARROW, Screen, make_app, running, stored
from tests.tui.test_sidebar import titles

CODE = "First:\n\n```python\nprint(1)\n```\n\nthen **this**:\n\n```sh\nls -l\n```\n"
HELD = {"pieces": ["The beginning ", "of a long story"], "hold_after": 2}


@pytest.fixture(autouse=True)
def _terminal_clipboard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "from afar")


async def asked(screen: Screen, question: str, answer: str) -> None:
    await screen.send(question)
    await screen.sees(answer)
    await screen.idle()


def shown(home: Path) -> list[str]:
    """The texts of the branch that the newest conversation is on."""
    store = Store(home / "data" / "history.db")
    try:
        return [m.text for m in store.path(store.conversations()[0].id)]
    finally:
        store.close()


async def test_messages_are_chosen_by_keys_and_left_again(tmp_path: Path) -> None:
    async with running(make_app(tmp_path, {"echo": True}), NARROW) as screen:
        await screen.ready()
        await asked(screen, "apples", "apples")
        await screen.press("ctrl+up")
        await screen.sees("❯ Assistant")
        await screen.sees("Esc back")
        await screen.press("ctrl+up")
        await screen.sees("❯ You")
        assert "❯ Assistant" not in screen.text
        await screen.press("ctrl+up")
        assert "❯ You" in screen.text
        await screen.press("ctrl+down", "ctrl+down")
        await screen.gone("❯")
        assert screen.prompt.has_focus
        await screen.press("ctrl+up", "escape", *"typed")
        assert screen.prompt.text == "typed"
        assert "❯" not in screen.text


async def test_a_message_is_chosen_by_a_click_and_text_by_a_drag(tmp_path: Path) -> None:
    async with running(make_app(tmp_path, {"replies": [{"pieces": ["golden pears"]}]}), NARROW) as screen:
        await screen.ready()
        await asked(screen, "fruit?", "golden pears")
        row = next(y for y, line in enumerate(screen.text.split("\n")) if "golden pears" in line)
        await screen.pilot.click(offset=(6, row))
        await screen.sees("❯ Assistant")
        column = screen.text.split("\n")[row].index("golden")
        await screen.pilot.mouse_down(offset=(column, row))
        await screen.pilot.hover(offset=(column + 5, row))
        await screen.pilot.mouse_up(offset=(column + 5, row))
        await screen.press("ctrl+c")
        await screen.until(lambda: screen.app.clipboard == "golden")
        assert any("terminal" in said for said in screen.toasts)


async def test_a_reply_is_copied_as_text_and_as_markdown(tmp_path: Path) -> None:
    reply = "<think>hm</think>\n\nIt is **bold**."
    async with running(make_app(tmp_path, {"replies": [{"pieces": [reply]}]})) as screen:
        await screen.ready()
        await asked(screen, "question", "It is bold.")
        await screen.press("ctrl+up", "y")
        await screen.until(lambda: screen.app.clipboard == "It is bold.")
        await screen.press("Y")
        await screen.until(lambda: screen.app.clipboard == "It is **bold**.")
        assert any("clipboard of your terminal" in said for said in screen.toasts)
        await screen.press("ctrl+up", "y")
        await screen.until(lambda: screen.app.clipboard == "question")


async def test_a_block_of_code_is_copied_by_its_number(tmp_path: Path) -> None:
    async with running(make_app(tmp_path, {"replies": [{"pieces": [CODE]}]}), NARROW) as screen:
        await screen.ready()
        await asked(screen, "code?", "ls -l")
        await screen.press("ctrl+up")
        await screen.until(lambda: re.search(r"▏ sh +2$", screen.text, re.MULTILINE))
        await screen.press("c")
        await screen.until(lambda: any("2 blocks of code" in said for said in screen.toasts))
        await screen.press("2")
        await screen.until(lambda: screen.app.clipboard == "ls -l\n")
        await screen.press("1")
        await screen.until(lambda: screen.app.clipboard == "print(1)\n")
        await screen.press("3")
        await screen.pilot.pause()
        assert screen.app.clipboard == "print(1)\n"


async def test_a_block_is_saved_for_its_owner_and_nothing_is_lost_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code.sh").write_text("precious")
    async with running(make_app(tmp_path, {"replies": [{"pieces": [CODE]}]}), NARROW) as screen:
        await screen.ready()
        await asked(screen, "code?", "ls -l")
        await screen.press("ctrl+up", "s")
        await screen.sees("Block 1 of 2")
        await screen.press("down")
        await screen.sees("Block 2 of 2")
        await screen.press("enter")
        await screen.sees("is there already")
        assert (tmp_path / "code.sh").read_text() == "precious"
        await screen.press("enter")
        await screen.until(lambda: any("Saved to" in said for said in screen.toasts))
        assert (tmp_path / "code.sh").read_text() == "ls -l\n"
        assert stat.S_IMODE((tmp_path / "code.sh").stat().st_mode) == 0o600
        await screen.press("s", "ctrl+u", *"no/such/file", "enter")
        await screen.sees("There is no folder")
        await screen.press("escape")
        await screen.sees("❯ Assistant")


async def test_an_edited_question_is_a_branch_and_the_old_one_is_kept(tmp_path: Path) -> None:
    async with running(make_app(tmp_path, {"echo": True}), NARROW) as screen:
        await screen.ready()
        await asked(screen, "apples", "apples")
        await asked(screen, "more", "more")
        await screen.press("ctrl+up", "ctrl+up", "ctrl+up", "ctrl+up", "e")
        await screen.sees("Edit your message")
        await screen.press(*" and pears", "enter")
        await screen.until(lambda: shown(tmp_path) == ["apples and pears", "apples and pears "])
        await screen.idle()
        await screen.press("ctrl+up", "ctrl+up")
        await screen.sees("❯ You  ‹ 2/2 ›")
        await screen.press("left")
        await screen.sees("❯ You  ‹ 1/2 ›")
        assert shown(tmp_path) == ["apples", "apples ", "more", "more "]
        await screen.press("left", "right_square_bracket")
        await screen.sees("❯ You  ‹ 2/2 ›")
        assert "more" not in screen.text.replace("Ctrl", "")
    assert len(stored(tmp_path)) == 6


async def test_an_edited_reply_is_kept_as_written_and_can_be_carried_on(tmp_path: Path) -> None:
    script = {"replies": [{"pieces": ["Roma"]}, {"pieces": [" is a city."]}]}
    async with running(make_app(tmp_path, script), NARROW) as screen:
        await screen.ready()
        await asked(screen, "capital?", "Roma")
        await screen.press("ctrl+up", "e")
        await screen.sees("Edit the reply")
        await screen.press("backspace", "e", "ctrl+s")
        await screen.sees("✎ edited")
        assert shown(tmp_path) == ["capital?", "Rome"]
        await screen.press("f6")
        await screen.sees("Rome is a city.")
        await screen.idle()
        assert shown(tmp_path) == ["capital?", "Rome is a city."]
    assert [m.text for m in stored(tmp_path)] == ["capital?", "Roma", "Rome is a city."]


async def test_a_reply_is_edited_and_carried_on_in_one_step(tmp_path: Path) -> None:
    script = {"replies": [{"pieces": ["No."]}, {"pieces": [" of course"]}]}
    async with running(make_app(tmp_path, script), NARROW) as screen:
        await screen.ready()
        await asked(screen, "may I?", "No.")
        await screen.press("ctrl+up", "e", *["backspace"] * 3, *"Yes,", "f6")
        await screen.sees("Yes, of course")
        await screen.idle()
    assert [m.text for m in stored(tmp_path)] == ["may I?", "No.", "Yes, of course"]


async def test_escape_and_an_empty_text_leave_a_message_as_it_was(tmp_path: Path) -> None:
    async with running(make_app(tmp_path, {"echo": True}), NARROW) as screen:
        await screen.ready()
        await asked(screen, "apples", "apples")
        await screen.press("ctrl+up", "ctrl+up", "e", *["backspace"] * 6, "enter")
        await screen.until(lambda: any("nothing written" in said for said in screen.toasts))
        await screen.press("escape")
        await screen.sees("❯ You")
    assert len(stored(tmp_path)) == 2


async def test_an_earlier_reply_is_regenerated_beside_the_old_one(tmp_path: Path) -> None:
    script = {"replies": [{"pieces": ["one"]}, {"pieces": ["two"]}, {"pieces": ["three"]}]}
    async with running(make_app(tmp_path, script), NARROW) as screen:
        await screen.ready()
        await asked(screen, "first", "one")
        await asked(screen, "second", "two")
        await screen.press(*["ctrl+up"] * 3, "r")
        await screen.sees("three")
        await screen.idle()
        assert shown(tmp_path) == ["first", "three"]
        await screen.press("ctrl+up", "left")
        await screen.sees("two")
        assert shown(tmp_path) == ["first", "one", "second", "two"]


async def test_a_reply_that_is_being_written_is_not_edited_or_regenerated(tmp_path: Path) -> None:
    async with running(make_app(tmp_path, {"replies": [HELD]}), NARROW) as screen:
        await screen.ready()
        await screen.send("story")
        await screen.sees("of a long story")
        await screen.press("ctrl+up", "r")
        await screen.until(lambda: any("then regenerate" in said for said in screen.toasts))
        await screen.press("e")
        await screen.until(lambda: any("then edit" in said for said in screen.toasts))
        await screen.press("escape", "escape")
        await screen.idle()
    assert len(stored(tmp_path)) == 2


async def test_a_conversation_is_forked_from_a_message(tmp_path: Path) -> None:
    async with running(make_app(tmp_path, {"echo": True})) as screen:
        await screen.ready()
        await asked(screen, "apples", "apples")
        await asked(screen, "pears", "pears")
        await screen.press(*["ctrl+up"] * 3, "f")
        await screen.sees("(fork)")
        await screen.until(lambda: "pears" not in screen.text)
        assert titles(tmp_path) == ["apples (fork)", "apples"]
        assert shown(tmp_path) == ["apples", "apples "]


async def test_a_deleted_message_and_a_deleted_branch_come_back(tmp_path: Path) -> None:
    async with running(make_app(tmp_path, {"echo": True}), NARROW) as screen:
        await screen.ready()
        await asked(screen, "apples", "apples")
        await asked(screen, "pears", "pears")
        everything = shown(tmp_path)
        await screen.press("ctrl+up", "ctrl+up", "d")
        await screen.until(lambda: shown(tmp_path) == ["apples", "apples ", "pears "])
        await screen.press("u")
        await screen.until(lambda: shown(tmp_path) == everything)
        await screen.press(*["ctrl+up"] * 3, "D")
        await screen.until(lambda: shown(tmp_path) == ["apples"])
        await screen.press("ctrl+z")
        await screen.until(lambda: shown(tmp_path) == everything)
        await screen.sees("pears")


async def test_deleting_a_reply_that_is_being_written_stops_it(tmp_path: Path) -> None:
    async with running(make_app(tmp_path, {"replies": [HELD]}), NARROW) as screen:
        await screen.ready()
        await screen.send("story")
        await screen.sees("of a long story")
        await screen.press("ctrl+up", "d")
        await screen.idle()
        await screen.gone("of a long story")
        await screen.press("u")
        await screen.sees("of a long story")
        await screen.sees("stopped")


async def test_details_tell_model_speed_and_settings(tmp_path: Path) -> None:
    async with running(make_app(tmp_path, {"replies": [{"pieces": ["a", "b", "c"]}]})) as screen:
        await screen.ready()
        await asked(screen, "hello", "abc")
        await screen.press("ctrl+up", "enter")
        await screen.sees("Details")
        for word in ("built-in", "Seed", "Temperature", "First token", "3; ", "the model", "of 1,024"):
            assert word in screen.text
        await screen.press("escape")
        await screen.sees("❯ Assistant")


async def test_keys_on_messages_can_be_changed_and_are_listed(tmp_path: Path) -> None:
    settings = Settings(reduced_motion=True, keys={"message.fork": "z"})
    async with running(make_app(tmp_path, {"echo": True}, settings=settings)) as screen:
        await screen.ready()
        await asked(screen, "apples", "apples")
        await screen.press("ctrl+up")
        await screen.sees("z fork")
        await screen.press("z")
        await screen.sees("(fork)")
        await screen.press("f1", "pagedown")
        await screen.until(lambda: re.search(r"  z +Fork: a new", screen.text))


@pytest.mark.parametrize("size", [(60, 18), (40, 12)])
async def test_every_action_works_on_a_small_screen(tmp_path: Path, size: tuple[int, int]) -> None:
    async with running(make_app(tmp_path, {"replies": [{"pieces": [CODE]}]}), size) as screen:
        await screen.ready()
        await asked(screen, "code?", "ls -l")
        await screen.press("ctrl+up")
        await screen.sees("❯ Assistant")
        for key, sight in (("i", "Details"), ("e", "Edit the reply"), ("s", "Save to a file")):
            await screen.press(key)
            await screen.sees(sight)
            await screen.press("escape")
            await screen.sees("❯ Assistant")
        assert all(len(line) <= size[0] for line in screen.text.split("\n"))


async def test_what_is_read_stays_in_its_place_when_a_variant_is_shown(tmp_path: Path) -> None:
    long = "\n\n".join(f"line {n}" for n in range(40))
    script = {"replies": [{"pieces": [long]}, {"pieces": ["short"]}, {"pieces": ["another"]}]}
    async with running(make_app(tmp_path, script), NARROW) as screen:
        await screen.ready()
        await asked(screen, "first", "line 39")
        await asked(screen, "second", "short")
        await screen.press("ctrl+r")
        await screen.idle()
        await screen.sees("another")
        await screen.press("ctrl+up")
        row = next(y for y, line in enumerate(screen.text.split("\n")) if "❯" in line)
        await screen.press("left")
        await screen.sees("‹ 1/2 ›")
        assert "❯" in screen.text.split("\n")[row]

"""Writing a message: growing, sending, recalling, pasting."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events

from tests.tui.helpers import NARROW, Screen, make_app, running, stored


async def paste(screen: Screen, text: str) -> None:
    screen.prompt.post_message(events.Paste(text))
    await screen.pilot.pause()


async def test_the_prompt_grows_to_ten_lines_and_no_further(tmp_path: Path) -> None:
    async with running(make_app(tmp_path), NARROW) as screen:
        assert screen.prompt.content_size.height == 1
        await screen.press("a", "ctrl+j", "b", "shift+enter", "c")
        assert screen.prompt.text == "a\nb\nc"
        assert screen.prompt.content_size.height == 3
        await screen.press(*["ctrl+j"] * 12, *"last")
        assert screen.prompt.content_size.height == 10
        assert "last" in screen.text


async def test_up_recalls_earlier_messages_and_down_returns_to_the_draft(tmp_path: Path) -> None:
    async with running(make_app(tmp_path), NARROW) as screen:
        await screen.ready()
        for text in ("first", "second\nwith two lines"):
            await screen.send(text)
            await screen.idle()
        await screen.press(*"draft", "up")
        assert screen.prompt.text == "second\nwith two lines"
        await screen.press("up")
        assert screen.prompt.text == "second\nwith two lines", "the cursor only moves to the first line"
        await screen.press("up", *" changed")
        assert screen.prompt.text == "first changed"
        await screen.press("up")
        assert screen.prompt.text == "first changed", "there is nothing before it"
        await screen.press("down")
        assert screen.prompt.text == "second\nwith two lines"
        await screen.press("down")
        assert screen.prompt.text == "draft"
        await screen.press("up", "up", "up")
        assert screen.prompt.text == "first changed"


async def test_earlier_messages_are_there_after_a_restart(tmp_path: Path) -> None:
    async with running(make_app(tmp_path)) as screen:
        await screen.ready()
        await screen.send("said before")
        await screen.idle()
    async with running(make_app(tmp_path)) as screen:
        await screen.sees("said before")
        await screen.until(lambda: screen.prompt._earlier)
        await screen.press("up")
        assert screen.prompt.text == "said before"


@pytest.mark.parametrize("text", ["x" * 2**20, "a line of text\n" * 70_000], ids=["one-line", "many-lines"])
async def test_a_megabyte_is_pasted_edited_and_sent_whole(tmp_path: Path, text: str) -> None:
    async with running(make_app(tmp_path), NARROW) as screen:
        await screen.ready()
        await screen.press(*"See: ")
        await paste(screen, text)
        assert f"{len(text):,} characters" in screen.text
        await screen.press(*" end", "enter")
        await screen.idle()
        await screen.press("up")
        assert len(screen.prompt.text) < 200, "recalled as what stands for it"
        assert screen.prompt.message() == f"See: {text} end"
    assert stored(tmp_path)[0].text == f"See: {text} end"


async def test_a_paste_is_cleaned_of_what_would_drive_the_terminal(tmp_path: Path) -> None:
    async with running(make_app(tmp_path), NARROW) as screen:
        await paste(screen, "one\r\ntwo\rthree\x1b[2J\x1b]52;c;aGk=\x07 [b]four[/b]")
        lines = screen.prompt.text.split("\n")
        assert lines[:2] == ["one", "two"]
        assert lines[2].startswith("three")
        assert lines[2].endswith("[b]four[/b]")
        assert not set("\x1b\x07\r") & set(screen.prompt.text)


async def test_pages_scroll_the_log_and_end_returns_to_the_latest(tmp_path: Path) -> None:
    reply = "\n\n".join(f"Paragraph {n}" for n in range(60))
    async with running(make_app(tmp_path, {"replies": [{"pieces": [reply]}]}), NARROW) as screen:
        await screen.ready()
        await screen.send("Go")
        await screen.sees("Paragraph 59")
        await screen.idle()
        await screen.press("pageup", "pageup")
        await screen.gone("Paragraph 59")
        assert screen.prompt.has_focus
        await screen.press("end")
        await screen.sees("Paragraph 59")
        await screen.press("pageup", "pageup")
        await screen.gone("Paragraph 59")
        await screen.press(*"text", "home", "end")
        await screen.pilot.pause()
        assert "Paragraph 59" not in screen.text, "End first goes to the end of the line"
        await screen.press("ctrl+end")
        await screen.sees("Paragraph 59")

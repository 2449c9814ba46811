"""The chat log as a user meets it: keys, scrolling, streaming, hostile text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from textual.app import App, ComposeResult
from textual.geometry import Offset
from textual.pilot import Pilot
from textual.selection import SELECT_ALL, Selection

from deepseek_tui.tui.widgets.chat_log import STYLES, ChatLog
from deepseek_tui.tui.widgets.message import MessageBlock, MessageView
from tests.tui.chat_texts import RICH


class LogApp(App[None]):
    """The log alone."""

    def __init__(self) -> None:
        super().__init__()
        self.following: list[bool] = []

    def compose(self) -> ComposeResult:
        yield ChatLog()

    @property
    def log_widget(self) -> ChatLog:
        return self.query_one(ChatLog)

    def on_chat_log_following_changed(self, event: ChatLog.FollowingChanged) -> None:
        self.following.append(event.following)


@asynccontextmanager
async def running(width: int = 60, height: int = 18) -> AsyncIterator[tuple[LogApp, ChatLog, Pilot[None]]]:
    app = LogApp()
    async with app.run_test(size=(width, height)) as pilot:
        app.log_widget.focus()
        await pilot.pause()
        yield app, app.log_widget, pilot


async def wait_until(predicate: Callable[[], bool], pilot: Pilot[None]) -> None:
    async with asyncio.timeout(20):
        while not predicate():
            await pilot.pause()


def screen(log: ChatLog) -> list[str]:
    """What is on the screen, row by row."""
    return [log.render_line(y).text.rstrip() for y in range(log.size.height)]


def chat(count: int) -> list[MessageView]:
    roles = ("user", "assistant")
    return [
        MessageView(str(at), roles[at % 2], f"message number {at}\n\n" + "some words " * (at * 7 % 90))
        for at in range(count)
    ]


async def test_who_speaks_is_said_in_words() -> None:
    async with running() as (_, log, _pilot):
        await log.show([MessageView("1", "user", "Hello"), MessageView("2", "assistant", "Hi")])
        log.add_notice("Model changed.")
        log.add_notice("It broke.", error=True)
        text = screen(log)
        assert text.index("▌ You") < text.index("▌ Hello") < text.index("  Assistant") < text.index("  Hi")
        assert "· Model changed." in text
        assert "✗ It broke." in text


async def test_user_text_is_shown_as_typed() -> None:
    typed = "  two leading spaces\n\n**not bold** [red]no[/red] `x`\n# no heading\n\ttab &amp; [b"
    async with running() as (_, log, _pilot):
        await log.show([MessageView("1", "user", typed)])
        rows = [row.removeprefix("▌ ") for row in screen(log)]
        assert "  two leading spaces" in rows
        assert "**not bold** [red]no[/red] `x`" in rows
        assert "# no heading" in rows
        assert "    tab &amp; [b" in rows


async def test_a_note_stands_under_its_reply() -> None:
    async with running() as (_, log, pilot):
        await log.show([])
        block = log.begin_reply("r")
        block.append("Half a")
        await wait_until(lambda: "  Half a" in screen(log), pilot)
        await block.finish("Half a reply", "■ stopped")
        assert screen(log)[:4] == ["  Assistant", "  Half a reply", "", "  ■ stopped"]


async def test_finish_replaces_what_was_streamed() -> None:
    async with running() as (_, log, pilot):
        block = log.begin_reply("r")
        block.append("something **els")
        await wait_until(lambda: any("something" in row for row in screen(log)), pilot)
        await block.finish("The final text")
        await pilot.pause()
        assert screen(log)[1] == "  The final text"
        assert not any("something" in row for row in screen(log))


async def test_a_streamed_reply_looks_like_a_loaded_one() -> None:
    async with running(80, 24) as (_, log, pilot):
        block = log.begin_reply("r")
        for at in range(0, len(RICH), 37):
            block.append(RICH[at : at + 37])
            await asyncio.sleep(0)
        await wait_until(lambda: block.text == RICH, pilot)
        assert block.lines is not None
        streamed = list(block.lines)
        await block.finish(RICH)
        finished = list(block.lines)
        await log.show([MessageView("r", "assistant", RICH)])
        assert log.blocks[0].lines == finished == streamed


HOSTILE = {
    "clipboard": ("a\x1b]52;c;ZXZpbA==\x07b", "]52;c;ZXZpbA=="),
    "clear screen": ("a\x1b[2Jb", "[2J"),
    "C1": ("a\x9b31mb", "31mb"),
    "markup": ("a [red]b[/red]", "[red]b[/red]"),
    "bidi": ("a \u202eb", "U+202E"),
    "reference to bidi": ("a &#x202e;b", "U+202E"),
    "half a character": ("a \ufffd b", "\ufffd"),
    "half a surrogate": ("a \ud83d b", "\ufffd"),
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_hostile_text_reaches_the_terminal_as_text(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile, shown = HOSTILE[kind]
    written: list[str] = []
    async with running() as (app, log, pilot):
        driver = app._driver
        assert driver is not None
        monkeypatch.setattr(driver, "write", written.append)
        monkeypatch.setattr(type(driver), "is_headless", property(lambda self: False))
        await log.show([MessageView("1", "user", hostile), MessageView("2", "assistant", hostile, hostile)])
        block = log.begin_reply("r")
        for character in hostile:
            block.append(character)
            block.flush()
        log.add_notice(hostile)
        await pilot.pause()
        text = "\n".join(screen(log))
        assert text.count(shown) == (2 if "&#" in hostile else 5)
        rows = "".join(written)
        assert shown in rows
        for bad in ("\x1b]52", "\x1b[2J", "\x9b", "\u202e", "\ud83d", "\x07"):
            assert bad not in rows
            assert bad not in text


async def test_it_follows_until_the_user_scrolls_up_and_again_at_the_end() -> None:
    async with running() as (app, log, pilot):
        await log.show(chat(30))
        assert log.following
        assert log.scroll_offset.y == log.max_scroll_y
        await pilot.press("pageup")
        assert not log.following
        seen = screen(log)
        block = log.begin_reply("r")
        block.append("word " * 300)
        await wait_until(lambda: block.flushes > 0, pilot)
        assert screen(log) == seen
        await pilot.press("end")
        assert log.following
        assert "word" in screen(log)[-2]
        await pilot.press("up")
        assert not log.following
        await pilot.press("pagedown")
        assert log.following
        await pilot.pause()
        assert app.following == [False, True, False, True]


async def test_a_reply_at_the_bottom_moves_up_by_several_lines_and_rests() -> None:
    async with running(60, 18) as (_, log, pilot):
        block = log.begin_reply("r")
        tops: list[int] = []
        for at in range(40):
            block.append(f"line {at}\\\n")
            block.flush()
            assert any(f"line {at}" in row for row in screen(log))
            tops.append(log.scroll_offset.y)
        moves = [after - before for before, after in pairwise(tops) if after != before]
        assert len(moves) <= 8
        assert max(moves) <= 5
        await pilot.press("up", "end")
        assert "line 39" in screen(log)[-2]


async def test_home_shows_the_first_message_and_paging_passes_every_line_once() -> None:
    async with running() as (_, log, pilot):
        await log.show(chat(6))
        await pilot.press("home")
        assert screen(log)[0] == "▌ You"
        assert screen(log)[1] == "▌ message number 0"
        rows = screen(log)
        while not log.following:
            before = log.scroll_offset.y
            await pilot.press("down")
            assert log.scroll_offset.y == before + 1
            rows.append(screen(log)[-1])
        numbers = [int(row.split()[-1]) for row in rows if "message number" in row]
        assert numbers == list(range(6))


async def test_paging_up_from_the_end_misses_nothing() -> None:
    async with running() as (_, log, pilot):
        await log.show(chat(16))
        pages = [screen(log)]
        while log.scroll_offset.y > 0:
            last = pages[-1]
            await pilot.press("pageup")
            pages.append(screen(log))
            overlap = log.size.height if log.scroll_offset.y else 0
            assert not overlap or pages[-1][-1] != last[-1] or pages[-1] != last
        numbers = [
            int(row.split()[-1]) for page in reversed(pages) for row in page if "message number" in row
        ]
        assert sorted(set(numbers)) == list(range(16))


async def test_two_thousand_messages_open_with_few_laid_out(monkeypatch: pytest.MonkeyPatch) -> None:
    laid_out: list[str] = []
    original = MessageBlock.lay_out

    def counted(block: MessageBlock, width: int) -> object:
        laid_out.append(block.id)
        return original(block, width)

    async with running(80, 24) as (app, log, pilot):
        monkeypatch.setattr(MessageBlock, "lay_out", counted)
        await log.show(chat(2000))
        await pilot.pause()
        assert len(set(laid_out)) < 60
        assert len(list(app.query("*"))) < 10
        await pilot.press(*["pageup"] * 25)
        assert log.laid_out < 120
        await pilot.press("home")
        assert screen(log)[1] == "▌ message number 0"
        assert log.laid_out < 120


async def test_a_flush_repaints_the_line_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    painted: list[int] = []
    original = ChatLog.render_line

    def counted(log: ChatLog, y: int) -> object:
        painted.append(y)
        return original(log, y)

    async with running(80, 24) as (_, log, pilot):
        block = log.begin_reply("r")
        block.append("First line of the reply\n\n")
        await wait_until(lambda: "  First line of the reply" in screen(log), pilot)
        block.append("a")
        await wait_until(lambda: "  a" in screen(log), pilot)
        monkeypatch.setattr(ChatLog, "render_line", counted)
        block.append("b")
        await wait_until(lambda: block.text.endswith("ab") and bool(painted), pilot)
        assert set(painted) == {3}


async def test_a_resize_keeps_the_place_and_the_end() -> None:
    async with running(80, 24) as (_, log, pilot):
        await log.show(chat(50))
        block = log.begin_reply("r")
        block.append("streaming " * 100)
        await wait_until(lambda: block.flushes > 0, pilot)
        await pilot.resize_terminal(50, 18)
        await pilot.pause()
        assert log.following
        assert "streaming" in screen(log)[-2]
        block.append("andon")
        await wait_until(lambda: "andon" in screen(log)[-2], pilot)
        for _ in range(8):
            await pilot.press("pageup")
        await pilot.press(*["up"] * 40)
        while "message number" not in screen(log)[0]:
            await pilot.press("up")
        top = screen(log)[0]
        await pilot.resize_terminal(90, 30)
        await pilot.pause()
        assert not log.following
        assert top in screen(log)[:3]


async def test_selected_text_is_copied_without_decoration_or_soft_breaks() -> None:
    async with running(40, 30) as (app, log, pilot):
        await log.show(
            [
                MessageView("1", "user", "a question of several words that is broken on the screen"),
                MessageView("2", "assistant", "Run:\n\n```sh\nmake test\nmake chat\n```"),
            ]
        )
        copied = log.get_selection(SELECT_ALL)
        assert copied is not None
        assert "a question of several words that is broken on the screen" in copied[0]
        assert "\nmake test\nmake chat" in copied[0]
        row = screen(log).index("▌ You") + 1
        part = log.get_selection(Selection(Offset(4, row), Offset(12, row)))
        assert part == ("question", "\n")
        # With the mouse, from the first character of the question to the end of its third word.
        await pilot.mouse_down(ChatLog, offset=(3, row))
        await pilot.hover(ChatLog, offset=(15, row))
        await pilot.mouse_up(ChatLog, offset=(15, row))
        assert app.screen.get_selected_text() == "a question of"


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light", "ansi-dark", "nord"])
async def test_each_theme_has_every_style(theme: str) -> None:
    async with running() as (app, log, pilot):
        app.theme = theme
        await log.show([MessageView("1", "assistant", RICH)])
        await pilot.pause()
        base = log.rich_style
        plain_styles = {name for name in STYLES if log._style(name) == base}
        # Where there is no background colour, what has one elsewhere has a bar or nothing.
        assert plain_styles == ({"user", "code"} if theme.startswith("ansi") else set())


async def test_wide_characters_fill_their_cells() -> None:
    text = "中文字符测试，两行文字。" * 6 + " 👍 done"
    async with running(40, 18) as (_, log, _pilot):
        await log.show([MessageView("1", "assistant", text)])
        assert all(
            log.render_line(y).cell_length == log.scrollable_size.width for y in range(log.size.height)
        )
        copied = log.get_selection(SELECT_ALL)
        assert copied is not None
        assert text in copied[0]

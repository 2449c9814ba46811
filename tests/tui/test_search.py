"""F7: search in all conversations."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepseek_tui.history.store import Store
from deepseek_tui.tui.screens.search import SearchScreen
from tests.tui.helpers import NARROW, Screen, make_app, running
from tests.tui.test_find import FILLER, write


async def search(screen: Screen, text: str) -> SearchScreen:
    await screen.press("f7")
    found = screen.app.screen
    assert isinstance(found, SearchScreen)
    await screen.press(*text)
    await screen.until(lambda: found.text == text)
    return found


async def test_a_search_opens_the_conversation_at_the_place(tmp_path: Path) -> None:
    write(tmp_path, "Birds", f"{FILLER}\n\nThe heron stands in the reeds.\n\n{FILLER}")
    write(tmp_path, "Other", "Nothing here")
    async with running(make_app(tmp_path), NARROW) as screen:
        await screen.sees("Nothing here")
        await search(screen, "reed her")
        await screen.sees("1 message")
        assert "The heron stands in the reeds." in screen.text
        await screen.press("enter")
        await screen.until(lambda: screen.app.screen is screen.chat)
        await screen.sees("The heron stands in the reeds.")
        assert screen.prompt.has_focus
        await screen.press("escape")
        assert "The heron stands in the reeds." in screen.text


async def test_a_hit_on_another_branch_shows_that_branch(tmp_path: Path) -> None:
    store = Store(tmp_path / "data" / "history.db")
    conversation = store.create_conversation()
    question = store.add_message(conversation.id, "user", "Question")
    store.add_message(conversation.id, "assistant", "The first try, about herons", parent=question.id)
    store.add_message(conversation.id, "assistant", "The second try", parent=question.id)
    store.close()
    async with running(make_app(tmp_path)) as screen:
        await screen.sees("The second try")
        await search(screen, "herons")
        await screen.sees("1 message")
        await screen.press("enter")
        await screen.sees("The first try, about herons")
        await screen.gone("The second try")


async def test_the_arrows_choose_and_more_come_at_the_end(tmp_path: Path) -> None:
    store = Store(tmp_path / "data" / "history.db")
    for at in range(120):
        conversation = store.create_conversation()
        store.add_message(conversation.id, "user", f"Talk number {at}")
    store.close()
    async with running(make_app(tmp_path), NARROW) as screen:
        await screen.sees("Talk number")
        found = await search(screen, "talk")
        await screen.sees("50+ messages")
        for _ in range(8):
            await screen.press("pagedown")
        await screen.until(lambda: len(found.hits.hits) > 50)
        await screen.press("up")
        wanted = found.hits.hit()
        assert wanted is not None
        await screen.press("enter")
        await screen.until(lambda: screen.controller.shown == wanted.conversation)


async def test_nothing_found_is_said_and_escape_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path, "Question", "Answer")
    async with running(make_app(tmp_path), NARROW) as screen:
        await screen.sees("Answer")
        await search(screen, "ostrich")
        await screen.sees("Nothing found.")
        await screen.press("enter", "escape")
        await screen.until(lambda: screen.app.screen is screen.chat)
        assert "Answer" in screen.text
        assert screen.prompt.has_focus


async def test_hostile_text_is_found_as_text(tmp_path: Path) -> None:
    write(tmp_path, "\x1b]0;owned\x07[red]heron[/red]\u202e", "none")
    async with running(make_app(tmp_path), NARROW) as screen:
        await screen.sees("none")
        await search(screen, "heron")
        await screen.sees("[red]heron[/red]")
        for character in "\x1b\x07\u202e":
            assert character not in screen.text


@pytest.mark.parametrize("size", [(40, 12), (60, 18)])
async def test_searching_works_on_a_small_screen(tmp_path: Path, size: tuple[int, int]) -> None:
    write(tmp_path, "Where is the heron?", "In the reeds")
    write(tmp_path, "Other", "Nothing here")
    async with running(make_app(tmp_path), size) as screen:
        await screen.sees("Nothing here")
        await search(screen, "reeds")
        await screen.sees("1 message")
        await screen.press("enter")
        await screen.sees("In the reeds")


async def test_the_keys_are_told_and_can_be_changed(tmp_path: Path) -> None:
    from deepseek_tui.settings import Settings

    settings = Settings(reduced_motion=True, keys={"chat.search": "ctrl+g", "chat.models": "f9"})
    async with running(make_app(tmp_path, settings=settings), (120, 60)) as screen:
        await screen.press("f1")
        await screen.sees("Search all conversations")
        line = next(line for line in screen.text.splitlines() if "Search all conversations" in line)
        assert "Ctrl+G" in line
        await screen.press("escape", "ctrl+g")
        await screen.until(lambda: isinstance(screen.app.screen, SearchScreen))

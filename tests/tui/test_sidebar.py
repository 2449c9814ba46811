"""The list of conversations: by keyboard, by mouse, on wide and narrow screens."""

from __future__ import annotations

from pathlib import Path

from deepseek_tui.history.store import Store
from deepseek_tui.settings import Settings
from tests.tui.helpers import NARROW, Screen, make_app, running


def write(home: Path, *titles: str) -> None:
    """Conversations with one question and one answer each; the last one is the newest."""
    path = home / "data" / "history.db"
    store = Store(path)
    for title in titles:
        conversation = store.create_conversation()
        store.add_message(conversation.id, "user", title)
        store.add_message(conversation.id, "assistant", f"Answer to {title}")
    store.close()


def titles(home: Path) -> list[str]:
    store = Store(home / "data" / "history.db")
    try:
        return [c.title for c in store.conversations()]
    finally:
        store.close()


async def opened(screen: Screen, title: str) -> None:
    await screen.sees(f"Answer to {title}")


async def test_a_conversation_is_opened_by_keyboard(tmp_path: Path) -> None:
    write(tmp_path, "Apples", "Pears")
    async with running(make_app(tmp_path)) as screen:
        await opened(screen, "Pears")
        screen.sidebar.list.focus()
        await screen.press("down", "enter")
        await opened(screen, "Apples")
        assert screen.prompt.has_focus


async def test_a_conversation_is_opened_by_mouse(tmp_path: Path) -> None:
    write(tmp_path, "Apples", "Pears")
    async with running(make_app(tmp_path)) as screen:
        await opened(screen, "Pears")
        await screen.pilot.click("#conversations", offset=(5, 1))
        await opened(screen, "Apples")


async def test_a_conversation_is_renamed_in_place(tmp_path: Path) -> None:
    write(tmp_path, "Apples", "Pears")
    async with running(make_app(tmp_path)) as screen:
        await opened(screen, "Pears")
        await screen.press("f2")
        await screen.until(lambda: screen.app.focused is not None and screen.app.focused.id == "rename")
        await screen.press("ctrl+u", *"Plums [x]", "enter")
        await screen.until(lambda: titles(tmp_path) == ["Plums [x]", "Apples"])
        await screen.sees("Plums [x]")


async def test_escape_leaves_the_title_as_it_was(tmp_path: Path) -> None:
    write(tmp_path, "Apples")
    async with running(make_app(tmp_path)) as screen:
        await opened(screen, "Apples")
        screen.sidebar.list.focus()
        await screen.press("f2")
        await screen.until(lambda: screen.app.focused is not None and screen.app.focused.id == "rename")
        await screen.press(*"junk", "escape")
        await screen.until(lambda: screen.sidebar.list.has_focus)
        assert titles(tmp_path) == ["Apples"]


async def test_a_deleted_conversation_is_taken_back_by_key(tmp_path: Path) -> None:
    write(tmp_path, "Apples", "Pears")
    async with running(make_app(tmp_path)) as screen:
        await opened(screen, "Pears")
        screen.sidebar.list.focus()
        await screen.press("delete")
        await screen.sees("Deleted")
        await screen.until(lambda: titles(tmp_path) == ["Apples"])
        assert "Answer to Pears" not in screen.text
        await screen.press("u")
        await opened(screen, "Pears")
        assert titles(tmp_path) == ["Pears", "Apples"]
        assert "Deleted" not in screen.text


async def test_a_deleted_conversation_is_taken_back_by_mouse(tmp_path: Path) -> None:
    write(tmp_path, "Apples")
    async with running(make_app(tmp_path)) as screen:
        await opened(screen, "Apples")
        screen.sidebar.list.focus()
        await screen.press("d")
        await screen.sees("Deleted")
        await screen.pilot.click("#undo")
        await opened(screen, "Apples")


async def test_deleting_a_conversation_stops_its_reply(tmp_path: Path) -> None:
    script = {"replies": [{"pieces": ["Some text"], "hold_after": 1}]}
    async with running(make_app(tmp_path, script)) as screen:
        await screen.ready()
        await screen.send("Question")
        await screen.sees("Some text")
        await screen.sees("▸ Question")
        screen.sidebar.list.focus()
        await screen.press("d")
        await screen.idle()
        await screen.press("u")
        await screen.sees("stopped")
        assert "Some text" in screen.text


async def test_under_100_columns_the_list_opens_over_the_chat(tmp_path: Path) -> None:
    write(tmp_path, "Apples", "Pears")
    async with running(make_app(tmp_path), NARROW) as screen:
        await opened(screen, "Pears")
        assert "Conversations" not in screen.text
        width = screen.log.size.width
        await screen.press("ctrl+b")
        await screen.sees("Conversations")
        assert screen.log.size.width == width
        await screen.press("escape")
        await screen.gone("Conversations")
        await screen.press("ctrl+b", "down", "enter")
        await opened(screen, "Apples")
        assert "Conversations" not in screen.text
        assert screen.prompt.has_focus


async def test_the_list_can_be_hidden_on_a_wide_screen(tmp_path: Path) -> None:
    async with running(make_app(tmp_path)) as screen:
        await screen.sees("Conversations")
        await screen.press("ctrl+b")
        await screen.gone("Conversations")
        assert screen.prompt.has_focus
    settings = Settings(sidebar=False, reduced_motion=True)
    async with running(make_app(tmp_path, settings=settings)) as screen:
        assert "Conversations" not in screen.text


async def test_a_hostile_title_is_text(tmp_path: Path) -> None:
    write(tmp_path, "\x1b]0;owned\x07[red]\u202etitle")
    async with running(make_app(tmp_path)) as screen:
        await screen.sees("[red]")
        for character in "\x1b\x07\u202e":
            assert character not in screen.text

"""The list of conversations: by keyboard, by mouse, on wide and narrow screens."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

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
        await screen.pilot.click("#conversations", offset=(5, 2))
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


DAY = 86_400.0


def write_over_days(home: Path, ages: dict[str, float]) -> dict[str, str]:
    """One conversation for each title, last used so many days ago; their ids."""
    ids = {}
    for title, days in sorted(ages.items(), key=lambda pair: -pair[1]):
        store = Store(home / "data" / "history.db", lambda: time.time() - days * DAY)  # noqa: B023  # closed below
        conversation = store.create_conversation()
        store.add_message(conversation.id, "user", title)
        store.add_message(conversation.id, "assistant", f"Answer to {title}")
        store.close()
        ids[title] = conversation.id
    return ids


def lines(screen: Screen) -> list[str]:
    """What stands in the list, without marks and ages."""
    rows = range(len(screen.sidebar.list.rows))
    texts = [screen.sidebar.list.draw(at, 60)[0].plain for at in rows]
    return [text[:56].strip(" •▸…◆") for text in texts if text.strip()]


def line_with(screen: Screen, title: str) -> str:
    return next(line[:32] for line in screen.text.splitlines() if title in line[:32])


async def test_conversations_stand_under_days_and_months(tmp_path: Path) -> None:
    write_over_days(tmp_path, {"Now": 0, "Day before": 1, "Three days": 3, "Forty days": 40, "Old": 800})
    then = [datetime.fromtimestamp(time.time() - days * DAY) for days in (40, 800)]
    year = "" if then[0].year == datetime.now().year else f" {then[0].year}"
    async with running(make_app(tmp_path)) as screen:
        await opened(screen, "Now")
        await screen.sees("Old")
        assert lines(screen) == [
            *("Today", "Now", "Yesterday", "Day before", "This week", "Three days"),
            *(f"{then[0]:%B}{year}", "Forty days", f"{then[1]:%B %Y}", "Old"),
        ]


async def test_typing_filters_by_title_and_folder_and_enter_opens(tmp_path: Path) -> None:
    ids = write_over_days(tmp_path, {"Crème brûlée": 0, "Apples": 1, "Pears": 2})
    store = Store(tmp_path / "data" / "history.db")
    store.organise(ids["Pears"], folder="Fruit")
    store.close()
    async with running(make_app(tmp_path)) as screen:
        await opened(screen, "Crème brûlée")
        screen.sidebar.list.focus()
        await screen.press("slash", *"fru pe")
        await screen.until(lambda: lines(screen) == ["This week", "Fruit/ Pears"])
        await screen.press("ctrl+u", *"BRULEE")
        await screen.until(lambda: lines(screen) == ["Today", "Crème brûlée"])
        await screen.press("escape")
        await screen.until(lambda: len(lines(screen)) == 6)
        await screen.press("slash", *"appl", "enter")
        await opened(screen, "Apples")
        assert len(lines(screen)) == 6


async def test_a_pinned_conversation_stands_on_top(tmp_path: Path) -> None:
    write_over_days(tmp_path, {"New": 0, "Old": 3})
    async with running(make_app(tmp_path)) as screen:
        await opened(screen, "New")
        screen.sidebar.list.focus()
        await screen.press("end", "p")
        await screen.until(lambda: lines(screen) == ["Pinned", "Old", "Today", "New"])
        await screen.press("p")
        await screen.until(lambda: lines(screen) == ["Today", "New", "This week", "Old"])
    async with running(make_app(tmp_path)) as screen:
        await opened(screen, "New")


async def test_a_conversation_is_put_into_a_folder(tmp_path: Path) -> None:
    write_over_days(tmp_path, {"Pears": 0})
    async with running(make_app(tmp_path)) as screen:
        await opened(screen, "Pears")
        screen.sidebar.list.focus()
        await screen.press("f", *"Fruit", "enter")
        await screen.until(lambda: lines(screen) == ["Today", "Fruit/ Pears"])
        assert screen.sidebar.list.has_focus
        await screen.press("f", "ctrl+u", "enter")
        await screen.until(lambda: lines(screen) == ["Today", "Pears"])


async def test_an_archived_conversation_is_only_found_by_the_filter(tmp_path: Path) -> None:
    write_over_days(tmp_path, {"Apples": 0, "Pears": 1})
    async with running(make_app(tmp_path)) as screen:
        await opened(screen, "Apples")
        screen.sidebar.list.focus()
        await screen.press("end", "a")
        await screen.until(lambda: lines(screen) == ["Today", "Apples"])
        await screen.press("slash", *"pear")
        await screen.until(lambda: lines(screen) == ["Archived", "Pears"])
        await screen.press("down", "a", "escape")
        await screen.until(lambda: lines(screen) == ["Today", "Apples", "Yesterday", "Pears"])


async def test_what_is_written_waits_and_was_not_seen_is_marked(tmp_path: Path) -> None:
    held = {"pieces": ["Some text"], "hold_after": 1}
    async with running(make_app(tmp_path, {"replies": [held, held]})) as screen:
        await screen.ready()
        await screen.send("First")
        await screen.sees("Some text")
        await screen.press("ctrl+n")
        await screen.send("Second")
        await screen.until(lambda: "… Second" in line_with(screen, "Second"))
        assert "▸ First" in line_with(screen, "First")
        await screen.controller.stop(screen.controller.replies[0])
        await screen.until(lambda: "▸ Second" in line_with(screen, "Second"))
        await screen.until(lambda: "◆ First" in line_with(screen, "First"))
        screen.sidebar.list.focus()
        await screen.press("home")
        await screen.until(lambda: screen.sidebar.list.key != "")
        while screen.sidebar.list.find(screen.sidebar.list.key).title != "First":  # type: ignore[union-attr]  # it is there
            await screen.press("down")
        await screen.press("enter")
        await screen.until(lambda: "• First" in line_with(screen, "First"))


async def test_a_long_list_is_read_to_its_end_and_drawn_a_screen_at_a_time(tmp_path: Path) -> None:
    store = Store(tmp_path / "data" / "history.db")
    for at in range(1500):
        store.create_conversation(system_prompt=str(at))
    store.close()
    async with running(make_app(tmp_path)) as screen:
        listed = screen.sidebar.list
        await screen.until(lambda: sum(bool(row.key) for row in listed.rows) == 1500)
        drawn: list[int] = []
        draw = listed.draw

        def counted(index: int, width: int) -> Any:
            drawn.append(index)
            return draw(index, width)

        listed.draw = counted  # type: ignore[method-assign]  # counts what is drawn
        listed.focus()
        await screen.press("end")
        await screen.until(lambda: len(listed.rows) - 1 in drawn)
        assert len(set(drawn)) < 150


async def test_a_hostile_title_is_text(tmp_path: Path) -> None:
    write(tmp_path, "\x1b]0;owned\x07[red]\u202etitle")
    async with running(make_app(tmp_path)) as screen:
        await screen.sees("[red]")
        for character in "\x1b\x07\u202e":
            assert character not in screen.text

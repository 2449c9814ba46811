"""Pictures of what is picked from: models, conversations, hits, places in a conversation."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from deepseek_tui.history.store import Store
from deepseek_tui.settings import Settings
from deepseek_tui.tui.model_shop import Listing, Model, ModelShop, Pull
from deepseek_tui.tui.screens.search import SearchScreen
from tests.tui.helpers import NARROW, WIDE, Screen, make_app
from tests.tui.test_find import write
from tests.tui.test_snapshots import Compare, taken

pytestmark = pytest.mark.parametrize("size", [NARROW, WIDE], ids=["80x24", "120x40"])

LISTING = Listing(
    (
        Model(
            "built-in",
            path="built-in",
            licence="Apache-2.0",
            bytes=70_585_215,
            memory=381_000_000,
            context=1024,
        ),
        Model("mine", path="/models/mine", bytes=269_000_000, memory=663_000_000, context=8192),
    ),
    (
        Model(
            "qwen3-0.6b",
            title="Qwen3 0.6B, 4-bit",
            licence="Apache-2.0",
            bytes=351_000_000,
            memory=1_105_000_000,
            context=40_960,
        ),
        Model(
            "qwen3-1.7b",
            title="Qwen3 1.7B, 4-bit",
            licence="Apache-2.0",
            bytes=984_000_000,
            memory=1_738_000_000,
            context=40_960,
            here=410_000_000,
        ),
        Model(
            "llama-3.2-3b",
            title="Llama 3.2 3B Instruct, 4-bit",
            licence="Llama 3.2 Community License",
            bytes=1_825_000_000,
            memory=2_577_000_000,
            context=131_072,
        ),
    ),
    1_200_000_000,
    8_000_000_000,
)
DAY = 86_400.0


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that is the same on every machine."""

    async def listing(_: ModelShop) -> Listing:
        return LISTING

    monkeypatch.setattr(ModelShop, "listing", listing)


async def models(screen: Screen, *keys: str) -> None:
    await screen.ready()
    await screen.press("ctrl+o")
    await screen.sees("To download")
    pulls = screen.controller.shop.pulls
    pulls["qwen3-0.6b"] = Pull("qwen3-0.6b", stage="fetching", file="model.safetensors")
    screen.controller.shop._tell(
        Pull("qwen3-0.6b", stage="fetching", file="model.safetensors", done=148_000_000, total=351_000_000)
    )
    await screen.sees("42%")
    await screen.press(*keys)


@pytest.mark.usefixtures("shop")
def test_models(snap_compare: Compare, tmp_path: Path, size: tuple[int, int]) -> None:
    assert taken(snap_compare, make_app(tmp_path), size, lambda s: models(s, "down", "down"))


@pytest.mark.usefixtures("shop")
def test_models_that_do_not_fit_in_sixteen_colours(
    snap_compare: Compare, tmp_path: Path, size: tuple[int, int]
) -> None:
    settings = Settings(theme="ansi-dark", reduced_motion=True)
    app = make_app(tmp_path, settings=settings)
    assert taken(snap_compare, app, size, lambda s: models(s, "end"))


def write_talks(home: Path) -> None:
    """Conversations of the same days whenever they are looked at, with the marks that they may have."""
    talks = [
        ("Trip to Lisbon", 2.9),
        ("Recipe for bread", 1),
        ("Herons and other birds of the lake", 0.0),
    ]
    for title, days in talks:
        store = Store(home / "data" / "history.db", lambda: time.time() - days * DAY)  # noqa: B023  # closed below
        conversation = store.create_conversation()
        store.add_message(conversation.id, "user", title)
        store.add_message(conversation.id, "assistant", f"The heron has nothing to do with: {title}.")
        store.organise(
            conversation.id, unread=title.startswith("Recipe"), folder="Travel" if days > 2 else ""
        )
        store.close()
    store = Store(home / "data" / "history.db")
    pinned = store.create_conversation()
    store.add_message(pinned.id, "user", "Shopping")
    store.organise(pinned.id, pinned=True)
    store.close()


async def in_list(screen: Screen, *keys: str) -> None:
    await screen.ready()
    await screen.until(lambda: screen.log.blocks)
    if screen.app.size.width < 100:
        await screen.press("ctrl+b")
    screen.sidebar.list.focus()
    await screen.press(*keys)
    await screen.sees("Lisbon")


def test_sidebar_by_day(snap_compare: Compare, tmp_path: Path, size: tuple[int, int]) -> None:
    write_talks(tmp_path)
    assert taken(snap_compare, make_app(tmp_path), size, lambda s: in_list(s, "home", "down"))


def test_sidebar_filter(snap_compare: Compare, tmp_path: Path, size: tuple[int, int]) -> None:
    write_talks(tmp_path)
    assert taken(snap_compare, make_app(tmp_path), size, lambda s: in_list(s, "slash", *"trav"))


def test_search(snap_compare: Compare, tmp_path: Path, size: tuple[int, int]) -> None:
    write_talks(tmp_path)

    async def step(screen: Screen) -> None:
        await screen.ready()
        await screen.until(lambda: screen.log.blocks)
        await screen.press("f7", *"heron noth")
        found = screen.app.screen
        assert isinstance(found, SearchScreen)
        # Both words are marked: the hits of all that was typed.
        await screen.until(lambda: [len(hit.marks) for hit in found.hits.hits] == [2, 2, 3])
        await screen.press("down")

    assert taken(snap_compare, make_app(tmp_path), size, step)


def test_find(snap_compare: Compare, tmp_path: Path, size: tuple[int, int]) -> None:
    write(tmp_path, "Where is the heron?", "In the reeds stands a **heron**.\n\n- no other heron\n- no bird")

    async def step(screen: Screen) -> None:
        await screen.ready()
        await screen.sees("no bird")
        await screen.press("ctrl+f", *"heron", "down")
        await screen.sees("2/3")

    assert taken(snap_compare, make_app(tmp_path), size, step)

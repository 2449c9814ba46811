"""The keys of the app: those of config.toml put over the built-in ones, and the list that F1 shows."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from textual.app import App
from textual.binding import Binding

from deepseek_tui.text.sanitize import sanitize_line
from deepseek_tui.tui.key_names import key_names
from deepseek_tui.tui.screens.chat import ChatScreen
from deepseek_tui.tui.widgets.conversation_list import ConversationList
from deepseek_tui.tui.widgets.prompt import Prompt


def groups(app_class: type[App[Any]]) -> list[tuple[str, list[Binding]]]:
    """Where a key works, and the bindings there."""
    # What is not needed for the first frame.
    from deepseek_tui.tui.screens.models import ModelsScreen
    from deepseek_tui.tui.screens.search import SearchScreen
    from deepseek_tui.tui.widgets.find_bar import FindField
    from deepseek_tui.tui.widgets.message_log import MessageLog

    return [
        ("Anywhere", [*_own(ChatScreen), *_own(app_class)]),
        ("While writing", _own(Prompt)),
        ("On a message", _own(MessageLog)),
        ("In the list of conversations", _own(ConversationList)),
        ("In the list of models", _own(ModelsScreen)),
        ("While finding", _own(FindField)),
        ("While searching", _own(SearchScreen)),
    ]


def key_groups(app: App[Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Titles with rows of (keys, what they do), as they are bound now."""
    keymap = app._keymap
    return [
        (title, [(key_names(keymap.get(b.id or "", b.key)), b.description) for b in bindings])
        for title, bindings in groups(type(app))
    ]


def problems_with(keymap: Mapping[str, str], app_class: type[App[Any]]) -> Iterator[str]:
    """A sentence for each key setting that names no action, or takes a key that another action has."""
    places = groups(app_class)
    known = {b.id: b for _, bindings in places for b in bindings if b.id}
    for name in keymap:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(sorted(known))}"
            yield sanitize_line(f"There is no action {name!r} to bind a key to{hint}")
    everywhere = places[0][1]
    for _, bindings in places:
        owners: dict[str, str] = {}
        for binding in {b.id: b for b in (*everywhere, *bindings)}.values():
            for key in keymap.get(binding.id or "", binding.key).split(","):
                owner = owners.setdefault(key.strip(), binding.id or binding.action)
                if owner != (binding.id or binding.action) and {owner, binding.id} & keymap.keys():
                    yield sanitize_line(f"The key {key.strip()} is bound to {owner} and to {binding.id}")


def _own(cls: type) -> list[Binding]:
    return [b for b in vars(cls).get("BINDINGS", ()) if isinstance(b, Binding) and b.description]

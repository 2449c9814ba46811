"""Names of keys for people."""

from __future__ import annotations

from textual.keys import format_key


def key_names(keys: str) -> str:
    """The keys of a binding as people write them: "Ctrl+R, F5"."""
    return ", ".join(_name(k.strip()) for k in keys.split(","))


def _name(key: str) -> str:
    *modifiers, last = key.split("+")
    words = {
        "escape": "Esc",
        "pageup": "PageUp",
        "pagedown": "PageDown",
        "enter": "Enter",
        "delete": "Delete",
        "left": "←",
        "right": "→",
        "left_square_bracket": "[",
        "right_square_bracket": "]",
    }
    if len(last) == 1:
        last = last.upper() if modifiers else last
    else:
        last = words.get(last) or format_key(last).capitalize()
    return "+".join([*(m.capitalize() for m in modifiers), last])

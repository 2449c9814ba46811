"""What is known about one message."""

from __future__ import annotations

import time
from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from deepseek_tui.history.store import Message, Place
from deepseek_tui.text.sanitize import sanitize_line
from deepseek_tui.tui.thinking import split, words
from deepseek_tui.tui.widgets.message import LABELS

Rows = list[tuple[str, str]]

_REASONS = {
    "stop": "the model",
    "length": "the length limit",
    "context": "the full context",
    "cancelled": "you",
}
_STATES = {"streaming": "being written", "stopped": "stopped", "failed": "it failed", "complete": "complete"}
_SETTINGS = {
    "temp": "Temperature",
    "top_p": "Top-p",
    "min_p": "Min-p",
    "top_k": "Top-k",
    "max_tokens": "Max tokens",
    "seed": "Seed",
    "stop": "Stop strings",
}


class DetailsScreen(ModalScreen[None]):
    """| Key | What it does |
    | :- | :- |
    | escape, i, enter, q | Close. |
    """

    CSS_PATH = "dialogs.tcss"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-tall")]
    BINDINGS = [Binding("escape,i,enter,q", "dismiss", "Close", show=False)]

    def __init__(self, message: Message, place: Place | None) -> None:
        super().__init__()
        self._groups = groups(message, place)

    def compose(self) -> ComposeResult:
        width = max(len(label) for rows in self._groups for label, _ in rows)
        with VerticalScroll(classes="dialog -medium") as box:
            box.border_title = "Details"
            box.border_subtitle = "Esc closes"
            blocks = [
                Content("\n").join(
                    Content.assemble((f"{label:<{width}}  ", "$foreground 60%"), value)
                    for label, value in rows
                )
                for rows in self._groups
            ]
            yield Static(Content("\n\n").join(blocks))


def groups(message: Message, place: Place | None) -> list[Rows]:
    """Labels and values in groups: the message, how it ended and how fast it was, its settings."""
    clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(message.created))
    about: Rows = [("From", LABELS.get(message.role, message.role)), ("Written", clock)]
    if message.model:
        about.append(("Model", sanitize_line(message.model)))
    if place is not None:
        about.append(("Variant", f"{place.index + 1} of {place.count}"))
    about.append(("Length", f"{len(message.text):,} characters, {words(message.text)}"))
    found = [about]
    if message.role == "assistant":
        found += [_figures(message), _settings(message.settings)]
    return [rows for rows in found if rows]


def _figures(message: Message) -> Rows:
    stats = message.stats
    edited = bool(stats.get("edited"))
    ended = (
        "edited by you" if edited else _REASONS.get(str(stats.get("reason")), _STATES.get(message.state, ""))
    )
    rows: Rows = [("Ended by" if "reason" in stats else "State", ended)]
    if message.state == "failed" and stats.get("error"):
        rows.append(("Problem", sanitize_line(str(stats["error"]))))
    prompt, cached = _number(stats, "prompt_tokens"), _number(stats, "cached_tokens")
    if made := _number(stats, "generation_tokens"):
        rows += [
            ("Tokens", f"{made:,}; {_number(stats, 'generation_tps'):.1f} a second"),
            ("First token", f"after {_number(stats, 'time_to_first_token'):.2f} s"),
        ]
    if prompt:
        known = f", {cached:,} of them cached" if cached else ""
        rows.append(("Prompt", f"{prompt:,} tokens{known}; {_number(stats, 'prompt_tps'):.1f} a second"))
    if seconds := _number(stats, "thinking_seconds"):
        rows.append(("Thinking", f"{seconds:.1f} s, {_number(stats, 'thinking_tokens'):,} tokens"))
    elif thought := split(message.text)[0]:
        rows.append(("Thinking", words(thought)))
    if limit := _number(stats, "context_limit"):
        rows.append(("Context", f"{_number(stats, 'context_used'):,} of {limit:,} tokens"))
    return rows


def _settings(settings: dict[str, Any]) -> Rows:
    named = [(label, settings[key]) for key, label in _SETTINGS.items() if key in settings]
    others = [(k.replace("_", " ").capitalize(), v) for k, v in settings.items() if k not in _SETTINGS]
    return [(label, sanitize_line(_shown(value))) for label, value in named + others]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return ", ".join(map(repr, value)) if isinstance(value, list | tuple) else str(value)


def _number(stats: dict[str, Any], key: str) -> Any:
    value = stats.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else 0

"""The rows of the settings panel: a name, a field, and where the value comes from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Input, Static

from deepseek_tui.errors import UserError
from deepseek_tui.rules import SAMPLING
from deepseek_tui.text.sanitize import sanitize_line

CHANGED = "●"


@dataclass
class Changed(Message):
    """A row has another value."""

    row: SettingRow


class SettingRow(Horizontal):
    """`default`: what holds where the conversation sets nothing, in words, and `source`, who says so."""

    def __init__(self, label: str, default: str, source: str) -> None:
        super().__init__(classes="setting")
        self.label = label
        self.default = default
        self.source = source

    def compose(self) -> ComposeResult:
        yield Static(classes="mark", markup=False)
        yield Static(self.label, classes="label", markup=False)
        yield self.field()
        yield Static(classes="source", markup=False)

    def on_mount(self) -> None:
        self.show_source()

    def field(self) -> Widget:
        """The widget that the value is given in."""
        raise NotImplementedError

    @property
    def value(self) -> Any:
        """What is set, None for nothing. Raises UserError for what is not allowed."""
        raise NotImplementedError

    def put(self, value: Any) -> None:
        """Show this value; None is the default."""
        raise NotImplementedError

    @property
    def is_changed(self) -> bool:
        """Whether anything is set."""
        raise NotImplementedError

    @property
    def problem(self) -> str:
        """What is wrong with the value, "" for nothing."""
        try:
            self.value  # noqa: B018  # asked for what it raises
        except UserError as error:
            return str(error)
        return ""

    def show_source(self) -> None:
        """Say what is default and what is not, by a mark and in words."""
        changed = self.is_changed
        said = self.source
        if changed:
            said = ", ".join(filter(None, (f"default {self.default}" if self.default else "", self.source)))
        self.query_one(".mark", Static).update(CHANGED if changed else "")
        self.query_one(".source", Static).update(said)
        self.set_class(changed, "-changed")
        self.set_class(bool(self.problem), "-wrong")


class ValueRow(SettingRow):
    """A setting of the sampling, written as people write it."""

    def __init__(self, name: str, label: str, default: str, source: str, value: Any) -> None:
        super().__init__(label, default, source)
        self.setting = name
        self._first = value

    def field(self) -> Widget:
        return Input(written(self._first), self.default, compact=True, classes="field", select_on_focus=False)

    @property
    def value(self) -> Any:
        text = self.query_one(Input).value.strip()
        if not text:
            return None
        rule = SAMPLING[self.setting]
        try:
            return rule.make(_read(self.setting, text))
        except (ValueError, OverflowError) as error:
            shown = sanitize_line(text)[:40]
            raise UserError(f"{self.label} cannot be {shown}: it must be {rule.allowed}.") from error

    def put(self, value: Any) -> None:
        self.query_one(Input).value = written(value)

    @property
    def is_changed(self) -> bool:
        return bool(self.query_one(Input).value.strip())

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.show_source()
        self.post_message(Changed(self))


class Choice(Static, can_focus=True):
    """One of a few words: Left, Right or Space goes on to the next."""

    BINDINGS = [
        Binding("left", "step(-1)", "Before", show=False),
        Binding("right,space", "step(1)", "Next", show=False),
    ]

    at: reactive[int] = reactive(0)

    def __init__(self, words: tuple[str, ...], at: int) -> None:
        super().__init__(classes="field", markup=False)
        self._words = words
        self.set_reactive(Choice.at, at)

    def render(self) -> Content:
        return Content.assemble(("‹ ", "$text-accent"), self._words[self.at], (" ›", "$text-accent"))

    def action_step(self, step: int) -> None:
        self.at = (self.at + step) % len(self._words)

    def on_click(self) -> None:
        self.action_step(1)

    def watch_at(self) -> None:
        self.post_message(ChoiceMade())


class ChoiceMade(Message):
    """Another word of a Choice."""


class ChoiceRow(SettingRow):
    """A setting with a few values. `options`: values with a word each; None, the default, is put before."""

    def __init__(self, label: str, default: str, source: str, options: dict[str, Any], value: Any) -> None:
        super().__init__(label, "", f"{default}, {source}" if default else source)
        self._words = ("default", *options)
        self._values = (None, *options.values())
        self._first = value

    def field(self) -> Widget:
        return Choice(self._words, self._values.index(self._first))

    @property
    def value(self) -> Any:
        return self._values[self.query_one(Choice).at]

    def put(self, value: Any) -> None:
        self.query_one(Choice).at = self._values.index(value)

    @property
    def is_changed(self) -> bool:
        return self.query_one(Choice).at != 0

    @on(ChoiceMade)
    def _made(self, event: ChoiceMade) -> None:
        event.stop()
        self.show_source()
        self.post_message(Changed(self))


def written(value: Any) -> str:
    """A value as it is written in a field; "" for None."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        one = value[0] if len(value) == 1 else None
        plain = one is not None and one == one.strip() and one.isprintable() and one[0] not in '["'
        return str(one) if plain else json.dumps(list(value), ensure_ascii=False)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _read(name: str, text: str) -> Any:
    """The value in a field, which the rule of the setting has to look at still. Raises ValueError."""
    if name == "stop":
        return json.loads(text) if text[0] in '["' else text
    try:
        return int(text)
    except ValueError:
        return float(text.replace(",", "."))

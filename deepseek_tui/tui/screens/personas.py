"""The personas: choose one, keep the present settings as one, export, delete."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from deepseek_tui.errors import UserError
from deepseek_tui.personas import (
    Persona,
    delete_persona,
    export_persona,
    load_persona,
    personas,
    save_persona,
)
from deepseek_tui.text.sanitize import sanitize_line
from deepseek_tui.tui.screens.ask import AskScreen

_NONE = "There are no personas yet. s keeps the present settings as one."
_SHOWN = 60


class PersonasScreen(ModalScreen[Persona | None]):
    """Returns the persona chosen, None after Esc. `current`: what `s` keeps.

    | Key | What it does |
    | :- | :- |
    | enter | Choose. |
    | s | Keep the present settings as a persona. |
    | x | Export to a file. |
    | d | Delete; u brings it back. |
    | escape | Close. |
    """

    CSS_PATH = "dialogs.tcss"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-tall")]
    BINDINGS = [
        Binding("escape", "dismiss", "Close", show=False),
        Binding("s", "save", "Keep the settings", show=False),
        Binding("x", "export", "Export", show=False),
        Binding("d,delete", "delete", "Delete", show=False),
        Binding("u,ctrl+z", "undelete", "Take it back", show=False),
    ]

    def __init__(self, current: Persona) -> None:
        super().__init__()
        self._current = current
        self._deleted: Persona | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -medium") as box:
            box.border_title = "Personas"
            box.border_subtitle = "Enter choose · s save · x export · d delete · Esc"
            yield OptionList(id="personas", markup=False, compact=True)
            yield Static("", id="said", markup=False)

    def on_mount(self) -> None:
        self._list()
        self.query_one(OptionList).focus()

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        name = event.option.id or ""
        self._try(lambda: self.dismiss(load_persona(name)))

    def action_save(self) -> None:
        def check(name: str, again: bool) -> str:
            if not name:
                return "Give it a name."
            if not again and name in [p.name for p in personas()[0]]:
                return f"There is a persona {name} already. Enter once more writes over it."
            try:
                save_persona(dataclasses.replace(self._current, name=name))
            except UserError as error:
                return str(error)
            return ""

        def saved(name: str | None) -> None:
            if name is not None:
                self._list(name)
                self._say(f"Kept as {name}. At the start: deepseek-tui --persona {_quoted(name)}")

        self.app.push_screen(AskScreen("Keep the settings as a persona", "", check, "Its name"), saved)

    def action_export(self) -> None:
        name = self._at_name
        if name is None:
            return

        def check(answer: str, again: bool) -> str:
            path = Path(answer).expanduser()
            if not answer or path.is_dir():
                return "Write the path of a file."
            if path.exists() and not again:
                return f"{path.name} is there already. Enter once more writes over it."
            try:
                export_persona(name, path)
            except UserError as error:
                return str(error)
            return ""

        def exported(answer: str | None) -> None:
            if answer is not None:
                self._say(f"Exported to {Path(answer).expanduser().absolute()}")

        self.app.push_screen(AskScreen(f"Export {name}", f"{name}.toml", check, "The file"), exported)

    def action_delete(self) -> None:
        if (name := self._at_name) is not None:

            def delete() -> None:
                self._deleted = delete_persona(name)
                self._list()
                self._say(f"Deleted {name}. u brings it back.")

            self._try(delete)

    def action_undelete(self) -> None:
        if (deleted := self._deleted) is not None:

            def bring_back() -> None:
                save_persona(deleted)
                self._deleted = None
                self._list(deleted.name)
                self._say(f"Brought back {deleted.name}.")

            self._try(bring_back)

    @property
    def _at_name(self) -> str | None:
        option = self.query_one(OptionList).highlighted_option
        return option.id if option is not None else None

    def _list(self, highlighted: str = "") -> None:
        options = self.query_one(OptionList)
        found, problems = personas()
        options.set_options(Option(_line(p), id=p.name) for p in found)
        options.display = bool(found)
        self._say("\n".join(problems) or ("" if found else _NONE), wrong=bool(problems))
        names = [p.name for p in found]
        if found:
            options.highlighted = names.index(highlighted) if highlighted in names else 0
        else:
            self.set_focus(None)

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except UserError as error:
            self._say(str(error), wrong=True)

    def _say(self, sentence: str, wrong: bool = False) -> None:
        said = self.query_one("#said", Static)
        said.update("\n".join(map(sanitize_line, sentence.split("\n"))))
        said.set_class(wrong, "-wrong")


def _line(persona: Persona) -> Content:
    about = persona.description or persona.system_prompt or ""
    about = sanitize_line(about)
    about = about if len(about) <= _SHOWN else about[: _SHOWN - 1] + "…"
    return Content.assemble((sanitize_line(persona.name), "bold"), (f"  {about}", "$foreground 60%"))


def _quoted(name: str) -> str:
    return f'"{name}"' if " " in name else name

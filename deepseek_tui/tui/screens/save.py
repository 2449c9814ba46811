"""Saving a block of code, or a whole message, to a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from deepseek_tui import paths
from deepseek_tui.errors import UserError
from deepseek_tui.text.sanitize import sanitize_line
from deepseek_tui.tui.code_blocks import CodeBlock

MESSAGE_FILE = "message.md"


class SaveScreen(ModalScreen[Path | None]):
    """Writes one of `blocks`, or `text` where there are none, and returns where it went; None after Esc.

    | Key | What it does |
    | :- | :- |
    | enter | Save; once more to write over a file that is there. |
    | up, down | Another block of code. |
    | escape | Cancel. |
    """

    CSS_PATH = "dialogs.tcss"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-tall")]
    BINDINGS = [
        Binding("escape", "dismiss", "Cancel", show=False),
        Binding("up", "block(-1)", "The block before", show=False),
        Binding("down", "block(1)", "The block after", show=False),
    ]

    def __init__(self, text: str, blocks: Sequence[CodeBlock]) -> None:
        super().__init__()
        self._text = text
        self._blocks = blocks
        self._at = 0
        self._confirmed = ""

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -small") as box:
            box.border_title = "Save to a file"
            box.border_subtitle = "Enter saves · Esc cancels"
            yield Static(self._what(), id="what", markup=False)
            yield Input(self._file_name(), id="answer", compact=True, select_on_focus=False)
            yield Static("", id="said", markup=False)

    def action_block(self, step: int) -> None:
        if len(self._blocks) > 1:
            field = self.query_one(Input)
            untouched = field.value == self._file_name()
            self._at = (self._at + step) % len(self._blocks)
            self.query_one("#what", Static).update(self._what())
            if untouched:
                field.value = self._file_name()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        name = event.value.strip()
        if not name:
            self._refuse("Write the path of a file.")
            return
        # Not made absolute by following links: people are told the path that they gave.
        path = Path(os.path.abspath(os.path.expanduser(name)))  # noqa: PTH100, PTH111
        if path.is_dir():
            self._refuse(f"{path} is a folder. Write the name of a file in it.")
        elif path.exists() and self._confirmed != name:
            self._confirmed = name
            self._refuse(f"{path.name} is there already. Enter once more writes over it.")
        elif not path.parent.is_dir():
            self._refuse(f"There is no folder {path.parent}.")
        else:
            self._write(path)

    def _write(self, path: Path) -> None:
        text = self._blocks[self._at].code if self._blocks else self._text
        try:
            paths.atomic_write(path, text.encode("utf-8", "replace"))
        except UserError as error:
            self._refuse(str(error))
        else:
            self.dismiss(path)

    def _refuse(self, sentence: str) -> None:
        said = self.query_one("#said", Static)
        said.update(sanitize_line(sentence))
        said.add_class("-wrong")

    def _file_name(self) -> str:
        return self._blocks[self._at].file_name if self._blocks else MESSAGE_FILE

    def _what(self) -> str:
        if not self._blocks:
            return "The whole message, as Markdown. Only you will be able to read the file."
        block = self._blocks[self._at]
        lines = block.code.count("\n") + (not block.code.endswith("\n"))
        kind = sanitize_line(block.language) or "code"
        which = f"Block {self._at + 1} of {len(self._blocks)} (↑ ↓): " if len(self._blocks) > 1 else ""
        count = "1 line" if lines == 1 else f"{lines} lines"
        return f"{which}{count} of {kind}. Only you will be able to read the file."

"""One question with one line for the answer."""

from __future__ import annotations

from collections.abc import Callable

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static


class AskScreen(ModalScreen[str | None]):
    """Returns the answer, None after Esc.

    `check(answer, again)` says in a sentence what is wrong, "" for nothing; `again` is true where the same
    answer is given a second time after that sentence.

    | Key | What it does |
    | :- | :- |
    | enter | Answer. |
    | escape | Cancel. |
    """

    CSS_PATH = "dialogs.tcss"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-tall")]
    BINDINGS = [Binding("escape", "dismiss", "Cancel", show=False)]

    def __init__(self, title: str, value: str, check: Callable[[str, bool], str], note: str = "") -> None:
        super().__init__()
        self._title = title
        self._value = value
        self._check = check
        self._note = note
        self._refused: str | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -small") as box:
            box.border_title = self._title
            box.border_subtitle = "Enter · Esc cancels"
            yield Input(self._value, id="answer", compact=True, select_on_focus=False)
            yield Static(self._note, id="said", markup=False)

    @on(Input.Submitted)
    def _answered(self, event: Input.Submitted) -> None:
        answer = event.value.strip()
        wrong = self._check(answer, answer == self._refused)
        if wrong:
            self._refused = answer
            self.query_one("#said", Static).update(wrong)
            self.query_one("#said").add_class("-wrong")
        else:
            self.dismiss(answer)

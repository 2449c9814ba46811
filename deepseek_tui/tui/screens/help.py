"""Every key, as it is bound now."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from deepseek_tui.tui.keys import key_groups


class HelpScreen(ModalScreen[None]):
    """| Key | What it does |
    | :- | :- |
    | escape, f1, q | Close. |
    """

    CSS_PATH = "help.tcss"
    BINDINGS = [Binding("escape,f1,q,enter", "dismiss", "Close", show=False)]

    def compose(self) -> ComposeResult:
        groups = key_groups(self.app)
        width = max(len(keys) for _, rows in groups for keys, _ in rows)
        lines: list[Content] = []
        for title, rows in groups:
            lines += [Content.styled(title, "bold $text-accent")]
            lines += [Content.assemble((f"  {keys:<{width}}  ", "bold"), what) for keys, what in rows]
            lines += [Content("")]
        with VerticalScroll(id="help") as panel:
            panel.border_title = "Keys"
            panel.border_subtitle = "Esc closes"
            yield Static(Content("\n").join(lines[:-1]))

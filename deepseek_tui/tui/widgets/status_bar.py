"""One line at the bottom: what the engine does, with figures; narrow screens lose the least needed ones."""

from __future__ import annotations

from dataclasses import dataclass

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from deepseek_tui.tui.updates import EngineStatus, Phase

GAUGE_CELLS = 8

# A sign for each state, so that none is told by its colour alone.
_SIGNS = {
    Phase.NO_MODEL: ("✕", "$text-error"),
    Phase.STARTING: ("○", "$text-warning"),
    Phase.LOADING: ("◐", "$text-warning"),
    Phase.READY: ("●", "$text-success"),
    Phase.READING: ("▹", "$text-accent"),
    Phase.WRITING: ("▸", "$text-accent"),
    Phase.STOPPING: ("■", "$text-warning"),
    Phase.FAILED: ("✕", "$text-error"),
    Phase.DEAD: ("✕", "$text-error"),
}


@dataclass(frozen=True)
class Part:
    """A piece of the bar. Where room is scarce the highest `rank` gives way first, to `short` or to nothing.

    Rank 0 stays.
    """

    rank: int
    text: Content
    short: Part | None = None


class StatusBar(Widget):
    """Shows an EngineStatus."""

    status: reactive[EngineStatus] = reactive(EngineStatus())

    def render(self) -> Content:
        width = self.content_size.width
        left, right = fit(left_parts(self.status), right_parts(self.status), width)
        gap = max(1, width - left.cell_length - right.cell_length)
        return Content.assemble(left, " " * gap, right)


def left_parts(status: EngineStatus) -> list[Part]:
    """State, model, device, load time."""
    sign, style = _SIGNS[status.phase]
    word = status.phase.value
    if status.phase is Phase.LOADING:
        word += f" {status.fraction:.0%}"
    if status.waiting:
        word += f" +{status.waiting}"
    parts = [Part(0, Content.assemble((sign, style), " ", (word, "bold")))]
    if status.model:
        parts.append(Part(6, Content(_cut(status.model, 32)), Part(2, Content(_cut(status.model, 14)))))
    if status.device:
        kind = _quiet(_cut(status.device.partition(" (")[0], 16))
        parts.append(Part(11, _quiet(_cut(status.device, 32)), Part(9, kind)))
    if status.load_seconds is not None and not status.loading:
        parts.append(Part(10, _quiet(f"loaded {status.load_seconds:.1f} s")))
    return parts


def right_parts(status: EngineStatus) -> list[Part]:
    """Time to first token, speeds, context, memory."""
    parts: list[Part] = []
    stats = status.stats
    if status.phase is Phase.READING and status.prompt_total:
        parts.append(Part(1, Content(f"prompt {status.prompt_done}/{status.prompt_total}")))
    if stats is not None and stats.generation_tokens:
        parts.append(Part(5, Content(f"TTFT {_seconds(stats.time_to_first_token)}")))
        if stats.prompt_tps:
            parts.append(Part(7, Content(f"prefill {_rate(stats.prompt_tps)}")))
        parts.append(Part(1, Content(f"{_rate(stats.generation_tps)} tok/s")))
    if status.context_limit:
        parts.append(_context(stats.context_used if stats else 0, status.context_limit))
    if status.memory:
        parts.append(Part(8, Content(_size(status.memory))))
    return parts


def fit(left: list[Part], right: list[Part], width: int) -> tuple[Content, Content]:
    """Both groups, with as much left out as makes them fit."""
    while True:
        ends = _joined(left), _joined(right)
        worst = max((*left, *right), key=lambda part: part.rank)
        if ends[0].cell_length + 2 + ends[1].cell_length <= width or worst.rank == 0:
            return ends
        for parts in (left, right):
            if worst in parts:
                at = parts.index(worst)
                parts[at : at + 1] = [worst.short] if worst.short is not None else []
                break


def _joined(parts: list[Part]) -> Content:
    return Content.styled(" · ", "$foreground 35%").join([p.text for p in parts])


def _context(used: int, limit: int) -> Part:
    share = min(1.0, used / limit)
    filled = round(share * GAUGE_CELLS) or (1 if used else 0)
    style = "$text-error" if share > 0.95 else "$text-warning" if share > 0.8 else "$text-accent"
    gauge = Content.assemble(("━" * filled, style), ("─" * (GAUGE_CELLS - filled), "$foreground 35%"))
    figures = f"{used:,}/{limit:,}"
    plain = Part(3, Content(f"ctx {figures}"))
    short = Part(4, Content.assemble("ctx ", gauge, f" {figures}"), plain)
    return Part(12, Content.assemble("context ", gauge, f" {figures}"), short)


def _quiet(text: str) -> Content:
    return Content.styled(text, "$foreground 60%")


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def _rate(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GB" if count >= 2**30 else f"{count / 2**20:.0f} MB"

"""What an empty chat shows: the name, the model, the first keys, and that all of it stays on this machine."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from deepseek_tui.tui.updates import EngineStatus, Phase

LOGO = (
    "█▀▄ █▀▀ █▀▀ █▀█ █▀ █▀▀ █▀▀ █▄▀",
    "█▄▀ ██▄ ██▄ █▀▀ ▄█ ██▄ ██▄ █ █",
)
PLACES = {
    False: "Runs on this machine. Nothing you write leaves it.",
    True: "The model runs where the engine command starts it. Conversations are kept here.",
}


class Welcome(Widget):
    """`problem`: why there is no model and how to get one. `remote`: the engine may be elsewhere."""

    status: reactive[EngineStatus] = reactive(EngineStatus())
    problem: reactive[str] = reactive("")
    remote: reactive[bool] = reactive(False)

    def render(self) -> Content:
        logo = Content.styled("\n".join(LOGO), "$text-accent")
        lines = [logo, Content(""), self._model(), Content("")]
        keys = (("Enter", "send"), ("Ctrl+N", "new chat"), ("F1", "all keys"))
        lines.append(Content("    ").join(Content.assemble((key, "bold"), f" {what}") for key, what in keys))
        lines.append(Content(""))
        lines.append(Content.styled(PLACES[self.remote], "$foreground 60%"))
        return Content("\n").join(lines)

    def _model(self) -> Content:
        status = self.status
        if status.phase is Phase.NO_MODEL:
            return Content.assemble(("No model is installed.\n", "bold $text-error"), self.problem)
        if status.phase is Phase.DEAD:
            return Content.styled("The engine stopped. The next message starts it again.", "$text-error")
        if status.phase is Phase.FAILED:
            return Content.styled(f"{status.model} could not be loaded", "$text-error")
        if status.loading:
            return Content.assemble(
                (status.model, "bold"), ("  is loading; you can write already", "$foreground 60%")
            )
        return Content.assemble((status.model, "bold"), (f"  on {status.device}", "$foreground 60%"))

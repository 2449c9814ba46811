"""The full-screen application and its entry for the command line."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path

from textual.app import App
from textual.binding import Binding
from textual.widgets import Input, TextArea

from deepseek_tui import paths
from deepseek_tui.engine.client import EngineClient
from deepseek_tui.engine.protocol import Sampling
from deepseek_tui.personas import load_persona
from deepseek_tui.settings import BUILT_IN, Settings
from deepseek_tui.text.sanitize import sanitize_line
from deepseek_tui.tui.choices import Choices
from deepseek_tui.tui.controller import Controller
from deepseek_tui.tui.copying import copy
from deepseek_tui.tui.keys import problems_with
from deepseek_tui.tui.screens.chat import ChatScreen
from deepseek_tui.tui.themes import DARK, THEMES


class ChatApp(App[None]):
    """| Key | What it does |
    | :- | :- |
    | ctrl+c | Copy what is selected. |
    | ctrl+q | Quit. |
    """

    TITLE = "deepseek-tui"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS = [
        Binding("ctrl+c", "copy_selection", "Copy what is selected", id="app.copy", priority=True),
        Binding("ctrl+q", "quit", "Quit", id="app.quit", priority=True),
    ]

    def __init__(self, controller: Controller, settings: Settings, problems: Sequence[str] = ()) -> None:
        super().__init__()
        self._controller = controller
        self._settings = settings
        self._problems = list(problems)
        for theme in THEMES:
            self.register_theme(theme)
        if settings.theme in self.available_themes:
            self.theme = settings.theme
        else:
            self.theme = DARK.name
            names = ", ".join(sorted(self.available_themes))
            self._problems.append(f"There is no theme {sanitize_line(settings.theme)!r}; there are {names}.")
        if settings.reduced_motion:
            self.animation_level = "none"
        if settings.keys:
            self.set_keymap(settings.keys)
            self._problems += problems_with(settings.keys, type(self))

    def on_mount(self) -> None:
        # A closed terminal or a shutdown ends the app as Ctrl+Q does: the half reply is kept.
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, lambda: self.run_worker(self.action_quit()))
        self.push_screen(ChatScreen(self._controller, sidebar=self._settings.sidebar))
        for problem in self._problems:
            self.notify(sanitize_line(problem), severity="warning", timeout=15, markup=False)

    async def action_copy_selection(self) -> None:
        """Copy a selection; without one say how to leave. Ctrl+C never ends anything."""
        focused = self.focused
        text = focused.selected_text if isinstance(focused, TextArea | Input) else ""
        text = text or self.screen.get_selected_text() or ""
        if text:
            self.notify(await copy(self, text), markup=False)
        else:
            self.notify("Ctrl+Q quits. Esc stops a reply.")

    async def action_quit(self) -> None:
        await self._controller.close()
        self.exit()


def run_chat(
    *,
    model: Path | None,
    settings: Settings,
    adapter_path: str | None = None,
    model_problem: str | None = None,
    problems: Sequence[str] = (),
    engine_command: list[str] | None = None,
    sampling: Sampling | None = None,
    system_prompt: str | None = None,
    persona: str | None = None,
) -> int:
    """Run the chat until the user quits and return the exit code.

    `model_problem`: why there is no `model`. `problems`: what is wrong with the settings. `sampling` and
    `system_prompt`: from flags, over those of the settings. `persona`: the name of the one that new
    conversations begin with; flags win over it. Raises UserError when there is none of that name.
    """
    flags = sampling or Sampling()
    usual_prompt = settings.system_prompt if system_prompt is None else system_prompt
    first: tuple[str, Choices] | None = None
    if persona is not None:
        put_on = load_persona(persona)
        chosen = Choices(flags.over(put_on.sampling), put_on.context_policy, put_on.thinking)
        overridden = system_prompt is not None or put_on.system_prompt is None
        first = usual_prompt if overridden else put_on.system_prompt or "", chosen
    controller = Controller(
        client=EngineClient(engine_command),
        history=paths.history_path(),
        model=model,
        adapter_path=adapter_path,
        model_name=BUILT_IN if model is not None and model == paths.builtin_model() else "",
        model_problem=model_problem,
        sampling=flags.over(settings.sampling),
        system_prompt=usual_prompt,
        context_policy=settings.context_policy,
        first=first,
        remote=engine_command is not None,
    )
    app = ChatApp(controller, settings, problems)
    app.run()
    return app.return_code or 0

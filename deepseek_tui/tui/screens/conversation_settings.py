"""The settings of one conversation: what is default, what is changed, and where each value comes from."""

from __future__ import annotations

from dataclasses import dataclass

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static, TextArea

from deepseek_tui.engine.protocol import ContextPolicy, Sampling
from deepseek_tui.errors import UserError
from deepseek_tui.personas import Persona
from deepseek_tui.text.sanitize import sanitize, sanitize_line
from deepseek_tui.tui.choices import Choices, given, source_of
from deepseek_tui.tui.widgets.setting_rows import (
    CHANGED,
    Changed,
    ChoiceRow,
    SettingRow,
    ValueRow,
    written,
)

_LABELS = {
    "temp": "Temperature",
    "top_p": "Top-p",
    "min_p": "Min-p",
    "top_k": "Top-k",
    "max_tokens": "Max tokens",
    "repetition_penalty": "Repetition penalty",
    "presence_penalty": "Presence penalty",
    "frequency_penalty": "Frequency penalty",
    "seed": "Seed",
    "stop": "Stop strings",
}
_HELP = f"{CHANGED} changed here. An empty field is the default."
# What a setting is where nobody sets it.
_UNSET = {"seed": "random", "stop": "none"}
_POLICIES: dict[ContextPolicy, str] = {"roll": "drop the oldest", "stop": "stop"}


@dataclass(frozen=True)
class Defaults:
    """What holds where a conversation sets nothing. `model`: its own defaults, None before it is loaded."""

    model_name: str
    system_prompt: str
    sampling: Sampling
    model: Sampling | None
    context_policy: ContextPolicy


class Rows(VerticalScroll, inherit_bindings=False):
    """What is scrolled. Its Up and Down are for going from one setting to the next."""


class ConversationSettingsScreen(ModalScreen[tuple[str, Choices] | None]):
    """Returns system prompt and settings, None after Esc.

    | Key | What it does |
    | :- | :- |
    | enter, ctrl+s | Keep them. |
    | up, down, tab | Another setting. |
    | f8 | The default for this setting. |
    | f7 | Personas: choose one, or keep these settings as one. |
    | escape | Leave all as it was. |
    """

    CSS_PATH = ["dialogs.tcss", "conversation_settings.tcss"]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (70, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (32, "-tall")]
    BINDINGS = [
        Binding("escape", "dismiss", "Leave it", show=False, priority=True),
        Binding("ctrl+s", "keep", "Keep", show=False, priority=True),
        Binding("enter", "keep", "Keep", show=False),
        Binding("up", "app.focus_previous", "Before", show=False),
        Binding("down", "app.focus_next", "Next", show=False),
        Binding("f8", "default", "Default", show=False, priority=True),
        Binding("f7", "personas", "Personas", show=False, priority=True),
    ]

    def __init__(self, system_prompt: str, choices: Choices, defaults: Defaults) -> None:
        super().__init__()
        self._system_prompt = sanitize(system_prompt)
        self._choices = choices
        self._defaults = defaults

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -settings") as box:
            box.border_title = "This conversation"
            box.border_subtitle = "Enter keep · F8 default · F7 personas · Esc"
            with Rows(id="rows", can_focus=False):
                yield Static("", id="prompt-title", markup=False)
                yield TextArea(
                    self._system_prompt,
                    id="system-prompt",
                    compact=True,
                    soft_wrap=True,
                    show_line_numbers=False,
                    tab_behavior="focus",
                    placeholder="None",
                )
                model = sanitize_line(self._defaults.model_name) or "none"
                yield Static(f"  {'Model':<25} {model}", classes="fact", markup=False)
                yield from self._rows()
            yield Static(_HELP, id="said", markup=False)

    def _rows(self) -> ComposeResult:
        defaults, chosen = self._defaults, self._choices
        set_here = given(chosen.sampling)
        for name, label in _LABELS.items():
            value, source = source_of(name, defaults.sampling, defaults.model or Sampling())
            default = written(value) or _UNSET.get(name, "off")
            yield ValueRow(name, label, default, source, set_here.get(name))
        policies = {word: policy for policy, word in _POLICIES.items()}
        yield ChoiceRow(
            "When the context is full",
            _POLICIES[defaults.context_policy],
            "your settings" if defaults.context_policy != "roll" else "built in",
            policies,
            chosen.context_policy,
        )
        thinks = {"on": True, "off": False}
        yield ChoiceRow("Thinking", "", "if its template can", thinks, chosen.thinking)

    def on_mount(self) -> None:
        self._show_prompt_source()
        self.query(Input).first().focus()

    # --- keys --------------------------------------------------------------------------------------

    def action_keep(self) -> None:
        try:
            choices = self._read()
        except UserError as error:
            self._refuse(str(error))
        else:
            self.dismiss((self._prompt.text, choices))

    def action_default(self) -> None:
        focused = self.focused
        if focused is self._prompt:
            self._prompt.load_text(sanitize(self._defaults.system_prompt))
        elif focused is not None and isinstance(focused.parent, SettingRow):
            focused.parent.put(None)

    def action_personas(self) -> None:
        from deepseek_tui.tui.screens.personas import PersonasScreen

        try:
            choices = self._read()
        except UserError as error:
            self._refuse(str(error))
            return
        current = Persona(
            "",
            system_prompt=self._prompt.text,
            context_policy=choices.context_policy,
            thinking=choices.thinking,
            sampling=choices.sampling,
        )
        self.app.push_screen(PersonasScreen(current), self._put_on)

    # --- what changes ------------------------------------------------------------------------------

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_keep()

    @on(TextArea.Changed)
    def _typed(self) -> None:
        self._show_prompt_source()

    @on(Changed)
    def _changed(self, event: Changed) -> None:
        event.stop()
        wrong = [problem for row in self.query(SettingRow) if (problem := row.problem)]
        if wrong:
            self._refuse(wrong[0])
        elif self.query_one("#said").has_class("-wrong"):
            self._say(_HELP)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        event.widget.scroll_visible(animate=False)

    def _put_on(self, persona: Persona | None) -> None:
        if persona is None:
            return
        if persona.system_prompt is not None:
            self._prompt.load_text(sanitize(persona.system_prompt))
        sampling = given(persona.sampling)
        for row in self.query(ValueRow):
            row.put(sampling.get(row.setting))
        policy, thinking = self.query(ChoiceRow)
        policy.put(persona.context_policy)
        thinking.put(persona.thinking)
        self._say(f"These are the settings of {persona.name}; Enter keeps them.")

    def _read(self) -> Choices:
        values = {row.setting: row.value for row in self.query(ValueRow)}
        kept = {k: v for k, v in given(self._choices.sampling).items() if k not in values}
        policy, thinking = self.query(ChoiceRow)
        return Choices(Sampling(**values, **kept), policy.value, thinking.value)

    @property
    def _prompt(self) -> TextArea:
        return self.query_one("#system-prompt", TextArea)

    def _show_prompt_source(self) -> None:
        changed = self._prompt.text != sanitize(self._defaults.system_prompt)
        title = f"{CHANGED} System prompt, changed" if changed else "  System prompt"
        self.query_one("#prompt-title", Static).update(title)
        self.query_one("#prompt-title").set_class(changed, "-changed")

    def _say(self, sentence: str) -> None:
        said = self.query_one("#said", Static)
        said.update(sanitize_line(sentence))
        said.remove_class("-wrong")

    def _refuse(self, sentence: str) -> None:
        self._say(sentence)
        self.query_one("#said").add_class("-wrong")

"""The chat: sidebar, log, prompt and status bar, and what passes between them and the controller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical

from deepseek_tui.errors import UserError
from deepseek_tui.text.sanitize import sanitize_line
from deepseek_tui.tui.controller import Controller
from deepseek_tui.tui.copying import copy
from deepseek_tui.tui.screens.finding import FindingScreen
from deepseek_tui.tui.thinking import split, thought_label
from deepseek_tui.tui.updates import (
    Added,
    ConversationsChanged,
    EngineStatus,
    Noticed,
    Opened,
    Phase,
    PullChanged,
    ReplyBegan,
    ReplyEnded,
    ReplyText,
    Said,
    StatusChanged,
    Update,
    note_of,
)
from deepseek_tui.tui.widgets import conversation_list as side
from deepseek_tui.tui.widgets.hint_bar import HintBar
from deepseek_tui.tui.widgets.prompt import Prompt
from deepseek_tui.tui.widgets.sidebar import Sidebar
from deepseek_tui.tui.widgets.status_bar import StatusBar
from deepseek_tui.tui.widgets.welcome import Welcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deepseek_tui.history.store import Message, Place
    from deepseek_tui.tui.model_shop import Pull
    from deepseek_tui.tui.screens.models import Wanted
    from deepseek_tui.tui.widgets.found_log import FoundLog
    from deepseek_tui.tui.widgets.message import MessageBlock, MessageView

NARROW = 100
# Characters of a message of the user that are laid out.
SHOWN = 20_000


class ChatScreen(FindingScreen):
    """| Key | What it does |
    | :- | :- |
    | ctrl+n | New chat. |
    | escape | Stop the reply. |
    | ctrl+r | Regenerate the last reply. |
    | f6 | Continue a reply that was stopped. |
    | ctrl+y | Copy the last reply. |
    | ctrl+end | Jump to the latest message. |
    | ctrl+up, ctrl+down | Choose a message to act on. |
    | f3 | Settings of the conversation. |
    | ctrl+z | Take a deletion back, outside of the prompt. |
    | ctrl+b | Show or hide the conversations. |
    | ctrl+o | Models. |
    | ctrl+f | Find in the conversation. |
    | f7, ctrl+shift+f | Search all conversations. |
    | f2 | Rename the conversation. |
    | f1 | Keys. |
    """

    CSS_PATH = "chat.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (NARROW, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-tall")]
    AUTO_FOCUS = "#prompt"
    BINDINGS = [
        Binding("ctrl+n", "new", "New chat", id="chat.new", priority=True),
        Binding("escape", "stop", "Stop the reply", id="chat.stop"),
        Binding("ctrl+r", "regenerate", "Regenerate the last reply", id="chat.regenerate", priority=True),
        Binding("f6", "continue", "Continue a stopped reply", id="chat.continue", priority=True),
        Binding("ctrl+y", "copy_reply", "Copy the last reply", id="chat.copy", priority=True),
        Binding("ctrl+end", "latest", "Jump to the latest message", id="chat.latest", priority=True),
        Binding("ctrl+up,alt+up", "message(-1)", "Choose a message, upwards", id="chat.up", priority=True),
        Binding("ctrl+down,alt+down", "message(1)", "The next one down", id="chat.down", priority=True),
        Binding("f3", "settings", "Settings of the conversation", id="chat.settings", priority=True),
        Binding("ctrl+z", "undo_deletion", "Take a deletion back", id="chat.undo"),
        Binding("ctrl+b", "toggle_sidebar", "Show or hide conversations", id="chat.sidebar", priority=True),
        Binding("ctrl+o", "models", "Models: use, download, switch", id="chat.models", priority=True),
        Binding("ctrl+f", "find", "Find in the conversation", id="chat.find", priority=True),
        Binding("f7,ctrl+shift+f", "search", "Search all conversations", id="chat.search", priority=True),
        Binding("f2", "rename", "Rename the conversation", id="chat.rename", priority=True),
        Binding("f1", "help", "Keys", id="chat.help", priority=True),
    ]

    def __init__(self, controller: Controller, *, sidebar: bool = True) -> None:
        super().__init__()
        self.controller = controller
        self._docked = sidebar
        self._blocks: dict[str, MessageBlock] = {}
        self._log: FoundLog | None = None
        self._status = controller.status

    def compose(self) -> ComposeResult:
        self.add_class("-empty")
        with Horizontal(id="body"):
            sidebar = Sidebar(id="sidebar")
            sidebar.set_class(self._docked, "-docked")
            yield sidebar
            with Vertical(id="main"):
                yield Welcome(id="welcome")
                yield Prompt(id="prompt")
        yield HintBar(id="hints")
        yield StatusBar(id="status")

    def on_mount(self) -> None:
        self._show_status(self.controller.status)
        welcome = self.query_one(Welcome)
        welcome.problem = self.controller.model_problem or ""
        welcome.remote = self.controller.remote
        self.call_after_refresh(self._begin)

    async def _begin(self) -> None:
        """After the first frame: the engine, which takes longest, then the log and the history."""
        self.controller.start_engine()
        from deepseek_tui.tui.widgets.found_log import FoundLog

        self._log = FoundLog()
        await self.query_one("#main").mount(self._log, before="#prompt")
        self._follow()
        self.in_order(self._open_history())
        self.set_interval(2, self.controller.check_engine)

    async def _open_history(self) -> None:
        await self.controller.open()
        self.query_one(Prompt).set_earlier(await self.controller.prompts())

    # --- what the controller says ----------------------------------------------------------------

    @work
    async def _follow(self) -> None:
        while True:
            await self._apply(await self.controller.updates.get())

    async def _apply(self, update: Update) -> None:
        match update:
            case StatusChanged(status=status):
                self._show_status(status)
            case ReplyText(conversation=conversation, message=message, text=text):
                if conversation == self.controller.shown and message in self._blocks:
                    self._blocks[message].append(text)
            case ReplyBegan(message=message):
                if message.conversation == self.controller.shown:
                    self._begin_reply(message)
            case ReplyEnded(message=message):
                block = self._blocks.pop(message.id, None)
                if block is not None:
                    await block.finish(message.text, note_of(message), _thought_of(message))
            case Added(message=message):
                if message.conversation == self.controller.shown:
                    self.remove_class("-empty")
                    await self.log_widget.add(_view(message))
                    self.log_widget.jump_to_latest()
            case Opened():
                await self._show_conversation(update)
            case Noticed(conversation=conversation, text=text):
                if conversation == self.controller.shown:
                    self.log_widget.add_notice(text)
            case ConversationsChanged(conversations=conversations, shown=shown, active=active):
                self.query_one(Sidebar).show(conversations, shown, active)
            case Said(text=text, severity=severity):
                self.notify(text, severity=severity, markup=False)
            case PullChanged(pull=pull):
                self._pull_changed(pull)

    async def _show_conversation(self, opened: Opened) -> None:
        self._blocks.clear()
        self.set_class(not opened.messages, "-empty")
        log, places = self.log_widget, opened.places
        row = log.row_of(log.chosen) if opened.chosen else None
        whole = [m for m in opened.messages if m.id not in opened.live]
        await log.show(_views(whole, places))
        for message in opened.messages:
            if message.id in opened.live:
                self._begin_reply(message, places.get(message.id))
        if opened.chosen:
            log.choose(opened.chosen, row)

    def _begin_reply(self, message: Message, place: Place | None = None) -> None:
        self.remove_class("-empty")
        block = self.log_widget.begin_reply(message.id, _shown(place))
        if message.text:
            block.append(message.text)
        self._blocks[message.id] = block

    def _show_status(self, status: EngineStatus) -> None:
        self._status = status
        self.query_one(StatusBar).status = status
        self.query_one(Welcome).status = status
        prompt = self.query_one(Prompt)
        prompt.border_title = _activity(status)
        prompt.border_subtitle = "Esc stop" if status.making else "Enter send · Ctrl+J new line"

    # --- the prompt ------------------------------------------------------------------------------

    @on(Prompt.Submitted)
    def _submitted(self, event: Prompt.Submitted) -> None:
        self._send(event.text)

    @work
    async def _send(self, text: str) -> None:
        prompt = self.query_one(Prompt)
        try:
            sent = await self.controller.send(text)
        except UserError as error:
            sent = False
            self.apologize(error)
        if sent:
            prompt.set_earlier(await self.controller.prompts())
        elif not prompt.text:
            prompt.put(text)

    @on(Prompt.ScrollLog)
    def _scroll_log(self, event: Prompt.ScrollLog) -> None:
        if event.pages is None:
            self.action_latest()
        elif event.pages < 0:
            self.log_widget.scroll_page_up(animate=False)
        else:
            self.log_widget.scroll_page_down(animate=False)

    # --- the sidebar -----------------------------------------------------------------------------

    @on(side.Open)
    def _open(self, event: side.Open) -> None:
        self._close_overlay()
        self.query_one(Prompt).focus()
        self.in_order(self.controller.show(event.conversation))

    @on(side.Rename)
    def _rename(self, event: side.Rename) -> None:
        self.in_order(self.controller.rename(event.conversation, event.title))

    @on(side.Organise)
    def _organise(self, event: side.Organise) -> None:
        change = self.controller.organise(
            event.conversation, pinned=event.pinned, archived=event.archived, folder=event.folder
        )
        self.in_order(change)

    @on(side.Delete)
    def _delete(self, event: side.Delete) -> None:
        sidebar = self.query_one(Sidebar)
        sidebar.deleted(sidebar.find(event.conversation))
        self.in_order(self.controller.delete(event.conversation))

    @on(side.Undelete)
    def _undelete(self, event: side.Undelete) -> None:
        self.in_order(self.controller.undelete(event.conversation))

    # --- actions ---------------------------------------------------------------------------------

    def action_new(self) -> None:
        self._close_overlay()
        self.query_one(Prompt).focus()
        self.in_order(self.controller.new())

    async def action_stop(self) -> None:
        self.forget_found()
        if self._close_overlay() or not await self.controller.stop():
            self.query_one(Prompt).focus()

    def action_copy_reply(self) -> None:
        self.in_order(self._copy_reply())

    async def _copy_reply(self) -> None:
        text = await self.controller.last_reply()
        self.notify(await copy(self.app, text) if text else "There is no reply to copy yet.", markup=False)

    def action_latest(self) -> None:
        self.log_widget.jump_to_latest()

    def action_toggle_sidebar(self) -> None:
        sidebar = self.query_one(Sidebar)
        name = "-over" if self.has_class("-narrow") else "-docked"
        sidebar.toggle_class(name)
        if sidebar.has_class(name):
            sidebar.list.focus()
        else:
            self.query_one(Prompt).focus()

    def action_rename(self) -> None:
        sidebar = self.query_one(Sidebar)
        target = None if sidebar.list.has_focus else self.controller.shown
        if not sidebar.list.has_focus and target is None:
            self.notify("A conversation gets its title with its first message.")
            return
        if not sidebar.display:
            self.action_toggle_sidebar()
        self.call_after_refresh(sidebar.rename, target)

    def action_models(self) -> None:
        from deepseek_tui.tui.screens.models import ModelsScreen

        controller, status = self.controller, self.controller.status
        picker = ModelsScreen(
            controller.shop,
            in_use=str(controller.model or ""),
            memory=0 if status.loading else status.memory,
            on_cpu=status.device.startswith("CPU"),
            remote=controller.remote,
        )
        self.app.push_screen(picker, self._use_model)

    def _use_model(self, wanted: Wanted | None) -> None:
        self.query_one(Prompt).focus()
        if wanted is not None and wanted.path != str(self.controller.model):
            self.controller.switch(wanted.path, wanted.name)

    def _pull_changed(self, pull: Pull) -> None:
        from deepseek_tui.tui.screens.models import ModelsScreen

        if isinstance(self.app.screen, ModelsScreen):
            self.app.screen.pull_changed(pull)
        elif pull.ended == "installed":
            self.notify(f"{pull.installed} is installed. Ctrl+O, Enter uses it.", markup=False)
        elif pull.ended == "failed":
            self.notify(pull.problem, severity="error", timeout=10, markup=False)

    def action_help(self) -> None:
        from deepseek_tui.tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen())

    # --- inside ----------------------------------------------------------------------------------

    @property
    def log_widget(self) -> FoundLog:
        assert self._log is not None, "mounted before anything is shown in it"
        return self._log

    def _close_overlay(self) -> bool:
        sidebar = self.query_one(Sidebar)
        open_now = self.has_class("-narrow") and sidebar.has_class("-over")
        sidebar.remove_class("-over")
        return open_now


def _views(messages: Sequence[Message], places: Mapping[str, Place]) -> list[MessageView]:
    """The messages, with a line before the turn where another model takes over."""
    from deepseek_tui.tui.widgets.message import MessageView

    views: list[MessageView] = []
    before = ""
    for message in messages:
        if message.role == "assistant" and message.model:
            if before and before != message.model:
                line = f"Now answering: {sanitize_line(message.model)}"
                at = len(views) - (1 if views[-1].role == "user" else 0)
                views.insert(at, MessageView(f"model-{message.id}", "notice", line))
            before = message.model
        views.append(_view(message, places.get(message.id)))
    return views


def _view(message: Message, place: Place | None = None) -> MessageView:
    from deepseek_tui.tui.widgets.message import MessageView

    text = message.text
    if message.role == "user" and len(text) > SHOWN:
        # All of it is in the history and goes to the model; nobody reads a megabyte in a chat log.
        text = f"{text[:SHOWN]}\n\n… and {len(text) - SHOWN:,} more characters"
    return MessageView(message.id, message.role, text, note_of(message), _shown(place), _thought_of(message))


def _shown(place: Place | None) -> str:
    return f"{place.index + 1}/{place.count}" if place else ""


def _thought_of(message: Message) -> str:
    """What stands for the thinking of a reply, if there is any."""
    thought = split(message.text)[0] if message.role == "assistant" else ""
    return thought_label(thought, message.stats) if thought else ""


def _activity(status: EngineStatus) -> str:
    """What the frame of the prompt says while something is under way."""
    if status.making and status.loading:
        return "waiting for the model"
    if status.phase is Phase.READING:
        return "reading"
    if status.phase is Phase.WRITING:
        return "writing" + (f", {status.waiting} waiting" if status.waiting else "")
    if status.phase is Phase.STOPPING:
        return "stopping"
    return ""

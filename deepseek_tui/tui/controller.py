"""The way of a message, without a widget: history first, then the engine, then history again.

The controller owns the engine client and the history. What the screen has to show goes to `updates`, one
queue, in order. Replies wait in line: one is made at a time, and each has its row in the history from the
moment its message is sent, so that whatever dies, the next start finds every turn in its place.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from pathlib import Path

from deepseek_tui.engine.client import EngineClient
from deepseek_tui.engine.protocol import ContextPolicy, Failed, LoadProgress, Ready, Sampling
from deepseek_tui.errors import UserError
from deepseek_tui.history.store import Conversation
from deepseek_tui.text.sanitize import sanitize_line
from deepseek_tui.tui.archive import Archive
from deepseek_tui.tui.branches import Branches
from deepseek_tui.tui.choices import Choices
from deepseek_tui.tui.model_shop import ModelShop
from deepseek_tui.tui.reply import Reply
from deepseek_tui.tui.shelf import Shelf
from deepseek_tui.tui.switching import other_model, switch
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
    Said,
    StatusChanged,
    Update,
)


class Controller:
    """One chat application's state: the conversation shown, the line of replies, the engine.

    `model`: what to load, None where nothing is installed; `model_problem` then says what to do. `model_name`
    is shown until the engine says a better one. `remote`: the engine may run on another machine. `first`:
    system prompt and settings that new conversations begin with, where those are not the usual ones.
    """

    def __init__(
        self,
        *,
        client: EngineClient,
        history: Path,
        model: Path | str | None,
        adapter_path: str | None = None,
        model_name: str = "",
        model_problem: str | None = None,
        sampling: Sampling | None = None,
        system_prompt: str = "",
        context_policy: ContextPolicy = "roll",
        first: tuple[str, Choices] | None = None,
        remote: bool = False,
    ) -> None:
        self.updates: asyncio.Queue[Update] = asyncio.Queue()
        self.archive = Archive(history, lambda text: self.say(Said(text, "error")))
        self.client = client
        self.model = model
        self.model_problem = model_problem
        self.sampling = sampling or Sampling()
        self.system_prompt = system_prompt
        self.context_policy = context_policy
        self.remote = remote
        self.branches = Branches(self)
        self.shelf = Shelf(self.archive)
        self.shop = ModelShop(lambda pull: self.say(PullChanged(pull)))
        self.status = EngineStatus(
            phase=Phase.NO_MODEL if model is None else Phase.STARTING,
            model=sanitize_line(model_name or Path(model or "").name),
        )
        self.shown: str | None = None
        self._first = first or (system_prompt, Choices())
        # System prompt and settings of the conversation that begins with the next message.
        self._next = self._first
        self.adapter_path = adapter_path
        self._line: deque[Reply] = deque()
        self._running: Reply | None = None
        self._runner: asyncio.Task[None] | None = None
        self._loading: asyncio.Task[Failed | None] | None = None
        self._reading_on: asyncio.Task[None] | None = None
        self.closed = False
        # Two messages sent in one breath must not both take the same turn as their parent.
        self.order = asyncio.Lock()

    # --- starting and ending ---------------------------------------------------------------------

    async def open(self) -> None:
        """Open the history and show the conversation used last."""
        await self.shelf.look()
        used = [c for c in self.shelf.conversations if not c.archived]
        if used and self.shown is None:
            await self.show(max(used, key=lambda c: c.updated).id)
        else:
            await self.conversations_changed()
        self._reading_on = asyncio.create_task(self._read_on())

    async def _read_on(self) -> None:
        """The rest of a long list, while the user is at work already."""
        offset: int | None = 0
        while offset is not None:
            offset = await self.shelf.page(offset)
            self._list_changed()

    def start_engine(self) -> None:
        """Start the child and load the model, in the background."""
        if self.model is not None:
            self._loading = asyncio.create_task(self.load())

    async def close(self) -> None:
        """Keep what was written so far, end the engine, close the history. A second call does nothing."""
        if self.closed:
            return
        self.closed = True
        self._line.clear()
        running = self._running
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)
        if running is not None:
            await running.keep("stopped")
        for task in (self._loading, self._reading_on):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await self.shop.close()
        await self.client.close()
        await self.archive.close()

    # --- conversations ---------------------------------------------------------------------------

    async def new(self) -> None:
        """An empty screen; the conversation begins with its first message."""
        self.shown = None
        self._next = self._first
        self.say(Opened(None))
        await self.conversations_changed()

    async def show(self, conversation: str, chosen: str | None = None) -> None:
        """Show a conversation along the branch that its head is on, at its end or at the message `chosen`."""
        self.shown = conversation
        found, messages, places = await self.archive.call(
            lambda s: (s.get(conversation), s.path(conversation), s.places(conversation))
        )
        if self.shown != conversation:
            return  # another one was asked for meanwhile
        live = {r.message.id: r for r in self.replies}
        current = tuple(live[m.id].current() if m.id in live else m for m in messages)
        writing = frozenset(m.id for m in current if m.id in live)
        self.say(Opened(found, current, writing, places, chosen))
        if line := other_model(self, found, messages):
            self.say(Noticed(conversation, line))
        if found.unread:
            await self.archive.call(lambda s: s.organise(conversation, unread=False))
        await self.conversations_changed(conversation)

    async def choices(self) -> tuple[str, Choices]:
        """System prompt and settings of the conversation shown, or of the one that comes next."""
        shown = self.shown
        if shown is None:
            return self._next
        found = await self.archive.call(lambda s: s.get(shown))
        return found.system_prompt, Choices.of(found.settings)

    async def choose(self, system_prompt: str, choices: Choices) -> None:
        """Set them; the next reply uses them."""
        shown = self.shown
        if shown is None:
            self._next = system_prompt, choices
        else:
            stored = choices.stored()
            await self.archive.call(
                lambda s: s.configure(shown, system_prompt=system_prompt, settings=stored)
            )

    async def rename(self, conversation: str, title: str) -> None:
        await self.archive.call(lambda s: s.rename(conversation, title))
        await self.conversations_changed(conversation)

    async def organise(
        self,
        conversation: str,
        *,
        pinned: bool | None = None,
        archived: bool | None = None,
        folder: str | None = None,
        unread: bool | None = None,
    ) -> None:
        """Change where a conversation stands in the list."""
        await self.archive.call(
            lambda s: s.organise(conversation, pinned=pinned, archived=archived, folder=folder, unread=unread)
        )
        await self.conversations_changed(conversation)

    async def delete(self, conversation: str) -> None:
        """Put a conversation out of sight and stop what is written in it. `undelete` brings it back."""
        for reply in self.replies:
            if reply.conversation == conversation:
                await self.stop(reply)
        await self.archive.call(lambda s: s.delete(conversation))
        if self.shown == conversation:
            await self.new()
        await self.conversations_changed(conversation)

    async def undelete(self, conversation: str) -> None:
        await self.archive.call(lambda s: s.undelete(conversation))
        await self.show(conversation)

    async def conversations_changed(self, *changed: str) -> None:
        """Tell the list that it is another one; `changed` are read again, with the newest."""
        await self.shelf.look(*changed)
        self._list_changed()

    def _list_changed(self) -> None:
        active = tuple(dict.fromkeys(r.conversation for r in self.replies))
        self.say(ConversationsChanged(self.shelf.conversations, self.shown, active))

    # --- messages --------------------------------------------------------------------------------

    async def send(self, text: str) -> bool:
        """Store a message of the user and put its reply in line. False: it was not sent, and why was said."""
        if not self.has_model():
            return False
        async with self.order:
            conversation = self.shown
            if conversation is None:
                conversation = (await self._create()).id
            user = await self.archive.call(lambda s: s.add_message(conversation, "user", text))
            self.say(Added(user))
            await self.answer(conversation, user.id)
        return True

    async def stop(self, reply: Reply | None = None) -> bool:
        """Stop a reply: the one given, else the shown conversation's, else the one being made."""
        if reply is None:
            here = [r for r in self.replies if r.conversation == self.shown]
            reply = here[0] if here else self._running
        if reply is None:
            return False
        if reply is self._running:
            await reply.stop()
        else:
            self._line.remove(reply)
            await reply.end("stopped")
            self.set_status(waiting=len(self._line))
        return True

    async def last_reply(self) -> str:
        """Text of the last reply in the conversation shown, empty without one."""
        if self.shown is None:
            return ""
        conversation = self.shown
        live = {r.message.id: r.text for r in self.replies}
        path = await self.archive.call(lambda s: s.path(conversation))
        texts = (live.get(m.id, m.text) for m in reversed(path) if m.role == "assistant")
        return next((text for text in texts if text), "")

    async def prompts(self, limit: int = 200) -> list[str]:
        """What the user wrote before, the newest first."""
        return await self.archive.call(lambda s: s.prompts(limit))

    @property
    def replies(self) -> list[Reply]:
        """The one being made and those in line."""
        return [*([self._running] if self._running else []), *self._line]

    # --- for the replies -------------------------------------------------------------------------

    def say(self, update: Update) -> None:
        self.updates.put_nowait(update)

    def set_status(self, **changes: object) -> None:
        status = replace(self.status, **changes)  # type: ignore[arg-type]  # fields by name, checked by the dataclass
        if status != self.status:
            self.status = status
            self.say(StatusChanged(status))

    def ready(self, event: Ready) -> None:
        """The engine holds a model, at the start or again after a death."""
        self.set_status(
            phase=Phase.READY,
            model=sanitize_line(event.model.name),
            device=self._device(),
            fraction=1.0,
            load_seconds=event.load_seconds,
            memory=event.memory,
            context_limit=event.model.context_length,
        )

    def progress(self, event: LoadProgress) -> None:
        fraction = event.done / event.total if event.total else 0.0
        self.set_status(phase=Phase.LOADING, fraction=fraction, device=self._device())

    async def model_ready(self) -> Failed | None:
        """Wait for the model, trying again where loading failed. The failure, or None when it is there."""
        if self._loading is None or (self._loading.done() and self._loading.result() is not None):
            self._loading = asyncio.create_task(self.load())
        while True:
            loading = self._loading
            await asyncio.wait({loading})
            if loading is self._loading:
                return loading.result()
            # Another model was chosen meanwhile.

    def switch(self, model: Path | str, name: str) -> None:
        """Answer with another model from now on. A reply that is being written comes to its end first."""
        self._loading = asyncio.create_task(switch(self, self._loading, model, name))

    def check_engine(self) -> None:
        """Notice an engine that died while it had nothing to do."""
        if self.status.phase is Phase.READY and not self.client.alive:
            self.set_status(phase=Phase.DEAD)
            self.say(Said("The engine stopped. The next message starts it again.", "warning"))

    # --- inside ----------------------------------------------------------------------------------

    def has_model(self) -> bool:
        if self.model is None:
            self.say(Said(self.model_problem or "No model is installed.", "error"))
        return self.model is not None

    async def load(self) -> Failed | None:
        """Load `model` in the engine. The failure, which was told, or None."""
        assert self.model is not None
        if not self.status.making or self.status.phase is not Phase.WRITING:
            self.set_status(phase=Phase.STARTING, fraction=0.0)
        async for event in self.client.load(str(self.model), self.adapter_path):
            if isinstance(event, LoadProgress):
                self.progress(event)
            elif isinstance(event, Ready):
                self.ready(event)
                for warning in self.client.hello.warnings if self.client.hello else ():
                    self.say(Said(sanitize_line(warning), "warning"))
            elif isinstance(event, Failed):
                self.set_status(phase=Phase.DEAD if event.kind == "engine-died" else Phase.FAILED)
                self.say(Said(sanitize_line(f"{event.message} {event.hint}".strip()), "error"))
                return event
        return None

    async def _create(self) -> Conversation:
        model, (system, choices) = str(self.model or ""), self._next
        created = await self.archive.call(
            lambda s: s.create_conversation(model, system_prompt=system, settings=choices.stored())
        )
        self.shown = created.id
        return created

    async def answer(self, conversation: str, parent: str | None, show: bool = False) -> None:
        """A row for the reply to `parent`, which takes its place in line."""
        model = self.status.model
        message = await self.archive.call(
            lambda s: s.add_message(
                conversation, "assistant", "", parent=parent, state="streaming", model=model
            )
        )
        self.queue(Reply(self, message))
        if show:
            await self.show(conversation)
        else:
            self.say(ReplyBegan(message))
            await self.conversations_changed()

    def queue(self, reply: Reply) -> None:
        self._line.append(reply)
        self.set_status(waiting=len(self._line))
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())

    async def _run(self) -> None:
        """Make the replies in line, one after the other."""
        while self._line:
            self._running = self._line.popleft()
            self.set_status(making=True, waiting=len(self._line))
            try:
                await self._running.make()
            except UserError as error:
                self.say(Said(sanitize_line(str(error)), "error"))
            finally:
                ended, self._running = self._running, None
                self.set_status(making=False)
            self.say(ReplyEnded(ended.current()))
            if ended.conversation == self.shown:
                await self.conversations_changed(ended.conversation)
            else:
                await self.organise(ended.conversation, unread=True)

    def _device(self) -> str:
        return sanitize_line(self.client.hello.device) if self.client.hello else ""

"""One reply: from its place in line to its final row in the history."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

from deepseek_tui.engine.protocol import (
    ChatMessage,
    Failed,
    Finished,
    FinishReason,
    LoadProgress,
    Notice,
    PrefillProgress,
    Ready,
    Role,
    Stats,
    Token,
)
from deepseek_tui.history.store import Message, State
from deepseek_tui.text.sanitize import sanitize_line
from deepseek_tui.tui.choices import Choices, given
from deepseek_tui.tui.switching import take_over
from deepseek_tui.tui.thinking import ThinkingClock, split
from deepseek_tui.tui.updates import Noticed, Phase, ReplyEnded, ReplyText, Said

if TYPE_CHECKING:
    from deepseek_tui.tui.controller import Controller

# Seconds between writes of a growing reply to the history: what a crash of everything may cost.
JOURNAL_INTERVAL = 0.5

_STATES: dict[FinishReason, State] = {
    "stop": "complete",
    "length": "length",
    "context": "length",
    "cancelled": "stopped",
}


class Reply:
    """`message` is its row, "streaming" until the end. With `continued` its text so far is carried on."""

    def __init__(self, controller: Controller, message: Message, continued: bool = False) -> None:
        self.message = message
        self.conversation = message.conversation
        self.text = message.text
        self._controller = controller
        self._continued = continued
        self._saved = message.text
        self._stopped = asyncio.Event()
        self._generating = False
        self._stats: dict[str, Any] = {}
        self._settings: dict[str, Any] = dict(message.settings)
        self._clock = ThinkingClock()

    def current(self) -> Message:
        """The message with the text as far as it has come."""
        return dataclasses.replace(self.message, text=self.text)

    async def make(self) -> None:
        """Wait for the model, generate, and keep the result, whatever happens."""
        failure = await self._model_or_stop()
        if self._stopped.is_set():
            await self.keep("stopped")
        elif failure is not None:
            await self._fail(failure)
        else:
            journal = asyncio.create_task(self._journal())
            try:
                await self._generate()
            finally:
                journal.cancel()
                await asyncio.gather(journal, return_exceptions=True)

    async def stop(self) -> None:
        """End it within a token, or at once while it waits for the model."""
        self._stopped.set()
        if self._generating:
            self._controller.set_status(phase=Phase.STOPPING)
            await self._controller.client.cancel()

    async def end(self, state: State) -> None:
        """The end of a reply that never had its turn."""
        await self.keep(state)
        self._controller.say(ReplyEnded(self.current()))
        await self._controller.conversations_changed()

    async def keep(self, state: State) -> None:
        """The final row."""
        self.message = dataclasses.replace(self.current(), state=state, stats=self._stats)
        identity, text, model = self.message.id, self.text, self.message.model
        stats, settings = self._stats, self._settings
        await self._controller.archive.call(
            lambda s: s.update_message(
                identity, text=text, state=state, stats=stats, settings=settings, model=model
            )
        )

    async def _model_or_stop(self) -> Failed | None:
        """Wait until the model is there, failed to load, or the user has had enough of waiting."""
        ready = asyncio.create_task(self._controller.model_ready())
        stopped = asyncio.create_task(self._stopped.wait())
        try:
            await asyncio.wait({ready, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            if not ready.done():
                ready.cancel()
        return ready.result() if ready.done() and not ready.cancelled() else None

    async def _generate(self) -> None:
        controller = self._controller
        conversation = await controller.archive.call(lambda s: s.get(self.conversation))
        choices = Choices.of(conversation.settings)
        if controller.model is not None and conversation.model != str(controller.model):
            await take_over(controller, self.conversation)
        # Another model than the one that was there when it got its place in line.
        self.message = dataclasses.replace(self.message, model=controller.status.model)
        upto = self.message.id if self._continued else self.message.parent
        path = await controller.archive.path_to(self.conversation, upto)
        controller.set_status(phase=Phase.READING, stats=None, prompt_done=0, prompt_total=0)
        self._generating = True
        if self._stopped.is_set():
            await self.keep("stopped")
            controller.set_status(phase=Phase.READY)
            return
        async for event in controller.client.generate(
            self.conversation,
            chat_messages(conversation.system_prompt, path, continued=self._continued),
            sampling=choices.sampling.over(controller.sampling),
            context_policy=choices.context_policy or controller.context_policy,
            continue_reply=self._continued,
            template_options=choices.template_options,
        ):
            if isinstance(event, Finished):
                await self._finish(event)
            elif isinstance(event, Failed):
                await self._fail(event)
            else:
                self._take(event)

    def _take(self, event: LoadProgress | Ready | PrefillProgress | Token | Stats | Notice) -> None:
        controller = self._controller
        match event:
            case Token(text=text, count=count):
                self.text += text
                self._clock.saw(text, count)
                if not self._stopped.is_set():
                    controller.set_status(phase=Phase.WRITING)
                controller.say(ReplyText(self.conversation, self.message.id, text))
            case Stats():
                self._stats = {**_figures(event), **self._clock.figures}
                controller.set_status(stats=event, memory=event.memory, context_limit=event.context_limit)
            case PrefillProgress(done=done, total=total, cached=cached):
                controller.set_status(prompt_done=done, prompt_total=total, cached=cached)
            case Notice(text=text):
                controller.say(Noticed(self.conversation, sanitize_line(text)))
            case LoadProgress():
                controller.progress(event)
            case Ready():
                controller.ready(event)
                controller.set_status(phase=Phase.READING)

    async def _finish(self, event: Finished) -> None:
        self._stats = {**_figures(event.stats), **self._clock.figures, "reason": event.reason}
        self._settings = {**self._settings, **given(event.sampling)}
        await self.keep(_STATES[event.reason])
        stats = event.stats
        self._controller.set_status(
            phase=Phase.READY,
            stats=stats,
            memory=stats.memory or self._controller.status.memory,
            context_limit=stats.context_limit or self._controller.status.context_limit,
        )

    async def _fail(self, event: Failed) -> None:
        """The text so far stays; the sentence goes with it."""
        sentence = sanitize_line(f"{event.message} {event.hint}".strip())
        self._stats = {**self._stats, "error": sentence, "kind": event.kind}
        await self.keep("failed")
        controller = self._controller
        if event.kind == "engine-died":
            controller.set_status(phase=Phase.DEAD)
        elif not controller.client.alive or controller.client.model is None:
            controller.set_status(phase=Phase.FAILED)
        else:
            controller.set_status(phase=Phase.READY)
        if controller.shown != self.conversation:
            controller.say(Said(sentence, "error"))

    async def save(self) -> None:
        """Put what came so far into the history."""
        if self.text != self._saved:
            self._saved = text = self.text
            identity = self.message.id
            await self._controller.archive.call(lambda s: s.update_message(identity, text=text))

    async def _journal(self) -> None:
        while True:
            await asyncio.sleep(JOURNAL_INTERVAL)
            await self.save()


def chat_messages(system_prompt: str, path: list[Message], continued: bool = False) -> list[ChatMessage]:
    """What the model is given. Replies that never came are left out, and the turns around them joined,
    because many templates insist that roles alternate.

    Models are trained without the thinking of earlier turns in sight, so it is left out, except in the last
    reply where that is `continued`.
    """
    messages: list[ChatMessage] = [ChatMessage("system", system_prompt)] if system_prompt else []
    for message in path:
        text = message.text
        if message.role == "assistant" and not (continued and message is path[-1]):
            text = split(text)[1]
        if not text:
            continue
        role: Role = "assistant" if message.role == "assistant" else "user"
        if messages and messages[-1].role == role:
            messages[-1] = ChatMessage(role, f"{messages[-1].content}\n\n{text}")
        else:
            messages.append(ChatMessage(role, text))
    return messages


def _figures(stats: Stats) -> dict[str, Any]:
    return {k: v for k, v in dataclasses.asdict(stats).items() if k != "id"}

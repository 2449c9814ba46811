"""The parent's side of the engine: an asyncio client that owns the child process. No MLX, no Textual.

A child starts with the first request and again after a death, reloading the model on the way. Requests queue
in the child, first in, first out. Everything that goes wrong arrives as one Failed event with a sentence.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from deepseek_tui.engine.child import Child
from deepseek_tui.engine.protocol import (
    Cancel,
    ChatMessage,
    ContextPolicy,
    CountTokens,
    Done,
    EngineError,
    Event,
    Failed,
    Finished,
    Forget,
    Generate,
    Hello,
    Load,
    LoadProgress,
    ModelInfo,
    Notice,
    PrefillProgress,
    Ready,
    Request,
    Sampling,
    Stats,
    Token,
    TokenCount,
    Unload,
)

LoadEvent = LoadProgress | Ready | Failed
GenerateEvent = LoadProgress | Ready | PrefillProgress | Token | Stats | Notice | Finished | Failed

_Wanted = tuple[str, str | None]


class _Stream:
    """Events on their way to one consumer. A slow one loses nothing: what piled up reaches it merged."""

    def __init__(self, *terminal: type[Any]) -> None:
        self._terminal = (*terminal, Failed)
        self._events: deque[Event] = deque()
        self._wake = asyncio.Event()
        self.last = Stats(0)
        self.sampling = Sampling()
        self.answered = False
        self.ended = False

    def put(self, event: Event) -> None:
        if self.ended:
            return
        self.ended = isinstance(event, self._terminal)
        self.answered = self.answered or not isinstance(event, LoadProgress | Ready)
        if isinstance(event, Stats):
            self.last = event
        if isinstance(event, Token) and len(self._events) > 1 and isinstance(self._events[-1], Stats):
            # Figures between two pieces that nobody has read yet are out of date.
            self._events.pop()
        previous = self._events[-1] if self._events else None
        if isinstance(event, Token) and isinstance(previous, Token):
            self._events[-1] = Token(
                event.id, previous.text + event.text, event.count, previous.ids + event.ids
            )
        elif isinstance(event, (Stats, PrefillProgress, LoadProgress)) and type(previous) is type(event):
            self._events[-1] = event
        else:
            self._events.append(event)
        self._wake.set()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            while self._events:
                event = self._events.popleft()
                yield event
                if isinstance(event, self._terminal):
                    return
            self._wake.clear()
            await self._wake.wait()


class EngineClient:
    """The engine as the screen sees it.

    `command`: another way to reach an engine, such as ("ssh", "mac", "deepseek-tui", "engine").
    `env`: variables added to this process's own. `log`: where the child's stderr goes, engine.log in the
    log directory by default. `hello_timeout`: seconds a child may take to say hello.
    """

    def __init__(
        self,
        command: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        *,
        log: Path | None = None,
        hello_timeout: float = 60.0,
    ) -> None:
        self._command = list(command or (sys.executable, "-m", "deepseek_tui.engine"))
        self._env = {**os.environ, **(env or {})}
        self._log = log
        self._hello_timeout = hello_timeout
        self._ids = itertools.count(1)
        self._starting = asyncio.Lock()
        self._child: Child | None = None
        self._hello: Hello | None = None
        self._model: ModelInfo | None = None
        # The model the user last got, and what the present child holds or is about to.
        self._wanted: _Wanted | None = None
        self._held: _Wanted | None = None
        self._loads: dict[int, _Wanted] = {}
        self._streams: dict[int, _Stream] = {}
        self._turns: dict[int, _Stream] = {}
        self._cancels: set[asyncio.Task[None]] = set()

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    @property
    def hello(self) -> Hello | None:
        """The greeting of the last child that started."""
        return self._hello

    @property
    def model(self) -> ModelInfo | None:
        """What the engine holds in memory now."""
        return self._model

    async def start(self) -> Hello:
        """Start a child unless one is alive. Raises EngineError."""
        async with self._starting:
            if self._child is not None and not self._child.alive:
                await self._child.close()
                self._child = None
            if self._child is None:
                child = Child(self._command, self._env, self._log or _default_log(), self._hello_timeout)
                self._hello = await child.start(self._dispatch, self._died)
                self._child = child
            assert self._hello is not None
            return self._hello

    async def load(
        self, path: str | Path, adapter_path: str | None = None
    ) -> AsyncGenerator[LoadEvent, None]:
        """Load a model in place of the one in memory. Ends with Ready or Failed.

        Closing the iterator early stops the loading.
        """
        stream = _Stream(Ready)
        request = Load(next(self._ids), str(path), adapter_path)
        async for event in self._run(request, stream, self._submit(request, stream)):
            if isinstance(event, LoadEvent):
                yield event

    async def generate(
        self,
        conversation: str,
        messages: Sequence[ChatMessage],
        *,
        sampling: Sampling | None = None,
        context_policy: ContextPolicy = "roll",
        continue_reply: bool = False,
        raw: bool = False,
        template_options: Mapping[str, Any] | None = None,
    ) -> AsyncGenerator[GenerateEvent, None]:
        """One reply. Ends with Finished or Failed; closing the iterator early stops it in the child.

        After a death of the child the model is loaded again first, with LoadProgress and Ready.
        """
        stream = _Stream(Finished)
        request = Generate(
            next(self._ids),
            conversation,
            tuple(messages),
            sampling or Sampling(),
            context_policy=context_policy,
            continue_reply=continue_reply,
            raw=raw,
            template_options=dict(template_options or {}),
        )
        stream.sampling = request.sampling
        self._turns[request.id] = stream
        try:
            async for event in self._run(request, stream, self._submit_turn(request, stream)):
                if isinstance(event, GenerateEvent):
                    yield event
        finally:
            self._turns.pop(request.id, None)

    async def cancel(self) -> None:
        """Stop the reply that is being made, or the first one that waits to be; without one, nothing."""
        for turn, stream in self._turns.items():
            if not stream.ended:
                # One that waits, for a model to load or another reply to end, has nothing to wait for.
                if not stream.answered:
                    stream.put(Finished(turn, "cancelled", stream.last, stream.sampling))
                await self._send_cancel(turn)
                return

    async def count_tokens(self, text: str) -> int:
        """Tokens of `text` for the loaded model, in the middle of a reply too. Raises EngineError."""
        event = await self._ask(CountTokens(next(self._ids), text), TokenCount)
        assert isinstance(event, TokenCount)
        return event.count

    async def forget(self, conversation: str) -> None:
        """Drop the KV cache of a conversation, if there is one."""
        if self.alive:
            await self._ask(Forget(next(self._ids), conversation), Done)

    async def unload(self) -> None:
        """Free the model's memory; nothing is loaded again by itself."""
        self._wanted = self._held = self._model = None
        if self.alive:
            await self._ask(Unload(next(self._ids)), Done)

    async def close(self) -> None:
        """End the child, whatever it does, and every open iterator with it."""
        async with self._starting:
            child, self._child = self._child, None
            if child is not None:
                await child.close()
        await asyncio.gather(*self._cancels, return_exceptions=True)

    async def _run(
        self, request: Request, stream: _Stream, submission: Coroutine[Any, Any, None]
    ) -> AsyncIterator[Event]:
        submitting = asyncio.create_task(submission)
        try:
            async for event in stream:
                yield event
        finally:
            submitting.cancel()
            await asyncio.gather(submitting, return_exceptions=True)
            abandoned = not stream.ended
            self._streams.pop(request.id, None)
            if abandoned:
                task = asyncio.create_task(self._send_cancel(request.id))
                self._cancels.add(task)
                task.add_done_callback(self._cancels.discard)

    async def _submit_turn(self, request: Generate, stream: _Stream) -> None:
        if await self._started(stream):
            if self._wanted is not None and self._held != self._wanted:
                path, adapter = self._wanted
                await self._submit(Load(next(self._ids), path, adapter), stream)
            await self._submit(request, stream)

    async def _submit(self, request: Request, stream: _Stream) -> None:
        if not await self._started(stream):
            return
        assert self._child is not None
        self._streams[request.id] = stream
        if isinstance(request, Load):
            self._held = self._loads[request.id] = (request.path, request.adapter_path)
            self._model = None
        await self._child.send(request)

    async def _started(self, stream: _Stream) -> bool:
        try:
            await self.start()
        except EngineError as error:
            stream.put(Failed(0, error.kind, error.message, error.hint))
            return False
        return True

    async def _ask(self, request: Request, answer: type[Any]) -> Event:
        stream = _Stream(answer)
        *_, event = [e async for e in self._run(request, stream, self._submit(request, stream))]
        if isinstance(event, Failed):
            raise EngineError(event.kind, event.message, event.hint)
        return event

    async def _send_cancel(self, target: int) -> None:
        if self._child is not None and self._child.alive:
            await self._child.send(Cancel(next(self._ids), target))

    def _dispatch(self, event: Event) -> None:
        """One event from the child, to whoever waits for it; nobody does after an early close."""
        identity = getattr(event, "id", 0)
        if identity in self._loads:
            if isinstance(event, Ready):
                self._wanted, self._model = self._loads.pop(identity), event.model
            elif isinstance(event, Failed) and self._loads.pop(identity) == self._held:
                self._held = None
        if identity in self._streams:
            self._streams[identity].put(event)
        elif isinstance(event, Failed) and identity == 0:
            self._end_all(event)

    def _died(self, failure: Failed) -> None:
        self._held = self._model = None
        self._loads.clear()
        self._end_all(failure)

    def _end_all(self, failure: Failed) -> None:
        for stream in self._streams.values():
            stream.put(failure)
        self._streams.clear()


def _default_log() -> Path:
    from deepseek_tui import paths

    return paths.log_dir() / "engine.log"

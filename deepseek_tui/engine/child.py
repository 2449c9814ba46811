"""One engine process as its parent sees it: started, greeted, read from, explained when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deepseek_tui.engine.protocol import (
    VERSION,
    EngineError,
    Event,
    Failed,
    Hello,
    ProtocolError,
    Request,
    Shutdown,
    decode,
    encode,
)

_LINE_LIMIT = 64 << 20
_LOG_LIMIT = 1 << 20
_AGAIN = "Send the message again: a new engine starts by itself."


class Child:
    """A running engine. `on_event` gets every event after the hello, `on_death` one Failed at its end."""

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], log: Path, hello_timeout: float
    ) -> None:
        self._command = list(command)
        self._env = dict(env)
        self._log = log
        self._hello_timeout = hello_timeout
        self._tail: deque[str] = deque(maxlen=300)
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []
        self._process: asyncio.subprocess.Process | None = None
        self.alive = False

    async def start(self, on_event: Callable[[Event], None], on_death: Callable[[Failed], None]) -> Hello:
        """Start the process and wait for its hello. Raises EngineError and leaves nothing behind then."""
        try:
            # A session of its own: Ctrl+C and a closed terminal reach the screen, which decides.
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self._env,
                limit=_LINE_LIMIT,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise EngineError(
                "engine-start",
                f"The engine could not be started: {self._command[0]!r}: {reason}.",
                "Check the engine command in the settings.",
            ) from error
        self._tasks.append(asyncio.create_task(self._copy_stderr()))
        try:
            hello = await asyncio.wait_for(self._hello(), self._hello_timeout)
            if hello.version != VERSION:
                raise EngineError(
                    "version",
                    f"The engine speaks protocol version {hello.version}, this program version {VERSION}.",
                    "Install the same version of deepseek-tui on both sides.",
                )
        except TimeoutError:
            await self.close(0)
            raise EngineError(
                "engine-start",
                f"The engine {self._command[0]!r} said nothing for {self._hello_timeout:g} seconds."
                f"{self._said()}",
                "Check the engine command in the settings.",
            ) from None
        except BaseException:
            await self.close(0)
            raise
        self.alive = True
        self._tasks.append(asyncio.create_task(self._read(on_event, on_death)))
        return hello

    async def send(self, request: Request) -> None:
        """Write one request. A child that is gone says so through `on_death`, not here."""
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError, RuntimeError):
            self._process.stdin.write(encode(request))
            await self._process.stdin.drain()

    async def close(self, patience: float = 2.0) -> None:
        """End the process: ask, then SIGTERM, then SIGKILL, waiting up to `patience` seconds after each."""
        self._closing = True
        process = self._process
        if process is None:
            return
        await self.send(Shutdown(0))
        if process.stdin is not None:
            process.stdin.close()
        for stop in (None, process.terminate, process.kill):
            if stop is not None:
                with contextlib.suppress(ProcessLookupError):
                    stop()
            try:
                await asyncio.wait_for(process.wait(), patience if stop != process.kill else None)
                break
            except TimeoutError:
                continue
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.alive = False

    async def _hello(self) -> Hello:
        while True:
            event = await self._next()
            if event is None:
                raise EngineError(
                    "engine-start",
                    f"The engine {self._command[0]!r} ended before it was ready{await self._cause()}."
                    f"{self._said()}",
                    f"Its log is {self._log}.",
                )
            if isinstance(event, Hello):
                return event

    async def _read(self, on_event: Callable[[Event], None], on_death: Callable[[Failed], None]) -> None:
        while (event := await self._next()) is not None:
            on_event(event)
        self.alive = False
        cause = "" if self._closing else await self._cause()
        on_death(Failed(0, "engine-died", f"The engine stopped{cause}.{self._said()}", _AGAIN))

    async def _next(self) -> Event | None:
        """The next event; None at the end. Lines that are none (a login banner of ssh) go to the log."""
        assert self._process is not None
        assert self._process.stdout is not None
        while True:
            try:
                line = await self._process.stdout.readline()
            except ValueError:
                self._note("a line over the limit of length on stdout")
                continue
            if not line:
                return None
            try:
                message = decode(line)
            except ProtocolError:
                self._note(line.decode("utf-8", "replace").rstrip())
                continue
            if isinstance(message, Event):
                return message

    async def _cause(self) -> str:
        """Why it ended, to follow "The engine stopped"."""
        assert self._process is not None
        # The pipe closes a moment before the exit status is there; one that closes it and lives on is killed.
        try:
            status = await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            return ": it closed its output"
        if status in (-signal.SIGKILL, -signal.SIGABRT):
            return f" by signal {signal.Signals(-status).name}, perhaps because memory ran out"
        if status < 0:
            return f" by signal {signal.Signals(-status).name}"
        return f" with exit status {status}"

    def _said(self) -> str:
        # What a crash leaves behind these words is a dump of stacks, of use in the log alone.
        words = itertools.takewhile(lambda line: not line.startswith("Fatal Python error"), self._tail)
        last = next((line for line in reversed(list(words)) if line.strip()), "")
        return f" It said: {last.strip()[:200]}" if last else ""

    async def _copy_stderr(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        while True:
            try:
                line = await self._process.stderr.readline()
            except ValueError:
                continue
            if not line:
                return
            self._note(line.decode("utf-8", "replace").rstrip())

    def _note(self, line: str) -> None:
        assert self._process is not None
        self._tail.append(line)
        # A log that cannot be written (full disk, read-only home) must not take the chat down.
        with contextlib.suppress(OSError):
            self._log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._log.exists() and self._log.stat().st_size > _LOG_LIMIT:
                self._log.replace(self._log.with_suffix(".log.1"))
            descriptor = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "a", encoding="utf-8", errors="replace") as log:
                log.write(f"[{self._process.pid}] {line}\n")

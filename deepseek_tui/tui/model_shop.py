"""Models that there are and that can be had, by way of `deepseek-tui models` in a process of its own.

A process, because looking into checkpoints and fetching them is no business of the screen: it would hold it
up, and what it imports is large. What the process prints is all that comes back.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from deepseek_tui.errors import UserError
from deepseek_tui.text.sanitize import sanitize_line

Origin = Literal["hub", "index"]

# Seconds that a download has to end by itself after it was asked to.
_PATIENCE = 3.0
# The longest line that is read: the list of some thousand models.
_LINE_BYTES = 1 << 24


@dataclass(frozen=True)
class Model:
    """One that is installed (with a `path`) or can be had (without). 0 and "": not told.

    `memory`: bytes with a conversation of 4,096 tokens; `memory_float32`: the same on a CPU. `here`: bytes
    of a download that was stopped.
    """

    name: str
    path: str = ""
    title: str = ""
    repo: str = ""
    licence: str = ""
    bytes: int = 0
    memory: int = 0
    memory_float32: int = 0
    context: int = 0
    here: int = 0

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Model:
        """From what the process prints; names and licences are files' content, so they are filtered."""
        given: dict[str, Any] = {f.name: stored[f.name] for f in fields(cls) if f.name in stored}
        for name, value in given.items():
            if isinstance(value, str) and name != "path":
                given[name] = sanitize_line(value)
        return cls(**given)


@dataclass(frozen=True)
class Listing:
    """`memory_free`, `memory_total`: bytes; 0 where the system does not tell."""

    installed: tuple[Model, ...] = ()
    available: tuple[Model, ...] = ()
    memory_free: int = 0
    memory_total: int = 0


@dataclass(frozen=True)
class Pull:
    """A download. `ended`: how, once it has. `problem`: the sentence, where it failed."""

    name: str
    origin: Origin = "hub"
    stage: str = "asking"
    file: str = ""
    done: int = 0
    total: int = 0
    ended: Literal["", "installed", "stopped", "failed"] = ""
    installed: str = ""
    path: str = ""
    problem: str = ""


class ModelShop:
    """`changed` is called with each step of a download. `command` runs deepseek-tui."""

    def __init__(self, changed: Callable[[Pull], None], command: Sequence[str] = ()) -> None:
        self.changed = changed
        self.pulls: dict[str, Pull] = {}
        self._command = [*(command or (sys.executable, "-m", "deepseek_tui")), "models"]
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopped: set[str] = set()

    async def listing(self) -> Listing:
        """What there is. Raises UserError."""
        process = await self._start("list", "--json")
        said, errors = await process.communicate()
        try:
            told = json.loads(said)
            return Listing(
                tuple(Model.of(m) for m in told["installed"]),
                tuple(Model.of(m) for m in told["available"]),
                told["memory_free"] or 0,
                told["memory_total"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(_sentence(errors) or "The models cannot be listed.") from error

    def running(self, name: str) -> bool:
        return name in self._tasks

    def pull(self, name: str, origin: Origin = "hub") -> None:
        """Fetch a model, going on where an earlier download stopped."""
        if not self.running(name):
            self._stopped.discard(name)
            self._tell(Pull(name, origin))
            self._tasks[name] = asyncio.create_task(self._pull(name, origin))

    def stop(self, name: str) -> None:
        """Stop fetching; what has arrived is kept."""
        if (task := self._tasks.get(name)) is not None and name not in self._stopped:
            self._stopped.add(name)
            task.cancel()

    async def close(self) -> None:
        """Stop all downloads."""
        for name in list(self._tasks):
            self.stop(name)
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _pull(self, name: str, origin: Origin) -> None:
        process = None
        try:
            process = await self._start("pull", "--json", "--from", origin, "--", name)
            problem = await self._follow(name, process)
            ended = replace(self.pulls[name], ended="failed" if problem else "installed", problem=problem)
        except asyncio.CancelledError:
            ended = replace(self.pulls[name], ended="stopped")
        except (UserError, OSError, ValueError) as error:
            ended = replace(self.pulls[name], ended="failed", problem=sanitize_line(str(error)))
        if process is not None:
            # Before anybody is told: another download of it may begin at once.
            await _end_process(process)
        self._end(ended)

    async def _follow(self, name: str, process: asyncio.subprocess.Process) -> str:
        """Tell what the process tells, to its end; what was wrong."""
        assert process.stdout is not None
        assert process.stderr is not None
        async for line in process.stdout:
            self._tell(_step(self.pulls[name], line))
        errors = await process.stderr.read()
        if await process.wait() == 0 and self.pulls[name].installed:
            return ""
        return _sentence(errors) or "The download ended without a word."

    def _end(self, pull: Pull) -> None:
        self._tasks.pop(pull.name, None)
        self._tell(pull)

    def _tell(self, pull: Pull) -> None:
        self.pulls[pull.name] = pull
        self.changed(pull)

    async def _start(self, *words: str) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                *self._command,
                *words,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=_LINE_BYTES,
                # A group of its own: it is ended together with what it has started.
                start_new_session=True,
            )
        except OSError as error:
            raise UserError(f"{self._command[0]} cannot be started: {error.strerror or error}.") from error


def _step(pull: Pull, line: bytes) -> Pull:
    """The download after one more line of what the process says."""
    try:
        told = json.loads(line)
        if "installed" in told:
            return replace(pull, installed=sanitize_line(str(told["installed"])), path=str(told["path"]))
        return replace(
            pull,
            stage=sanitize_line(str(told["stage"])),
            file=sanitize_line(str(told["file"])),
            done=int(told["done"]),
            total=int(told["total"]),
        )
    except (ValueError, KeyError, TypeError):
        return pull


def _sentence(errors: bytes) -> str:
    """The last line of what a process says on stderr, without its name."""
    lines = [line for line in errors.decode("utf-8", "replace").splitlines() if line.strip()]
    return sanitize_line(lines[-1].removeprefix("deepseek-tui: ")) if lines else ""


async def _end_process(process: asyncio.subprocess.Process) -> None:
    """Ask a process and its children to end, then make them."""
    for number in (signal.SIGINT, signal.SIGKILL):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            # What is left in the pipes must not keep it from ending.
            await asyncio.wait_for(process.communicate(), _PATIENCE)

"""The engine child: requests on stdin, events on stdout, one thread that owns MLX.

MLX's streams belong to the thread that made them, so the main thread loads and generates; `Pipe` reads stdin
in another, which is how a Cancel takes effect in the middle of a reply.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import time
import traceback
from importlib import metadata
from typing import TYPE_CHECKING, NoReturn

from deepseek_tui.engine.pipe import Pipe
from deepseek_tui.engine.protocol import (
    VERSION,
    CountTokens,
    Done,
    EngineError,
    Failed,
    Forget,
    Generate,
    Hello,
    Load,
    LoadProgress,
    Ready,
    Request,
    Shutdown,
    TokenCount,
    Unload,
)
from deepseek_tui.errors import UserError

if TYPE_CHECKING:
    from deepseek_tui.engine.session import Session

_PROGRESS_SECONDS = 0.05


class _LoadCancelledError(Exception):
    """Raised inside a load to leave it."""


def main() -> NoReturn:
    """Serve until Shutdown or the end of stdin, either of which ends the process with status 0."""
    # Ctrl+C in a terminal reaches the whole group; only the screen decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    pipe = Pipe.claim_stdio()

    # Before anything imports mlx: the fast BLAS has to be in the process first.
    from deepseek_tui.engine.blas import prefer_fast_blas

    blas = prefer_fast_blas()
    from deepseek_tui.engine.device import device_line

    warnings = (blas,) if "slow" in blas else ()
    pipe.send(Hello(VERSION, os.getpid(), device_line(), metadata.version("mlx"), warnings))
    server = _Server(pipe)
    for request in pipe.requests():
        server.answer(request)
    pipe.exit()


class _Server:
    """Answers requests one after another with the one session there is."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._session: Session | None = None

    def answer(self, request: Request) -> None:
        try:
            self._answer(request)
        except _LoadCancelledError:
            self._pipe.send(Failed(request.id, "cancelled", "Loading was stopped."))
        except UserError as error:
            kind = getattr(error, "kind", "load" if isinstance(request, Load) else "request")
            self._pipe.send(Failed(request.id, kind, error.message, error.hint))
        except Exception as error:  # noqa: BLE001  # whatever broke, the next request deserves an engine
            traceback.print_exc(file=sys.stderr)
            self._pipe.send(
                Failed(
                    request.id,
                    "internal",
                    f"The engine failed: {type(error).__name__}: {error}",
                    "The engine log has the details.",
                )
            )

    def drop(self) -> None:
        if self._session is not None:
            self._session.unload()
            self._session = None

    def _answer(self, request: Request) -> None:
        match request:
            case Load():
                self._load(request)
            case Generate():
                self._generate(request)
            case CountTokens():
                self._pipe.send(TokenCount(request.id, self._loaded().count_tokens(request.text)))
            case Forget():
                if self._session is not None:
                    self._session.forget(request.conversation)
                self._pipe.send(Done(request.id))
            case Unload() | Shutdown():
                self.drop()
                self._pipe.send(Done(request.id))

    def _load(self, request: Load) -> None:
        from deepseek_tui.engine.device import memory_now
        from deepseek_tui.engine.session import Session
        from deepseek_tui.settings import Settings, resolve_model

        # Two models at once may be more than the memory holds.
        self.drop()
        began = time.monotonic()
        last_sent = 0.0
        seen = (0, 0)

        def on_progress(done: int, total: int) -> None:
            nonlocal last_sent, seen
            if self._pipe.cancelled(request.id):
                raise _LoadCancelledError
            seen = (done, total)
            now = time.monotonic()
            if now - last_sent >= _PROGRESS_SECONDS and done < total:
                last_sent = now
                self._pipe.send(LoadProgress(request.id, done, total))

        on_progress(0, 1)
        # A name means a model of the machine that the engine runs on, which may not be the screen's.
        path = resolve_model(request.path, Settings())
        self._session = Session.load(path, adapter_path=request.adapter_path, on_progress=on_progress)
        whole = max(*seen, 1)
        self._pipe.send(LoadProgress(request.id, whole, whole))
        self._pipe.send(Ready(request.id, self._session.info, time.monotonic() - began, memory_now()))

    def _generate(self, request: Generate) -> None:
        session = self._loaded()
        for event in session.generate(request, lambda: self._pipe.cancelled(request.id)):
            self._pipe.send(event)
            # The prompt shows the size of a draft while a reply streams.
            for count in self._pipe.overtaking(CountTokens):
                self.answer(count)

    def _loaded(self) -> Session:
        if self._session is None:
            raise EngineError("no-model", "No model is loaded.", "Choose a model first.")
        return self._session

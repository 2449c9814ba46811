"""`python -m deepseek_tui.engine.fake [SCRIPT.json]`: an engine without a model, for tests of the screen.

It speaks the protocol of the real one from a script: JSON in the file given or in the environment variable
DEEPSEEK_TUI_FAKE. Every key is optional:

    {"hello": {"version": 1, "device": "scripted", "warnings": [], "silent": false, "garbage": null},
     "load": {"steps": 4, "delay": 0.0, "fail": null, "fail_paths": [], "name": null},
     "context": 1024, "echo": false, "state": null,
     "replies": [{"pieces": ["Hello", " there."], "delay": 0.0, "prefill": 1, "cached": 0, "notice": null,
                  "hold_after": null, "fail_after": null, "die_after": null, "reason": "stop"}]}

Replies are used in turn and the last one repeats. `delay`: seconds before each step or piece. After that
many pieces `hold_after` waits to be cancelled, `fail_after` fails, `die_after` ends the process by SIGKILL.
`silent`: never says hello; `garbage`: a line that is no message, before the hello. `fail`: a sentence.
`echo`: the last user message is the reply. `state`: a file that keeps the turn over a restart of the engine.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from deepseek_tui.engine.pipe import Pipe
from deepseek_tui.engine.protocol import (
    PRODUCT_SAMPLING,
    VERSION,
    CountTokens,
    Done,
    Failed,
    Finished,
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
)

_REPLY: dict[str, Any] = {"pieces": ["Hello", " there."]}
_WEIGHT_BYTES = 1_000_000
_MEMORY = 100 << 20


class Script:
    """What the scripted engine says, and how far it has come."""

    def __init__(self, text: str) -> None:
        script = json.loads(text or "{}")
        self.hello: dict[str, Any] = script.get("hello", {})
        self.load: dict[str, Any] = script.get("load", {})
        self.context: int = script.get("context", 1024)
        self._echo: bool = script.get("echo", False)
        self._replies: list[dict[str, Any]] = script.get("replies") or [_REPLY]
        self._state = Path(script["state"]) if script.get("state") else None
        self._next = int(self._state.read_text()) if self._state and self._state.exists() else 0

    def reply(self, request: Generate) -> dict[str, Any]:
        reply = self._replies[min(self._next, len(self._replies) - 1)]
        self._next += 1
        if self._state:
            self._state.write_text(str(self._next))
        if self._echo:
            said = next((m.content for m in reversed(request.messages) if m.role == "user"), "")
            reply = {**reply, "pieces": [w + " " for w in said.split(" ")]}
        return reply


def main() -> NoReturn:
    text = (
        Path(sys.argv[1]).read_text("utf-8") if len(sys.argv) > 1 else os.environ.get("DEEPSEEK_TUI_FAKE", "")
    )
    script = Script(text)
    # Ctrl+C in a terminal reaches the whole group; only the screen decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe = Pipe.claim_stdio()
    hello = script.hello
    if hello.get("silent"):
        pipe.pause(0, None)
    if hello.get("garbage"):
        print("this goes to stderr")
        pipe.send_raw(hello["garbage"].encode() + b"\n")
    pipe.send(
        Hello(
            version=hello.get("version", VERSION),
            pid=os.getpid(),
            device=hello.get("device", "scripted"),
            mlx_version="0",
            warnings=tuple(hello.get("warnings", ())),
        )
    )
    for request in pipe.requests():
        _answer(pipe, script, request)
    pipe.exit()


def _answer(pipe: Pipe, script: Script, request: Request) -> None:
    if isinstance(request, Load):
        _load(pipe, script, request)
    elif isinstance(request, Generate):
        _generate(pipe, script.reply(request), script.context, request)
    elif isinstance(request, CountTokens):
        pipe.send(TokenCount(request.id, _count(request.text)))
    else:
        pipe.send(Done(request.id))


def _load(pipe: Pipe, script: Script, request: Load) -> None:
    steps = max(1, script.load.get("steps", 4))
    began = time.monotonic()
    for step in range(1, steps + 1):
        if pipe.pause(request.id, script.load.get("delay", 0.0)):
            pipe.send(Failed(request.id, "cancelled", "Loading was stopped."))
            return
        pipe.send(LoadProgress(request.id, _WEIGHT_BYTES * step // steps, _WEIGHT_BYTES))
    fail = script.load.get("fail")
    if fail or request.path in script.load.get("fail_paths", ()):
        pipe.send(Failed(request.id, "load", fail or f"{request.path} holds no model."))
        return
    name = script.load.get("name") or Path(request.path).name
    model = ModelInfo(
        name=name,
        path=request.path,
        model_type="scripted",
        parameters=1_000_000,
        weight_bytes=_WEIGHT_BYTES,
        context_length=script.context,
        precision="4-bit",
        has_chat_template=True,
        defaults=PRODUCT_SAMPLING,
        kv_bytes_per_token=1024,
    )
    pipe.send(Ready(request.id, model, time.monotonic() - began, _MEMORY))


def _generate(pipe: Pipe, reply: dict[str, Any], context: int, request: Generate) -> None:
    turn = _Turn(pipe, request, reply, context)
    if not turn.prefill():
        return
    pieces: list[str] = reply.get("pieces", _REPLY["pieces"])
    for made in range(len(pieces) + 1):
        if made == reply.get("die_after"):
            os.kill(os.getpid(), signal.SIGKILL)
        if made == reply.get("fail_after"):
            pipe.send(
                Failed(request.id, "internal", "The scripted engine failed.", "Send the message again.")
            )
            return
        if made == len(pieces) and made != reply.get("hold_after"):
            break
        if pipe.pause(request.id, None if made == reply.get("hold_after") else reply.get("delay", 0.0)):
            turn.finish("cancelled")
            return
        turn.say(pieces[made], made + 1)
    turn.finish(reply.get("reason", "stop"))


class _Turn:
    """One scripted reply on its way: the events around the pieces, and its figures."""

    def __init__(self, pipe: Pipe, request: Generate, reply: dict[str, Any], context: int) -> None:
        self._pipe = pipe
        self._request = request
        self._reply = reply
        self._context = context
        self._prompt = sum(_count(m.content) for m in request.messages)
        self._cached = min(reply.get("cached", 0), self._prompt)
        self._made = 0
        self._began = time.monotonic()
        self._first = 0.0

    def prefill(self) -> bool:
        """False when the request was cancelled on the way."""
        if self._reply.get("notice"):
            self._pipe.send(Notice(self._request.id, self._reply["notice"]))
        steps = max(1, self._reply.get("prefill", 1))
        for step in range(1, steps + 1):
            if self._pipe.pause(self._request.id, self._reply.get("delay", 0.0)):
                self.finish("cancelled")
                return False
            done = self._cached + (self._prompt - self._cached) * step // steps
            self._pipe.send(PrefillProgress(self._request.id, done, self._prompt, self._cached))
        return True

    def say(self, piece: str, made: int) -> None:
        self._first = self._first or time.monotonic()
        self._made = made
        self._pipe.send(Token(self._request.id, piece, made))
        self._pipe.send(self._stats())

    def finish(self, reason: Any) -> None:
        used = self._request.sampling.over(Sampling(seed=1)).over(PRODUCT_SAMPLING)
        self._pipe.send(Finished(self._request.id, reason, self._stats(), used))

    def _stats(self) -> Stats:
        now = time.monotonic()
        first = self._first or now
        return Stats(
            self._request.id,
            prompt_tokens=self._prompt,
            cached_tokens=self._cached,
            generation_tokens=self._made,
            prompt_tps=(self._prompt - self._cached) / max(first - self._began, 1e-3),
            generation_tps=self._made / max(now - first, 1e-3),
            time_to_first_token=first - self._began,
            context_used=self._prompt + self._made,
            context_limit=self._context,
            memory=_MEMORY,
            peak_memory=_MEMORY,
        )


def _count(text: str) -> int:
    return len(text.split())


if __name__ == "__main__":
    main()

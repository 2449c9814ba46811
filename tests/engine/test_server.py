"""The real engine child with a tiny model, through the real client or its bare pipes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deepseek_tui.engine.client import EngineClient
from deepseek_tui.engine.protocol import (
    VERSION,
    ChatMessage,
    Done,
    Event,
    Failed,
    Finished,
    Generate,
    Hello,
    Load,
    LoadProgress,
    Ready,
    Request,
    Sampling,
    Shutdown,
    Token,
    decode,
    encode,
)
from tests.engine.tiny import make_tiny

HI = [ChatMessage("user", "Hello.")]
LONG = Sampling(max_tokens=400, logit_bias={"1": -1e4})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[EngineClient]:
    engine = EngineClient(log=tmp_path / "engine.log")
    yield engine
    await engine.close()


async def test_load_answer_cancel_count_unload(client: EngineClient, folder: Path) -> None:
    hello = await client.start()
    loading = [e async for e in client.load(folder)]
    events = [e async for e in client.generate("c", HI, sampling=Sampling(max_tokens=5, seed=1))]
    cancelled = []
    async for event in client.generate("c", HI, sampling=LONG):
        cancelled.append(event)
        if isinstance(event, Token):
            await client.cancel()
    count = await client.count_tokens("Hello.")
    await client.unload()
    unloaded = [e async for e in client.generate("c", HI)]

    assert hello.version == VERSION
    assert hello.device
    last_progress = [e for e in loading if isinstance(e, LoadProgress)][-1]
    assert last_progress.done == last_progress.total > 1
    assert isinstance(loading[-1], Ready)
    assert client.model is None
    assert isinstance(events[-1], Finished)
    assert events[-1].sampling.seed == 1
    assert isinstance(cancelled[-1], Finished)
    assert cancelled[-1].reason == "cancelled"
    assert cancelled[-1].stats.generation_tokens < 400
    assert count > 0
    assert isinstance(unloaded[-1], Failed)
    assert unloaded[-1].kind == "no-model"


async def test_a_draft_is_counted_while_a_reply_streams(client: EngineClient, folder: Path) -> None:
    async for _ in client.load(folder):
        pass
    events = []
    counts = []
    async for event in client.generate("c", HI, sampling=LONG):
        events.append(event)
        if isinstance(event, Token):
            counts.append(await client.count_tokens("A draft."))
            await client.cancel()

    assert counts[0] > 0
    # Had the count waited for the end of the reply, there would have been nothing left to cancel.
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "cancelled"


async def test_a_path_without_a_model_is_one_sentence(client: EngineClient, tmp_path: Path) -> None:
    events = [e async for e in client.load(tmp_path / "nowhere")]

    assert isinstance(events[-1], Failed)
    assert "nowhere" in events[-1].message
    assert client.alive


async def test_a_killed_engine_comes_back_with_its_model(client: EngineClient, folder: Path) -> None:
    async for _ in client.load(folder):
        pass
    hello = await client.start()
    dead = []
    async for event in client.generate("c", HI, sampling=LONG):
        dead.append(event)
        if isinstance(event, Token) and len([e for e in dead if isinstance(e, Token)]) == 1:
            os.kill(hello.pid, signal.SIGKILL)
    again = [e async for e in client.generate("c", HI, sampling=Sampling(max_tokens=3))]

    assert isinstance(dead[-1], Failed)
    assert dead[-1].kind == "engine-died"
    assert any(isinstance(e, Ready) for e in again)
    assert isinstance(again[-1], Finished)


class Bare:
    """The child by its pipes alone."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deepseek_tui.engine"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def write(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def send(self, request: Request) -> None:
        self.write(encode(request))

    def read(self) -> Event:
        assert self.process.stdout is not None
        event = decode(self.process.stdout.readline())
        assert isinstance(event, Event)
        return event

    def read_until(self, kind: type[Event]) -> Event:
        while not isinstance(event := self.read(), (kind, Failed)):
            pass
        return event


@pytest.fixture
def bare() -> Iterator[Bare]:
    child = Bare()
    with child.process:
        yield child
        child.process.kill()


def test_a_bad_line_is_answered_and_the_next_request_served(bare: Bare) -> None:
    assert isinstance(bare.read(), Hello)
    bare.write(b"garbage\n")
    bare.write(json.dumps({"type": "Load", "id": 9, "path": None}).encode() + b"\n")

    first, second = bare.read(), bare.read()

    assert isinstance(first, Failed)
    assert (first.id, first.kind) == (0, "protocol")
    assert isinstance(second, Failed)
    assert second.id == 9
    bare.send(Shutdown(10))
    assert bare.read() == Done(10)
    assert bare.process.wait(20) == 0


def test_ctrl_c_does_not_reach_the_engine_and_a_closed_pipe_ends_it_in_mid_reply(
    bare: Bare, folder: Path
) -> None:
    bare.send(Load(1, str(folder)))
    assert isinstance(bare.read_until(Ready), Ready)
    bare.process.send_signal(signal.SIGINT)
    bare.send(Generate(2, "c", tuple(HI), LONG))
    assert isinstance(bare.read_until(Token), Token)

    assert bare.process.stdin is not None
    bare.process.stdin.close()

    assert bare.process.wait(20) == 0


def test_importing_the_client_imports_no_mlx() -> None:
    code = (
        "import sys, deepseek_tui.engine.client, deepseek_tui.engine.fake; print('mlx.core' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"

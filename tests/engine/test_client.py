"""The client against a scripted child: a real process, real pipes, no model."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from deepseek_tui.engine.client import EngineClient, GenerateEvent, LoadEvent
from deepseek_tui.engine.protocol import (
    ChatMessage,
    EngineError,
    Failed,
    Finished,
    LoadProgress,
    Notice,
    PrefillProgress,
    Ready,
    Token,
)

Start = Callable[..., EngineClient]
HI = [ChatMessage("user", "hello there")]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Makes clients of a scripted engine, and closes them."""
    clients: list[EngineClient] = []

    def make(command: list[str] | None = None, hello_timeout: float = 60.0, **script: Any) -> EngineClient:
        client = EngineClient(
            command or [sys.executable, "-m", "deepseek_tui.engine.fake"],
            {"DEEPSEEK_TUI_FAKE": json.dumps(script)},
            log=tmp_path / "engine.log",
            hello_timeout=hello_timeout,
        )
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.close()


async def wait_until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110  # what is waited for has no event of its own
            await asyncio.sleep(0.01)


async def load(client: EngineClient) -> list[LoadEvent]:
    return [event async for event in client.load("/models/tiny")]


async def say(client: EngineClient, conversation: str = "c") -> list[GenerateEvent]:
    return [event async for event in client.generate(conversation, HI)]


def text_of(events: list[GenerateEvent]) -> str:
    return "".join(e.text for e in events if isinstance(e, Token))


async def test_a_reply_streams_and_finishes(start: Start) -> None:
    client = start(replies=[{"pieces": ["One", " two", " three"], "notice": "Mind the gap."}])
    loading = await load(client)

    events = await say(client)

    assert isinstance(loading[0], LoadProgress)
    assert isinstance(loading[-1], Ready)
    assert client.model is not None
    assert client.model.name == "tiny"
    assert text_of(events) == "One two three"
    assert any(isinstance(e, PrefillProgress) and e.total == 2 for e in events)
    assert Notice(2, "Mind the gap.") in events
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "stop"
    assert events[-1].sampling.seed is not None


async def test_a_slow_reader_gets_every_piece(start: Start) -> None:
    pieces = [f"{i} " for i in range(2000)]
    client = start(replies=[{"pieces": pieces}, {"pieces": ["done"]}])
    slow = client.generate("slow", HI)
    await anext(slow)

    # The second reply can only come when the first has left the child, unread as it is.
    other = await say(client, "other")
    rest = [event async for event in slow]

    assert text_of(other) == "done"
    assert text_of(rest) == "".join(pieces)
    assert len(rest) < len(pieces)


async def test_cancel_ends_the_reply_and_keeps_what_came(start: Start) -> None:
    client = start(replies=[{"pieces": ["half", " more"], "hold_after": 1}])
    events = []

    async for event in client.generate("c", HI):
        events.append(event)
        if isinstance(event, Token):
            await client.cancel()

    assert text_of(events) == "half"
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "cancelled"


async def test_cancel_without_a_reply_does_nothing(start: Start) -> None:
    client = start()
    await client.cancel()
    await client.start()
    await client.cancel()

    assert text_of(await say(client)) == "Hello there."


async def test_a_reply_that_waits_can_be_cancelled_at_once(start: Start) -> None:
    client = start(load={"steps": 1, "delay": 600})
    loading = asyncio.create_task(load(client))
    await wait_until(lambda: client.alive)
    waiting = asyncio.create_task(say(client))
    await wait_until(lambda: len(client._streams) == 2)

    await client.cancel()

    last = (await waiting)[-1]
    assert isinstance(last, Finished)
    assert last.reason == "cancelled"
    loading.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await loading


async def test_leaving_the_iterator_stops_the_reply_in_the_child(start: Start) -> None:
    client = start(replies=[{"pieces": ["half"], "hold_after": 1}, {"pieces": ["free again"]}])
    reply = client.generate("c", HI)
    async for event in reply:
        if isinstance(event, Token):
            break
    await reply.aclose()

    assert text_of(await say(client)) == "free again"


async def test_a_cancelled_task_stops_the_reply_in_the_child(start: Start) -> None:
    client = start(replies=[{"pieces": ["half"], "hold_after": 1}, {"pieces": ["free again"]}])
    task = asyncio.create_task(say(client))
    await wait_until(lambda: any(s.answered for s in client._streams.values()))
    task.cancel()

    assert text_of(await say(client)) == "free again"


async def test_requests_queue_first_in_first_out(start: Start) -> None:
    client = start(replies=[{"pieces": ["first"]}, {"pieces": ["second"]}])
    await client.start()
    order: list[str] = []

    async def ask(name: str) -> None:
        order.append(text_of(await say(client, name)))

    await asyncio.gather(ask("a"), ask("b"))

    assert order == ["first", "second"]


async def test_a_killed_engine_is_explained_and_the_next_message_starts_another(
    start: Start, tmp_path: Path
) -> None:
    client = start(
        state=str(tmp_path / "state"),
        replies=[{"pieces": ["half", "x"], "die_after": 1}, {"pieces": ["whole"]}],
    )
    await load(client)

    dead = await say(client)
    alive_after_death = client.alive
    born = await say(client)

    assert text_of(dead) == "half"
    assert isinstance(dead[-1], Failed)
    assert dead[-1].kind == "engine-died"
    assert "memory" in dead[-1].message
    assert not alive_after_death
    assert any(isinstance(e, Ready) and e.model.path == "/models/tiny" for e in born)
    assert text_of(born) == "whole"
    assert isinstance(born[-1], Finished)


async def test_death_ends_every_open_iterator(start: Start) -> None:
    client = start(replies=[{"pieces": ["half"], "hold_after": 1}])
    hello = await client.start()
    tasks = [asyncio.create_task(say(client, name)) for name in "ab"]
    await wait_until(lambda: sum(s.answered for s in client._streams.values()) == 1)

    os.kill(hello.pid, signal.SIGTERM)

    for events in await asyncio.gather(*tasks):
        assert isinstance(events[-1], Failed)
        assert events[-1].message == "The engine stopped by signal SIGTERM."


async def test_a_message_after_a_failed_load_gets_the_model_from_before(start: Start, tmp_path: Path) -> None:
    client = start(load={"fail_paths": ["/models/broken"]})
    await load(client)

    broken = [event async for event in client.load("/models/broken")]
    events = await say(client)

    assert isinstance(broken[-1], Failed)
    assert any(isinstance(e, Ready) and e.model.path == "/models/tiny" for e in events)
    assert text_of(events) == "Hello there."


async def test_a_failed_load_keeps_its_sentence(start: Start) -> None:
    client = start(load={"fail": "config.json is missing."})

    events = await load(client)

    assert isinstance(events[-1], Failed)
    assert events[-1].message == "config.json is missing."
    assert client.model is None


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["/no/such/engine"], "'/no/such/engine': No such file or directory"),
        (["/dev/null"], "'/dev/null': Permission denied"),
        (["true"], "'true' ended before it was ready with exit status 0."),
        (["sh", "-c", "echo host unreachable >&2; exit 255"], "exit status 255. It said: host unreachable"),
    ],
)
async def test_a_command_that_starts_no_engine_says_why(start: Start, command: list[str], said: str) -> None:
    client = start(command)

    events = await load(client)

    assert len(events) == 1
    assert isinstance(events[0], Failed)
    assert said in events[0].message
    with pytest.raises(EngineError):
        await client.start()


async def test_a_child_that_never_says_hello_is_given_up_and_gone(start: Start, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    client = start(["sh", "-c", f"echo $$ > {pid_file}; exec sleep 600"], hello_timeout=0.5)

    events = await say(client)

    assert isinstance(events[-1], Failed)
    assert "said nothing for 0.5 seconds" in events[-1].message
    assert not _exists(int(pid_file.read_text()))


async def test_another_version_is_one_sentence(start: Start) -> None:
    client = start(hello={"version": 99})

    events = await say(client)

    assert isinstance(events[-1], Failed)
    assert events[-1].kind == "version"
    assert "99" in events[-1].message


async def test_a_banner_before_the_hello_goes_to_the_log(start: Start, tmp_path: Path) -> None:
    client = start(hello={"garbage": "Welcome to mac.local! 你好"})

    assert text_of(await say(client)) == "Hello there."
    await client.close()
    log = (tmp_path / "engine.log").read_text("utf-8")
    assert "Welcome to mac.local! 你好" in log
    assert "this goes to stderr" in log
    assert (tmp_path / "engine.log").stat().st_mode & 0o077 == 0


async def test_counting_forgetting_and_unloading(start: Start) -> None:
    client = start()
    await client.forget("nothing runs yet")
    await load(client)

    assert await client.count_tokens("three words here") == 3
    await client.forget("c")
    await client.unload()
    assert client.model is None


async def test_a_long_prompt_and_a_long_piece_pass(start: Start) -> None:
    client = start(echo=True)
    long = "x" * 3_000_000

    events = [e async for e in client.generate("c", [ChatMessage("user", long)])]

    assert text_of(events) == long + " "


async def test_close_ends_a_child_that_is_in_mid_reply(start: Start) -> None:
    client = start(replies=[{"pieces": ["half"], "hold_after": 1}])
    hello = await client.start()
    task = asyncio.create_task(say(client))
    await wait_until(lambda: any(s.answered for s in client._streams.values()))

    await client.close()

    assert not _exists(hello.pid)
    assert isinstance((await task)[-1], Failed)


async def test_a_stubborn_child_is_killed(start: Start, tmp_path: Path) -> None:
    fake = f"{sys.executable} -m deepseek_tui.engine.fake"
    client = start(["sh", "-c", f"trap '' TERM; {fake}; while :; do sleep 0.1; done"])
    await client.start()
    child = client._child
    assert child is not None

    await child.close(patience=0.2)

    assert child._process is not None
    assert child._process.returncode == -signal.SIGKILL


def test_a_killed_parent_leaves_no_child(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from deepseek_tui.engine.client import EngineClient\n"
        "from deepseek_tui.engine.protocol import ChatMessage, Token\n"
        "async def main():\n"
        "    client = EngineClient([sys.executable, '-m', 'deepseek_tui.engine.fake'], log=Path('log'))\n"
        "    hello = await client.start()\n"
        "    async for event in client.generate('c', [ChatMessage('user', 'hi')]):\n"
        "        if isinstance(event, Token):\n"
        "            print(hello.pid, flush=True)\n"
        "asyncio.run(main())\n"
    )
    script = {"replies": [{"pieces": ["half"], "hold_after": 1}]}
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        env={**os.environ, "DEEPSEEK_TUI_FAKE": json.dumps(script)},
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()

    asyncio.run(wait_until(lambda: not _exists(pid)))


def _exists(pid: int) -> bool:
    """Whether a process runs; a zombie that nobody has reaped does not."""
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.exists():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            return stat.read_text().rpartition(")")[2].split()[0] != "Z"
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

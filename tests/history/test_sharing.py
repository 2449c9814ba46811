"""Several apps on one file, and apps that die."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from deepseek_tui.history.store import Store

HEADER = """
import os, signal, sys
from pathlib import Path
from deepseek_tui.history.store import Store
store = Store(Path(sys.argv[1]))
"""


def app(code: str, path: Path, *args: str) -> subprocess.Popen[str]:
    """Another process that has the history open."""
    return subprocess.Popen(
        [sys.executable, "-c", HEADER + code, str(path), *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


WRITER = """
print("ready", flush=True); input()
for n in range(60):
    store.add_message(sys.argv[2], "user", f"{sys.argv[3]}-{n}")
    own = store.create_conversation()
    store.add_message(own.id, "user", "own")
    store.conversations()
"""


def test_two_apps_write_at_once_and_nothing_is_lost(path: Path) -> None:
    store = Store(path)
    shared = store.create_conversation().id
    apps = [app(WRITER, path, shared, name) for name in "ab"]
    for one in apps:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in apps:
        assert one.stdin is not None
        print(file=one.stdin, flush=True)
    for number in range(60):
        store.add_message(shared, "user", f"here-{number}")
    assert [one.wait() for one in apps] == [0, 0]
    for one in apps:
        one.communicate()
    texts = [m.text for m in store.path(shared)]
    assert sorted(texts) == sorted(f"{name}-{n}" for name in ("a", "b", "here") for n in range(60))
    assert len(store.conversations()) == 121
    store.close()


def test_two_apps_begin_the_file_at_once(path: Path) -> None:
    code = "store.add_message(store.create_conversation().id, 'user', 'first')"
    apps = [app(code, path) for _ in range(3)]
    for one in apps:
        one.communicate()
    assert [one.returncode for one in apps] == [0, 0, 0]
    store = Store(path)
    assert len(store.conversations()) == 3
    store.close()


def test_a_killed_app_loses_nothing_and_its_reply_is_marked(path: Path) -> None:
    dead = app(
        """
c = store.create_conversation()
store.add_message(c.id, "user", "question")
r = store.add_message(c.id, "assistant", "", state="streaming")
store.update_message(r.id, text="half a re")
os.kill(os.getpid(), signal.SIGKILL)
""",
        path,
    )
    dead.communicate()
    assert dead.returncode == -signal.SIGKILL
    alive = app(
        """
c = store.create_conversation()
store.add_message(c.id, "user", "other question")
store.add_message(c.id, "assistant", "still com", state="streaming")
print("ready", flush=True); input()
""",
        path,
    )
    assert alive.stdout is not None
    assert alive.stdout.readline() == "ready\n"
    store = Store(path)
    mine = store.create_conversation()
    store.add_message(mine.id, "assistant", "my own", state="streaming")
    assert store.recover_streaming() == 1
    by_text = {m.text: m.state for c in store.conversations() for m in store.messages(c.id)}
    assert by_text == {
        "question": "complete",
        "half a re": "stopped",
        "other question": "complete",
        "still com": "streaming",
        "my own": "streaming",
    }
    alive.communicate("\n")
    assert store.recover_streaming() == 1
    store.close()


def test_a_store_without_an_owner_counts_as_dead(store: Store) -> None:
    conversation = store.create_conversation()
    store.add_message(conversation.id, "assistant", "x", state="streaming")
    store._connection.execute("UPDATE messages SET owner = NULL")
    assert store.recover_streaming() == 1
    assert store.path(conversation.id)[0].state == "stopped"


def test_the_file_deleted_under_a_running_app(store: Store, path: Path) -> None:
    store.create_conversation()
    for file in path.parent.iterdir():
        file.unlink()
    assert store.conversations() == []
    store.create_conversation()
    other = Store(path)
    assert len(other.conversations()) == 1
    other.close()
    assert path.exists()

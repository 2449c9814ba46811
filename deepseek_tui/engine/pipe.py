"""The child's end of the protocol: requests in, events out. No MLX here, so the scripted engine uses it too.

One thread reads stdin for as long as the process lives. A Cancel acts there and then, while the main thread
works on something else; everything else queues, first in, first out.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import threading
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO, NoReturn, TypeVar

from deepseek_tui.engine.protocol import (
    Cancel,
    Event,
    Failed,
    Load,
    ProtocolError,
    Request,
    Shutdown,
    Unload,
    decode,
    encode,
)

_R = TypeVar("_R", bound=Request)


class Pipe:
    """Requests from `source`, events to `sink`. End of input ends the process at once."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source = source
        self._sink = sink
        self._sending = threading.Lock()
        self._changed = threading.Condition()
        self._queue: deque[Request] = deque()
        self._known: set[int] = set()
        self._cancelled: set[int] = set()
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    @classmethod
    def claim_stdio(cls) -> Pipe:
        """The process's own stdin and stdout. Whatever else prints goes to stderr from now on."""
        sink = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        return cls(sys.stdin.buffer, sink)

    def send(self, event: Event) -> None:
        """Write one event now. A reader that is gone ends the process."""
        self.send_raw(encode(event))

    def send_raw(self, line: bytes) -> None:
        with self._sending:
            try:
                self._sink.write(line)
                self._sink.flush()
            except OSError:
                self.exit()

    def requests(self) -> Iterator[Request]:
        """Requests in order until Shutdown, which is the last one yielded. Waits for each."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue)
                request = self._queue.popleft()
            yield request
            if isinstance(request, Shutdown):
                return
            with self._changed:
                self._known.discard(request.id)
                self._cancelled.discard(request.id)

    def overtaking(self, kind: type[_R]) -> list[_R]:
        """Waiting requests of one kind that may be answered now, ahead of what is being worked on.

        None from behind a Load or Unload, after which the answer would be another.
        """
        with self._changed:
            before = list(itertools.takewhile(lambda r: not isinstance(r, Load | Unload), self._queue))
            found: list[_R] = [request for request in before if isinstance(request, kind)]
            for request in found:
                self._queue.remove(request)
                self._known.discard(request.id)
                self._cancelled.discard(request.id)
        return found

    def cancelled(self, request_id: int) -> bool:
        return request_id in self._cancelled

    def pause(self, request_id: int, seconds: float | None) -> bool:
        """Wait `seconds` (None: for ever) or until the request is cancelled. True when it was."""
        with self._changed:
            return self._changed.wait_for(lambda: request_id in self._cancelled, timeout=seconds)

    def exit(self) -> NoReturn:
        """End the process now. The usual way out would wait for the thread that reads stdin, and abort."""
        sys.stderr.flush()
        os._exit(0)

    def _read(self) -> None:
        for line in self._source:
            try:
                message = decode(line)
            except ProtocolError as error:
                self.send(Failed(_id_in(line), "protocol", f"The engine could not read a request: {error}."))
                continue
            with self._changed:
                if isinstance(message, Cancel):
                    if message.target in self._known:
                        self._cancelled.add(message.target)
                elif isinstance(message, Request):
                    self._known.add(message.id)
                    self._queue.append(message)
                self._changed.notify_all()
        # Waiting for a token or a load to end would keep memory for a parent that no longer exists.
        self.exit()


def _id_in(line: bytes) -> int:
    """The id in a line that is no request, so that whoever waits for its answer gets one; 0 without."""
    try:
        found = json.loads(line)["id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return 0
    return found if isinstance(found, int) else 0

"""A model hub on 127.0.0.1: the endpoints that a download uses, and the ways in which they fail."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "c0ffee" + "0" * 34
LARGE = 1000
"""Files from this size on are announced as large ones, with their SHA-256."""


@dataclass
class Fault:
    """What goes wrong with the next `times` requests whose path ends in `ending`."""

    ending: str
    times: int = 1
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    drop_after: int | None = None
    """Bytes after which the connection is cut, though more was announced."""
    short: int | None = None
    """Bytes after which the answer ends properly, though the file is longer."""
    corrupt: bool = False
    ignore_range: bool = False


@dataclass
class Hub:
    """What the server holds, and what it was asked: `requests` are (method, path, Range header)."""

    url: str = ""
    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    token: str | None = None
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)

    def ranges(self, name: str) -> list[str | None]:
        """The Range headers of the requests for a file, in order."""
        return [
            wanted for method, path, wanted in self.requests if method == "GET" and path.endswith("/" + name)
        ]

    def listing(self, repo: str) -> dict[str, Any]:
        """The answer to a question for a model's files."""
        siblings = []
        for name, content in self.repos[repo].items():
            item: dict[str, Any] = {"rfilename": name, "size": len(content)}
            item["blobId"] = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            if len(content) >= LARGE:
                digest = hashlib.sha256(content).hexdigest()
                item["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 130}
            siblings.append(item)
        return {
            "id": repo,
            "modelId": repo,
            "sha": COMMIT,
            "private": False,
            "siblings": siblings,
            "tags": [],
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub
    timeout = 20

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        hub = self.hub
        hub.requests.append(("GET", path, self.headers.get("Range")))
        fault = next((each for each in hub.faults if each.times > 0 and path.endswith(each.ending)), None)
        if fault is not None:
            fault.times -= 1
            if fault.status is not None:
                self._answer(fault.status, b'{"error": "no"}', fault.headers)
                return
        if hub.token is not None and self.headers.get("Authorization") != f"Bearer {hub.token}":
            self._answer(401, b'{"error": "who?"}', {"X-Error-Code": "GatedRepo"})
            return
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/[^/]+)?", path):
            self._list(match[1])
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path):
            self._send(match[1], match[2], fault)
        else:
            self._answer(404, b"{}")

    do_HEAD = do_GET

    def _list(self, repo: str) -> None:
        if repo in self.hub.repos:
            self._answer(200, json.dumps(self.hub.listing(repo)).encode())
        else:
            self._answer(404, b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"})

    def _send(self, repo: str, name: str, fault: Fault | None) -> None:
        content = self.hub.repos.get(repo, {}).get(name)
        if content is None:
            self._answer(404, b"{}", {"X-Error-Code": "EntryNotFound"})
            return
        whole, status, headers = len(content), 200, {"X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        headers["ETag"] = f'"{hashlib.sha256(content).hexdigest()}"'
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if fault is not None and fault.corrupt:
            content = bytes(byte ^ 1 for byte in content)
        if wanted is not None and not (fault is not None and fault.ignore_range):
            start = int(wanted[1])
            headers["Content-Range"] = f"bytes {start}-{whole - 1}/{whole}"
            content, status = content[start:], 206
        if fault is not None and fault.short is not None:
            content = content[: fault.short]
        self._answer(status, content, headers, cut=fault.drop_after if fault is not None else None)

    def _answer(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, *, cut: int | None = None
    ) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[:cut])
        if cut is not None:
            self.close_connection = True


@contextmanager
def serve() -> Iterator[Hub]:
    """The server, on a free port, until the block ends."""
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)

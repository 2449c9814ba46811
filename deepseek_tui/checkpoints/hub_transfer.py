"""One file from the hub to the disk: continued where it broke off, tried again within bounds, checked.

huggingface_hub gives the session, the addresses, the token and the meaning of errors. The bytes are written
here because its own download starts a broken file over in every new process.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from deepseek_tui.checkpoints.errors import CheckpointError

ATTEMPTS = 5
"""Tries in a row that bring nothing, before giving up."""

FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 30.0
_CHUNK_BYTES = 1 << 20
_TRANSIENT = {408, 429, 500, 502, 503, 504}

Result = TypeVar("Result")


class PullCancelled(CheckpointError):  # noqa: N818 - it is no error of anybody's
    """The person stopped the download; what has arrived is kept."""


@dataclass(frozen=True)
class RemoteFile:
    """A file to fetch. `sha256` for large files, `blob_id` (git's SHA-1) for the others."""

    name: str
    size: int
    sha256: str | None
    blob_id: str | None

    @property
    def label(self) -> str:
        """Names the content: bytes of another content are never continued with these."""
        return (self.sha256 or self.blob_id or "unnamed")[:24]


def _unheard(_count: int) -> None:
    """Nobody follows the progress."""


class Transfer:
    """What all files of one download share."""

    def __init__(self, repo: str, cancelled: Callable[[], bool], token: str | None = None) -> None:
        self.repo, self.cancelled, self.token = repo, cancelled, token
        self.received: Callable[[int], None] = _unheard
        """Told the number of bytes that came or were found; negative when some had to be given up."""

    def check_cancelled(self) -> None:
        """Raises PullCancelled once the person has asked to stop."""
        if self.cancelled():
            raise PullCancelled(
                f"The download of {self.repo} was stopped.", "Pull it again to go on from here."
            )

    def patiently(self, action: Callable[[], Result]) -> Result:
        """Runs `action`, and again after a while when the network or a busy server stopped it."""
        for attempt in range(ATTEMPTS):
            try:
                return action()
            except _network_errors() as error:
                if not _may_pass(error) or attempt == ATTEMPTS - 1:
                    raise explained(error, self.repo) from None
                self._pause(error, attempt)
        raise AssertionError("unreachable")

    def _pause(self, error: Exception, attempt: int) -> None:
        asked = _asked_to_wait(error)
        if asked is not None and asked > LONGEST_WAIT_SECONDS:
            raise explained(error, self.repo) from None
        wait = min(FIRST_WAIT_SECONDS * 2**attempt, LONGEST_WAIT_SECONDS) if asked is None else asked
        end = time.monotonic() + wait
        while (left := end - time.monotonic()) > 0:
            self.check_cancelled()
            time.sleep(min(0.1, left))

    def fetch(self, url: str, file: RemoteFile, folder: Path) -> Path:
        """Brings `file` whole and checked into `folder`; a file already there is only checked.

        Raises CheckpointError, PullCancelled among them.
        """
        target = folder / file.name
        if target.is_file() and target.stat().st_size == file.size and self._is_right(target, file):
            self.received(file.size)
            return target
        part = folder / f".{file.name}.{file.label}.part"
        start = part.stat().st_size if part.is_file() else 0
        if start > file.size:
            part.unlink()
            start = 0
        self.received(start)
        failures = 0
        while start < file.size or not part.is_file():
            try:
                self._stream(url, part, start, file)
                failures = failures + 1 if part.stat().st_size == start else 0
            except _network_errors() as error:
                moved = part.is_file() and part.stat().st_size > start
                failures = 0 if moved else failures + 1
                if failures >= ATTEMPTS or not _may_pass(error):
                    raise explained(error, self.repo) from None
                self._pause(error, failures)
            if failures >= ATTEMPTS:
                raise CheckpointError(
                    f"The server keeps ending {file.name} of {self.repo} after {start} of {file.size} bytes.",
                    "Pull it again later to go on from here.",
                )
            start = part.stat().st_size if part.is_file() else 0
        if not self._is_right(part, file):
            self.received(-part.stat().st_size)
            part.unlink()
            raise CheckpointError(
                f"{file.name} of {self.repo} arrived with another content than the hub announces.",
                "It was deleted: pull the model again.",
            )
        part.replace(target)
        return target

    def _stream(self, url: str, part: Path, start: int, file: RemoteFile) -> None:
        """Appends to `part` what the server sends from byte `start` on."""
        from huggingface_hub import get_session, hf_raise_for_status
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # exported when run

        self.check_cancelled()
        headers = dict(build_hf_headers(token=self.token))
        # Compressed bytes could not be continued in the middle.
        headers["Accept-Encoding"] = "identity"
        if start:
            headers["Range"] = f"bytes={start}-"
        with get_session().stream("GET", url, headers=headers, follow_redirects=True, timeout=30) as response:
            hf_raise_for_status(response)
            mode = "ab" if response.status_code == 206 and start else "wb"
            if mode == "wb" and start:
                self.received(-start)
                start = 0
            self._write(response, part, mode, file.size - start)

    def _write(self, response: Any, part: Path, mode: str, room: int) -> None:
        try:
            with part.open(mode) as out:
                # As the pieces come: gathering larger ones would lose the last when the connection breaks.
                for chunk in response.iter_bytes():
                    # A server that sends more than it announced must not fill the disk.
                    written = out.write(chunk[:room])
                    room -= written
                    self.received(written)
                    if len(chunk) > written:
                        raise CheckpointError(f"The server sent more of {part.name} than the hub announces.")
                    self.check_cancelled()
        except OSError as error:
            if isinstance(error, _network_errors()):
                raise
            raise CheckpointError(
                f"{part.parent} cannot be written: {error.strerror or error}.",
                "Make room and pull the model again: what has arrived is kept.",
            ) from None

    def _is_right(self, path: Path, file: RemoteFile) -> bool:
        if path.stat().st_size != file.size:
            return False
        if file.sha256 is None and file.blob_id is None:
            return True
        digest = hashlib.sha256() if file.sha256 else hashlib.sha1(usedforsecurity=False)
        if not file.sha256:
            digest.update(b"blob %d\0" % file.size)
        with path.open("rb") as content:
            while chunk := content.read(_CHUNK_BYTES):
                self.check_cancelled()
                digest.update(chunk)
        return digest.hexdigest() == (file.sha256 or file.blob_id)


def _network_errors() -> tuple[type[Exception], ...]:
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    # The base of all errors of the HTTP client, which goes by another package from version to version.
    base = next(kind for kind in HfHubHTTPError.__mro__ if kind.__name__ == "HTTPError")
    return (base, OfflineModeIsEnabled)


def _status(error: Exception) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _may_pass(error: Exception) -> bool:
    """Whether trying again makes sense: the connection broke, or the server is busy."""
    from huggingface_hub.errors import OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled):
        return False
    status = _status(error)
    return status is None or status in _TRANSIENT


def _asked_to_wait(error: Exception) -> float | None:
    headers = getattr(getattr(error, "response", None), "headers", {})
    value = headers.get("retry-after", "")
    return float(value) if value.isdigit() else None


def explained(error: Exception, repo: str) -> CheckpointError:
    """What a failed request means for the person, in one sentence and what to do."""
    from huggingface_hub import errors

    status = _status(error)
    give_token = "Accept its terms on its page, then set HF_TOKEN or run `hf auth login`."
    if isinstance(error, errors.OfflineModeIsEnabled):
        return CheckpointError(
            f"{repo} cannot be fetched: HF_HUB_OFFLINE forbids it.",
            "Unset it, or use a model that is installed.",
        )
    if isinstance(error, errors.GatedRepoError) or status == 403:
        return CheckpointError(f"{repo} is given only to those who accept its terms.", give_token)
    if isinstance(error, errors.RevisionNotFoundError):
        return CheckpointError(f"{repo} has no such revision.", "Leave the revision out for the newest.")
    if status == 401 and os.environ.get("HF_TOKEN"):
        return CheckpointError(f"The hub refuses the token for {repo}.", "Check HF_TOKEN, or unset it.")
    # The hub does not tell strangers whether a private model exists.
    if isinstance(error, errors.RepositoryNotFoundError) or status == 401:
        return CheckpointError(
            f"There is no model {repo} on the hub, or it is private.",
            "Check its name; for a private model set HF_TOKEN or run `hf auth login`.",
        )
    if status == 404:
        return CheckpointError(f"A file of {repo} is not there any more.", "Pull the model again.")
    if status == 429:
        wait = _asked_to_wait(error)
        when = f"Try again in {_minutes(wait)}" if wait else "Try again in a few minutes"
        return CheckpointError("The hub gets too many requests from here.", f"{when}, or set HF_TOKEN.")
    if status is not None:
        return CheckpointError(f"The hub answers {status} for {repo}.", "Try again later.")
    return CheckpointError(
        f"The connection to the hub broke while fetching {repo}.",
        "Check the network and pull it again: what has arrived is kept.",
    )


def _minutes(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{-(-seconds // 60):.0f} minutes"

"""Models from the hub into the models folder: only the wanted files, whole and checked, or nothing.

A model is downloaded into `<name>.partial` beside its place and renamed when every file is there and right,
so that half a download never looks like a model. A broken download goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deepseek_tui.checkpoints.catalog import PARTIAL, SOURCE_FILE, find
from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.gguf_reader import SPLIT
from deepseek_tui.checkpoints.hub_transfer import PullCancelled, RemoteFile, Transfer, explained

__all__ = ["PullCancelled", "PullProgress", "pull"]

ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
# The files of a model directory. Folders below (onnx/, original/) hold other forms of the same weights.
WEIGHTS = re.compile(r"(?!consolidated)[\w.-]+\.safetensors")
BESIDE = re.compile(
    r"config\.json|generation_config\.json|tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|"
    r"added_tokens\.json|vocab\.json|merges\.txt|tokenizer\.model|chat_template\.(?:jinja|json)|"
    r"(?!consolidated)[\w.-]+\.safetensors\.index\.json|README\.md|(?:LICEN[CS]E|NOTICE|USE_POLICY)[\w.-]*",
    re.IGNORECASE,
)
PAPERS = re.compile(r"config\.json|README\.md|(?:LICEN[CS]E|NOTICE|USE_POLICY)[\w.-]*", re.IGNORECASE)
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "generation_config.json")
# Free space that a download leaves alone.
MARGIN_BYTES = 256_000_000


@dataclass(frozen=True)
class PullProgress:
    """Bytes of the whole download that are here, and the file now being fetched ("" once all are)."""

    done: int
    total: int
    file: str


def pull(
    name_or_id: str,
    dest_root: Path,
    *,
    on_progress: Callable[[PullProgress], None] | None = None,
    cancel: Callable[[], bool] = lambda: False,
    revision: str | None = None,
    file: str | None = None,
    token: str | None = None,
    on_arrival: Callable[[Path], None] | None = None,
) -> Path:
    """Fetches a model of the short list, or any "owner/name" of the hub, and returns its folder.

    `file`: which of several .gguf files; `cancel` is asked often; `on_arrival` may work on the whole folder
    (to convert it) before it becomes a model. A model already there in that revision is returned as it is.
    Raises CheckpointError for everything that can go wrong, PullCancelled when `cancel` says so.
    """
    entry = find(name_or_id)
    if entry is not None and not entry.repo:
        raise CheckpointError(f"The {entry.name} model comes with the program: there is nothing to download.")
    repo = entry.repo if entry else name_or_id
    if not ID.fullmatch(repo) or ".." in repo or "--" in repo:
        raise CheckpointError(
            f"{name_or_id[:80]!r} is neither a known model nor the id of one.",
            "See `deepseek-tui models list`, or give an id such as mlx-community/Qwen3-0.6B-4bit.",
        )
    name = entry.name if entry else repo.split("/")[1]
    target, partial = dest_root / name, dest_root / (name + PARTIAL)
    transfer = Transfer(repo, cancel, token)
    commit, listing = _ask(transfer, repo, revision)
    if target.exists():
        return _already_there(target, repo, commit)
    sources = [_Files(repo, commit, _wanted(listing, repo, file))]
    if entry is not None and entry.tokenizer_repo and not _has(sources[0].files, "tokenizer.json"):
        sources.append(_tokenizer(transfer, entry.tokenizer_repo, sources[0]))
    files = [item for source in sources for item in source.files]
    with _own(partial, name):
        # Already now, so that a stopped download can be named.
        (partial / SOURCE_FILE).write_text(json.dumps({"id": repo}), encoding="utf-8")
        _check_space(partial, files)
        _fetch_all(transfer, sources, partial, on_progress)
        _write_source(partial, sources)
        if on_arrival is not None:
            on_arrival(partial)
        try:
            partial.replace(target)
        except OSError as error:
            raise CheckpointError(f"{target} cannot be made: {error.strerror or error}.") from None
    return target


@dataclass(frozen=True)
class _Files:
    """Files to fetch from one place, in one revision."""

    repo: str
    commit: str
    files: list[RemoteFile]


def _tokenizer(transfer: Transfer, repo: str, model: _Files) -> _Files:
    """The tokenizer that a model was trained with, from where it is published."""
    transfer.repo = repo
    commit, listing = _ask(transfer, repo, None)
    files = [item for item in listing if item.name in TOKENIZER and not _has(model.files, item.name)]
    if not _has(files, "tokenizer.json"):
        raise CheckpointError(f"{repo} holds no tokenizer.json for {model.repo}.", "Try again later.")
    return _Files(repo, commit, files)


def _has(files: list[RemoteFile], name: str) -> bool:
    return any(item.name == name for item in files)


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


def _ask(transfer: Transfer, repo: str, revision: str | None) -> tuple[str, list[RemoteFile]]:
    """The commit and the files that the hub lists for a revision (None: the newest)."""
    from huggingface_hub import HfApi
    from huggingface_hub.constants import HF_HUB_OFFLINE
    from huggingface_hub.errors import OfflineModeIsEnabled

    if HF_HUB_OFFLINE or os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise explained(OfflineModeIsEnabled(""), repo)
    api = HfApi(endpoint=_endpoint(), token=transfer.token)
    info = transfer.patiently(
        lambda: api.model_info(repo, revision=revision, files_metadata=True, timeout=20)
    )
    files = [
        RemoteFile(item.rfilename, item.size or 0, item.lfs.sha256 if item.lfs else None, item.blob_id)
        for item in info.siblings or []
    ]
    if not info.sha or not re.fullmatch(r"[0-9a-f]{40}", info.sha):
        raise CheckpointError(f"The hub gives no revision for {repo}.", "Try again later.")
    return info.sha, files


def _already_there(target: Path, repo: str, commit: str) -> Path:
    try:
        source = json.loads((target / SOURCE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        source = {}
    if isinstance(source, dict) and source.get("id") == repo and source.get("revision") == commit:
        return target
    what = "another model" if source.get("id") != repo else "an older revision of it"
    raise CheckpointError(
        f"{target} is taken by {what}.", f"Remove it first: deepseek-tui models remove {target.name}."
    )


def _wanted(listing: list[RemoteFile], repo: str, chosen: str | None) -> list[RemoteFile]:
    """The files worth fetching: a model directory, else one GGUF file, else the original checkpoint."""
    names = {item.name for item in listing}
    # A model split over several files is one choice, named by its first file.
    ggufs: dict[str, list[RemoteFile]] = {}
    for item in sorted(listing, key=lambda item: item.name):
        if re.fullmatch(r"[\w.-]+\.gguf", item.name):
            ggufs.setdefault(SPLIT.sub("-00001-of-\\2.gguf", item.name), []).append(item)
    if chosen is not None and chosen not in ggufs:
        raise CheckpointError(
            f"{repo} has no file {chosen!r}.", f"It has {', '.join(ggufs) or 'no GGUF files'}."
        )
    if chosen is None and any(WEIGHTS.fullmatch(name) for name in names) and "config.json" in names:
        return [item for item in listing if WEIGHTS.fullmatch(item.name) or BESIDE.fullmatch(item.name)]
    if chosen is None and len(ggufs) > 1:
        sizes = {name: sum(part.size for part in parts) for name, parts in ggufs.items()}
        choice = ", ".join(f"{name} ({size / 1e9:.1f} GB)" for name, size in sizes.items())
        raise CheckpointError(f"{repo} has {len(ggufs)} GGUF files.", f"Choose one with --file: {choice}.")
    parts = ggufs[chosen] if chosen else next(iter(ggufs.values()), [])
    weights = {part.name for part in parts}
    if not weights:
        weights = {name for name in names if re.fullmatch(r"[\w.-]+\.pt", name)}
        if len(weights) != 1:
            raise CheckpointError(
                f"{repo} holds no model that can be run.",
                "Wanted are config.json with .safetensors files, a .gguf file, or one original .pt file.",
            )
    return [item for item in listing if item.name in weights or PAPERS.fullmatch(item.name)]


@contextlib.contextmanager
def _own(partial: Path, name: str) -> Iterator[None]:
    """Makes the folder and holds it against other processes that pull the same model."""
    try:
        partial.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (partial.parent / f".{name}.lock").open("w")
    except OSError as error:
        raise CheckpointError(f"{partial} cannot be made: {error.strerror or error}.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CheckpointError(f"{name} is already being downloaded by another process.") from None
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                Path(lock.name).unlink()


def _check_space(partial: Path, files: list[RemoteFile]) -> None:
    here = sum(path.stat().st_size for path in partial.iterdir() if path.is_file())
    needed = max(0, sum(item.size for item in files) - here) + MARGIN_BYTES
    free = shutil.disk_usage(partial).free
    if free < needed:
        raise CheckpointError(
            f"The model needs {needed / 1e9:.2f} GB, but {partial.parent} has {free / 1e9:.2f} GB free.",
            "Make room, or remove a model with `deepseek-tui models remove`.",
        )


def _fetch_all(
    transfer: Transfer,
    sources: list[_Files],
    partial: Path,
    on_progress: Callable[[PullProgress], None] | None,
) -> None:
    from huggingface_hub import hf_hub_url

    total, done, current = sum(item.size for source in sources for item in source.files), 0, ""

    def received(count: int) -> None:
        nonlocal done
        done += count
        if on_progress is not None:
            on_progress(PullProgress(done, total, current))

    transfer.received = received
    for source in sources:
        transfer.repo = source.repo
        for item in source.files:
            current = item.name
            url = hf_hub_url(source.repo, item.name, revision=source.commit, endpoint=_endpoint())
            transfer.fetch(url, item, partial)
    current = ""
    received(0)
    # Left over from an earlier revision, or from another choice of file.
    wanted = {item.name for source in sources for item in source.files}
    for path in partial.iterdir():
        if path.is_file() and path.name not in wanted:
            path.unlink()


def _write_source(partial: Path, sources: list[_Files]) -> None:
    first, *others = sources
    record: dict[str, Any] = {
        "id": first.repo,
        "revision": first.commit,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": _listed(first.files),
    }
    if others:
        record["also"] = [
            {"id": other.repo, "revision": other.commit, "files": _listed(other.files)} for other in others
        ]
    (partial / SOURCE_FILE).write_text(json.dumps(record, indent=2), encoding="utf-8")


def _listed(files: list[RemoteFile]) -> dict[str, Any]:
    return {item.name: {"size": item.size, "sha256": item.sha256, "blob": item.blob_id} for item in files}

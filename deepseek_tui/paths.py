"""Every directory the app uses, and how private files are written into them.

The places are those of the operating system (platformdirs). `DEEPSEEK_TUI_HOME` puts all of them below one
folder: config/, data/, logs/ and cache/. Functions only name a place; `ensure` makes it, closed to others.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import platformdirs

from deepseek_tui.errors import UserError

APP = "deepseek-tui"
HOME_VARIABLE = "DEEPSEEK_TUI_HOME"


def _place(below_home: str, default: str) -> Path:
    home = os.environ.get(HOME_VARIABLE)
    if not home:
        return Path(default)
    try:
        return Path(home).expanduser().absolute() / below_home
    except RuntimeError as error:
        raise UserError(
            f"{HOME_VARIABLE} is {home!r}, and there is no such user.", "Set it to a folder."
        ) from error


def config_dir() -> Path:
    """Where config.toml and overrides.toml are."""
    return _place("config", platformdirs.user_config_dir(APP, appauthor=False))


def data_dir() -> Path:
    """Where history.db and models/ are."""
    return _place("data", platformdirs.user_data_dir(APP, appauthor=False))


def log_dir() -> Path:
    """Where log files are."""
    return _place("logs", platformdirs.user_log_dir(APP, appauthor=False))


def cache_dir() -> Path:
    """Where things are that can be made again at any time."""
    return _place("cache", platformdirs.user_cache_dir(APP, appauthor=False))


def models_dir() -> Path:
    """Where installed models are, one folder each."""
    return data_dir() / "models"


def history_path() -> Path:
    """The file that holds the conversations."""
    return data_dir() / "history.db"


def config_path() -> Path:
    """The settings file that a person writes; what the app changes is in `overrides_path`."""
    return config_dir() / "config.toml"


def overrides_path() -> Path:
    """The settings that the app wrote; they win over config.toml."""
    return config_dir() / "overrides.toml"


def builtin_model() -> Path | None:
    """The folder of the built-in model: inside an installed package, beside it in a checkout, or None."""
    package = Path(__file__).resolve().parent
    for folder in (package / "weights", package.parent / "weights"):
        if (folder / "config.json").is_file():
            return folder
    return None


def ensure(path: Path) -> Path:
    """Make the directory `path` with every missing parent, all 0700, and return it.

    Raises UserError when that cannot be done. An existing directory is left as it is.
    """
    try:
        for folder in (*reversed(path.parents), path):
            if not folder.is_dir():
                # Another process may be making the same one.
                folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise _unusable("The directory", path, "made", error) from error
    return path


def open_private(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> int:
    """A file descriptor of `path`, which is made 0600 when it is not there. Raises UserError."""
    try:
        return os.open(path, flags | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable("The file", path, "opened", error) from error


def atomic_write(path: Path, data: bytes) -> None:
    """Put `data` at `path`, 0600, so that a reader sees the old file or the new one and nothing between.

    A link is followed: the file it names is replaced, the link stays. Raises UserError.
    """
    target = Path(os.path.realpath(path))
    ensure(target.parent)
    try:
        # mkstemp makes the file 0600; in the same folder, so that the replacement is one step.
        descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise
    except OSError as error:
        raise _unusable("The file", path, "written", error) from error


def _unusable(kind: str, path: Path, verb: str, error: OSError) -> UserError:
    return UserError(
        f"{kind} {path} cannot be {verb}: {error.strerror or error}.",
        f"Check its owner, its permissions and the free disk space, or set {HOME_VARIABLE}"
        " to a folder that you can write to.",
    )

"""Compiles the C sources of this package: `python -m deepseek_tui.native.build`, or when first needed.

One file in the cache folder for each state of the sources, processor and compiler; old ones are left to
whoever empties the cache. Nothing here raises: no library is an answer too.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from deepseek_tui import paths
from deepseek_tui.errors import UserError
from deepseek_tui.native.library import open_library

SWITCH = "DEEPSEEK_TUI_NATIVE"
"""Set to 0 it leaves the compiled library out; set to a path it is the library to take."""

_FLAGS = (
    "-O3", "-std=gnu11", "-fPIC", "-shared", "-pthread", "-fvisibility=hidden", "-ffp-contract=fast",
    "-fno-math-errno", "-Wno-psabi",
)  # fmt: skip
_SECONDS = 60
_BESIDE = Path(__file__).parent / "built"


@functools.cache
def library() -> Any | None:
    """The library, compiled if it has to be; None where that cannot be done or is switched off."""
    wanted = os.environ.get(SWITCH, "")
    if wanted == "0" or sys.platform not in ("linux", "darwin") or sys.byteorder != "little":
        return None
    path = Path(wanted) if wanted else compiled()
    if path is None:
        return None
    try:
        return open_library(path)
    except (OSError, AttributeError):
        return None


def compiled(flags: tuple[str, ...] = ("-march=native",), folder: Path | None = None) -> Path | None:
    """The library's file, made if it is not there; None where it cannot be.

    It is looked for beside the sources, where the set-up of a checkout puts it, and else kept in the cache;
    `folder` is another place to make it in.
    """
    compiler = _compiler()
    if compiler is None:
        return None
    sources = _sources()
    try:
        name = f"{_key(compiler, sources, flags)}.so"
        if folder is None and (_BESIDE / name).exists():
            return _BESIDE / name
        target = (folder or paths.cache_dir() / "native") / name
        if not target.exists():
            paths.ensure(target.parent)
            _compile(compiler, [path for path in sources if path.suffix == ".c"], flags, target)
    except (OSError, subprocess.SubprocessError, UserError):
        return None
    return target


def _compiler() -> str | None:
    return next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)


def _sources() -> list[Path]:
    folder = Path(__file__).parent
    return sorted([*folder.glob("*.c"), *folder.glob("*.h")])


def _key(compiler: str, sources: list[Path], flags: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for path in sources:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    digest.update(repr((_FLAGS, flags, compiler, Path(compiler).stat().st_mtime_ns, _processor())).encode())
    return digest.hexdigest()[:32]


def _processor() -> str:
    """What -march=native depends on; a home folder may be shared by unlike machines."""
    try:
        lines = (
            Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n")[0].splitlines()
        )
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    wanted = ("model name", "flags", "Features", "CPU part")
    return "\n".join([platform.machine(), *(line for line in lines if line.startswith(wanted))])


def _compile(compiler: str, sources: list[Path], flags: tuple[str, ...], target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder) / "library.so"
        command = [compiler, *_FLAGS, *flags, *map(str, sources), "-o", str(made), "-lm"]
        subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS, stdin=subprocess.DEVNULL)
        made.replace(target)


def main() -> int:
    """Compiles beside the sources, and says in a line when nothing came of it."""
    if compiled(folder=_BESIDE) is None:
        print("No compiled kernels (a C compiler is needed): models run without them.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

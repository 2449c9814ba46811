"""`deepseek-tui doctor`: what this installation is made of, and what is wrong with it.

Exit code 1 when something is wrong.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import shutil
import sys
from pathlib import Path

from deepseek_tui.errors import UserError
from deepseek_tui.text.sanitize import sanitize_line

PACKAGES = ("textual", "mlx", "mlx-cpu", "mlx-cuda-13", "mkl", "safetensors", "tokenizers", "jinja2")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", metavar="MODEL", help="check this model instead of the one that chat would use"
    )


class Report:
    """Prints facts as they are found and remembers what is wrong."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def fact(self, label: str, value: object) -> None:
        print(f"{label:<14} {sanitize_line(str(value))}", flush=True)

    def problem(self, label: str, error: object) -> None:
        self.problems.append(sanitize_line(str(error)))
        print(f"{label:<14} ✗ {sanitize_line(str(error))}", flush=True)


def run(args: argparse.Namespace) -> int:
    report = Report()
    _versions(report)
    _paths(report)
    _history(report)
    _terminal(report)
    _model(report, args.model)
    if not report.problems:
        print("\nNothing is wrong.")
        return 0
    count = len(report.problems)
    print(f"\n{count} {'thing is' if count == 1 else 'things are'} wrong:")
    for text in report.problems:
        print(f"  ✗ {text}")
    return 1


def _versions(report: Report) -> None:
    from deepseek_tui import __version__

    report.fact("deepseek-tui", __version__)
    report.fact("python", f"{platform.python_version()} ({sys.executable})")
    report.fact(
        "system", f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} cores"
    )
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    report.fact("packages", ", ".join(found))


def _paths(report: Report) -> None:
    from deepseek_tui import paths

    for label, folder in (
        ("config", paths.config_dir()),
        ("data", paths.data_dir()),
        ("models", paths.models_dir()),
        ("logs", paths.log_dir()),
    ):
        try:
            paths.ensure(folder)
            probe = folder / f".probe-{os.getpid()}"
            paths.atomic_write(probe, b"")
            probe.unlink()
            free = shutil.disk_usage(folder).free
            report.fact(label, f"{folder} ({free / 1e9:.0f} GB free)")
        except (UserError, OSError) as error:
            report.problem(label, f"{folder} cannot be written: {error}")
    from deepseek_tui.settings import load_settings_or_defaults

    settings_file = paths.config_path()
    report.fact("settings", f"{settings_file}{'' if settings_file.exists() else ' (not there: defaults)'}")
    for problem in load_settings_or_defaults()[1]:
        report.problem("settings", problem)


def _history(report: Report) -> None:
    from deepseek_tui import paths

    file = paths.history_path()
    if not file.exists():
        report.fact("history", f"{file} (not there yet)")
        return
    from deepseek_tui.history.store import Store

    try:
        store = Store(file)
        try:
            if store.recovered:
                report.problem("history", f"{file} was damaged and is set aside as {store.recovered}")
            report.fact("history", f"{file} ({len(store.conversations())} conversations)")
        finally:
            store.close()
    except UserError as error:
        report.problem("history", error)


def _terminal(report: Report) -> None:
    size = shutil.get_terminal_size()
    colour = (
        "no colour (NO_COLOR)"
        if os.environ.get("NO_COLOR")
        else os.environ.get("COLORTERM", "256 colours or less")
    )
    over = ", over SSH" if os.environ.get("SSH_CONNECTION") else ""
    report.fact(
        "terminal", f"{os.environ.get('TERM', 'unknown')}, {colour}, {size.columns}x{size.lines}{over}"
    )


def _model(report: Report, name: str | None) -> None:
    from deepseek_tui.engine.blas import prefer_fast_blas
    from deepseek_tui.settings import load_settings_or_defaults, resolve_model

    blas = prefer_fast_blas()
    try:
        from deepseek_tui.engine.device import device_line
    except ImportError as error:
        report.problem("device", f"mlx cannot be imported ({error}). Install the package again.")
        return
    report.fact("device", device_line())
    if "slow" in blas:
        report.problem("device", blas)
    try:
        path: Path = resolve_model(name, load_settings_or_defaults()[0])
        report.fact("model", path)
        from deepseek_tui.engine.session import Session

        info = Session.load(path).info
        report.fact(
            "model check",
            f"{info.model_type}, {info.parameters / 1e6:.0f} M parameters, {info.precision}, "
            f"context {info.context_length}, loads whole",
        )
        if not info.has_chat_template:
            report.problem("model check", f"{path} has no chat template. It can only continue text.")
    except UserError as error:
        report.problem("model", error)

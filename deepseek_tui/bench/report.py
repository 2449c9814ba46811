"""Runs the measurements in turn (A B A B ...), and tells them as medians with their spread."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deepseek_tui.errors import UserError

PACKAGES = ("deepseek-tui", "mlx", "mkl", "mlx-lm", "llama-cpp-python")


@dataclass(frozen=True)
class Plan:
    """What to measure. `peers` maps an engine of worker.py to the model path it takes."""

    model: Path
    peers: dict[str, Path] = field(default_factory=dict)
    prompts: Sequence[int] = (32, 256, 900)
    reply: int = 64
    rounds: int = 3
    screen: bool = True


def measure(plan: Plan, on_progress: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """All figures of `plan`: {"machine": ..., "rows": [{"engine", "prompt", figure: [values]}]}.

    Raises UserError when an engine cannot be measured.
    """
    rows: list[dict[str, Any]] = []
    engines = {"ours": plan.model, **plan.peers}
    for prompt in plan.prompts:
        found: dict[str, dict[str, list[float]]] = {name: {} for name in engines}
        for turn in range(plan.rounds):
            for name, path in engines.items():
                on_progress(f"{name}, prompt of {prompt} tokens, {turn + 1} of {plan.rounds}")
                for figure, value in _work(name, path, prompt, plan.reply).items():
                    found[name].setdefault(figure, []).append(value)
        rows += [{"engine": name, "prompt": prompt, **figures} for name, figures in found.items()]
    result = {"machine": machine(), "model": str(plan.model.name), "reply": plan.reply, "rows": rows}
    if plan.screen:
        result["screen"] = _screen(plan, on_progress)
    return result


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    versions = []
    for name in PACKAGES:
        if _installed(name):
            versions.append(f"{name} {importlib.metadata.version(name)}")
    facts = {
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {_processor()}",
        "python": platform.python_version(),
        "versions": ", ".join(versions),
    }
    commit = subprocess.run(
        ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    return {**facts, "commit": commit.stdout.strip()} if commit.returncode == 0 else facts


def as_markdown(result: dict[str, Any]) -> str:
    """The figures as tables: medians, and in brackets the lowest and the highest."""
    lines = [f"{key}: {value}  " for key, value in result["machine"].items()]
    lines += [f"model: {result['model']}, {result['reply']} tokens decoded", ""]
    lines += [
        "| engine | prompt | load s | first token s | prompt tok/s | decode tok/s | peak MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        cells = [row["engine"], str(row["prompt"])]
        cells += [_cell(row[name]) for name in ("load_seconds", "first_seconds", "prompt_tps", "decode_tps")]
        lines.append(f"| {' | '.join([*cells, _cell([v / 1e6 for v in row['peak_bytes']])])} |")
    if screen := result.get("screen"):
        lines += ["", "| full screen | |", "|---|---|"]
        lines += [f"| {name.replace('_', ' ')} | {_cell(values)} |" for name, values in screen.items()]
    return "\n".join(lines)


def peers_for(model: Path, mlx_model: Path | None, gguf: Path | None) -> dict[str, Path]:
    """The engines that are installed, with the path each of them takes."""
    peers = {}
    if importlib.util.find_spec("mlx_lm"):
        peers["mlx_lm"] = mlx_model or model
    if gguf and importlib.util.find_spec("llama_cpp"):
        peers["llama_cpp"] = gguf
    return peers


def _work(engine: str, path: Path, prompt: int, reply: int) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "deepseek_tui.bench.worker", engine, str(path), str(prompt), str(reply)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise UserError(f"{engine} could not be measured on {path}: {reason[0]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _screen(plan: Plan, on_progress: Callable[[str], None]) -> dict[str, list[float]]:
    """Full-screen and headless on the same prompt, in turn."""
    from deepseek_tui.bench.screen import PROMPT, measure_screen

    found: dict[str, list[float]] = {}
    tokens = str(plan.reply * 4)
    for turn in range(plan.rounds):
        on_progress(f"full screen, {turn + 1} of {plan.rounds}")
        for name, value in measure_screen(str(plan.model), int(tokens)).items():
            found.setdefault(name, []).append(value)
        on_progress(f"headless, {turn + 1} of {plan.rounds}")
        words = [
            "run",
            "--model",
            str(plan.model),
            "-p",
            PROMPT,
            "--max-tokens",
            tokens,
            "--temp",
            "0",
            "--json",
        ]
        done = subprocess.run(
            [sys.executable, "-m", "deepseek_tui", *words], capture_output=True, text=True, check=True
        )
        found.setdefault("headless_decode_tps", []).append(json.loads(done.stdout)["generation_tps"])
    pairs = zip(found["decode_tps"], found["headless_decode_tps"], strict=True)
    found["screen_to_headless"] = [screen / headless for screen, headless in pairs]
    return found


def _cell(values: Sequence[float]) -> str:
    middle = _short(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({_short(min(values))}-{_short(max(values))})"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "processor unknown"

"""The short list of models that `models pull` knows by name, and what is installed."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from deepseek_tui.checkpoints.errors import CheckpointError

SOURCE_FILE = ".source.json"
PARTIAL = ".partial"
"""Ending of the folder that a model is downloaded into; it is renamed once everything is there and right."""

# What a running model takes beside its weights and cache: buffers, the interpreter, the tokenizer.
_OVERHEAD_BYTES = 300_000_000


@dataclass(frozen=True)
class Entry:
    """A model that can be had. `repo` is its id on the hub, empty for the one that comes with the program.

    `download_bytes`: what is fetched; `weight_bytes`: the weights in memory on a GPU;
    `cache_bytes_per_token`: of the 16-bit cache of keys and values. Computed from the published
    configurations: 4-bit weights in groups of 64 take 4.5 bits each.
    """

    name: str
    title: str
    repo: str
    licence: str
    parameters: int
    download_bytes: int
    weight_bytes: int
    cache_bytes_per_token: int
    context: int
    """Tokens that the model was trained to follow."""
    kind: Literal["mlx", "original"] = "mlx"
    """original: a PyTorch checkpoint, converted when it arrives."""
    tokenizer_repo: str = ""
    """Where its tokenizer is fetched from, for a model that is published without one."""

    def memory_bytes(self, tokens: int = 4096, *, float32: bool = False) -> int:
        """What running it with a conversation of `tokens` takes; `float32`: as it is unpacked on a CPU."""
        weights = self.parameters * 4 if float32 else self.weight_bytes
        cache = self.cache_bytes_per_token * (2 if float32 else 1)
        return memory_bytes(weights, cache, self.context, tokens)


def memory_bytes(weights: int, cache_per_token: int, context: int, tokens: int = 4096) -> int:
    """What running a model takes: its weights, the cache of a conversation of `tokens`, and the rest."""
    return weights + cache_per_token * (min(tokens, context) if context else tokens) + _OVERHEAD_BYTES


CATALOG: tuple[Entry, ...] = (
    Entry("built-in", "Built-in model", "", "Apache-2.0", 119_000_000, 0, 69_063_000, 11_520, 1024),
    Entry(
        "deepseek-v3-from-scratch", "DeepSeek V3 from scratch (original checkpoint)",
        "Mayank022/DeepSeek-V3-from-Scratch", "see the page of the model",
        101_723_264, 446_200_000, 406_893_056, 20_480, 1024, "original",
        "openai-community/gpt2",
    ),
    Entry(
        "smollm2-135m", "SmolLM2 135M Instruct", "HuggingFaceTB/SmolLM2-135M-Instruct", "Apache-2.0",
        134_515_008, 272_000_000, 269_030_016, 23_040, 8192,
    ),
    Entry(
        "qwen3-0.6b", "Qwen3 0.6B, 4-bit", "mlx-community/Qwen3-0.6B-4bit", "Apache-2.0",
        596_049_920, 351_000_000, 335_300_000, 114_688, 40_960,
    ),
    Entry(
        "qwen3-1.7b", "Qwen3 1.7B, 4-bit", "mlx-community/Qwen3-1.7B-4bit", "Apache-2.0",
        1_720_574_976, 984_000_000, 967_900_000, 114_688, 40_960,
    ),
    Entry(
        "qwen3-4b", "Qwen3 4B, 4-bit", "mlx-community/Qwen3-4B-4bit", "Apache-2.0",
        4_022_468_096, 2_279_000_000, 2_262_900_000, 147_456, 40_960,
    ),
    Entry(
        "llama-3.2-1b", "Llama 3.2 1B Instruct, 4-bit", "mlx-community/Llama-3.2-1B-Instruct-4bit",
        "Llama 3.2 Community License", 1_235_814_400, 713_000_000, 695_200_000, 32_768, 131_072,
    ),
    Entry(
        "llama-3.2-3b", "Llama 3.2 3B Instruct, 4-bit", "mlx-community/Llama-3.2-3B-Instruct-4bit",
        "Llama 3.2 Community License", 3_212_749_824, 1_825_000_000, 1_807_300_000, 114_688, 131_072,
    ),
)  # fmt: skip


def find(name: str) -> Entry | None:
    """The entry of that name, whatever its capitals."""
    return next((entry for entry in CATALOG if entry.name == name.lower()), None)


@dataclass(frozen=True)
class InstalledModel:
    """A model in the models folder. `model_type`: as its config.json says; without one "gguf", "original"."""

    name: str
    path: Path
    model_type: str
    size: int
    source: dict[str, Any]
    """What .source.json says: id, revision, files, date; empty for a model put there by hand."""


def installed(root: Path) -> list[InstalledModel]:
    """The models in the folder `root`, by name. What is half downloaded is not among them."""
    if not root.is_dir():
        return []
    found = [_look_at(path) for path in sorted(root.iterdir()) if not path.name.startswith(".")]
    return [model for model in found if model is not None]


def _look_at(path: Path) -> InstalledModel | None:
    if path.name.endswith(PARTIAL):
        return None
    if path.is_file():
        size = path.stat().st_size
        return InstalledModel(path.stem, path, "gguf", size, {}) if path.suffix == ".gguf" else None
    files = [file for file in path.rglob("*") if file.is_file()]
    config = _json(path / "config.json")
    endings = {file.suffix for file in files if file.parent == path}
    if config:
        kind = str(config.get("model_type", "unknown"))
    elif ".gguf" in endings or ".pt" in endings:
        kind = "gguf" if ".gguf" in endings else "original"
    else:
        return None
    size = sum(file.stat().st_size for file in files)
    return InstalledModel(path.name, path, kind, size, _json(path / SOURCE_FILE))


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


@dataclass(frozen=True)
class PartialModel:
    """A download that was stopped. `repo`: its id on the hub, "" when unknown; `bytes` have arrived."""

    name: str
    repo: str
    bytes: int


def partials(root: Path) -> list[PartialModel]:
    """The stopped downloads in the folder `root`, by name; pulling them again goes on where they stopped."""
    if not root.is_dir():
        return []
    found = []
    for folder in sorted(root.iterdir()):
        if folder.name.endswith(PARTIAL) and folder.is_dir():
            files = [file for file in folder.iterdir() if file.is_file() and file.name != SOURCE_FILE]
            repo, size = _json(folder / SOURCE_FILE).get("id", ""), sum(f.stat().st_size for f in files)
            found.append(PartialModel(folder.name.removesuffix(PARTIAL), str(repo), size))
    return [model for model in found if model.bytes]


def remove(name: str, root: Path) -> InstalledModel:
    """Deletes an installed model and what is left of a broken download of it; returns what it was.

    Raises CheckpointError when there is none of that name.
    """
    model = next((model for model in installed(root) if model.name == name), None)
    partial = root / (name + PARTIAL)
    is_plain_name = Path(name).name == name
    if model is None and is_plain_name and partial.is_dir() and not partial.is_symlink():
        model = InstalledModel(name, partial, "partial", 0, {})
    if model is None:
        names = ", ".join(model.name for model in installed(root)) or "none"
        raise CheckpointError(f"There is no model {name!r} in {root}.", f"Installed: {names}.")
    try:
        for path in {model.path, partial}:
            if path.is_symlink() or path.is_file():
                path.unlink()
            elif path.is_dir():
                shutil.rmtree(path)
    except OSError as error:
        raise CheckpointError(f"{model.path} cannot be removed: {error.strerror or error}.") from None
    return model

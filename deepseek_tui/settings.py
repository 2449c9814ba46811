"""Settings: what a person wrote in config.toml, under what the app wrote in overrides.toml beside it.

Two files, so that the app never rewrites the one with a person's comments. The environment comes last:
`DEEPSEEK_TUI_MODEL` wins over both. Every value is checked, and a message names file, key and value.
"""

from __future__ import annotations

import contextlib
import difflib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from deepseek_tui import paths
from deepseek_tui.engine.protocol import ContextPolicy, Sampling
from deepseek_tui.errors import UserError
from deepseek_tui.rules import (
    CONTEXT_POLICY,
    FLAG,
    MODEL,
    SAMPLING,
    TABLE,
    TEXT,
    Rule,
    SettingsError,
    check,
    parse,
    word,
    wrong,
)

__all__ = [
    "BUILT_IN",
    "MODEL_VARIABLE",
    "Settings",
    "SettingsError",
    "load_settings",
    "load_settings_or_defaults",
    "resolve_model",
    "save_override",
]

MODEL_VARIABLE = "DEEPSEEK_TUI_MODEL"
BUILT_IN = "built-in"


@dataclass(frozen=True)
class Settings:
    """`model`: a path, the name of an installed model, "built-in", or None for the built-in one.

    `theme` is the name of a theme, ours or one of Textual's. `engine_command` starts the engine elsewhere
    ("ssh mac deepseek-tui engine"). `keys` maps ids of actions to keys. `sampling` has only what is set here.
    """

    model: str | None = None
    theme: str = "deepseek-dark"
    system_prompt: str = ""
    context_policy: ContextPolicy = "roll"
    engine_command: str | None = None
    sidebar: bool = True
    reduced_motion: bool = False
    sampling: Sampling = field(default_factory=Sampling)
    keys: dict[str, str] = field(default_factory=dict)


_TOP: dict[str, Rule] = {
    "model": MODEL,
    "theme": Rule("the name of a theme in quotes", word),
    "system_prompt": TEXT,
    "context_policy": CONTEXT_POLICY,
    "engine_command": Rule("a command in quotes", word),
    "sidebar": FLAG,
    "reduced_motion": FLAG,
}
_KEY = Rule('the name of a key in quotes, such as "ctrl+n"', word)


def load_settings(path: Path | None = None) -> Settings:
    """The settings in `path` (config.toml) and in overrides.toml beside it; a missing file sets nothing.

    Raises SettingsError for the first thing that is wrong.
    """
    settings, problems = _load(path)
    if problems:
        raise problems[0]
    return settings


def load_settings_or_defaults(path: Path | None = None) -> tuple[Settings, list[str]]:
    """The settings as far as they can be used, and one sentence for each thing that cannot."""
    settings, problems = _load(path)
    return settings, [str(p) for p in problems]


def save_override(key: str, value: Any, path: Path | None = None) -> None:
    """Write one setting ("theme", "sampling.temp", "keys.quit") to overrides.toml; None takes it out.

    `path` is that of config.toml. Raises SettingsError for a key or a value that is not allowed or a file
    that cannot be read, UserError when the file cannot be written.
    """
    file = _overrides_of(path)
    body = parse(file)
    table, _, name = key.partition(".")
    inside = table in ("sampling", "keys") and bool(name)
    if value is not None:
        problems: list[SettingsError] = []
        _checked({table: {name: value}} if inside else {key: value}, file, problems)
        if problems:
            raise problems[0]
    target = body.setdefault(table, {}) if inside else body
    if not isinstance(target, dict):
        raise wrong(file, table, target, TABLE.format(table))
    target.pop(name if inside else key, None)
    if value is not None:
        target[name if inside else key] = list(value) if isinstance(value, tuple) else value
    paths.atomic_write(file, tomli_w.dumps(body).encode())


def resolve_model(name: str | None, settings: Settings) -> Path:
    """Where the model `name` is, or without a name the one of the settings, or the built-in one.

    A bare name means an installed model before it means something in the working directory.
    Raises UserError, with what there is and how to get one, when nothing is there.
    """
    wanted = name or settings.model or BUILT_IN
    if wanted == BUILT_IN:
        found = paths.builtin_model()
        if found is None:
            raise UserError(
                "The built-in model is not installed with this copy of deepseek-tui.", _how_to_get()
            )
        return found
    try:
        given = Path(wanted).expanduser()
    except RuntimeError:
        given = Path(wanted)
    installed = paths.models_dir() / wanted
    for candidate in (installed, given):
        if candidate.exists():
            return candidate
    raise UserError(
        f"There is no model {wanted!r}: no such path, and none installed with that name.", _how_to_get()
    )


def _how_to_get() -> str:
    known = [BUILT_IN] if paths.builtin_model() else []
    with contextlib.suppress(OSError):
        known += sorted(p.name for p in paths.models_dir().iterdir() if not p.name.startswith("."))
    have = f"Installed: {', '.join(known)}. " if known else ""
    return (
        f"{have}Get one with: deepseek-tui models pull NAME (deepseek-tui models list shows what there is),"
        f" or give the path of a model directory with --model or as `model` in {paths.config_path()}."
    )


def _overrides_of(path: Path | None) -> Path:
    return paths.overrides_path() if path is None else path.with_name("overrides.toml")


def _load(path: Path | None) -> tuple[Settings, list[SettingsError]]:
    problems: list[SettingsError] = []
    top: dict[str, Any] = {}
    tables: dict[str, dict[str, Any]] = {"sampling": {}, "keys": {}}
    for file in (path or paths.config_path(), _overrides_of(path)):
        try:
            checked = _checked(parse(file), file, problems)
        except SettingsError as error:
            problems.append(error)
            continue
        for table, values in tables.items():
            values.update(checked.pop(table, {}))
        top.update(checked)
    model = os.environ.get(MODEL_VARIABLE, "").strip()
    if model:
        top["model"] = model
    return Settings(**top, sampling=Sampling(**tables["sampling"]), keys=tables["keys"]), problems


def _checked(body: dict[str, Any], file: Path, problems: list[SettingsError]) -> dict[str, Any]:
    """The values of `body` that are allowed, as the types of Settings; the others become `problems`."""
    good: dict[str, Any] = {}
    for key, value in body.items():
        if key in ("sampling", "keys"):
            if isinstance(value, dict):
                good[key] = _checked_table(key, value, file, problems)
            else:
                problems.append(wrong(file, key, value, TABLE.format(key)))
        elif key in _TOP:
            check(good, key, key, value, _TOP[key], file, problems)
        else:
            problems.append(_unknown(file, key))
    return good


def _checked_table(
    table: str, body: dict[str, Any], file: Path, problems: list[SettingsError]
) -> dict[str, Any]:
    good: dict[str, Any] = {}
    for key, value in _flat(body).items() if table == "keys" else body.items():
        rule = _KEY if table == "keys" else SAMPLING.get(key)
        if rule is None:
            problems.append(_unknown(file, f"{table}.{key}"))
        else:
            check(good, key, f"{table}.{key}", value, rule, file, problems)
    return good


def _flat(body: dict[str, Any], before: str = "") -> dict[str, Any]:
    """`chat.new = "ctrl+n"` is a table in TOML; ids of actions have dots in them."""
    flat: dict[str, Any] = {}
    for key, value in body.items():
        flat.update(_flat(value, f"{before}{key}.") if isinstance(value, dict) else {before + key: value})
    return flat


def _unknown(file: Path, key: str) -> SettingsError:
    known = [*_TOP, *(f"sampling.{k}" for k in SAMPLING), "keys"]
    # A sampling setting outside of its table is the likeliest slip.
    bare = key.rpartition(".")[2]
    near = [f"sampling.{bare}"] if bare in SAMPLING else difflib.get_close_matches(key, known, 1)
    hint = f"Did you mean {near[0]}?" if near else f"Known keys: {', '.join(known)}."
    return SettingsError(f"{file}: there is no setting {key}.", hint)

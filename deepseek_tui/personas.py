"""Personas: named presets for a conversation, one TOML file each in personas/ of the settings folder.

    description = "Answers in one line"
    system_prompt = "Be brief."
    model = "built-in"
    context_policy = "roll"
    thinking = false

    [sampling]
    temp = 0.2

Every key may be left out; what is not there stays as the settings have it. Values follow the same rules as in
config.toml, and a message names file, key and value.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
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
    wrong,
)
from deepseek_tui.settings import Settings

_KEYS: dict[str, Rule] = {
    "description": TEXT,
    "system_prompt": TEXT,
    "model": MODEL,
    "context_policy": CONTEXT_POLICY,
    "thinking": FLAG,
}
# Names are file names on every system, and words on a command line.
_NAME = re.compile(r"\w[\w .-]{0,59}")


@dataclass(frozen=True)
class Persona:
    """None, and in `sampling` too: as the settings have it. `thinking`: whether the model thinks first."""

    name: str
    description: str = ""
    system_prompt: str | None = None
    model: str | None = None
    context_policy: ContextPolicy | None = None
    thinking: bool | None = None
    sampling: Sampling = field(default_factory=Sampling)

    def over(self, settings: Settings) -> Settings:
        """The settings with what this persona sets."""
        changes = {
            key: value
            for key in ("system_prompt", "model", "context_policy")
            if (value := getattr(self, key)) is not None
        }
        return dataclasses.replace(settings, sampling=self.sampling.over(settings.sampling), **changes)


def personas_dir() -> Path:
    """Where the files of personas are."""
    return paths.config_dir() / "personas"


def personas() -> tuple[list[Persona], list[str]]:
    """Those that can be used, in the order of their names, and one sentence for each that cannot."""
    found: list[Persona] = []
    problems: list[str] = []
    for name in _names():
        try:
            found.append(load_persona(name))
        except UserError as error:
            problems.append(str(error))
    return found, problems


def load_persona(name: str) -> Persona:
    """The persona of that name. Raises UserError when there is none, SettingsError when it is wrong."""
    file = _file(name)
    if not file.is_file():
        known = _names()
        near = difflib.get_close_matches(name, known, 1)
        if near:
            hint = f"Did you mean {near[0]}?"
        else:
            hint = f"There are: {', '.join(known)}." if known else f"Put one into {file}."
        raise UserError(f"There is no persona {name!r}.", hint)
    return _read(file, name)


def save_persona(persona: Persona) -> Path:
    """Write it, over one of the same name, and return its file. Raises SettingsError or UserError."""
    file = _file(persona.name)
    body = _body(persona)
    _checked(body, persona.name, file)
    paths.atomic_write(file, _toml(body))
    return file


def delete_persona(name: str) -> Persona:
    """Remove its file and return what it was, so that `save_persona` brings it back. Raises UserError."""
    persona = load_persona(name)
    try:
        _file(name).unlink()
    except OSError as error:
        raise UserError(f"{_file(name)} cannot be removed: {error.strerror or error}.") from error
    return persona


def export_persona(name: str, target: Path) -> None:
    """Write a copy of it for somebody else to `target`. Raises UserError."""
    body = _body(load_persona(name))
    paths.atomic_write(target, _toml(body))


def import_persona(source: Path, name: str | None = None, replace: bool = False) -> Persona:
    """Take in a persona file of somebody else, under its file's name or another one.

    Raises UserError when there is no such file, or one of that name is here already and `replace` is false;
    SettingsError for what is wrong in it.
    """
    chosen = source.stem if name is None else name
    if not source.is_file():
        raise UserError(f"There is no file {source}.", "Give the path of a persona's TOML file.")
    if _file(chosen).exists() and not replace:
        raise UserError(f"There is a persona {chosen!r} already.", "Give another name, or remove that one.")
    persona = _read(source, chosen)
    save_persona(persona)
    return persona


def _file(name: str) -> Path:
    # A name that ends in a dot or a space is another one on some systems.
    if not _NAME.fullmatch(name) or name[-1] in " .":
        raise UserError(
            f"{name!r} cannot be the name of a persona.",
            "Use letters, digits, spaces, dots, - and _, at most 60, and begin with a letter or a digit.",
        )
    return personas_dir() / f"{name}.toml"


def _names() -> list[str]:
    try:
        files = sorted(personas_dir().iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"{personas_dir()} cannot be read: {error.strerror or error}.") from error
    return [f.stem for f in files if f.suffix == ".toml" and not f.name.startswith(".")]


def _read(file: Path, name: str) -> Persona:
    return _checked(parse(file), name, file)


def _checked(body: dict[str, Any], name: str, file: Path) -> Persona:
    """The persona in `body`. Raises SettingsError for the first thing that is wrong."""
    problems: list[SettingsError] = []
    good: dict[str, Any] = {}
    sampling: dict[str, Any] = {}
    for key, value in body.items():
        if key == "sampling" and isinstance(value, dict):
            for each, number in value.items():
                if each in SAMPLING:
                    check(sampling, each, f"sampling.{each}", number, SAMPLING[each], file, problems)
                else:
                    problems.append(_unknown(file, f"sampling.{each}"))
        elif key == "sampling":
            problems.append(wrong(file, key, value, TABLE.format(key)))
        elif key in _KEYS:
            check(good, key, key, value, _KEYS[key], file, problems)
        else:
            problems.append(_unknown(file, key))
    if problems:
        raise problems[0]
    return Persona(name, **good, sampling=Sampling(**sampling))


def _unknown(file: Path, key: str) -> SettingsError:
    known = [*_KEYS, *(f"sampling.{k}" for k in SAMPLING)]
    # A sampling setting outside of its table is the likeliest slip.
    near = [f"sampling.{key}"] if key in SAMPLING else difflib.get_close_matches(key, known, 1)
    hint = f"Did you mean {near[0]}?" if near else f"Known keys: {', '.join(known)}."
    return SettingsError(f"{file}: there is no setting {key} for a persona.", hint)


def _body(persona: Persona) -> dict[str, Any]:
    """What is set, in the form of the file."""
    body = {key: value for key in _KEYS if (value := getattr(persona, key)) is not None}
    if not persona.description:
        del body["description"]
    sampling = {k: v for k, v in dataclasses.asdict(persona.sampling).items() if v is not None}
    if sampling:
        body["sampling"] = {k: list(v) if isinstance(v, tuple) else v for k, v in sampling.items()}
    return body


def _toml(body: dict[str, Any]) -> bytes:
    """`body` with long texts over several lines, unless that changes them: TOML reads a CR LF there as LF."""
    text = tomli_w.dumps(body, multiline_strings=True)
    return (text if tomllib.loads(text) == body else tomli_w.dumps(body)).encode()

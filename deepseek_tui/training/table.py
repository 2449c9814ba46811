"""Reads a TOML table into a dataclass, strictly: every key known, every value of its kind."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from typing import Any, TypeVar

from deepseek_tui.training.errors import TrainingError

T = TypeVar("T")

_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def read_table(kind: type[T], body: Any, where: str) -> T:
    """`body` (a table of a TOML file) as the dataclass `kind`. `where`: what a message begins with.

    Fields without a default are needed. Raises TrainingError naming the key, what was found and what may be
    there; an unknown key is answered with the nearest known one.
    """
    if not isinstance(body, dict):
        raise TrainingError(f"{where} should be a table and is {_short(body)}.")
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]  # always a dataclass here
    for key in body:
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            raise TrainingError(
                f"{where} has no key {key!r}.",
                f"Do you mean {near[0]!r}?" if near else f"Keys are {', '.join(sorted(fields))}.",
            )
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in body:
            values[name] = _value(hints[name], body[name], f"{where}, {name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise TrainingError(f"{where} lacks the key {name!r}.")
    try:
        return kind(**values)
    except ValueError as error:
        raise TrainingError(f"{where}: {error}.") from error


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        inner = [argument for argument in arguments if argument is not type(None)]
        return _value(inner[0], value, where)
    if origin is typing.Literal:
        if value not in arguments:
            raise TrainingError(
                f"{where} is {_short(value)}.", f"It may be {', '.join(map(str, arguments))}."
            )
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise TrainingError(f"{where} should be a list and is {_short(value)}.")
        return tuple(_value(arguments[0], item, f"{where}[{n}]") for n, item in enumerate(value, 1))
    if origin is dict:
        if not isinstance(value, dict):
            raise TrainingError(f"{where} should be a table and is {_short(value)}.")
        return {key: _value(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(hint):
        return read_table(hint, value, where)  # type: ignore[arg-type]  # a class, not an instance
    return _plain(hint, value, where)


def _plain(hint: Any, value: Any, where: str) -> Any:
    fits = (
        isinstance(value, bool) if hint is bool else isinstance(value, hint) and not isinstance(value, bool)
    )
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not fits:
        raise TrainingError(f"{where} should be {_WORDS[hint]} and is {_short(value)}.")
    return value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

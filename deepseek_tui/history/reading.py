"""Values out of a file of somebody else, checked one by one, with a sentence that says which one is wrong."""

from __future__ import annotations

import hashlib
import math
import re
import uuid
from collections.abc import Iterator
from typing import Any

from deepseek_tui.history.errors import HistoryError

NOTHING = "Nothing was imported."
# The namespace of ids made for what has none of our form, so that the same thing gets the same id again.
_SPACE = uuid.UUID("7f6b1c1e-5b0f-4a52-9d5e-3f1d3a3c9a10")
# The year 9999: what can be shown as a date.
_LATEST = 253_370_764_800.0
_IDENTITY = re.compile(r"[0-9A-Za-z_-]{1,64}")
# Levels of settings and figures; ours have one.
DEEPEST = 20
_MISSING = object()


class Reader:
    """Reads the parts of conversation `number` of the file `name`. `now` dates what has no date."""

    def __init__(self, name: str, number: int, now: float) -> None:
        self.name = name
        self.number = number
        self.now = now
        self.message = 0

    def fail(self, what: str) -> HistoryError:
        """The error for what is wrong here."""
        message = f", message {self.message}" if self.message else ""
        return HistoryError(f"{self.name}: conversation {self.number}{message}: {what}.", NOTHING)

    def table(self, value: Any, what: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.fail(f"{what} is {shown(value)} and must be an object")
        return value

    def rows(self, value: Any, what: str) -> list[Any]:
        if not isinstance(value, list):
            raise self.fail(f"{what} is {shown(value)} and must be a list")
        return value

    def messages(self, values: dict[str, Any], key: str) -> Iterator[dict[str, Any]]:
        """The objects in a list of messages; errors meanwhile say which one."""
        for number, each in enumerate(self.rows(values.get(key), key), 1):
            self.message = number
            yield self.table(each, "it")
        self.message = 0

    def extras(self, values: dict[str, Any], key: str) -> dict[str, Any]:
        """An object of whatever kind, such as settings, but not a deep one."""
        table = self.table(values.get(key), key)
        level = [value for value in table.values() if isinstance(value, dict | list)]
        depth = 1
        while level:
            depth += 1
            if depth > DEEPEST:
                raise self.fail(f"{key} is nested deeper than {DEEPEST} levels")
            inner = (value.values() if isinstance(value, dict) else value for value in level)
            level = [one for row in inner for one in row if isinstance(one, dict | list)]
        return table

    def text(self, values: dict[str, Any], key: str, default: Any = _MISSING) -> str:
        """A text; with `default` also where there is none, or null."""
        value = self._value(values, key, default)
        if not isinstance(value, str):
            raise self.fail(f"{key} is {shown(value)} and must be a text")
        return value

    def choice(self, values: dict[str, Any], key: str, choices: tuple[str, ...]) -> Any:
        value = self.text(values, key)
        if value not in choices:
            raise self.fail(f"{key} is {shown(value)} and must be one of {', '.join(choices)}")
        return value

    def flag(self, values: dict[str, Any], key: str) -> bool:
        value = self._value(values, key, _MISSING)
        if not isinstance(value, bool):
            raise self.fail(f"{key} is {shown(value)} and must be true or false")
        return value

    def time(self, values: dict[str, Any], key: str, default: Any = _MISSING) -> float:
        """Seconds since 1970."""
        value = self._value(values, key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.fail(f"{key} is {shown(value)} and must be a number of seconds")
        if not (math.isfinite(value) and 0 <= value <= _LATEST):
            raise self.fail(f"{key} is {shown(value)}, which is no time between 1970 and 9999")
        return float(value)

    def count(self, values: dict[str, Any], key: str) -> int:
        value = self._value(values, key, _MISSING)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
            raise self.fail(f"{key} is {shown(value)} and must be a whole number, 0 or more")
        return value

    def identity(self, values: dict[str, Any], key: str, default: Any = _MISSING) -> str | None:
        """An id, or None where there is none and `default` is None."""
        value = self._value(values, key, default)
        if value is None:
            return None
        if not isinstance(value, str) or not _IDENTITY.fullmatch(value):
            raise self.fail(f"{key} is {shown(value)} and must be letters, digits, - and _, at most 64")
        return value

    def _value(self, values: dict[str, Any], key: str, default: Any) -> Any:
        value = values.get(key)
        if value is None and default is not _MISSING:
            return default
        if key not in values:
            raise self.fail(f"there is no {key}")
        return value


def made_id(kind: str, of: str) -> str:
    """An id of our form for a thing known elsewhere as `of`: the same each time."""
    digest = hashlib.sha256(of.encode("utf-8", "surrogatepass")).hexdigest()
    return uuid.uuid5(_SPACE, f"{kind}:{digest}").hex


def shown(value: Any) -> str:
    """What stands in a file, short enough for a sentence."""
    if isinstance(value, dict):
        names = ", ".join(list(value)[:4])
        return f"an object with {names}"[:80] if names else "an empty object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value[:60]) if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:59] + "…"

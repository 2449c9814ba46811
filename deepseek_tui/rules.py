"""What the values in settings and persona files may be, and the sentences for those that may not."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepseek_tui.errors import UserError


class SettingsError(UserError):
    """A settings file, or a value for it, that cannot be used."""


@dataclass(frozen=True)
class Rule:
    """What a value may be, in words, and the function that makes it or raises ValueError."""

    allowed: str
    make: Callable[[Any], Any]


def text(value: Any) -> str:
    """A text, empty or not."""
    if not isinstance(value, str):
        raise ValueError
    return value


def word(value: Any) -> str:
    """A text with something in it."""
    if not text(value).strip():
        raise ValueError
    return text(value)


def flag(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError
    return value


def one_of(*choices: str) -> Rule:
    """One of these texts."""

    def make(value: Any) -> str:
        if value not in choices:
            raise ValueError
        return text(value)

    return Rule(" or ".join(f'"{c}"' for c in choices), make)


def whole(low: int, high: int = 2**63 - 1) -> Rule:
    """A whole number."""

    def make(value: Any) -> int:
        # bool is an int in Python, but `top_k = true` is a mistake.
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError
        return value

    return Rule(f"a whole number, {low} or more", make)


def number(low: float = -math.inf, high: float = math.inf) -> Rule:
    """A finite number."""

    def make(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError
        made = float(value)
        if not math.isfinite(made) or not low <= made <= high:
            raise ValueError
        return made

    if math.isinf(low):
        return Rule("a number", make)
    return Rule(
        f"a number, {low:g} or more" if math.isinf(high) else f"a number from {low:g} to {high:g}", make
    )


def bias(value: Any) -> dict[str, float]:
    """What is added to the logits of single tokens."""
    if not isinstance(value, dict) or not all(k.isascii() and k.isdigit() for k in value):
        raise ValueError
    return {k: number().make(v) for k, v in value.items()}


def stops(value: Any) -> tuple[str, ...]:
    """Texts at which a reply ends."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(t, str) and t for t in texts):
        raise ValueError
    return tuple(texts)


MODEL = Rule("a path, the name of an installed model, or built-in, in quotes", word)
TEXT = Rule("a text in quotes", text)
FLAG = Rule("true or false", flag)
CONTEXT_POLICY = one_of("roll", "stop")
SAMPLING: dict[str, Rule] = {
    "max_tokens": whole(1),
    "temp": number(0),
    "top_p": number(0, 1),
    "min_p": number(0, 1),
    "top_k": whole(0),
    "xtc_probability": number(0, 1),
    "xtc_threshold": number(0, 0.5),
    "repetition_penalty": number(0),
    "repetition_context_size": whole(1),
    "presence_penalty": number(),
    "presence_context_size": whole(1),
    "frequency_penalty": number(),
    "frequency_context_size": whole(1),
    "logit_bias": Rule("a table from token ids in quotes to numbers", bias),
    "seed": whole(0),
    "stop": Rule("a text or a list of texts, none of them empty", stops),
}
TABLE = "a table, begun by a line [{}]"


def parse(file: Path) -> dict[str, Any]:
    """What is in a TOML file; nothing when it is not there. Raises SettingsError."""
    try:
        return tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{file} is not a text in UTF-8 (byte {error.start}).", "Save it as UTF-8."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file} is not valid TOML: {error}.", "Mend that place or remove it.") from error
    except RecursionError as error:
        raise SettingsError(f"{file} is nested too deeply.", "Settings need one level of tables.") from error
    except OSError as error:
        raise SettingsError(
            f"{file} cannot be read: {error.strerror or error}.", "Check its permissions."
        ) from error


def check(
    good: dict[str, Any],
    key: str,
    full_key: str,
    value: Any,
    rule: Rule,
    file: Path,
    problems: list[SettingsError],
) -> None:
    """Put `value` into `good` as the rule makes it, or what is wrong with it into `problems`."""
    try:
        good[key] = rule.make(value)
    except (ValueError, OverflowError):
        problems.append(wrong(file, full_key, value, rule.allowed))


def wrong(file: Path, key: str, value: Any, allowed: str) -> SettingsError:
    """The sentence for a value that is not allowed."""
    shown = str(value).lower() if isinstance(value, bool) else repr(value)
    if len(shown) > 60:
        shown = shown[:59] + "…"
    return SettingsError(f"{file}: {key} = {shown} is not allowed.", f"It must be {allowed}.")

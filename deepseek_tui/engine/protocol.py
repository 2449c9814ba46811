"""The messages between the screen and the engine child, the same definitions on both sides.

One message is one line of JSON (UTF-8, no raw newline) on the child's stdin or stdout, so a byte pipe of
any kind carries it, ssh included. Every message is a frozen dataclass; `type` on the wire names the class.
Requests carry an `id` chosen by the client; every event that answers one repeats that id.
This module imports neither MLX nor Textual.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin, get_type_hints

from deepseek_tui.errors import UserError

VERSION = 1

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length", "cancelled", "context"]
ContextPolicy = Literal["stop", "roll"]


class ProtocolError(ValueError):
    """A line that is no message of this protocol."""


class EngineError(UserError):
    """The engine could not do what was asked. `kind` is that of the Failed event it stands for."""

    def __init__(self, kind: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.kind = kind


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. None: not set here, the next source down decides.

    Sources in order: request (conversation or flag), config.toml, the model's generation_config.json,
    `PRODUCT_SAMPLING`. Names, meanings and order of application are mlx-lm's.
    """

    max_tokens: int | None = None
    temp: float | None = None
    top_p: float | None = None
    min_p: float | None = None
    top_k: int | None = None
    xtc_probability: float | None = None
    xtc_threshold: float | None = None
    repetition_penalty: float | None = None
    repetition_context_size: int | None = None
    presence_penalty: float | None = None
    presence_context_size: int | None = None
    frequency_penalty: float | None = None
    frequency_context_size: int | None = None
    logit_bias: dict[str, float] | None = None
    seed: int | None = None
    stop: tuple[str, ...] | None = None

    def over(self, base: Sampling) -> Sampling:
        """These settings where set, `base` elsewhere."""
        mine = {f.name: v for f in dataclasses.fields(self) if (v := getattr(self, f.name)) is not None}
        return dataclasses.replace(base, **mine)


PRODUCT_SAMPLING = Sampling(max_tokens=256, temp=0.7, top_p=0.9)


@dataclass(frozen=True)
class ChatMessage:
    role: Role
    content: str


# --- requests ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Load:
    """Load a model in place of the one in memory. `path`: a directory or file on the engine's machine."""

    id: int
    path: str
    adapter_path: str | None = None


@dataclass(frozen=True)
class Unload:
    id: int


@dataclass(frozen=True)
class Generate:
    """One reply. `messages` is the whole conversation; `conversation` names its KV cache.

    With `continue_reply` the last message is an unfinished assistant reply that is to be carried on.
    With `raw` no chat template is applied: the contents, joined, are the prompt (base models).
    """

    id: int
    conversation: str
    messages: tuple[ChatMessage, ...]
    sampling: Sampling = field(default_factory=Sampling)
    context_policy: ContextPolicy = "roll"
    continue_reply: bool = False
    raw: bool = False
    template_options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cancel:
    """Stop the request `target` within one token; it then ends with Finished("cancelled")."""

    id: int
    target: int


@dataclass(frozen=True)
class Forget:
    """Drop the KV cache of a conversation."""

    id: int
    conversation: str


@dataclass(frozen=True)
class CountTokens:
    id: int
    text: str


@dataclass(frozen=True)
class Shutdown:
    id: int


# --- events ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hello:
    """First line of a child. `device` is for people: "CPU (MKL, 2 threads)", "Apple M3 Max (Metal)"."""

    version: int
    pid: int
    device: str
    mlx_version: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelInfo:
    name: str
    path: str
    model_type: str
    parameters: int
    weight_bytes: int
    context_length: int
    precision: str
    has_chat_template: bool
    defaults: Sampling = field(default_factory=Sampling)
    kv_bytes_per_token: int = 0
    draft_heads: int = 0


@dataclass(frozen=True)
class LoadProgress:
    """`done` and `total` in bytes of weights."""

    id: int
    done: int
    total: int


@dataclass(frozen=True)
class Ready:
    id: int
    model: ModelInfo
    load_seconds: float
    memory: int


@dataclass(frozen=True)
class PrefillProgress:
    """Prompt tokens read so far of `total`; `cached` of them came from the KV cache and cost nothing."""

    id: int
    done: int
    total: int
    cached: int


@dataclass(frozen=True)
class Token:
    """A piece of the reply: valid UTF-8, `count` tokens made so far, `ids` the token ids new in this piece.

    The ids of all pieces together are every token generated, an end-of-turn token included; text may lag
    behind them while a character or a stop string is incomplete.
    """

    id: int
    text: str
    count: int
    ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Stats:
    """Figures of the reply so far: seconds, tokens, tokens per second, bytes.

    `prompt_tps` counts only tokens that were prefilled (prompt_tokens - cached_tokens).
    `memory` is what the engine process holds now (resident on CPU, active on a GPU), `peak_memory` the most.
    """

    id: int
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generation_tokens: int = 0
    prompt_tps: float = 0.0
    generation_tps: float = 0.0
    time_to_first_token: float = 0.0
    context_used: int = 0
    context_limit: int = 0
    memory: int = 0
    peak_memory: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0


@dataclass(frozen=True)
class Notice:
    """Something the user should see and that stops nothing, such as turns left out of a full context."""

    id: int
    text: str


@dataclass(frozen=True)
class Finished:
    """End of a reply. `sampling` is what was really used, seed included, so that it can be repeated."""

    id: int
    reason: FinishReason
    stats: Stats
    sampling: Sampling


@dataclass(frozen=True)
class TokenCount:
    id: int
    count: int


@dataclass(frozen=True)
class Done:
    """Answer to Unload, Forget and Shutdown."""

    id: int


@dataclass(frozen=True)
class Failed:
    """The request failed. `message`: what and where; `hint`: what to do. `id` 0: the engine as a whole."""

    id: int
    kind: str
    message: str
    hint: str = ""


Request = Load | Unload | Generate | Cancel | Forget | CountTokens | Shutdown
Event = (
    Hello
    | LoadProgress
    | Ready
    | PrefillProgress
    | Token
    | Stats
    | Notice
    | Finished
    | TokenCount
    | Done
    | Failed
)

_CLASSES: dict[str, type[Any]] = {c.__name__: c for c in (*get_args(Request), *get_args(Event))}


def encode(message: Request | Event) -> bytes:
    """One line, newline included."""
    body = {"type": type(message).__name__, **dataclasses.asdict(message)}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def decode(line: bytes) -> Request | Event:
    """The message in one line. Raises ProtocolError for anything else; unknown fields are ignored."""
    try:
        body = json.loads(line)
        cls = _CLASSES[body.pop("type")]
        return typing.cast("Request | Event", _build(cls, body))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ProtocolError(
            f"not a message of protocol version {VERSION}: {line[:80]!r} ({error})"
        ) from error


def _build(cls: type[Any], body: dict[str, Any]) -> Any:
    hints = get_type_hints(cls)
    known = {f.name for f in dataclasses.fields(cls)}
    return cls(**{k: _convert(hints[k], v) for k, v in body.items() if k in known})


def _convert(hint: Any, value: Any) -> Any:
    if get_origin(hint) is types.UnionType:
        if value is None:
            return None
        hint = next(a for a in get_args(hint) if a is not type(None))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _build(hint, value)
    if get_origin(hint) is tuple:
        return tuple(_convert(get_args(hint)[0], v) for v in value)
    if hint is float and isinstance(value, int):
        return float(value)
    if isinstance(hint, type) and not isinstance(value, hint):
        raise TypeError(f"{value!r} is no {hint.__name__}")
    return value

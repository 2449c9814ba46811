"""What one conversation sets for itself, over the settings of the app and those of the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deepseek_tui.engine.protocol import PRODUCT_SAMPLING, ContextPolicy, Sampling
from deepseek_tui.rules import CONTEXT_POLICY, FLAG, SAMPLING, Rule


@dataclass(frozen=True)
class Choices:
    """None, and in `sampling` too: as the settings have it. `thinking`: whether the model thinks first."""

    sampling: Sampling = field(default_factory=Sampling)
    context_policy: ContextPolicy | None = None
    thinking: bool | None = None

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Choices:
        """From the settings column of a conversation; what is not allowed there is as if it were not set."""
        given = stored.get("sampling")
        sampling = {
            name: value
            for name, rule in SAMPLING.items()
            if isinstance(given, Mapping) and (value := _allowed(rule, given.get(name))) is not None
        }
        return cls(
            Sampling(**sampling),
            _allowed(CONTEXT_POLICY, stored.get("context_policy")),
            _allowed(FLAG, stored.get("thinking")),
        )

    def stored(self) -> dict[str, Any]:
        """What is set, for the settings column."""
        body: dict[str, Any] = {}
        if sampling := given(self.sampling):
            body["sampling"] = sampling
        if self.context_policy is not None:
            body["context_policy"] = self.context_policy
        if self.thinking is not None:
            body["thinking"] = self.thinking
        return body

    @property
    def template_options(self) -> dict[str, Any]:
        """Variables for the chat template. One that knows no thinking ignores them."""
        return {} if self.thinking is None else {"enable_thinking": self.thinking}


def given(sampling: Sampling) -> dict[str, Any]:
    """The settings that are set, by name."""
    return {k: v for k, v in dataclasses.asdict(sampling).items() if v is not None}


def source_of(name: str, settings: Sampling, model: Sampling) -> tuple[Any, str]:
    """The value that the sampling setting `name` has where a conversation sets none, and who says so."""
    sources = (settings, "your settings"), (model, "the model"), (PRODUCT_SAMPLING, "built in")
    for sampling, source in sources:
        if (value := getattr(sampling, name)) is not None:
            return value, source
    return None, ""


def _allowed(rule: Rule, value: Any) -> Any:
    try:
        return None if value is None else rule.make(value)
    except (ValueError, OverflowError):
        return None

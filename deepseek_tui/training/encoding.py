"""Documents to token ids, with the weight that each token has in the loss.

A chat is laid out by the model's own template. What people wrote can never become a control token: only the
template's own text is searched for those.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import tokenizers

from deepseek_tui.engine.protocol import ChatMessage, Role
from deepseek_tui.engine.template import render_text
from deepseek_tui.engine.tokenizer import Tokenizer
from deepseek_tui.training.documents import Document
from deepseek_tui.training.errors import TrainingError

_BATCH = 512


@dataclass
class Encoded:
    """One document: ids, and beside each the weight of predicting it (0: it is only read)."""

    ids: np.ndarray
    weights: np.ndarray


@dataclass
class _Text:
    """Text between two control tokens, in spans of (characters, weight)."""

    text: str = ""
    spans: list[tuple[int, float]] = field(default_factory=list)

    def add(self, text: str, weight: float) -> None:
        if text:
            self.text += text
            self.spans.append((len(text), weight))

    def weight_of(self, ends: np.ndarray) -> np.ndarray:
        """Weight of tokens that end at these characters: that of the span of their last character."""
        borders = np.cumsum([length for length, _ in self.spans])
        weights = np.array([weight for _, weight in self.spans], np.float32)
        found: np.ndarray = weights[np.searchsorted(borders, np.maximum(ends, 1), side="left")]
        return found


class Encoder:
    """Encodes documents for one tokenizer and template.

    `roles`: weight of what each role says, its end token included; roles not named and the template's own
    text weigh 0. `end_of_text`: control token after a `{"text"}` document, None for none. Plain text
    weighs 1.
    """

    def __init__(
        self, tokenizer: Tokenizer, roles: Mapping[str, float], end_of_text: str | None = None
    ) -> None:
        self._tokenizer = tokenizer
        self._roles = dict(roles)
        self._plain = _without_controls(tokenizer)
        self._layouts: dict[tuple[Role, ...], list[str]] = {}
        self._end = tokenizer.control_tokens.get(end_of_text) if end_of_text else None
        if end_of_text and self._end is None:
            raise TrainingError(f"The tokenizer has no control token {end_of_text!r} to end a text with.")

    def encode(self, documents: Iterable[Document]) -> Iterator[Encoded]:
        """The documents in order, encoded some hundred at a time on all cores."""
        source = iter(documents)
        while batch := list(islice(source, _BATCH)):
            parts = [self._parts(document) for document in batch]
            texts = [part for document in parts for part in document if isinstance(part, _Text)]
            found = iter(self._plain.encode_batch([text.text for text in texts], add_special_tokens=False))
            for document in parts:
                yield _join(document, found)

    def _parts(self, document: Document) -> list[_Text | tuple[int, float]]:
        if document.text is not None:
            text = _Text()
            text.add(_whole(document.text), 1.0)
            return [text, *([(self._end, 1.0)] if self._end is not None else [])]
        glue = self._layout(document)
        parts: list[_Text | tuple[int, float]] = [_Text()]
        self._add_glue(parts, glue[0], 0.0)
        for message, after in zip(document.messages, glue[1:], strict=True):
            weight = self._roles.get(message.role, 0.0)
            _open_text(parts).add(_whole(message.content), weight)
            self._add_glue(parts, after, weight)
        return parts

    def _add_glue(self, parts: list[_Text | tuple[int, float]], text: str, closing: float) -> None:
        """The template's own text. Its first control token ends what was said before and weighs as that."""
        controls = self._tokenizer.control_pattern
        start = 0
        for match in controls.finditer(text) if controls else ():
            _open_text(parts).add(text[start : match.start()], 0.0)
            parts.append((self._tokenizer.control_tokens[match[0]], closing))
            start, closing = match.end(), 0.0
        _open_text(parts).add(text[start:], 0.0)

    def _layout(self, document: Document) -> list[str]:
        roles = tuple(message.role for message in document.messages)
        if roles not in self._layouts:
            self._layouts[roles] = layout(self._tokenizer, roles, document.where)
        return self._layouts[roles]


def layout(tokenizer: Tokenizer, roles: tuple[Role, ...], where: str) -> list[str]:
    """The chat template's text before, between and after messages of these roles.

    Raises TrainingError, beginning with `where`, for a template that does not show all of them.
    """
    marks = [f"\ue000{secrets.token_hex(8)}\ue001" for _ in roles]
    shown = [ChatMessage(role, mark) for role, mark in zip(roles, marks, strict=True)]
    rest = render_text(tokenizer, shown, add_generation_prompt=False)
    glue = []
    for mark in marks:
        before, found, rest = rest.partition(mark)
        if not found:
            raise TrainingError(
                f"{where}: the chat template does not show every message of {', '.join(roles)}.",
                "Give chats in the order of roles that the template takes.",
            )
        glue.append(before)
    return [*glue, rest]


def _open_text(parts: list[_Text | tuple[int, float]]) -> _Text:
    last = parts[-1] if parts else None
    if isinstance(last, _Text):
        return last
    text = _Text()
    parts.append(text)
    return text


def _join(parts: list[_Text | tuple[int, float]], found: Iterator[tokenizers.Encoding]) -> Encoded:
    ids: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    for part in parts:
        if isinstance(part, tuple):
            ids.append(np.array(part[:1], np.uint32))
            weights.append(np.array(part[1:], np.float32))
            continue
        encoding = next(found)
        if part.text:
            ids.append(np.array(encoding.ids, np.uint32))
            weights.append(part.weight_of(np.array([end for _, end in encoding.offsets], np.int64)))
    if not ids:
        return Encoded(np.zeros(0, np.uint32), np.zeros(0, np.float32))
    return Encoded(np.concatenate(ids), np.concatenate(weights))


def _whole(text: str) -> str:
    """Text without lone surrogates, which no tokenizer takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _without_controls(tokenizer: Tokenizer) -> tokenizers.Tokenizer:
    """The same tokenizer, finding no control token in any text: they go by names that no text contains."""
    if tokenizer.path is None:
        raise TrainingError("The tokenizer has no file, so nothing can be encoded with it.")
    body = json.loads(tokenizer.path.read_text(encoding="utf-8"))
    nonce = secrets.token_hex(16)
    renamed = {text: f"\ue000{nonce}{token_id}\ue001" for text, token_id in tokenizer.control_tokens.items()}
    body["post_processor"] = None
    for token in body["added_tokens"]:
        if token["content"] in renamed:
            token.update(content=renamed[token["content"]], normalized=False)
    model = body["model"]
    if isinstance(model["vocab"], dict):
        model["vocab"] = {renamed.get(text, text): token_id for text, token_id in model["vocab"].items()}
    else:
        model["vocab"] = [[renamed.get(text, text), score] for text, score in model["vocab"]]
    if isinstance(model.get("unk_token"), str):
        model["unk_token"] = renamed.get(model["unk_token"], model["unk_token"])
    plain = tokenizers.Tokenizer.from_str(json.dumps(body))
    plain.no_truncation()
    plain.no_padding()
    return plain

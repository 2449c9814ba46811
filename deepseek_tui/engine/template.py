"""Chat templates: from messages to the ids a model was trained to see.

A template is a Jinja program by a stranger, so it runs in Jinja's immutable sandbox with bounds on time and
size (`engine/sandbox.py`). What people and models wrote can never become a control token. Templates also look
into contents (they strip them, or split off `<think>...</think>`), so contents are rendered as they are; only
text in them that looks like a control token is treated, in one of two ways:

- a token that the template itself never looks for is broken by a random mark, taken out after rendering;
- a token that the template does look for is left alone, and it is the template's own copies that are written
  as random names instead.

Afterwards each control token in the result is known to be the template's or the content's, and the whole is
encoded at once, so that merges across the seams are what they are without any of this.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from deepseek_tui.engine.protocol import ChatMessage
from deepseek_tui.engine.sandbox import TemplateError, compile_template, looked_for
from deepseek_tui.engine.tokenizer import Tokenizer

__all__ = ["TemplateError", "render", "render_text"]

# Nobody outside this process can know them, and they never leave it: whatever is rendered loses them again.
_NONCE = secrets.token_hex(16)
_MARK = f"\ue000{_NONCE}\ue001"
_THINKING = re.compile(r"\s*(<think>)(?:.*?(</think>))?", re.DOTALL)


def render(
    tokenizer: Tokenizer,
    messages: Sequence[ChatMessage],
    *,
    add_generation_prompt: bool = True,
    continue_final_message: bool = False,
    template: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> list[int]:
    """Ids of a conversation, through the model's chat template or `template` in its place.

    `add_generation_prompt`: end where the model is to reply. `continue_final_message`: end inside the last
    message, an unfinished reply that the model is to carry on. `options`: variables for the template, such as
    `enable_thinking`. Raises TemplateError: no template, one that is broken, refuses these messages, or runs
    on.
    """
    pieces = _Renderer(tokenizer, template, options).pieces(
        messages, add_generation_prompt=add_generation_prompt, continue_final=continue_final_message
    )
    if len(pieces) == 1 and isinstance(pieces[0], _Trusted):
        return tokenizer.encode_trusted(pieces[0])
    return tokenizer.encode_mixed(pieces)


def render_text(
    tokenizer: Tokenizer,
    messages: Sequence[ChatMessage],
    *,
    add_generation_prompt: bool = True,
    continue_final_message: bool = False,
    template: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> str:
    """The same as text, for people to look at: it does not tell typed control tokens from real ones."""
    names = {token_id: text for text, token_id in tokenizer.control_tokens.items()}
    pieces = _Renderer(tokenizer, template, options).pieces(
        messages, add_generation_prompt=add_generation_prompt, continue_final=continue_final_message
    )
    return "".join(names[p] if isinstance(p, int) else p for p in pieces)


class _Trusted(str):
    """Rendered text in which every control token is the template's."""

    __slots__ = ()


class _Renderer:
    """One rendering."""

    def __init__(self, tokenizer: Tokenizer, template: str | None, options: Mapping[str, Any] | None) -> None:
        source = template if template is not None else tokenizer.chat_template
        if source is None:
            raise TemplateError(
                "This model has no chat template, so it does not know what a conversation looks like.",
                "It can only continue text: deepseek-tui run --ignore-chat-template, or set a chat_template.",
            )
        self._tokenizer = tokenizer
        self._source = source
        self._options = dict(options or {})
        self._controls = tokenizer.control_tokens
        self._names = {text: f"\ue000{_NONCE}.{token_id}\ue001" for text, token_id in self._controls.items()}

    def pieces(
        self, messages: Sequence[ChatMessage], *, add_generation_prompt: bool, continue_final: bool
    ) -> list[str | int]:
        """Text and control ids in order; one `_Trusted` where no message holds anything like a control
        token."""
        tail = ""
        if continue_final:
            if not messages or messages[-1].role != "assistant":
                raise TemplateError("Only a reply can be continued, and the last message is none.")
            tail = messages[-1].content
            messages, add_generation_prompt = messages[:-1], True
        contents = [message.content for message in messages]
        if not any(map(self._suspicious, [*contents, tail, *_strings(self._options)])):
            shown = [_message(m.role, m.content) for m in messages]
            return [_Trusted(self._run(shown, add_generation_prompt, self._options, {}) + tail)]
        return self._guarded(messages, tail, add_generation_prompt)

    def _guarded(
        self, messages: Sequence[ChatMessage], tail: str, add_generation_prompt: bool
    ) -> list[str | int]:
        wanted = looked_for(self._source, self._controls)
        names = {text: self._names[text] for text in wanted}
        shown = [_message(m.role, self._broken(m.content, wanted)) for m in messages]
        options = _map_strings(self._options, lambda text: self._broken(text, wanted))
        text = self._run(shown, add_generation_prompt, options, names)
        # What the template looks for and did not write by name came from a content.
        found = {self._names[c]: i for c, i in self._controls.items()}
        found.update({c: i for c, i in self._controls.items() if c not in wanted})
        return self._split(text, found) + self._continuation(tail)

    def _run(
        self,
        messages: list[dict[str, Any]],
        add_generation_prompt: bool,
        options: dict[str, Any],
        names: dict[str, str],
    ) -> str:
        t = self._tokenizer
        known = {"bos_token": t.bos_token, "eos_token": t.eos_token, "pad_token": t.pad_token}
        known["unk_token"] = t.unk_token
        variables = {name: names.get(value, value) for name, value in known.items() if value is not None}
        return compile_template(self._source, names)(
            {
                # transformers sets these two, and some templates ask whether they are none.
                "tools": None,
                "documents": None,
                **variables,
                **options,
                "messages": messages,
                "add_generation_prompt": add_generation_prompt,
            }
        )

    def _suspicious(self, text: str) -> bool:
        """Whether text holds a control token or, at an end, a part of one that a neighbour could complete."""
        pattern = self._tokenizer.control_pattern
        return pattern is not None and bool(pattern.search(text) or self._edges(text))

    def _edges(self, text: str) -> list[int]:
        """Places inside parts of control tokens that end or begin the text."""
        beginnings, ends, longest = self._tokenizer.control_parts
        last, first = text.rstrip(), text.lstrip()
        start = len(text) - len(first)
        sizes = range(2, min(longest, len(text.strip())) + 1)
        at_end = [len(last) - size + 1 for size in sizes if last[-size:] in beginnings]
        return at_end + [start + 1 for size in sizes if first[:size] in ends]

    def _broken(self, text: str, wanted: set[str]) -> str:
        """Text whose control tokens, those in `wanted` excepted, hold a mark after their first character."""
        places = set(self._edges(text))
        for control in self._controls.keys() - wanted:
            # Overlapping ones too, hence no str.replace.
            start = text.find(control)
            while start >= 0:
                places.add(start + 1)
                start = text.find(control, start + 1)
        parts, at = [], 0
        for place in sorted(places):
            parts.append(text[at:place])
            at = place
        return _MARK.join([*parts, text[at:]])

    def _split(self, text: str, found: Mapping[str, int]) -> list[str | int]:
        pattern = re.compile("|".join(map(re.escape, sorted(found, key=len, reverse=True))))
        pieces: list[str | int] = []
        at = 0
        for match in pattern.finditer(text):
            pieces += [text[at : match.start()].replace(_MARK, ""), found[match.group()]]
            at = match.end()
        pieces.append(text[at:].replace(_MARK, ""))
        return pieces

    def _continuation(self, tail: str) -> list[str | int]:
        """An unfinished reply: the thinking block it opens with is the model's own, the rest is text."""
        match = _THINKING.match(tail)
        if not match:
            return [tail]
        pieces: list[str | int] = []
        at = 0
        for group in (1, 2):
            token_id = self._controls.get(match.group(group) or "")
            if token_id is not None:
                pieces += [tail[at : match.start(group)], token_id]
                at = match.end(group)
        return [*pieces, tail[at:]]


def _message(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content}


def _strings(value: object) -> list[str]:
    """Every string inside the options, keys too."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [s for pair in value.items() for item in pair for s in _strings(item)]
    if isinstance(value, Sequence):
        return [s for item in value for s in _strings(item)]
    return []


def _map_strings(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {_map_strings(k, change): _map_strings(v, change) for k, v in value.items()}
    if isinstance(value, Sequence):
        return [_map_strings(item, change) for item in value]
    return value

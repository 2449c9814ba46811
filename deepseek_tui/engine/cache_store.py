"""The key/value caches of recent conversations, so that a turn prefills only what is new.

Least recently used conversations go first when the bytes held pass the limit.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

# A copy from another conversation must save more than it costs.
_WORTH_COPYING = 16
# Tokens that two tokenizations of one text may be out of step for.
_WINDOW = 24


@dataclass
class Held:
    """`tokens`: the ids whose keys and values the layers' `caches` hold, in order."""

    tokens: list[int]
    caches: list[Any]

    @property
    def nbytes(self) -> int:
        return sum(int(c.nbytes) for c in self.caches)

    def trim(self, length: int) -> bool:
        """Keep the first `length` tokens. False where a cache could not follow: it is useless then."""
        for cache in self.caches:
            cache.trim(cache.offset - length)
        self.tokens = self.tokens[:length]
        return all(cache.offset == length for cache in self.caches)


class CacheStore:
    """Caches by conversation, bounded by `limit` bytes (spare room of the caches included)."""

    def __init__(self, limit: int, make_cache: Callable[[], list[Any]]) -> None:
        self.limit = limit
        self._make_cache = make_cache
        self._held: OrderedDict[str, Held] = OrderedDict()

    @property
    def nbytes(self) -> int:
        return sum(held.nbytes for held in self._held.values())

    def __contains__(self, conversation: str) -> bool:
        return conversation in self._held

    def tokens(self, conversation: str) -> Sequence[int]:
        """What is held of a conversation."""
        held = self._held.get(conversation)
        return held.tokens if held else ()

    def take(self, conversation: str, tokens: Sequence[int]) -> Held:
        """A cache that holds as much of the front of `tokens` as any conversation has, never all of it.

        The last token is always left to prefill, since its logits choose the next. The conversation's own
        cache leaves the store until it is `put` back, so that a failure between the two drops it.
        """
        own = self._held.pop(conversation, None)
        longest = len(tokens) - 1
        own_length = min(common_prefix(own.tokens, tokens), longest) if own else 0
        best, best_length = own, own_length
        for other in self._held.values():
            length = min(common_prefix(other.tokens, tokens), longest)
            if length >= best_length + _WORTH_COPYING:
                best, best_length = other, length
        if best is not None and best_length > 0:
            found = best if best is own else self._copy(best)
            if found.trim(best_length):
                return found
        return Held([], self._make_cache())

    def put(self, conversation: str, held: Held) -> None:
        """Keep a conversation's cache as the most recent one."""
        self._held.pop(conversation, None)
        self._held[conversation] = held
        self.reserve(0)

    def reserve(self, nbytes: int) -> None:
        """Drop the least recently used caches until `nbytes` more fit under the limit."""
        while self._held and self.nbytes + nbytes > self.limit:
            self._held.popitem(last=False)

    def drop(self, conversation: str) -> None:
        self._held.pop(conversation, None)

    def clear(self) -> None:
        self._held.clear()

    def _copy(self, held: Held) -> Held:
        caches = self._make_cache()
        for mine, theirs in zip(caches, held.caches, strict=True):
            # Entries that are more than arrays know how to copy themselves.
            if hasattr(mine, "copy_from"):
                mine.copy_from(theirs)
            else:
                mine.state = theirs.state
        return Held(list(held.tokens), caches)


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """Number of tokens the two begin with alike."""
    length = min(len(a), len(b))
    return next((i for i in range(length) if a[i] != b[i]), length)


def adopt(
    held: Sequence[int], tokens: Sequence[int], decode: Callable[[Sequence[int]], str], control: set[int]
) -> list[int]:
    """`tokens`, with the spelling of `held` wherever both spell the same text in different tokens.

    A model's reply is seldom cut into tokens the way the tokenizer cuts its text. Without this the cache of
    a reply would end at the first such place. Ids in `control` have no other spelling.
    """
    result: list[int] = []
    at, new = 0, 0
    while at < len(held) and new < len(tokens):
        if held[at] == tokens[new]:
            result.append(held[at])
            at, new = at + 1, new + 1
            continue
        spans = _same_text(held, at, tokens, new, decode, control)
        if spans is None:
            break
        result.extend(held[at : at + spans[0]])
        at, new = at + spans[0], new + spans[1]
    return [*result, *tokens[new:]]


def _same_text(
    held: Sequence[int],
    at: int,
    tokens: Sequence[int],
    new: int,
    decode: Callable[[Sequence[int]], str],
    control: set[int],
) -> tuple[int, int] | None:
    """How many tokens from `at` and from `new` spell the same text; None if they never do."""
    # Some tokenizers drop the space of a first token: the token before, equal in both, stands in its place.
    before = [held[at - 1]] if at else []
    mine, theirs = 1, 1
    while mine <= _WINDOW and theirs <= _WINDOW:
        a, b = held[at : at + mine], tokens[new : new + theirs]
        if len(a) < mine or len(b) < theirs or a[-1] in control or b[-1] in control:
            return None
        text_a, text_b = decode([*before, *a]), decode([*before, *b])
        # U+FFFD: half a character, equal only to the eye.
        if text_a == text_b and not text_a.endswith("�"):
            return mine, theirs
        whole_a, whole_b = text_a.rstrip("�"), text_b.rstrip("�")
        if whole_b.startswith(whole_a):
            mine += 1
        elif whole_a.startswith(whole_b):
            theirs += 1
        else:
            return None
    return None

"""The events of one reply: tokens gathered into pieces a screen can show, and the figures beside them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from deepseek_tui.engine.protocol import (
    Event,
    Finished,
    FinishReason,
    PrefillProgress,
    Sampling,
    Stats,
    Token,
)

_PIECE_SECONDS = 1 / 30
_STATS_SECONDS = 0.25


class Reply:
    """What has come of one request so far. `memory` gives (now, peak) in bytes."""

    def __init__(
        self,
        request_id: int,
        *,
        prompt_tokens: int,
        cached_tokens: int,
        context_limit: int,
        memory: Callable[[], tuple[int, int]],
        began: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._id = request_id
        self._prompt_tokens = prompt_tokens
        self._cached = cached_tokens
        self._limit = context_limit
        self._memory = memory
        self._clock = clock
        self._prefill_began = clock()
        self._began = self._prefill_began if began is None else began
        self._first: float | None = None
        self._last = self._began
        self._text: list[str] = []
        self._ids: list[int] = []
        self._piece_sent: float | None = None
        self._stats_sent = self._began
        self._prefilled = cached_tokens
        self.count = 0

    def prefilled(self, done: int) -> PrefillProgress:
        """`done`: tokens of the prompt in the cache by now, those from earlier turns included."""
        self._prefilled = done
        return PrefillProgress(self._id, done, self._prompt_tokens, self._cached)

    def token(self, token_id: int, text: str) -> Iterator[Event]:
        """One more token and the text that it completes, if any."""
        self._last = now = self._clock()
        first = self._first is None
        if first:
            self._first = now
        self.count += 1
        self._ids.append(token_id)
        yield from self.text(text)
        if first or now - self._stats_sent >= _STATS_SECONDS:
            self._stats_sent = now
            yield self.stats()

    def text(self, text: str) -> Iterator[Event]:
        """Text that had been held back. The first piece goes at once, later ones about 30 times a second."""
        if text:
            self._text.append(text)
        now = self._clock()
        if self._text and (self._piece_sent is None or now - self._piece_sent >= _PIECE_SECONDS):
            self._piece_sent = now
            yield self._piece()

    def finish(self, reason: FinishReason, sampling: Sampling) -> Iterator[Event]:
        """Whatever has not been sent, then the end."""
        if self._text or self._ids:
            yield self._piece()
        yield Finished(self._id, reason, self.stats(), sampling)

    def stats(self) -> Stats:
        first = self._clock() if self._first is None else self._first
        prefill = max(first - self._prefill_began, 1e-9)
        # The first token is the prefill's; the others took the time since.
        decode = self._last - first
        now, peak = self._memory()
        return Stats(
            self._id,
            prompt_tokens=self._prompt_tokens,
            cached_tokens=self._cached,
            generation_tokens=self.count,
            prompt_tps=(self._prefilled - self._cached) / prefill,
            generation_tps=(self.count - 1) / decode if self.count > 1 and decode > 0 else 0.0,
            time_to_first_token=first - self._began if self._first is not None else 0.0,
            context_used=self._prefilled + self.count,
            context_limit=self._limit,
            memory=now,
            peak_memory=peak,
        )

    def _piece(self) -> Token:
        piece = Token(self._id, "".join(self._text), self.count, tuple(self._ids))
        self._text, self._ids = [], []
        return piece

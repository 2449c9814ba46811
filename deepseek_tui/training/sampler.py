"""Lets a model write chats, thousands at a time: the text that a smaller one is taught with.

All rows are at the same position, so a step is one token for each and nothing waits for the host. What a row
is told (the first message, the marks between turns) is forced into it; the rest is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np

from deepseek_tui.engine.tokenizer import Tokenizer
from deepseek_tui.training.encoding import layout
from deepseek_tui.training.errors import TrainingError
from deepseek_tui.training.loops import contains, loop_start
from deepseek_tui.training.network import start_computing

_GLUE, _USER, _ASSISTANT = 0, 1, 2
_NEVER = -1e9
_SYNC = 8
"""Steps between two waits, so that the host does not run ahead of the device without end."""


@dataclass(frozen=True)
class SamplerSettings:
    """`length`: tokens of a row. `temperatures`: each row has one of them; the user's turns are drawn 0.2
    warmer. `min_p`: tokens under that share of the likeliest are never drawn. `repetition`: taken from the
    logit of a token for each time it occurred, five times at most. Turns end after `reply_tokens` and
    `user_tokens`. `prompted`: share of rows whose first message is given. `system`: what the model is told
    before each row, which the row does not show."""

    length: int = 512
    temperatures: tuple[float, ...] = (0.6, 0.7, 0.8, 0.9, 1.0)
    min_p: float = 0.05
    repetition: float = 0.2
    reply_tokens: int = 280
    user_tokens: int = 90
    prompted: float = 0.75
    system: str | None = None


@dataclass
class Sampled:
    """Rows as they were drawn: ids [B, T] and who said each token (0 nobody, 1 the user, 2 the model)."""

    tokens: np.ndarray
    said: np.ndarray


class FixedCache:
    """A KVCache of a length known beforehand: written in place, never moved."""

    def __init__(self, length: int) -> None:
        self.keys: Any = None
        self.values: Any = None
        self.offset = 0
        self._length = length

    def update_and_fetch(self, keys: Any, values: Any) -> tuple[Any, Any]:
        """As `KVCache.update_and_fetch`."""
        if self.keys is None:
            self.keys, self.values = (
                mx.zeros((*a.shape[:2], self._length, a.shape[3]), a.dtype) for a in (keys, values)
            )
        end = self.offset + keys.shape[2]
        self.keys[..., self.offset : end, :] = keys
        self.values[..., self.offset : end, :] = values
        self.offset = end
        return self.keys[..., :end, :], self.values[..., :end, :]


class Turns:
    """The marks of a chat template as ids: what opens a row, and what stands between turns."""

    def __init__(self, tokenizer: Tokenizer, system: str | None) -> None:
        glue = layout(tokenizer, ("system", "user", "assistant", "user"), "the teacher")
        pattern = tokenizer.control_pattern
        marks = list(pattern.finditer(glue[3])) if pattern else []
        if not marks:
            raise TrainingError(
                "The teacher's chat template has no control token between turns.",
                "Sampling needs one to know where a turn ends.",
            )
        opening = glue[3][marks[1].start() if len(marks) > 1 else marks[0].end() :]
        self.end = tokenizer.control_tokens[marks[0][0]]
        self.opening = tokenizer.encode_trusted(opening)
        self.to_assistant = tokenizer.encode_trusted(glue[2])
        self.to_user = tokenizer.encode_trusted(glue[3])
        self.prefix: list[int] = []
        if system is not None:
            before = glue[1].removesuffix(opening)
            self.prefix = tokenizer.encode_trusted(glue[0])
            self.prefix += tokenizer.encode(system) + tokenizer.encode_trusted(before)
        self.forbidden = sorted(set(tokenizer.control_tokens.values()) - {self.end})


class Sampler:
    """Draws batches of rows from one model. `model`: as `deepseek_tui.load` gives it."""

    def __init__(self, model: Any, tokenizer: Tokenizer, settings: SamplerSettings) -> None:
        self.settings, self._model = settings, model
        self._tokenizer = tokenizer
        self.turns = Turns(tokenizer, settings.system)
        self._vocabulary = int(model.args.vocab_size)
        if tokenizer.vocab_size > self._vocabulary:
            raise TrainingError(
                f"The teacher's tokenizer has {tokenizer.vocab_size} tokens and its model {self._vocabulary}."
            )
        self._total = len(self.turns.prefix) + settings.length
        if self._total > model.context_length:
            raise TrainingError(
                f"Rows of {settings.length} tokens after {len(self.turns.prefix)} of system message exceed "
                f"the teacher's context of {model.context_length}."
            )

    def batch(self, prompts: Sequence[str], rows: int, seed: int) -> Sampled:
        """`rows` rows; the same `seed` and `prompts` draw the same rows on the same device."""
        forced, said, role, warmth = self._plan(prompts, rows, seed)
        key = mx.random.key(seed)
        run = _Run(self, forced, role, warmth)
        for position in range(self._total - 1):
            key, own = mx.random.split(key)
            run.step(position, own)
            if position % _SYNC == 0:
                mx.eval(run.current)
        tokens = np.array(mx.stack([column for column, _ in run.written], axis=1))
        kinds = np.array(mx.stack([kind for _, kind in run.written], axis=1))
        first = forced[:, : self._total]
        told = first >= 0
        told[:, 0] = True
        tokens = np.concatenate([first[:, :1], tokens], axis=1)
        kinds = np.concatenate([np.zeros((rows, 1), np.int32), kinds], axis=1)
        kinds = np.where(told, said[:, : self._total], kinds)
        start = len(self.turns.prefix)
        return Sampled(tokens[:, start:].astype(np.int32), kinds[:, start:].astype(np.int8))

    def _plan(
        self, prompts: Sequence[str], rows: int, seed: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Forced ids (-1: drawn), who says them, whose turn comes first, and the temperature of each row."""
        random = np.random.Generator(np.random.PCG64([seed, 2]))
        turns, room = self.turns, max(len(self.turns.to_user), len(self.turns.to_assistant)) + 1
        forced = np.full((rows, self._total + room), -1, np.int32)
        said = np.zeros(forced.shape, np.int32)
        role = np.full(rows, _USER, np.int32)
        picks = random.permutation(len(prompts))
        for row in range(rows):
            ids = [*turns.prefix, *turns.opening]
            start = len(ids)
            if len(prompts) and random.random() < self.settings.prompted:
                prompt = self._tokenizer.encode(prompts[picks[row % len(picks)]])
                ids += prompt[: self.settings.length // 2]
                said[row, start : len(ids) + 1] = _USER
                ids += turns.to_assistant
                role[row] = _ASSISTANT
            ids = ids[: self._total]
            forced[row, : len(ids)] = ids
        warmth = random.choice(np.array(self.settings.temperatures, np.float32), rows)
        return forced, said, role, warmth.astype(np.float32)


class _Run:
    """The state of one batch while it is drawn, all of it on the device."""

    def __init__(self, sampler: Sampler, forced: np.ndarray, role: np.ndarray, warmth: np.ndarray) -> None:
        self._model, self._settings, self._turns = sampler._model, sampler.settings, sampler.turns
        rows = len(forced)
        self._cache = [FixedCache(sampler._total) for _ in self._model.make_cache()]
        self._forced = mx.array(forced)
        self._role, self._warmth = mx.array(role), mx.array(warmth)[:, None]
        self._spoken = mx.zeros((rows,), mx.int32)
        self._counts = mx.zeros((rows, sampler._vocabulary), mx.uint8)
        turns = self._turns
        width = max(len(turns.to_user), len(turns.to_assistant)) - 1
        pad = [-1] * width
        after = {
            _ASSISTANT: (turns.to_user[1:] + pad)[:width],
            _USER: (turns.to_assistant[1:] + pad)[:width],
        }
        self._after_user, self._after_assistant = mx.array(after[_USER]), mx.array(after[_ASSISTANT])
        self._width = width
        forbidden = np.zeros(sampler._vocabulary, np.float32)
        forbidden[[t for t in turns.forbidden if t < len(forbidden)]] = _NEVER
        forbidden[sampler._tokenizer.vocab_size :] = _NEVER
        self._forbidden = mx.array(forbidden)
        self.current = self._forced[:, 0]
        self.written: list[tuple[Any, Any]] = []

    def step(self, position: int, key: Any) -> None:
        """Computes the token after `position` of every row."""
        logits = self._model(self.current[:, None], self._cache)[:, 0]
        drawn = self._draw(logits, key)
        told = self._forced[:, position + 1]
        free = told < 0
        self._spoken = mx.where(free, self._spoken + 1, 0)
        s = self._settings
        limit = mx.where(self._role == _ASSISTANT, s.reply_tokens, s.user_tokens)
        drawn = mx.where(self._spoken > limit, self._turns.end, drawn)
        token = mx.where(free, drawn, told)
        ended = mx.logical_and(free, token == self._turns.end)
        kind = mx.where(free, self._role, _GLUE)
        self.written.append((token, kind))
        self._count(token, mx.logical_and(free, mx.logical_not(ended)))
        self._turn(position, ended)
        self.current = token
        start_computing(token, kind, self._role, self._spoken, self._counts, self._forced)

    def _draw(self, logits: Any, key: Any) -> Any:
        s = self._settings
        scores = logits.astype(mx.float32) + self._forbidden
        if s.repetition:
            scores = scores - mx.minimum(self._counts, 5).astype(mx.float32) * s.repetition
        warmer = mx.minimum(self._warmth + 0.2, 1.0)
        scores = scores / mx.where((self._role == _ASSISTANT)[:, None], self._warmth, warmer)
        if s.min_p:
            least = scores.max(axis=-1, keepdims=True) + float(np.log(s.min_p))
            scores = mx.where(scores < least, _NEVER, scores)
        return mx.random.categorical(scores, key=key).astype(mx.int32)

    def _count(self, token: Any, counts: Any) -> None:
        if not self._settings.repetition:
            return
        index = token[:, None]
        held = mx.take_along_axis(self._counts, index, axis=1)
        more = mx.minimum(held.astype(mx.int32) + counts[:, None].astype(mx.int32), 200).astype(mx.uint8)
        self._counts = mx.put_along_axis(self._counts, index, more, axis=1)

    def _turn(self, position: int, ended: Any) -> None:
        """Forces what follows the end of a turn, and passes the turn on."""
        begin = position + 2
        part = self._forced[:, begin : begin + self._width]
        user = (self._role == _USER)[:, None]
        follow = mx.where(user, self._after_user[None], self._after_assistant[None])[:, : part.shape[1]]
        self._forced[:, begin : begin + self._width] = mx.where(ended[:, None], follow, part)
        other = mx.where(self._role == _USER, _ASSISTANT, _USER)
        self._role = mx.where(ended, other, self._role)


def clean(
    sampled: Sampled, *, user_weight: float, keep_from: float, unwanted: Sequence[Sequence[int]]
) -> tuple[np.ndarray, np.ndarray]:
    """(ids, weights) of the rows that are good to learn from.

    Nothing from the third occurrence of any eight tokens on has weight; a row where that comes before the
    share `keep_from` of it, or that holds one of `unwanted`, is left out.
    """
    length = sampled.tokens.shape[1]
    cut = loop_start(sampled.tokens)
    good = cut > keep_from * length
    for pattern in unwanted:
        good &= ~contains(sampled.tokens, pattern)
    weights = np.where(sampled.said == _ASSISTANT, 1.0, np.where(sampled.said == _USER, user_weight, 0.0))
    weights[np.arange(length)[None] >= cut[:, None]] = 0
    return sampled.tokens[good], weights[good].astype(np.float32)

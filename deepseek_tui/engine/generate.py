"""From a prompt to a stream of tokens: prefill in chunks, decode, text with stop strings.

`decode_tokens` is the core, ids in and ids out; `stream_generate` puts text and figures around it under
mlx-lm's names.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.utils

from deepseek_tui.engine.device import memory_peak, on_gpu
from deepseek_tui.engine.sampling import LogitsProcessor, Sampler, make_sampler
from deepseek_tui.engine.stop import StopMatcher
from deepseek_tui.engine.tokenizer import Tokenizer
from deepseek_tui.errors import UserError

SamplerLike = Callable[[Any], Any]
"""Log-probabilities [1, V] -> id [1]."""


class GenerateError(UserError):
    """A request for text that cannot be met as it stands."""


@dataclass
class GenerationResponse:
    """One token of a reply.

    `text`: what became readable with it, perhaps nothing. `logprobs` [V]: log-probabilities it was chosen
    from (computed when used). `from_draft`: whether a draft proposed it. `prompt_tokens`: ids prefilled for
    this reply, `prompt_tps` per second; `generation_tokens`: ids made so far, an end-of-turn id included;
    `generation_tps`: per second, from the first one on. `peak_memory`: gigabytes. `finish_reason`: None but
    in the last one: "stop" (the model ended, or a stop string), "length", "cancelled".
    """

    text: str
    token: int
    logprobs: Any
    from_draft: bool
    prompt_tokens: int
    prompt_tps: float
    generation_tokens: int
    generation_tps: float
    peak_memory: float
    finish_reason: str | None = None


def default_prefill_step(model: Any) -> int:
    """Prompt tokens per chunk: about a tenth of a second of work on a CPU, so that a cancel is heard soon.

    It depends on the model alone, not on the clock: other chunks give other roundings, and a seed is to
    repeat.
    """
    if on_gpu():
        return 512
    parameters = sum(a.size for _, a in mlx.utils.tree_flatten(model.parameters()))
    return max(8, min(64, int(8e9 / max(parameters, 1)) // 8 * 8))


def decode_tokens(
    model: Any,
    prompt: Sequence[int],
    *,
    max_tokens: int = 256,
    sampler: SamplerLike | None = None,
    logits_processors: Sequence[LogitsProcessor] | None = None,
    prompt_cache: list[Any] | None = None,
    cached_ids: Sequence[int] = (),
    prefill_step_size: int | None = None,
    prompt_progress_callback: Callable[[int, int], None] | None = None,
    should_cancel: Callable[[], bool] | None = None,
) -> Iterator[tuple[int, Any]]:
    """Yields (id, logprobs [V], computed when used), at most `max_tokens` (-1: no bound). Ends when
    cancelled.

    `prompt`: ids that follow those in `prompt_cache`, at least one. `cached_ids`: the ids in the cache, for
    penalties that look back and for models whose window slides. When the iterator ends or is closed, the
    cache holds what it held, the prompt, and every id yielded but the last; a prefill that was cancelled
    leaves the chunks it finished; a model whose window slid is left with an empty cache. `cache.offset`
    counts it.
    """
    decoder = _Decoder(
        model,
        model.make_cache() if prompt_cache is None else prompt_cache,
        cached_ids,
        sampler or make_sampler(),
        list(logits_processors or ()),
        should_cancel or (lambda: False),
        prompt_progress_callback or (lambda _done, _total: None),
    )
    step = prefill_step_size or default_prefill_step(model)
    with _wired_limit():
        try:
            if decoder.prefill(prompt, step):
                yield from decoder.decode(max_tokens)
        finally:
            decoder.settle()


class _Decoder:
    """The state of one reply."""

    def __init__(
        self,
        model: Any,
        cache: list[Any],
        cached_ids: Sequence[int],
        sampler: SamplerLike,
        processors: list[LogitsProcessor],
        should_cancel: Callable[[], bool],
        progress: Callable[[int, int], None],
    ) -> None:
        self._model = model
        self._cache = cache
        self._sampler = sampler
        self._processors = processors
        self._cancelled = should_cancel
        self._progress = progress
        self._window: int | None = getattr(model, "window", None)
        self._held = _offset(cache)
        self._slid = False
        self._yielded = 0
        self._prompt_length = 0
        self._prompt_end = self._held
        self._seen: Any = mx.array(list(cached_ids), dtype=mx.int32)
        self._next: Any = None

    def prefill(self, prompt: Sequence[int], step: int) -> bool:
        """Feeds all of the prompt but its last id. False where it was cancelled between two chunks."""
        self._prompt_length = total = len(prompt)
        self._next = mx.array(list(prompt), dtype=mx.int32)
        self._prompt_end = self._held + total
        self._seen = mx.concatenate([self._seen, self._next[:-1]])
        self._progress(0, total)
        if self._window and self._prompt_end > self._window:
            self._slid = True
            self._next = self._next[-1:]
            return not self._cancelled()
        for start in range(0, total - 1, step):
            if self._cancelled():
                return False
            end = min(start + step, total - 1)
            self._model(self._next[None, start:end], cache=self._cache)
            mx.eval([cache.state for cache in self._cache])
            self._held += end - start
            self._progress(end, total)
            mx.clear_cache()
        self._next = self._next[-1:]
        return not self._cancelled()

    def decode(self, max_tokens: int) -> Iterator[tuple[int, Any]]:
        # On a GPU the next step is queued before this one's token is looked at, so that it never waits for
        # Python. On a CPU the two would only fight for the same cores.
        ahead = on_gpu() and not self._window
        token, logprobs = self._step(self._next)
        mx.async_eval(token)  # type: ignore[no-untyped-call]  # untyped in mlx
        while True:
            more = self._yielded + 1 != max_tokens
            queued = None
            if ahead and more:
                queued = self._step(token)
                mx.async_eval(queued[0])  # type: ignore[no-untyped-call]  # untyped in mlx
            value = int(token.item())
            if not self._yielded:
                self._progress(self._prompt_length, self._prompt_length)
            self._yielded += 1
            yield value, logprobs
            if not more or self._cancelled():
                return
            if self._yielded % 256 == 0:
                mx.clear_cache()
            token, logprobs = queued or self._step(token)

    def settle(self) -> None:
        """Leaves the cache as `decode_tokens` promises."""
        if self._slid:
            wanted = 0
        elif self._yielded:
            wanted = self._prompt_end + self._yielded - 1
        else:
            wanted = min(self._held, self._prompt_end)
        for cache in self._cache:
            if cache.offset > wanted:
                cache.trim(cache.offset - wanted)

    def _step(self, token: Any) -> tuple[Any, Any]:
        """From the newest id [1] to the one that follows [1] and the log-probabilities it comes from."""
        if self._processors or self._window:
            self._seen = mx.concatenate([self._seen, token.astype(mx.int32)])
        logits = self._model(self._feed(token)[None], cache=self._cache)[:, -1, :]
        for process in self._processors:
            logits = process(self._seen, logits)
        logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
        # Our own samplers do not care about the constant, and spare a CPU the exponentials.
        chosen = self._sampler(logits if isinstance(self._sampler, Sampler) else logprobs)
        return chosen, logprobs[0]

    def _feed(self, token: Any) -> Any:
        """What goes into the model: the newest id, or the last `window` of them where they no longer fit."""
        window = self._window
        if window is None or (self._held < window and not self._slid):
            self._held += 1
            return token
        self._slid = True
        for cache in self._cache:
            cache.trim(cache.offset)
        return self._seen[-window:]


def _offset(cache: list[Any]) -> int:
    return int(cache[0].offset) if cache else 0


@contextlib.contextmanager
def _wired_limit() -> Iterator[None]:
    """On Metal, lets the model stay in memory that the system may not page out."""
    if not mx.metal.is_available():
        yield
        return
    before = mx.set_wired_limit(int(mx.device_info()["max_recommended_working_set_size"]))
    try:
        yield
    finally:
        mx.synchronize()
        mx.set_wired_limit(before)


def stream_generate(
    model: Any,
    tokenizer: Tokenizer | None,
    prompt: str | Sequence[int] | Any,
    max_tokens: int = 256,
    *,
    sampler: SamplerLike | None = None,
    logits_processors: Sequence[LogitsProcessor] | None = None,
    prompt_cache: list[Any] | None = None,
    cached_ids: Sequence[int] = (),
    prefill_step_size: int | None = None,
    prompt_progress_callback: Callable[[int, int], None] | None = None,
    stop: str | Collection[str] = (),
    eos_token_ids: Collection[int] | None = None,
    should_cancel: Callable[[], bool] | None = None,
) -> Iterator[GenerationResponse]:
    """Yields the reply to `prompt` token by token; the last response bears a `finish_reason`.

    `prompt`: text, in which control tokens are meant and the bos token is added where the tokenizer does so,
    or ids (a list or a 1-D mx.array). `tokenizer`: None for ids only, the texts are empty then. `max_tokens`:
    -1 for no bound. `sampler`: the most likely token if None. `stop`: strings that end the reply and are not
    part of its text. `eos_token_ids`: in place of the tokenizer's. `should_cancel` is asked before each chunk
    of the prompt and after each token; a reply cancelled while it decodes ends with one more response,
    "cancelled", that repeats the last token. `prompt_cache`, `cached_ids`: see `decode_tokens`. Raises
    GenerateError for an empty prompt or max_tokens of 0.
    """
    ids = _prompt_ids(tokenizer, prompt)
    if max_tokens == 0 or max_tokens < -1:
        raise GenerateError(f"max_tokens is {max_tokens}, which should be 1 or more, or -1 for no limit.")
    if eos_token_ids is None:
        eos_token_ids = tokenizer.eos_token_ids if tokenizer else ()
    return _responses(
        decode_tokens(
            model,
            ids,
            max_tokens=max_tokens,
            sampler=sampler,
            logits_processors=logits_processors,
            prompt_cache=prompt_cache,
            cached_ids=cached_ids,
            prefill_step_size=prefill_step_size,
            prompt_progress_callback=prompt_progress_callback,
            should_cancel=should_cancel,
        ),
        _Text(tokenizer, [stop] if isinstance(stop, str) else list(stop)),
        len(ids),
        max_tokens,
        frozenset(eos_token_ids),
    )


def _prompt_ids(tokenizer: Tokenizer | None, prompt: Any) -> list[int]:
    if isinstance(prompt, str):
        if tokenizer is None:
            raise GenerateError("This model has no tokenizer.", "Give the prompt as token ids.")
        ids = tokenizer.encode_prompt(prompt)
    else:
        given: Any = prompt.tolist() if isinstance(prompt, mx.array) else prompt
        ids = [int(i) for i in given]
    if not ids:
        raise GenerateError("The prompt is empty.", "Give at least one token.")
    return ids


def _responses(
    tokens: Iterator[tuple[int, Any]], text: _Text, prompt_tokens: int, max_tokens: int, ends: frozenset[int]
) -> Iterator[GenerationResponse]:
    began = time.perf_counter()
    first = 0.0
    count = 0
    token, logprobs = -1, None

    def response(piece: str, reason: str | None) -> GenerationResponse:
        now = time.perf_counter()
        return GenerationResponse(
            text=piece,
            token=token,
            logprobs=logprobs,
            from_draft=False,
            prompt_tokens=prompt_tokens,
            prompt_tps=prompt_tokens / max(first - began, 1e-9),
            generation_tokens=count,
            generation_tps=(count - 1) / max(now - first, 1e-9),
            peak_memory=memory_peak() / 1e9,
            finish_reason=reason,
        )

    with contextlib.closing(tokens):  # type: ignore[type-var]  # it is a generator
        for token, logprobs in tokens:  # noqa: B007  # both go into the response
            count += 1
            first = first or time.perf_counter()
            if token in ends:
                yield response(text.finish(), "stop")
                return
            piece = text.add(token)
            if text.stopped:
                yield response(piece, "stop")
                return
            if count == max_tokens:
                yield response(piece + text.finish(), "length")
                return
            yield response(piece, None)
        if count:
            yield response(text.finish(), "cancelled")


class _Text:
    """Ids to text, less stop strings."""

    def __init__(self, tokenizer: Tokenizer | None, stop: Sequence[str]) -> None:
        self._detokenizer = tokenizer.detokenizer() if tokenizer else None
        self._matcher = StopMatcher(stop)

    @property
    def stopped(self) -> bool:
        return self._matcher.stopped

    def add(self, token: int) -> str:
        return self._matcher.feed(self._detokenizer.add(token)) if self._detokenizer else ""

    def finish(self) -> str:
        if self._detokenizer is None:
            return ""
        return self._matcher.feed(self._detokenizer.finish()) + self._matcher.flush()


def generate(
    model: Any, tokenizer: Tokenizer | None, prompt: Any, verbose: bool = False, **options: Any
) -> str:
    """The whole reply as text. `verbose`: prints it as it comes, then the figures. `options`: as above."""
    parts = []
    last = None
    for last in stream_generate(model, tokenizer, prompt, **options):
        parts.append(last.text)
        if verbose:
            print(last.text, end="", flush=True)
    if verbose and last is not None:
        print(
            f"\nprompt: {last.prompt_tokens} tokens, {last.prompt_tps:.1f} tokens/s\n"
            f"reply: {last.generation_tokens} tokens, {last.generation_tps:.1f} tokens/s\n"
            f"peak memory: {last.peak_memory:.2f} GB"
        )
    return "".join(parts)

"""A model in memory that answers: template, key/value caches of conversations, sampling, events.

The engine child serves one of these; `deepseek-tui run` uses one without a child. Everything here runs on the
thread that loaded the model, since MLX's streams belong to it.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mlx.core as mx

from deepseek_tui.checkpoints.build import LoadedModel, Progress
from deepseek_tui.checkpoints.load import load_model
from deepseek_tui.engine.cache_store import CacheStore, Held, adopt
from deepseek_tui.engine.context import Fitted, fit
from deepseek_tui.engine.device import memory_now, memory_peak, on_gpu
from deepseek_tui.engine.generate import default_prefill_step, stream_generate
from deepseek_tui.engine.info import describe
from deepseek_tui.engine.protocol import (
    PRODUCT_SAMPLING,
    ChatMessage,
    EngineError,
    Event,
    Failed,
    FinishReason,
    Generate,
    Notice,
    Sampling,
)
from deepseek_tui.engine.reply import Reply
from deepseek_tui.engine.sampling import LogitsProcessor, Sampler, make_logits_processors, make_sampler
from deepseek_tui.engine.template import render
from deepseek_tui.engine.tokenizer import Tokenizer, load_tokenizer
from deepseek_tui.errors import UserError

_PENALTY_WINDOW = 20  # what mlx-lm looks back over where no size is given


class Session:
    """`info` says which model it is. Build with `Session.load`."""

    def __init__(
        self, loaded: LoadedModel, tokenizer: Tokenizer | None, path: Path, cache_bytes: int | None = None
    ) -> None:
        """`cache_bytes`: bound of all conversations' caches together, None for an eighth of the memory."""
        self.info = describe(loaded, tokenizer, path)
        self._model: Any = loaded.model
        self._tokenizer = tokenizer
        self._folder = path if path.is_dir() else path.parent
        self._prefill_step = default_prefill_step(self._model)
        self.caches = CacheStore(
            _default_cache_bytes() if cache_bytes is None else cache_bytes,
            lambda: list(self._model.make_cache()),
        )

    @classmethod
    def load(
        cls,
        path: str | Path,
        adapter_path: str | Path | None = None,
        on_progress: Progress | None = None,
        cache_bytes: int | None = None,
    ) -> Session:
        """Load a model and its tokenizer. `on_progress(done, total)` in bytes. Raises UserError."""
        path = Path(path).expanduser()
        tokenizer = load_tokenizer(path)
        return cls(load_model(path, adapter_path, on_progress=on_progress), tokenizer, path, cache_bytes)

    def generate(
        self, request: Generate, should_cancel: Callable[[], bool] = lambda: False
    ) -> Iterator[Event]:
        """The events of one reply, the last of them Finished or Failed; raises nothing.

        `should_cancel` is asked after every token and between the chunks of the prompt. A failure drops the
        cache of that conversation and leaves the rest as it was.
        """
        try:
            yield from self._generate(request, should_cancel)
        except UserError as error:
            yield Failed(request.id, getattr(error, "kind", "request"), error.message, error.hint)
        except Exception as error:  # noqa: BLE001  # a fault of ours or memory that ran out
            traceback.print_exc(file=sys.stderr)
            mx.clear_cache()
            yield Failed(
                request.id,
                "internal",
                f"The reply failed: {type(error).__name__}: {error}",
                "Send the message again. If memory ran out, choose a smaller model.",
            )

    def count_tokens(self, text: str) -> int:
        return len(self._need_tokenizer().encode(text))

    def forget(self, conversation: str) -> None:
        """Drop the cache of a conversation."""
        self.caches.drop(conversation)
        mx.clear_cache()

    def unload(self) -> None:
        """Free the memory. The session is of no use afterwards."""
        self.caches.clear()
        self._model = None  # the last reference to the weights
        mx.clear_cache()

    def _generate(self, request: Generate, should_cancel: Callable[[], bool]) -> Iterator[Event]:
        began = time.monotonic()
        sampling = self._resolve(request.sampling)
        choice = self._choice(sampling)
        prompt = self._prompt(request, sampling)
        if prompt.turns_left_out:
            yield Notice(request.id, _left_out(prompt.turns_left_out))
        room = self.info.context_length - len(prompt.tokens)
        wanted = sampling.max_tokens or 0
        max_tokens = room if wanted == -1 else min(wanted, room)
        held = self.caches.take(request.conversation, prompt.tokens)
        self.caches.reserve(self.info.kv_bytes_per_token * (len(prompt.tokens) + max(max_tokens, 0)))
        reply = Reply(
            request.id,
            prompt_tokens=len(prompt.tokens),
            cached_tokens=len(held.tokens),
            context_limit=self.info.context_length,
            memory=lambda: (memory_now(), memory_peak()),
            began=began,
        )
        yield reply.prefilled(len(held.tokens))
        reason: FinishReason = "cancelled"
        for done in self._prefill(held, prompt.tokens, should_cancel):
            yield reply.prefilled(done)
        if len(held.tokens) == len(prompt.tokens) - 1 and not should_cancel():
            made: list[int] = []
            for response in stream_generate(
                self._model,
                self._tokenizer,
                prompt.tokens[-1:],
                max_tokens=max_tokens,
                sampler=choice.sampler,
                logits_processors=choice.behind(prompt.tokens[:-1]),
                prompt_cache=held.caches,
                stop=sampling.stop or (),
                should_cancel=should_cancel,
            ):
                if response.generation_tokens > len(made):
                    if not made:
                        yield reply.prefilled(len(prompt.tokens))
                    made.append(response.token)
                    yield from reply.token(response.token, response.text)
                else:
                    yield from reply.text(response.text)
                reason = _reason(response.finish_reason, cut_by_context=wanted != max_tokens)
            held.tokens = [*prompt.tokens, *made]
        # A cache that cannot forget what was computed ahead of a stop is of no use to the next turn.
        if held.trim(min([len(held.tokens), *(cache.offset for cache in held.caches)])):
            self.caches.put(request.conversation, held)
        yield from reply.finish(reason, sampling)

    def _prefill(self, held: Held, tokens: Sequence[int], should_cancel: Callable[[], bool]) -> Iterator[int]:
        """Bring the cache up to the last token but one. Yields how many it holds, after each chunk."""
        end = len(tokens) - 1
        while len(held.tokens) < end and not should_cancel():
            chunk = tokens[len(held.tokens) : min(len(held.tokens) + self._prefill_step, end)]
            self._model(mx.array([chunk]), cache=held.caches)
            mx.eval([cache.state for cache in held.caches])
            mx.clear_cache()
            held.tokens.extend(chunk)
            yield len(held.tokens)

    def _resolve(self, sampling: Sampling) -> Sampling:
        """Every setting from the first source that has it; a seed is drawn where none is asked for."""
        used = sampling.over(self.info.defaults).over(PRODUCT_SAMPLING)
        return used if used.seed is not None else replace(used, seed=secrets.randbits(32))

    def _prompt(self, request: Generate, sampling: Sampling) -> Fitted:
        """The prompt's tokens, spelled as the conversation's cache spells the same text."""
        tokenizer = self._need_tokenizer()

        def as_chat(messages: Sequence[ChatMessage]) -> list[int]:
            return render(
                tokenizer,
                messages,
                continue_final_message=request.continue_reply,
                options=request.template_options,
            )

        def as_text(messages: Sequence[ChatMessage]) -> list[int]:
            return tokenizer.encode_prompt("".join(m.content for m in messages))

        if not request.raw and tokenizer.chat_template is None:
            raise EngineError(
                "no-template",
                f"{self.info.name} has no chat template, so it cannot hold a conversation.",
                "Choose a model made for chat, or continue a text with: deepseek-tui run "
                "--ignore-chat-template.",
            )
        limit = self.info.context_length
        fitted = fit(
            request.messages,
            as_text if request.raw else as_chat,
            limit=limit,
            max_tokens=limit if sampling.max_tokens in (None, -1) else max(sampling.max_tokens, 1),
            policy="stop" if request.raw else request.context_policy,
        )
        if not fitted.tokens:
            raise EngineError("request", "The prompt is empty.", "Give it at least one character.")
        held = self.caches.tokens(request.conversation)
        tokens = adopt(
            held,
            fitted.tokens,
            lambda ids: tokenizer.decode(ids, skip_special=False),
            set(tokenizer.control_tokens.values()),
        )
        return replace(fitted, tokens=tokens) if len(tokens) < limit else fitted

    def _choice(self, s: Sampling) -> _Choice:
        """Raises SamplingError for a setting out of its range, before anything is computed."""
        tokenizer = self._need_tokenizer()
        sampler = make_sampler(
            temp=s.temp or 0.0,
            top_p=s.top_p or 0.0,
            min_p=s.min_p or 0.0,
            top_k=s.top_k or 0,
            xtc_probability=s.xtc_probability or 0.0,
            xtc_threshold=0.1 if s.xtc_threshold is None else s.xtc_threshold,
            xtc_special_tokens=[*tokenizer.encode("\n"), *tokenizer.eos_token_ids],
            seed=s.seed,
        )
        sizes = (s.repetition_context_size, s.presence_context_size, s.frequency_context_size)
        processors = make_logits_processors(
            _bias(s.logit_bias),
            s.repetition_penalty,
            sizes[0],
            s.presence_penalty,
            sizes[1],
            s.frequency_penalty,
            sizes[2],
        )
        return _Choice(sampler, processors, max(size or _PENALTY_WINDOW for size in sizes))

    def _need_tokenizer(self) -> Tokenizer:
        if self._tokenizer is None:
            is_original = self.info.model_type == "scratch"
            whose = " (its trainer used GPT-2's, openai-community/gpt2 on the hub)" if is_original else ""
            raise EngineError(
                "no-tokenizer",
                f"{self.info.name} has no tokenizer.json, so text cannot be given to it.",
                f"Put the tokenizer.json that it was trained with into {self._folder}{whose}.",
            )
        return self._tokenizer


@dataclass(frozen=True)
class _Choice:
    """How the next token is chosen; penalties look back over at most `window` tokens."""

    sampler: Sampler
    processors: list[LogitsProcessor]
    window: int

    def behind(self, tokens: Sequence[int]) -> list[LogitsProcessor]:
        """The penalties, aware of `tokens` that are in the cache already and that decoding does not see."""
        if not tokens or not self.processors:
            return self.processors
        before = mx.array(list(tokens[-self.window :]), dtype=mx.int32)

        def aware(process: LogitsProcessor) -> LogitsProcessor:
            return lambda seen, logits: process(mx.concatenate([before, seen]), logits)

        return [aware(process) for process in self.processors]


def _reason(finish_reason: str | None, *, cut_by_context: bool) -> FinishReason:
    if finish_reason == "stop":
        return "stop"
    if finish_reason == "length":
        return "context" if cut_by_context else "length"
    return "cancelled"


def _left_out(turns: int) -> str:
    if turns == 1:
        return "The oldest turn was left out: the conversation is longer than the model's context."
    return f"The oldest {turns} turns were left out: the conversation is longer than the model's context."


def _bias(bias: dict[str, float] | None) -> dict[int, float] | None:
    try:
        return None if bias is None else {int(token): value for token, value in bias.items()}
    except ValueError as error:
        raise EngineError("request", f"logit_bias names {error} where a token id belongs.") from error


def _default_cache_bytes() -> int:
    """An eighth of the memory there is: several long conversations of a small model, some of a large one."""
    if on_gpu():
        total = int(mx.device_info().get("memory_size", 8 << 30))
    else:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(256 << 20, total // 8)

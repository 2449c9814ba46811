"""`deepseek-tui run`: one answer without the screen.

stdout carries only the answer (or one JSON object); progress and notices go to stderr and are silent when
stderr is no terminal.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from deepseek_tui.cli.options import add_model_options, add_sampling_options, sampling_from
from deepseek_tui.engine.protocol import (
    ChatMessage,
    Failed,
    Finished,
    Generate,
    Notice,
    PrefillProgress,
    Sampling,
    Token,
)
from deepseek_tui.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deepseek_tui.engine.session import Session
    from deepseek_tui.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    add_model_options(parser)
    parser.add_argument(
        "--prompt", "-p", required=True, metavar="TEXT", help="what to ask; - reads it from stdin"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object with text and figures")
    parser.add_argument("--prefill-response", metavar="TEXT", help="begin the answer with this text")
    parser.add_argument(
        "--ignore-chat-template", action="store_true", help="give the prompt to the model as it is"
    )
    parser.add_argument(
        "--chat-template-config",
        metavar="JSON",
        help="options for the template, such as '{\"enable_thinking\": false}'",
    )
    parser.add_argument("--verbose", "-v", action="store_true", help="figures on stderr after the answer")
    add_sampling_options(parser)


class Progress:
    """One line on stderr that is written over, only where a person can see it."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()

    def show(self, text: str) -> None:
        if self.live:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        """A line that stays."""
        if self.live:
            print(f"\r\x1b[K{text}", file=sys.stderr, flush=True)

    def clear(self) -> None:
        self.show("")


def run(args: argparse.Namespace) -> int:
    from deepseek_tui.settings import load_settings, resolve_model

    prompt = _read_prompt(args.prompt)
    settings = load_settings()
    sampling = sampling_from(args).over(settings.sampling)
    request = _request(args, prompt, settings, sampling)
    path = resolve_model(args.model, settings)
    progress = Progress()

    # Before anything imports mlx: the fast BLAS has to be in the process first.
    from deepseek_tui.engine.blas import prefer_fast_blas

    prefer_fast_blas()
    from deepseek_tui.engine.session import Session

    started = time.perf_counter()
    session = Session.load(
        path,
        adapter_path=args.adapter_path,
        on_progress=lambda done, total: progress.show(f"loading {path.name}  {done * 100 // max(total, 1)}%"),
    )
    load_seconds = time.perf_counter() - started
    progress.clear()
    answer = _Answer(as_json=args.json, progress=progress)
    finished = answer.consume(session.generate(request))
    if args.json:
        print(json.dumps(_summary(session, answer, finished, load_seconds), ensure_ascii=False))
    elif args.verbose:
        _print_figures(finished, load_seconds)
    return 0


def _read_prompt(given: str) -> str:
    if given != "-":
        return given
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"The prompt on stdin is not UTF-8 (byte {error.start}).", "Convert it first."
        ) from error


def _request(args: argparse.Namespace, prompt: str, settings: Settings, sampling: Sampling) -> Generate:
    system = args.system_prompt if args.system_prompt is not None else settings.system_prompt
    messages = [ChatMessage("user", prompt)]
    if system and not args.ignore_chat_template:
        messages.insert(0, ChatMessage("system", system))
    if args.prefill_response:
        messages.append(ChatMessage("assistant", args.prefill_response))
    try:
        options = json.loads(args.chat_template_config) if args.chat_template_config else {}
        if not isinstance(options, dict):
            raise ValueError("not an object")
    except ValueError as error:
        raise UserError(f"--chat-template-config is not a JSON object ({error}).") from error
    return Generate(
        id=1,
        conversation="run",
        messages=tuple(messages),
        sampling=sampling,
        context_policy="stop",
        continue_reply=bool(args.prefill_response) and not args.ignore_chat_template,
        raw=args.ignore_chat_template,
        template_options=options,
    )


class _Answer:
    """Collects the answer, and writes it to stdout as it comes unless it is to be JSON."""

    def __init__(self, *, as_json: bool, progress: Progress) -> None:
        self.pieces: list[str] = []
        self.ids: list[int] = []
        self._as_json = as_json
        self._progress = progress
        self._filter = None
        if not as_json and sys.stdout.isatty():
            from deepseek_tui.text.sanitize import Sanitizer

            self._filter = Sanitizer()

    def consume(self, events: Iterator[Any]) -> Finished:
        """Runs through the events of one reply. Raises UserError where the engine says Failed."""
        for event in events:
            match event:
                case Token(text=text, ids=ids):
                    self.ids.extend(ids)
                    self.pieces.append(text)
                    self._write(text)
                case PrefillProgress(done=done, total=total):
                    if not self.ids:
                        self._progress.show(f"reading the prompt  {done}/{total} tokens")
                case Notice(text=text):
                    self._progress.note(text)
                case Failed(message=message, hint=hint):
                    raise UserError(message, hint)
                case Finished():
                    self._end()
                    return event
        raise UserError("The engine ended without finishing the answer.")

    def _write(self, text: str) -> None:
        if self._as_json or not text:
            return
        if not self._filter:
            sys.stdout.write(text)
        else:
            self._progress.clear()
            sys.stdout.write(self._filter.feed(text))
        sys.stdout.flush()

    def _end(self) -> None:
        self._progress.clear()
        if not self._as_json:
            rest = self._filter.flush() if self._filter else ""
            sys.stdout.write(rest if "".join(self.pieces).endswith("\n") else rest + "\n")
            sys.stdout.flush()


def _summary(session: Session, answer: _Answer, finished: Finished, load_seconds: float) -> dict[str, Any]:
    stats = finished.stats
    return {
        "text": "".join(answer.pieces),
        "tokens": answer.ids,
        "finish_reason": "stop" if finished.reason == "stop" else "length",
        "prompt_tokens": stats.prompt_tokens,
        "prompt_tps": stats.prompt_tps,
        "generation_tokens": stats.generation_tokens,
        "generation_tps": stats.generation_tps,
        "peak_memory": stats.peak_memory / 1e9,  # gigabytes, as mlx-lm has it
        "load_seconds": load_seconds,
        "time_to_first_token": stats.time_to_first_token,
        "model": session.info.name,
        "seed": finished.sampling.seed,
    }


def _print_figures(finished: Finished, load_seconds: float) -> None:
    s = finished.stats
    print(
        f"load {load_seconds:.2f} s, first token {s.time_to_first_token:.2f} s\n"
        f"prompt {s.prompt_tokens} tokens, {s.prompt_tps:.1f} tokens/s\n"
        f"answer {s.generation_tokens} tokens, {s.generation_tps:.1f} tokens/s, ended by {finished.reason}\n"
        f"peak memory {s.peak_memory / 1e9:.2f} GB",
        file=sys.stderr,
    )

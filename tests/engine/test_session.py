"""A session with a tiny model: what is computed, what is reused, how a reply ends."""

from __future__ import annotations

import itertools
import json
import shutil
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from deepseek_tui.engine.info import default_sampling
from deepseek_tui.engine.protocol import (
    ChatMessage,
    Event,
    Failed,
    Finished,
    Generate,
    Notice,
    PrefillProgress,
    Sampling,
    Token,
)
from deepseek_tui.engine.session import Session
from tests.engine.tiny import FIXTURES, make_tiny, only_ascii

HI = [ChatMessage("user", "Say something about the sea.")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def shared(folder: Path) -> Session:
    return Session.load(folder)


@pytest.fixture
def session(shared: Session) -> Session:
    shared.caches.clear()
    shared.caches.limit = 1 << 30
    return shared


@pytest.fixture
def noise(session: Session) -> Sampling:
    assert session._tokenizer is not None
    # The penalty keeps the most likely token from being the same for ever.
    return only_ascii(
        session._tokenizer, temp=0.0, max_tokens=24, repetition_penalty=1.7, repetition_context_size=100
    )


def ask(
    session: Session,
    messages: Sequence[ChatMessage] = HI,
    sampling: Sampling | None = None,
    should_cancel: Callable[[], bool] = lambda: False,
    conversation: str = "c",
    **options: Any,
) -> list[Event]:
    request = Generate(1, conversation, tuple(messages), sampling or Sampling(temp=0.0), **options)
    return list(session.generate(request, should_cancel))


def text_of(events: list[Event]) -> str:
    return "".join(e.text for e in events if isinstance(e, Token))


def end_of(events: list[Event]) -> Finished:
    assert isinstance(events[-1], Finished), events[-1]
    return events[-1]


def failure_of(events: list[Event]) -> Failed:
    assert isinstance(events[-1], Failed), events[-1]
    return events[-1]


def test_a_reply_is_its_tokens_and_ends_with_its_figures(session: Session, noise: Sampling) -> None:
    events = ask(session, sampling=noise)

    end = end_of(events)
    ids = [i for e in events if isinstance(e, Token) for i in e.ids]
    assert end.reason == "length"
    assert len(ids) == end.stats.generation_tokens == 24
    assert session._tokenizer is not None
    assert text_of(events) == session._tokenizer.decode(ids)
    assert end.stats.context_used == end.stats.prompt_tokens + 24
    assert end.stats.context_limit == 512
    assert end.stats.memory > 0
    progress = [e for e in events if isinstance(e, PrefillProgress)]
    assert (progress[0].done, progress[-1].done) == (0, end.stats.prompt_tokens)


def test_a_second_turn_prefills_only_what_is_new(session: Session, noise: Sampling) -> None:
    first = ask(session, sampling=noise)
    used = end_of(first).stats.context_used
    messages = [*HI, ChatMessage("assistant", text_of(first)), ChatMessage("user", "More!")]

    second = ask(session, messages, noise)

    # All but the last token of a reply is in the cache, however the tokenizer would cut the reply's text.
    assert end_of(second).stats.cached_tokens == used - 1
    assert session._tokenizer is not None
    retold = session._tokenizer.encode(text_of(first))
    assert retold != [i for e in first if isinstance(e, Token) for i in e.ids]


def test_what_the_cache_holds_does_not_change_the_reply(session: Session, noise: Sampling) -> None:
    ask(session, sampling=noise)
    warm = ask(session, sampling=noise)
    session.forget("c")
    cold = ask(session, sampling=noise)

    assert end_of(warm).stats.cached_tokens == end_of(cold).stats.prompt_tokens - 1
    assert end_of(cold).stats.cached_tokens == 0
    assert text_of(warm) == text_of(cold)


def test_another_conversation_with_the_same_system_prompt_starts_behind_it(session: Session) -> None:
    system = ChatMessage("system", "You live on a boat and answer in rhymes about fish and weather.")
    ask(session, [system, *HI], Sampling(max_tokens=3))

    other = ask(session, [system, ChatMessage("user", "Who?")], Sampling(max_tokens=3), conversation="d")

    assert end_of(other).stats.cached_tokens > 16


def test_a_seed_repeats_the_reply_and_is_told(session: Session, noise: Sampling) -> None:
    warm = Sampling(temp=1.0).over(noise)
    first = ask(session, sampling=warm, conversation="a")
    again = ask(session, sampling=end_of(first).sampling, conversation="b")
    other = ask(session, sampling=Sampling(seed=(end_of(first).sampling.seed or 0) + 1).over(warm))

    assert text_of(again) == text_of(first)
    assert text_of(other) != text_of(first)


def test_a_stop_string_ends_the_reply_and_is_not_part_of_it(session: Session, noise: Sampling) -> None:
    whole = text_of(ask(session, sampling=noise))
    stop = whole[10:13]

    events = ask(session, sampling=Sampling(stop=(stop,)).over(noise))

    assert text_of(events) == whole[: whole.index(stop)]
    assert end_of(events).reason == "stop"


def test_the_end_token_ends_the_reply_unseen(session: Session) -> None:
    events = ask(session, sampling=Sampling(temp=0.0, logit_bias={"1": 1e4}))

    assert text_of(events) == ""
    assert end_of(events).reason == "stop"
    assert end_of(events).stats.generation_tokens == 1


def test_cancel_is_heard_within_one_token(session: Session, noise: Sampling) -> None:
    asked = itertools.count()

    events = ask(session, sampling=noise, should_cancel=lambda: next(asked) >= 8)

    assert end_of(events).reason == "cancelled"
    assert 0 < end_of(events).stats.generation_tokens <= 8


def test_cancel_in_the_prompt_keeps_what_was_read(session: Session, noise: Sampling) -> None:
    long = [ChatMessage("user", "word " * 80)]
    asked = itertools.count()
    events = ask(session, long, noise, should_cancel=lambda: next(asked) >= 1)
    read = max(e.done for e in events if isinstance(e, PrefillProgress))

    again = ask(session, long, noise)

    assert end_of(events).reason == "cancelled"
    assert end_of(events).stats.generation_tokens == 0
    assert 0 < read < end_of(again).stats.prompt_tokens
    assert end_of(again).stats.cached_tokens == read


def test_a_full_context_leaves_the_oldest_turns_out_and_says_so(session: Session, noise: Sampling) -> None:
    turn = [ChatMessage("user", "tell me " * 20), ChatMessage("assistant", "I tell " * 20)]
    system = ChatMessage("system", "Be brief.")

    events = ask(session, [system, *turn * 8, *HI], noise)

    assert any(isinstance(e, Notice) and "left out" in e.text for e in events)
    assert end_of(events).stats.prompt_tokens <= 512 - 24
    assert text_of(events)


def test_a_full_context_can_be_refused_instead(session: Session) -> None:
    events = ask(session, [ChatMessage("user", "word " * 600)], context_policy="stop")

    assert failure_of(events).kind == "context"
    assert "512" in failure_of(events).message


def test_a_reply_that_fills_the_context_says_so_and_can_be_carried_on(
    session: Session, noise: Sampling
) -> None:
    endless = Sampling(max_tokens=-1).over(noise)
    events = ask(session, [ChatMessage("user", "word " * 80)], endless)
    end = end_of(events)

    assert end.reason == "context"
    assert end.stats.context_used == 512

    unfinished = [*HI * 3, ChatMessage("assistant", text_of(events)[:300])]
    more = ask(session, unfinished, noise, continue_reply=True)
    assert text_of(more)


def test_an_unfinished_reply_is_carried_on_from_its_last_token(session: Session, noise: Sampling) -> None:
    whole = text_of(ask(session, sampling=noise))
    half = text_of(ask(session, sampling=Sampling(max_tokens=12).over(noise), conversation="d"))

    rest = ask(session, [*HI, ChatMessage("assistant", half)], noise, conversation="d", continue_reply=True)

    assert end_of(rest).stats.cached_tokens >= end_of(rest).stats.prompt_tokens - 1
    assert (half + text_of(rest)).startswith(whole)


def test_typed_control_tokens_are_text(session: Session) -> None:
    plain = end_of(ask(session, [ChatMessage("user", "a")], Sampling(max_tokens=1))).stats.prompt_tokens

    typed = ask(session, [ChatMessage("user", "a<|im_end|>")], Sampling(max_tokens=1))

    assert end_of(typed).stats.prompt_tokens > plain + 3


def test_memory_of_many_conversations_stays_under_the_limit(session: Session, noise: Sampling) -> None:
    ask(session, sampling=noise)
    session.caches.limit = int(2.5 * session.caches.nbytes)

    for name in "defgh":
        ask(session, [ChatMessage("user", name * 5)], noise, conversation=name)
        assert session.caches.nbytes <= session.caches.limit

    assert "c" not in session.caches
    assert "h" in session.caches


@pytest.mark.parametrize(
    ("sampling", "said"),
    [
        (Sampling(top_p=2.0), "top_p is 2.0"),
        (Sampling(temp=-1.0), "temp is -1.0"),
        (Sampling(max_tokens=0), "max_tokens is 0"),
        (Sampling(max_tokens=-7), "max_tokens is -7"),
        (Sampling(logit_bias={"the": 1.0}), "logit_bias names"),
    ],
)
def test_a_setting_out_of_range_is_named(session: Session, sampling: Sampling, said: str) -> None:
    assert said in failure_of(ask(session, sampling=sampling)).message
    assert end_of(ask(session, sampling=Sampling(max_tokens=1))).reason == "length"


def test_a_fault_in_the_model_spoils_one_reply_only(session: Session, noise: Sampling) -> None:
    ask(session, sampling=noise)
    model = session._model

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("[malloc] out of memory")

    session._model = broken
    failed = ask(session, [ChatMessage("user", "Another thing entirely.")], noise)
    session._model = model

    assert failure_of(failed).kind == "internal"
    assert "out of memory" in failure_of(failed).message
    assert "c" not in session.caches
    assert text_of(ask(session, sampling=noise))


def test_a_model_without_a_template_says_so_and_still_continues_text(tmp_path: Path) -> None:
    session = Session.load(make_tiny(tmp_path / "base", template=False))

    assert not session.info.has_chat_template
    assert failure_of(ask(session)).kind == "no-template"
    raw = ask(session, raw=True, sampling=Sampling(max_tokens=4))
    assert end_of(raw).stats.generation_tokens > 0


def test_a_model_without_a_tokenizer_says_so(tmp_path: Path) -> None:
    session = Session.load(make_tiny(tmp_path / "bare", tokenizer=False))

    assert failure_of(ask(session)).kind == "no-tokenizer"
    failure = failure_of(ask(session, raw=True))
    assert "bare has no tokenizer.json" in failure.message
    assert f"into {tmp_path / 'bare'}." in failure.hint


def test_an_original_checkpoint_continues_text_once_it_has_a_tokenizer(tmp_path: Path) -> None:
    folder = tmp_path / "original"
    shutil.copytree(FIXTURES / "scratch-tiny", folder)
    failure = failure_of(ask(Session.load(folder), raw=True))
    assert "original has no tokenizer.json" in failure.message
    assert f"into {folder} (its trainer used GPT-2's" in failure.hint
    shutil.copy(make_tiny(tmp_path / "tiny") / "tokenizer.json", folder)
    assert end_of(ask(Session.load(folder), raw=True, sampling=Sampling(max_tokens=4))).reason == "length"


def test_unloading_frees_the_model(folder: Path) -> None:
    session = Session.load(folder)
    ask(session, sampling=Sampling(max_tokens=2))
    model = weakref.ref(session._model)

    session.unload()

    assert model() is None


def test_loading_reports_bytes_up_to_the_whole(folder: Path) -> None:
    seen: list[tuple[int, int]] = []

    info = Session.load(folder, on_progress=lambda done, total: seen.append((done, total))).info

    assert seen[-1][0] == seen[-1][1] > 0
    assert (info.name, info.model_type, info.context_length) == ("tiny", "llama", 512)
    assert info.kv_bytes_per_token == 2 * 2 * 2 * 16 * 4


def test_settings_come_from_request_then_model_then_product(tmp_path: Path) -> None:
    folder = make_tiny(tmp_path / "tiny")
    (folder / "generation_config.json").write_text(json.dumps({"temperature": 0.4, "top_p": 0.8}))
    session = Session.load(folder)

    used = end_of(ask(session, sampling=Sampling(temp=0.1, seed=5))).sampling

    assert (used.temp, used.top_p, used.max_tokens, used.seed) == (0.1, 0.8, 256, 5)


def test_the_authors_settings_are_read_and_nonsense_is_not() -> None:
    config = {
        "do_sample": True,
        "temperature": 1,
        "top_k": 20,
        "min_p": 0.1,
        "repetition_penalty": "high",
        "max_new_tokens": 100,
        "top_p": None,
    }

    assert default_sampling(config) == Sampling(temp=1.0, top_k=20, min_p=0.1, max_tokens=100)
    assert default_sampling({"do_sample": False, "temperature": 0.6}) == Sampling(temp=0.0)

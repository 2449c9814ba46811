"""How tokens become pieces and figures, on a clock of our own."""

from __future__ import annotations

from deepseek_tui.engine.protocol import Event, Finished, Sampling, Stats, Token
from deepseek_tui.engine.reply import Reply


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def reply_on(clock: Clock) -> Reply:
    return Reply(7, prompt_tokens=30, cached_tokens=10, context_limit=64, memory=lambda: (5, 6), clock=clock)


def test_the_first_piece_comes_at_once_and_the_rest_thirty_times_a_second() -> None:
    clock = Clock()
    reply = reply_on(clock)
    events: list[Event] = []
    for i in range(1000):
        events += reply.token(i, f"{i} ")
        clock.now += 0.001
    events += reply.finish("length", Sampling())
    tokens = [e for e in events if isinstance(e, Token)]

    assert tokens[0] == Token(7, "0 ", 1, (0,))
    assert 25 <= len(tokens) <= 32
    assert "".join(t.text for t in tokens) == "".join(f"{i} " for i in range(1000))
    assert [i for t in tokens for i in t.ids] == list(range(1000))
    assert isinstance(events[1], Stats)
    assert 4 <= sum(isinstance(e, Stats) for e in events) <= 5


def test_figures_are_of_this_turn_alone() -> None:
    clock = Clock()
    reply = reply_on(clock)
    clock.now += 2
    reply.prefilled(30)
    for _ in range(11):
        list(reply.token(1, "x"))
        clock.now += 0.5
    end = list(reply.finish("stop", Sampling(seed=3)))[-1]

    assert isinstance(end, Finished)
    assert end.stats.prompt_tps == 20 / 2
    assert end.stats.generation_tps == 10 / 5
    assert end.stats.time_to_first_token == 2
    assert (end.stats.prompt_tokens, end.stats.cached_tokens, end.stats.generation_tokens) == (30, 10, 11)
    assert (end.stats.context_used, end.stats.context_limit) == (41, 64)
    assert (end.stats.memory, end.stats.peak_memory) == (5, 6)


def test_ids_whose_text_is_held_back_are_not_lost() -> None:
    reply = reply_on(Clock())
    events = [*reply.token(1, ""), *reply.token(2, ""), *reply.finish("stop", Sampling())]

    assert [e for e in events if isinstance(e, Token)] == [Token(7, "", 2, (1, 2))]


def test_a_reply_cancelled_before_its_first_token_has_figures_too() -> None:
    (end,) = reply_on(Clock()).finish("cancelled", Sampling())

    assert isinstance(end, Finished)
    assert end.stats.generation_tokens == 0
    assert end.stats.context_used == 10

"""Which part of a prompt is already paid for, and what is thrown away when memory is short."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from deepseek_tui.engine.cache_store import CacheStore, Held, adopt
from deepseek_tui.models.cache import KVCache

TOKENS = list(range(100, 400))


def fill(held: Held, tokens: Sequence[int]) -> Held:
    """Pretends to prefill: the keys of a token are its id."""
    column = mx.array([float(t) for t in tokens]).reshape(1, 1, -1, 1)
    for cache in held.caches:
        cache.update_and_fetch(column, column)
    held.tokens = [*held.tokens, *tokens]
    return held


def keys(held: Held) -> list[list[int]]:
    return [[int(k) for k in cache.state[0].reshape(-1).tolist()] for cache in held.caches]


def store_of(limit: int = 1 << 30) -> CacheStore:
    return CacheStore(limit, lambda: [KVCache(), KVCache()])


def add(store: CacheStore, conversation: str, tokens: Sequence[int]) -> Held:
    held = store.take(conversation, tokens)
    fill(held, tokens[len(held.tokens) :])
    store.put(conversation, held)
    return held


def test_the_next_turn_starts_behind_the_common_front() -> None:
    store = store_of()
    add(store, "c", TOKENS[:50])

    held = store.take("c", [*TOKENS[:40], 1, 2, 3])

    assert held.tokens == TOKENS[:40]
    assert keys(held) == [TOKENS[:40]] * 2


def test_one_token_is_always_left_to_prefill() -> None:
    store = store_of()
    add(store, "c", TOKENS[:50])

    assert store.take("c", TOKENS[:50]).tokens == TOKENS[:49]


def test_a_new_conversation_copies_a_long_common_front_and_spoils_nothing() -> None:
    store = store_of()
    add(store, "old", TOKENS[:50])

    held = fill(store.take("new", [*TOKENS[:30], 1, 2]), [1, 2])
    store.put("new", held)

    assert keys(held) == [[*TOKENS[:30], 1, 2]] * 2
    assert keys(store.take("old", TOKENS[:51])) == [TOKENS[:50]] * 2


def test_a_short_common_front_is_not_worth_a_copy() -> None:
    store = store_of()
    add(store, "old", TOKENS[:50])

    assert store.take("new", [*TOKENS[:5], 1, 2]).tokens == []


def test_a_cache_taken_and_not_put_back_is_gone() -> None:
    store = store_of()
    add(store, "c", TOKENS[:50])
    store.take("c", TOKENS[:60])

    assert "c" not in store
    assert store.nbytes == 0


def test_the_least_recently_used_goes_first_and_the_limit_holds() -> None:
    one = add(store_of(), "c", [1]).nbytes
    store = store_of(2 * one)
    for name in ("a", "b"):
        add(store, name, [ord(name), 1])
    add(store, "a", [ord("a"), 1, 2])

    add(store, "c", [ord("c"), 1])

    assert [name for name in "abc" if name in store] == ["a", "c"]
    assert store.nbytes <= 2 * one


def test_a_cache_over_the_limit_by_itself_is_not_kept() -> None:
    store = store_of(10)
    add(store, "c", TOKENS)

    assert store.nbytes == 0


def test_room_is_made_before_it_is_needed() -> None:
    store = store_of()
    store.limit = add(store, "a", TOKENS).nbytes
    store.reserve(1)

    assert "a" not in store


WORDS = {1: "a", 2: "b", 3: "ab", 4: "c", 5: "bc", 6: "abc", 7: "\ufffd", 8: "x", 9: "<end>"}


def decode(ids: Sequence[int]) -> str:
    return "".join(WORDS[i] for i in ids)


def adopted(held: list[int], tokens: list[int]) -> Any:
    return adopt(held, tokens, decode, {9})


def test_a_reply_spelled_in_other_tokens_counts_as_the_same() -> None:
    assert adopted([8, 1, 5, 9], [8, 3, 4, 9, 8]) == [8, 1, 5, 9, 8]
    assert adopted([8, 1, 2, 4], [8, 6, 9]) == [8, 1, 2, 4, 9]


def test_other_text_is_never_taken_for_the_same() -> None:
    assert adopted([8, 1, 5, 9], [8, 3, 8, 9]) == [8, 3, 8, 9]
    assert adopted([8, 1], [8, 3, 4]) == [8, 3, 4]


def test_a_control_token_is_no_spelling_of_text() -> None:
    assert adopted([8, 9, 1], [8, 1, 2]) == [8, 1, 2]


def test_half_a_character_is_not_compared() -> None:
    assert adopted([8, 7, 1], [8, 7, 7, 1])[:2] == [8, 7]
    assert adopted([8, 7, 8], [8, 8, 8]) == [8, 8, 8]

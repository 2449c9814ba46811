"""A model writes chats: marks between turns in place, the same seed the same text."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from deepseek_tui.engine.tokenizer import Tokenizer, load_tokenizer
from deepseek_tui.training.build import new_model
from deepseek_tui.training.documents import Document
from deepseek_tui.training.errors import TrainingError
from deepseek_tui.training.sampler import FixedCache, Sampled, Sampler, SamplerSettings, clean
from deepseek_tui.training.tokenizer import train_tokenizer
from tests.training import tiny


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Tokenizer]:
    folder = tmp_path_factory.mktemp("writer")
    train_tokenizer([Document("x:1", text="user assistant what is this " * 20)], 280, folder)
    tokenizer = load_tokenizer(folder)
    assert tokenizer is not None
    return new_model({**tiny.CONFIG, "vocab_size": tokenizer.vocab_size}, 1), tokenizer


SETTINGS = SamplerSettings(length=48, reply_tokens=6, user_tokens=4, prompted=1.0)


def test_turns_follow_one_another_with_their_marks(writer: tuple[Any, Tokenizer]) -> None:
    model, tokenizer = writer
    batch = Sampler(model, tokenizer, SETTINGS).batch(["what is this"], 3, seed=5)
    assert batch.tokens.shape == batch.said.shape == (3, 48)
    for row, said in zip(batch.tokens, batch.said, strict=True):
        text = tokenizer.decode(row.tolist(), False)
        assert text.startswith("<|im_start|>user\nwhat is this<|im_end|>\n<|im_start|>assistant\n")
        turns = text.split("<|im_start|>")[1:]
        assert [turn.split("\n")[0] for turn in turns[:4]] == ["user", "assistant", "user", "assistant"]
        # Turns are kept short, and their end counts as theirs.
        replies = "".join("2" if who == 2 else " " for who in said).split()
        assert all(1 <= len(reply) <= 7 for reply in replies)
        ends = np.flatnonzero(row == 2)
        assert (said[ends] > 0).all()


def test_the_same_seed_writes_the_same(writer: tuple[Any, Tokenizer]) -> None:
    sampler = Sampler(*writer, SETTINGS)
    first, again, other = (sampler.batch(["this"], 2, seed).tokens.tolist() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_system_message_is_read_and_not_shown(writer: tuple[Any, Tokenizer]) -> None:
    model, tokenizer = writer
    told = SamplerSettings(length=40, system="this is what this is")
    sampler = Sampler(model, tokenizer, told)
    text = tokenizer.decode(sampler.turns.prefix, False)
    assert text == "<|im_start|>system\nthis is what this is<|im_end|>\n"
    row = sampler.batch(["this"], 1, seed=1).tokens[0]
    assert tokenizer.decode(row.tolist(), False).startswith("<|im_start|>user\n")
    with pytest.raises(TrainingError, match="exceed the teacher's context"):
        Sampler(model, tokenizer, SamplerSettings(length=80))


def test_a_cache_of_fixed_length_answers_as_none(writer: tuple[Any, Tokenizer]) -> None:
    model, _ = writer
    ids = mx.random.randint(3, 200, (2, 12), key=mx.random.key(2))
    cache = [FixedCache(12) for _ in model.make_cache()]
    found = [model(ids[:, i : i + 1], cache)[:, 0] for i in range(12)]
    np.testing.assert_allclose(np.array(mx.stack(found, axis=1)), np.array(model(ids)), atol=1e-5)


def test_loops_lose_their_weight_and_bad_rows_are_left_out() -> None:
    tokens = np.arange(200).reshape(4, 50) % 97
    tokens[1, 30:] = 7
    tokens[2, 5:] = 8
    tokens[3, 10:12] = [90, 91]
    said = np.tile(np.array([0, 1, 1, 2, 2] * 10), (4, 1))
    kept, weights = clean(Sampled(tokens, said), user_weight=0.3, keep_from=0.5, unwanted=[[90, 91]])
    assert kept.tolist() == tokens[[0, 1]].tolist()
    assert set(np.round(weights[0], 2).tolist()) == {0.0, np.float32(0.3).round(2), 1.0}
    assert not weights[1, 40:].any()
    assert weights[1, 29] == 1.0

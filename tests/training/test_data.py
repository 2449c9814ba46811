"""From text to rows: reading, encoding, weighing, packing, order."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepseek_tui.engine.protocol import ChatMessage
from deepseek_tui.engine.template import render
from deepseek_tui.engine.tokenizer import Tokenizer, load_tokenizer
from deepseek_tui.training.documents import Document, parse_line, read_documents, without_repetitions
from deepseek_tui.training.encoding import Encoded, Encoder
from deepseek_tui.training.errors import TrainingError
from deepseek_tui.training.loops import contains, loop_start
from deepseek_tui.training.packing import pack
from deepseek_tui.training.rows import Order, Rows
from deepseek_tui.training.tokenizer import train_tokenizer
from tests.training.tiny import write_lines

CHAT = [
    {"role": "user", "content": "What is 12 + 30?"},
    {"role": "assistant", "content": "It is 42. Grüße, 世界!"},
]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer([Document("x:1", text="the quick brown fox is here " * 20)], 290, folder)
    found = load_tokenizer(folder)
    assert found is not None
    return found


def test_files_are_read_plain_and_compressed(tmp_path: Path) -> None:
    first = write_lines(tmp_path / "a.jsonl", [{"text": "one"}, {"messages": CHAT}])
    second = tmp_path / "b.jsonl.gz"
    second.write_bytes(gzip.compress(b'{"text": "one"}\n\n{"text": "two"}\n'))
    found = list(read_documents([first, second]))
    assert [document.text for document in found] == ["one", None, "one", "two"]
    assert found[-1].where == f"{second}:3"
    assert [document.text for document in without_repetitions(found)] == ["one", None, "two"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "is not JSON"),
        ("[]", "holds no object"),
        ('{"txt": 1}', "has neither"),
        ('{"messages": []}', "has neither"),
        ('{"messages": [{"role": "user"}]}', 'without "content"'),
        ('{"messages": [{"role": "boss", "content": ""}]}', "role 'boss'"),
    ],
)
def test_a_bad_line_is_named_with_its_reason(line: str, reason: str) -> None:
    with pytest.raises(TrainingError, match=f"data:7.*{reason}"):
        parse_line(line, "data:7")


def test_a_file_that_is_not_text_or_not_there_is_named(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_bytes(b'{"text": "a"}\n\xff\xfe\n')
    with pytest.raises(TrainingError, match=r"bad\.jsonl.* is not UTF-8"):
        list(read_documents([bad]))
    with pytest.raises(TrainingError, match="cannot be read"):
        list(read_documents([tmp_path / "none.jsonl"]))
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(b'{"text": "a"}\n' * 100)[:-12])
    with pytest.raises(TrainingError, match=r"cut\.jsonl\.gz cannot be read"):
        list(read_documents([cut]))


def test_the_tokenizer_keeps_digits_apart_and_every_text_whole(tokenizer: Tokenizer) -> None:
    assert [tokenizer.decode([i]) for i in tokenizer.encode("1234")] == ["1", "2", "3", "4"]
    for text in ("Grüße, 世界 🙂\t\n  x", "the quick brown fox", "<|im_end|>"):
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.eos_token_ids == {2}
    with pytest.raises(TrainingError, match="too small"):
        train_tokenizer([], 100, Path("/nowhere"))


@pytest.mark.parametrize("answer", ["It is 42. Grüße, 世界!", "<|im_end|> is typed", " \n spaces\n"])
def test_a_chat_is_encoded_as_the_model_will_see_it(tokenizer: Tokenizer, answer: str) -> None:
    messages = (ChatMessage("user", "What is 12 + 30?"), ChatMessage("assistant", answer))
    encoded = next(Encoder(tokenizer, {"assistant": 1.0}).encode([Document("x:1", messages=messages)]))
    assert encoded.ids.tolist() == render(tokenizer, messages, add_generation_prompt=False)


def test_only_the_reply_and_its_end_have_weight(tokenizer: Tokenizer) -> None:
    document = parse_line(json.dumps({"messages": CHAT}), "x:1")
    encoded = next(Encoder(tokenizer, {"assistant": 1.0, "user": 0.25}).encode([document]))
    said = {w: tokenizer.decode(encoded.ids[encoded.weights == w].tolist(), False) for w in (1.0, 0.25)}
    assert said[1.0] == "It is 42. Grüße, 世界!<|im_end|>"
    assert said[0.25] == "What is 12 + 30?<|im_end|>"


def test_plain_text_ends_with_its_token(tokenizer: Tokenizer) -> None:
    encoder = Encoder(tokenizer, {}, end_of_text="<|endoftext|>")
    encoded = next(encoder.encode([Document("x:1", text="the fox")]))
    assert encoded.ids[-1] == 0
    assert encoded.weights.tolist() == [1.0] * len(encoded.ids)
    with pytest.raises(TrainingError, match="no control token"):
        Encoder(tokenizer, {}, end_of_text="<nope>")


def documents(*lengths: int) -> list[Encoded]:
    return [Encoded(np.arange(10 * n, 10 * n + size), np.ones(size)) for n, size in enumerate(lengths, 1)]


def packed(folder: Path, *lengths: int, **options: Any) -> Rows:
    pack(documents(*lengths), folder, length=8, vocab_size=200, tokenizer="t", **options)
    return Rows(folder)


def test_packing_keeps_documents_apart_and_loses_nothing(tmp_path: Path) -> None:
    rows = packed(tmp_path, 3, 5, 6, 2, 4)
    batch = rows.take(np.arange(len(rows)))
    assert batch.segments is not None
    whole = [
        batch.tokens[row][batch.segments[row] == number].tolist()
        for row in range(len(rows))
        for number in range(1, int(batch.segments[row].max()) + 1)
    ]
    assert sorted(whole) == sorted(document.ids.tolist() for document in documents(3, 5, 6, 2, 4))
    assert rows.info.tokens == 20
    assert rows.info.documents == 5
    # What comes first in a document is predicted by nothing.
    first = np.diff(batch.segments, prepend=0, axis=1) != 0
    assert not batch.weights[first].any()
    assert batch.weights[(batch.segments > 0) & ~first].all()
    assert not batch.weights[batch.segments == 0].any()


def test_long_texts_are_cut_and_long_chats_only_begun(tmp_path: Path) -> None:
    assert packed(tmp_path / "text", 20).info.tokens == 20
    assert packed(tmp_path / "chat", 20, split_long=False).info.tokens == 8


def test_large_vocabularies_get_wide_files(tmp_path: Path) -> None:
    ids = np.array([1, 70000, 5, 6])
    pack([Encoded(ids, np.ones(4))], tmp_path, length=4, vocab_size=80000, tokenizer="t")
    rows = Rows(tmp_path)
    assert rows.info.dtype == "uint32"
    assert rows.take(np.array([0])).tokens[0].tolist() == ids.tolist()


def test_damaged_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no prepared rows"):
        Rows(tmp_path)
    packed(tmp_path, 3, 5)
    (tmp_path / "tokens.bin").write_bytes(b"\0")
    with pytest.raises(TrainingError, match=r"tokens\.bin is missing or not as long"):
        Rows(tmp_path)


def test_every_epoch_takes_every_row_once_in_an_order_of_its_own() -> None:
    order = Order(20, seed=4, held_out=5)
    epochs = [order.rows(start, 15).tolist() for start in (0, 15, 30)]
    assert all(sorted(epoch) == sorted(epochs[0]) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert not set(epochs[0]) & set(order.held_out.tolist())
    # A position is all there is to know: in one piece, in parts, or out of turn.
    assert order.rows(10, 20).tolist() == [*epochs[0][10:], *epochs[1]]
    assert Order(20, seed=4, held_out=5).rows(15, 15).tolist() == epochs[1]
    assert Order(20, seed=5, held_out=5).rows(0, 15).tolist() != epochs[0]
    with pytest.raises(TrainingError, match="leave none"):
        Order(5, 1, held_out=5)


def test_loops_are_found_where_the_third_time_ends() -> None:
    fresh = np.arange(100)
    looping = np.concatenate([np.arange(20), np.tile(np.arange(30, 38), 5), np.arange(50, 90)])
    twice = np.concatenate([np.arange(20), np.tile(np.arange(30, 38), 2), np.arange(40, 104)])
    found = loop_start(np.stack([fresh, looping, twice]))
    assert found.tolist() == [100, 20 + 3 * 8, 100]


def test_rows_with_unwanted_words_are_found() -> None:
    rows = np.array([[1, 2, 3, 4], [1, 3, 2, 4]])
    assert contains(rows, [2, 3]).tolist() == [True, False]
    assert contains(rows, [1, 2, 3, 4, 5]).tolist() == [False, False]

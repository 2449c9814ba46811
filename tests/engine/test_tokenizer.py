"""Text and ids: what people type stays text, what models say comes out whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from deepseek_tui.engine.tokenizer import Tokenizer, TokenizerError, load_tokenizer
from tests.conftest import WEIGHTS
from tests.engine.tokenizers_for_tests import byte_level, sentence_piece, write

BUILT_IN = load_tokenizer(WEIGHTS)
assert BUILT_IN is not None
SMOL: Tokenizer = BUILT_IN
THINKING = Tokenizer(byte_level(["<|eot|>"], ["<think>", "</think>", "    "]).to_str())
PIECES = Tokenizer(sentence_piece().to_str())
ALL = {"byte-level": SMOL, "added": THINKING, "sentence-piece": PIECES}
PLAIN = tokenizers.Tokenizer.from_file(str(WEIGHTS / "tokenizer.json"))
PLAIN.encode_special_tokens = True

text_with_controls = st.lists(
    st.sampled_from(
        ["<|im_end|>", "<think>", "</think>", "<|eot|>", "</s>", "<s>", "<|im_", "end|>", " the", "a"]
    )
    | st.text(max_size=4)
).map("".join)


@pytest.mark.parametrize("name", ALL)
@given(text=text_with_controls)
@settings(max_examples=150, deadline=None)
def test_text_never_becomes_a_control_token(name: str, text: str) -> None:
    tokenizer = ALL[name]
    assert not set(tokenizer.encode(text)) & set(tokenizer.control_tokens.values())


@given(text=text_with_controls)
@settings(max_examples=150, deadline=None)
def test_typed_control_tokens_are_spelled_as_plain_text(text: str) -> None:
    assert SMOL.encode(text) == PLAIN.encode(text, add_special_tokens=False).ids
    if text.isascii() and text.isprintable():  # this vocabulary lacks a few control bytes
        assert SMOL.decode(SMOL.encode(text), skip_special=False) == text


def test_added_tokens_that_control_nothing_still_match() -> None:
    spaces = THINKING.encode_trusted("    ")
    assert len(spaces) == 1
    assert THINKING.encode("a    b") == THINKING.encode_trusted("a    b")
    assert THINKING.encode("<think>a    b")[-2:] == THINKING.encode_trusted("a    b")[-2:]
    assert spaces[0] in THINKING.encode("<think>a    b")


def test_trusted_text_keeps_control_tokens() -> None:
    end = SMOL.control_tokens["<|im_end|>"]
    assert SMOL.encode_trusted("a<|im_end|>b").count(end) == 1
    assert SMOL.encode_mixed(["a", end, "<|im_end|>"]).count(end) == 1
    mixed = SMOL.encode_mixed(["the ", "river", end, "and"])
    assert mixed == SMOL.encode_trusted("the river<|im_end|>and")


def test_lone_surrogates_do_no_harm() -> None:
    assert SMOL.encode("a\ud800b") == SMOL.encode("a?b")


@pytest.mark.parametrize("name", ALL)
@given(text=st.text(max_size=40))
@settings(max_examples=150, deadline=None)
def test_streamed_text_is_the_decoded_text(name: str, text: str) -> None:
    tokenizer = ALL[name]
    ids = tokenizer.encode(text)
    stream = tokenizer.detokenizer()
    pieces = [stream.add(i) for i in ids]
    if "\ufffd" not in tokenizer.decode(ids):
        assert not any("\ufffd" in piece for piece in pieces), "half a character was given out"
    assert "".join(pieces) + stream.finish() == tokenizer.decode(ids)


@pytest.mark.parametrize("name", ALL)
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_streamed_noise_is_the_decoded_noise(name: str, data: st.DataObject) -> None:
    tokenizer = ALL[name]
    low = 0 if name != "sentence-piece" else 259
    ids = data.draw(st.lists(st.integers(low, tokenizer.vocab_size - 1), max_size=30))
    stream = tokenizer.detokenizer()
    assert "".join(map(stream.add, ids)) + stream.finish() == tokenizer.decode(ids)


def test_bytes_that_never_become_a_character_do_not_hold_the_stream_up() -> None:
    stream = PIECES.detokenizer()
    broken = PIECES.encode_trusted("é")[1]
    given_out = "".join(stream.add(broken) for _ in range(50))
    assert len(given_out) > 30


def test_a_long_reply_costs_the_same_per_token() -> None:
    stream = PIECES.detokenizer()
    for i in PIECES.encode("the thing in a ring " * 400):
        stream.add(i)
        assert len(stream._ids) < 12  # type: ignore[attr-defined]  # what each step decodes


def test_ids_beyond_the_vocabulary_have_no_text() -> None:
    assert SMOL.decode([10**6, *SMOL.encode("ok")]) == "ok"
    assert SMOL.detokenizer().add(10**6) == ""


@pytest.mark.parametrize(
    ("name", "body"), [("generation_config.json", [2, 7]), ("config.json", 7), ("config.json", [7])]
)
def test_every_source_of_end_tokens_counts(tmp_path: Path, name: str, body: object) -> None:
    write(tmp_path, byte_level([], []), eos_token={"content": "<|im_end|>"})
    (tmp_path / name).write_text(json.dumps({"eos_token_id": body}))
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer is not None
    assert tokenizer.eos_token_ids == {2, 7}


@pytest.mark.parametrize(
    "value",
    [
        "T",
        {"default": "T", "tool_use": "U"},
        [{"name": "default", "template": "T"}, {"name": "x", "template": "U"}],
    ],
)
def test_templates_are_found_in_every_form(tmp_path: Path, value: object) -> None:
    write(tmp_path, byte_level([], []), chat_template=value)
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer is not None
    assert tokenizer.chat_template == "T"


def test_a_template_file_goes_before_the_configuration(tmp_path: Path) -> None:
    write(tmp_path, byte_level([], []), chat_template="T")
    (tmp_path / "chat_template.json").write_text('{"chat_template": "U"}')
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer is not None
    assert tokenizer.chat_template == "U"
    (tmp_path / "chat_template.jinja").write_text("V")
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer is not None
    assert tokenizer.chat_template == "V"


def test_a_folder_without_a_tokenizer_has_none(tmp_path: Path) -> None:
    assert load_tokenizer(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tokenizer.json", "{"),
        ("tokenizer.json", '{"model": {"type": "Nonsense"}}'),
        ("tokenizer.json", "\xff"),
        ("tokenizer_config.json", "[1,"),
        ("config.json", "[" * 100_000),
    ],
)
def test_broken_files_are_named(tmp_path: Path, name: str, text: str) -> None:
    write(tmp_path, byte_level([], []))
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(TokenizerError) as caught:
        load_tokenizer(tmp_path)
    assert str(tmp_path / name) in caught.value.message
    assert "\n" not in str(caught.value)


def test_prompts_of_programs_get_their_beginning_once(tmp_path: Path) -> None:
    definition = json.loads(byte_level(["<|bos|>"], []).to_str())
    bos = 49152
    definition["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "<|bos|>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
        ],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<|bos|>": {"id": "<|bos|>", "ids": [bos], "tokens": ["<|bos|>"]}},
    }
    tokenizer = Tokenizer(json.dumps(definition), config={"bos_token": "<|bos|>"})
    assert tokenizer.encode_prompt("hello")[0] == bos
    assert tokenizer.encode_prompt("<|bos|>hello") == tokenizer.encode_prompt("hello")
    assert tokenizer.encode_trusted("hello") == tokenizer.encode_prompt("hello")[1:]
    assert bos not in tokenizer.encode("<|bos|>hello")

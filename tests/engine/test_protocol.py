"""What goes into the wire on one side comes out on the other."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepseek_tui.engine import protocol
from deepseek_tui.engine.protocol import ChatMessage, Generate, ProtocolError, Sampling, decode, encode

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
FINITE = st.floats(allow_nan=False, allow_infinity=False)
OPTIONS = st.dictionaries(TEXT, st.none() | st.booleans() | st.integers() | FINITE | TEXT)
st.register_type_strategy(str, TEXT)
st.register_type_strategy(float, FINITE)

CLASSES: tuple[type[Any], ...] = (*get_args(protocol.Request), *get_args(protocol.Event))
MESSAGES = st.one_of(
    *(
        st.builds(
            c, **{f.name: ... for f in fields(c)} | ({"template_options": OPTIONS} if c is Generate else {})
        )
        for c in CLASSES
    )
)


@given(MESSAGES)
def test_every_message_survives_the_wire(message: Any) -> None:
    line = encode(message)

    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line) == message


@given(st.binary())
def test_noise_is_refused_and_nothing_worse(noise: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(noise)


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"[]",
        b'{"type":"Nonsense"}',
        b'{"type":"Load"}',
        b'{"type":"Load","id":"one","path":"x"}',
        b'{"type":"Load","id":1,"path":3}',
        b'{"type":"Generate","id":1,"conversation":"c","messages":[1]}',
        b'{"type":"Generate","id":1,"conversation":"c","messages":[],"sampling":{"top_k":"many"}}',
        b"[" * 100_000,
    ],
)
def test_a_message_of_the_wrong_shape_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(line)


def test_a_field_of_a_later_version_is_ignored() -> None:
    assert decode(b'{"type":"Done","id":4,"mood":"fine"}') == protocol.Done(4)


def test_half_a_surrogate_pair_cannot_break_the_line() -> None:
    request = Generate(1, "c", (ChatMessage("user", "a\ud83d b"),))

    sent = decode(encode(request))

    assert isinstance(sent, Generate)
    assert sent.messages[0].content == "a? b"


def test_a_set_value_wins_over_the_base_and_zero_counts_as_set() -> None:
    mine = Sampling(temp=0.0, top_k=5)

    merged = mine.over(Sampling(temp=0.7, top_p=0.9))

    assert merged == Sampling(temp=0.0, top_k=5, top_p=0.9)

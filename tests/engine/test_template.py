"""Chat templates: what transformers makes of them, except that nobody can type a control token."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from deepseek_tui.engine import sandbox
from deepseek_tui.engine.protocol import ChatMessage
from deepseek_tui.engine.template import TemplateError, render, render_text
from deepseek_tui.engine.tokenizer import Tokenizer, load_tokenizer
from tests.conftest import WEIGHTS
from tests.engine.templates_for_tests import FAMILIES

BUILT_IN = load_tokenizer(WEIGHTS)
assert BUILT_IN is not None
SMOL: Tokenizer = BUILT_IN
HELLO = [ChatMessage("user", "Hello")]


@functools.cache
def ours(family: str) -> Tokenizer:
    return FAMILIES[family].tokenizer()


@functools.cache
def theirs(family: str) -> Any:
    f = FAMILIES[family]
    definition = tokenizers.Tokenizer.from_str(ours(family)._definition)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # untyped in transformers
        tokenizer_object=definition, bos_token=f.bos, eos_token=f.eos, chat_template=f.template
    )


def their_text(family: str, messages: Sequence[ChatMessage], **options: Any) -> str:
    shown = [{"role": m.role, "content": m.content} for m in messages]
    return str(theirs(family).apply_chat_template(shown, tokenize=False, **options))


def their_ids(family: str, messages: Sequence[ChatMessage], **options: Any) -> list[int]:
    text = their_text(family, messages, **options)
    return list(theirs(family)(text, add_special_tokens=False)["input_ids"])


def control_count(family: str, ids: Sequence[int]) -> int:
    controls = set(ours(family).control_tokens.values())
    return sum(i in controls for i in ids)


def conversation(contents: Sequence[str]) -> list[ChatMessage]:
    """A system prompt, then user and assistant by turns."""
    system, *rest = contents
    turns = [ChatMessage("user" if i % 2 == 0 else "assistant", c) for i, c in enumerate(rest)]
    return [ChatMessage("system", system), *turns]


harmless = st.lists(
    st.text(
        st.characters(codec="utf-8", exclude_characters="<>|[]｜▁", exclude_categories=["Cs", "Co"]),
        max_size=20,
    ),
    min_size=2,
    max_size=6,
)
controls = sorted({text for f in FAMILIES for text in ours(f).control_tokens})
nasty = st.lists(
    st.lists(
        st.sampled_from([*controls, "<|im_", "end|>", "<", "|>", "<｜", " ", "\n", "\n\n", "word", " word"]),
        max_size=8,
    ).map("".join),
    min_size=2,
    max_size=6,
)


@pytest.mark.parametrize("family", FAMILIES)
@given(contents=harmless, prompt=st.booleans())
@settings(max_examples=40, deadline=None)
def test_harmless_conversations_are_encoded_as_transformers_does(
    family: str, contents: list[str], prompt: bool
) -> None:
    messages = conversation(contents)
    expected = their_ids(family, messages, add_generation_prompt=prompt)
    assert render(ours(family), messages, add_generation_prompt=prompt) == expected


@pytest.mark.parametrize("family", FAMILIES)
@given(contents=nasty)
@settings(max_examples=80, deadline=None)
def test_typed_control_tokens_stay_text(family: str, contents: list[str]) -> None:
    """The text is what the template makes of it, and its control tokens are as many as without the typed
    ones."""
    messages = conversation(contents)
    ids = render(ours(family), messages)
    text = their_text(family, messages, add_generation_prompt=True)
    assert ours(family).decode(ids, skip_special=False) == text
    plain = [ChatMessage(m.role, disarmed(m.content)) for m in messages]
    assert control_count(family, ids) == control_count(
        family, their_ids(family, plain, add_generation_prompt=True)
    )


def disarmed(content: str) -> str:
    """Content with thinking blocks left where a template would drop them, and no control token."""
    for control in controls:
        if control not in ("<think>", "</think>"):
            content = content.replace(control, "x")
    if "</think>" in content:
        content = content.split("</think>")[-1].replace("<think>", "x")
    return content.replace("<think>", "x").replace("<", "x").replace("[", "x")


def test_thinking_of_earlier_turns_is_dropped_by_the_template() -> None:
    messages = [
        ChatMessage("user", "One?"),
        ChatMessage("assistant", "<think>\nhm\n</think>\n\nOne."),
        ChatMessage("user", "Is <think> a tag?"),
    ]
    ids = render(ours("thinking"), messages, options={"enable_thinking": False})
    expected = their_text("thinking", messages, add_generation_prompt=True, enable_thinking=False)
    assert ours("thinking").decode(ids, skip_special=False) == expected
    assert "hm" not in expected
    # The one empty block of the generation prompt is real, the question's tag is text.
    tags = ours("thinking").control_tokens
    assert ids.count(tags["<think>"]) == ids.count(tags["</think>"]) == 1


def test_thinking_inside_the_last_turn_becomes_the_real_block() -> None:
    messages = [ChatMessage("user", "One?"), ChatMessage("assistant", "<think>\nhm\n</think>\n\nOne.")]
    ids = render(ours("thinking"), messages, add_generation_prompt=False)
    assert ids == their_ids("thinking", messages)


@pytest.mark.parametrize("family", ["chatml", "thinking", "headers", "roles", "brackets"])
def test_a_reply_is_continued_where_it_broke_off(family: str) -> None:
    messages = [*HELLO, ChatMessage("assistant", "Once upon")]
    begun = render(ours(family), HELLO)
    ids = render(ours(family), messages, continue_final_message=True)
    text = ours(family).decode(ids, skip_special=False)
    assert text == ours(family).decode(begun, skip_special=False) + "Once upon"
    assert text == render_text(ours(family), messages, continue_final_message=True)


def test_a_reply_that_broke_off_while_thinking_goes_on_thinking() -> None:
    messages = [*HELLO, ChatMessage("assistant", "<think>\nThe user says <|im_end|>")]
    ids = render(ours("thinking"), messages, continue_final_message=True)
    tags = ours("thinking").control_tokens
    assert ids.count(tags["<think>"]) == 1
    assert ids.count(tags["<|im_end|>"]) == 1  # the user turn's
    assert ours("thinking").decode(ids[-12:], skip_special=False).endswith("<|im_end|>")


def test_only_a_reply_is_continued() -> None:
    with pytest.raises(TemplateError, match="last message"):
        render(SMOL, HELLO, continue_final_message=True)


def test_options_reach_the_template() -> None:
    text = render_text(
        SMOL, HELLO, template="{{ tone }} {{ messages[0].content }}", options={"tone": "<|im_end|>"}
    )
    assert text == "<|im_end|> Hello"
    ids = render(SMOL, HELLO, template="{{ tone }}", options={"tone": "<|im_end|>", "more": [{"a": 1}]})
    assert not control_ids(ids)


def control_ids(ids: Sequence[int]) -> list[int]:
    return [i for i in ids if i in SMOL.control_tokens.values()]


def test_no_tools_are_none() -> None:
    assert render_text(SMOL, HELLO, template="{{ tools is none }} {{ documents is none }}") == "True True"


def test_a_template_may_rewrite_what_it_looks_for() -> None:
    template = "{{ messages[0].content.replace('<|im_end|>', '<|endoftext|>') }}<|im_end|>"
    messages = [ChatMessage("user", "a<|im_end|>b")]
    ids = render(SMOL, messages, template=template)
    assert SMOL.decode(ids, skip_special=False) == "a<|endoftext|>b<|im_end|>"
    # Both are the template's: it asked for the first in so many words.
    assert control_ids(ids) == [0, 2]


def test_what_templates_rely_on_is_there() -> None:
    template = (
        "{%- for n in range(9) %}{% if n == 2 %}{% continue %}{% endif %}"
        "{% if n > 3 %}{% break %}{% endif %}{{ n }}{% endfor %}"
        " {{ {'é': '<b>'} | tojson }} {{ strftime_now('%Y') | length }}"
        " {% generation %}{{ messages[0]['content'] }}{% endgeneration %}"
    )
    assert render_text(SMOL, HELLO, template=template) == '013 {"é": "<b>"} 4 Hello'


def test_a_template_that_refuses_is_quoted() -> None:
    with pytest.raises(TemplateError, match="roles must alternate"):
        render(ours("brackets"), [*HELLO, *HELLO])


def test_no_template_says_what_to_do() -> None:
    bare = Tokenizer(ours("chatml")._definition)
    with pytest.raises(TemplateError, match="no chat template") as caught:
        render(bare, HELLO)
    assert caught.value.hint


@pytest.mark.parametrize(
    "template",
    [
        "{% if %}",
        "{{ messages[7].content.x.y }}",
        "{{ 1 / 0 }}",
        "{% for m in messages %}",
        "{{ undefined_function() }}",
        "{{ messages | nofilter }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update({'a': 1}) }}",
        "{{ " + "(" * 3000 + ")" * 3000 + " }}",
    ],
)
def test_a_broken_template_is_one_sentence(template: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(SMOL, HELLO, template=template)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


GREEDY = [
    "{{ 'a' * 10**9 }}",
    "{{ 10**9 * 'a' }}",
    "{{ [1] * 10**9 }}",
    "{{ 9 ** (9 ** 9) }}",
    "{% set x = 'aaaaaaaa' %}{% for i in range(40) %}{% set x = x ~ x %}{{ x | length }}{% endfor %}"
    "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "{{ 'a'.ljust(10**10) }}",
    "{{ 'a' | center(10**10) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%1000000000d' | format(1) }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ '%*d' % (10**9, 1) }}",
    "{{ ('a' * 10**6).replace('a', 'a' * 10**6) }}",
    "{{ ('a' * 10**6) | replace('a', 'a' * 10**6) }}",
    "{{ ('a' * 10**6).join(['b'] * 10**6) }}",
    "{{ (['b'] * 10**6) | join('a' * 10**6) }}",
    "{{ 'a' | indent(10**9) }}",
    "{% for i in range(99999) %}{% for j in range(99999) %}{{ 'aaaaaaaaaaaaaaaa' }}{% endfor %}{% endfor %}",
]


@pytest.mark.parametrize("template", GREEDY)
def test_a_template_cannot_fill_the_memory(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "SIZE", 1 << 20)
    with pytest.raises(TemplateError):
        render(SMOL, HELLO, template=template)


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% macro f(n) %}{% for i in range(9999) %}{{ f(n) if n < 9 }}{% endfor %}{% endmacro %}{{ f(0) }}",
    ],
)
def test_a_template_cannot_run_for_ever(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "SECONDS", 0.2)
    with pytest.raises(TemplateError, match=r"seconds|memory"):
        render(SMOL, HELLO, template=template)

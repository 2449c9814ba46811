"""Skill chats: right, different, the same for a seed, and apart from the evaluation suite."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deepseek_tui.evaluation.suite import load_chats
from deepseek_tui.training.documents import read_documents
from deepseek_tui.training.skills import KINDS, Messages, chats, normal
from deepseek_tui.training.skills.firsts import first_messages
from deepseek_tui.training.skills.style import lower_first


@pytest.fixture(scope="module")
def many() -> list[Messages]:
    return chats(8000, 1)


def said(messages: Messages, role: str) -> list[str]:
    return [message["content"] for message in messages if message["role"] == role]


def test_no_suite_prompt_is_taught(many: list[Messages]) -> None:
    suite = {normal(user) for chat in load_chats() for user, _ in chat.turns}
    taught = {normal(text) for messages in many for text in said(messages, "user")}
    taught |= {normal(text) for text in first_messages(3000, random.Random(0))}
    assert not suite & taught


def test_chats_differ_and_repeat_for_a_seed(many: list[Messages]) -> None:
    assert len({json.dumps(messages) for messages in many}) == len(many)
    assert chats(50, 1) == many[:50]
    assert chats(50, 2) != many[:50]


def test_chats_are_whole(many: list[Messages]) -> None:
    for messages in many:
        turns = [message for message in messages if message["role"] != "system"]
        assert [turn["role"] for turn in turns] == ["user", "assistant"] * (len(turns) // 2)
        assert 1 <= len(turns) // 2 <= 4
        for turn in turns:
            text = turn["content"]
            assert text == text.strip()
            assert text
            assert not re.search(r"[{}]|  |None|\ba [aeio][a-z]+ [a-z]+ called", text) or "```" in text, text


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_makes_chats(kind: str) -> None:
    for messages in chats(40, 3, kind):
        assert said(messages, "user")


def test_sums_are_right() -> None:
    found = 0
    for messages in chats(400, 5, "arithmetic"):
        for answer in said(messages, "assistant"):
            match = re.match(r"(\d+) ([-+×÷]) (\d+) = (\d+)", answer)
            if match:
                x, sign, y, result = int(match[1]), match[2], int(match[3]), int(match[4])
                assert {"+": x + y, "-": x - y, "×": x * y, "÷": x / y}[sign] == result
                found += 1
    assert found > 50


def test_names_keep_their_capitals() -> None:
    rng = random.Random(0)
    for text in first_messages(4000, rng):
        assert "isaac newton" not in text.lower() or "Isaac Newton" in text
    assert lower_first("What is this?") == "what is this?"
    assert lower_first("Romeo and Juliet: who wrote that?") == "Romeo and Juliet: who wrote that?"


def test_what_was_told_is_what_is_remembered() -> None:
    for messages in chats(300, 7, "remember"):
        users, answers = said(messages, "user"), said(messages, "assistant")
        for question, answer in zip(users[1:], answers[1:], strict=True):
            match = re.fullmatch(r"(?:Your name is|You are) (\w+)\.", answer)
            if match and "name" in question:
                assert match[1] in " ".join(users[:-1])


def test_the_command_writes_lines_that_training_reads(tmp_path: Path) -> None:
    out = tmp_path / "chats.jsonl"
    command = [sys.executable, "-m", "deepseek_tui.training.skills", "30", "4", "--out", str(out)]
    subprocess.run(command, check=True)
    assert len(list(read_documents([out]))) == 30

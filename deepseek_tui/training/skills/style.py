"""How people type, and small tools for writing sentences."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

Exchange = tuple[str, str]
"""What the user writes, what the assistant answers."""

_OPENINGS = ("Hi, ", "Hello! ", "Hey, ", "Good morning! ", "Hey! ")
_BEFORE_QUESTIONS = ("Quick question: ", "I have a question: ")
_CLOSINGS = (" Thanks!", " Thank you.", " Thanks in advance.")

NUMBER_WORDS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
]


def asked(rng: random.Random, question: str) -> str:
    """`question` as somebody may type it: sometimes with a greeting, without capitals, without its mark."""
    roll = rng.random()
    if roll < 0.72 or question.startswith("I "):
        return question
    if roll < 0.80:
        return lower_first(question)
    if roll < 0.86:
        return lower_first(question).rstrip("?. ")
    if roll < 0.93:
        opening = rng.choice(_OPENINGS + (_BEFORE_QUESTIONS if question.endswith("?") else ()))
        return opening + (lower_first(question) if opening.endswith(", ") else question)
    return question + rng.choice(_CLOSINGS)


def pick(rng: random.Random, *choices: str) -> str:
    """One of several ways to say it."""
    return rng.choice(choices)


def cap(text: str) -> str:
    """With a capital at the start."""
    return text[:1].upper() + text[1:]


def lower_first(text: str) -> str:
    """Without it, unless the first word is a name, an abbreviation or "I"."""
    first = text.split(" ", 1)[0].strip("?,.!'")
    if first in _ORDINARY:
        return text[:1].lower() + text[1:]
    return text


_ORDINARY = frozenset(
    [
        "What",
        "What's",
        "Who",
        "Who's",
        "Where",
        "When",
        "Which",
        "Why",
        "How",
        "Is",
        "Are",
        "Do",
        "Does",
        "Did",
        "Can",
        "Could",
        "Would",
        "Will",
        "Was",
        "Were",
        "Name",
        "Give",
        "Tell",
        "List",
        "Write",
        "Make",
        "Say",
        "Repeat",
        "Explain",
        "Describe",
        "Spell",
        "Count",
        "Sort",
        "Put",
        "Complete",
        "Continue",
        "Add",
        "Subtract",
        "Multiply",
        "Divide",
        "Calculate",
        "Compute",
        "Convert",
        "Translate",
        "Please",
        "Rewrite",
        "Change",
        "Correct",
        "Find",
        "Read",
        "Answer",
        "Choose",
        "Pick",
        "Sum",
        "Suggest",
        "Help",
        "Show",
        "Define",
        "Order",
        "Reverse",
        "Turn",
        "In",
        "On",
        "For",
        "My",
        "The",
        "A",
        "An",
        "Should",
        "Has",
        "Have",
        "Let's",
        "Shorten",
        "Fill",
        "Compare",
        "True",
        "Summarize",
        "From",
        "Here",
        "Look",
        "According",
        "Use",
        "If",
        "There",
    ]
)


def a(noun: str) -> str:
    """With its indefinite article."""
    if noun.startswith(("a ", "an ", "the ")):
        return noun
    vowel = noun[:1].lower() in "aeiou" and not noun.lower().startswith(("uni", "eu", "use", "one"))
    return f"{'an' if vowel or noun.startswith('hour') else 'a'} {noun}"


def joined(items: Sequence[str], word: str = "and") -> str:
    """ "a, b and c"."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {word} {items[-1]}"


def sample(rng: random.Random, items: Sequence[T], count: int) -> list[T]:
    """`count` different items in a random order."""
    return rng.sample(list(items), count)


def bullets(rng: random.Random, items: Sequence[str]) -> str:
    """A list as the assistant writes it: numbered or with dashes."""
    if rng.random() < 0.6:
        return "\n".join(f"{n}. {item}" for n, item in enumerate(items, 1))
    return "\n".join(f"- {item}" for item in items)

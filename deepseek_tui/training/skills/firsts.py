"""First messages that people type to a small chat model, without answers: for a teacher to answer."""

# Questions and answers are read one a line.
# ruff: noqa: E501

from __future__ import annotations

import random
from collections.abc import Callable

from deepseek_tui.training.skills import tables_nature as nature
from deepseek_tui.training.skills import tables_talk as talk
from deepseek_tui.training.skills import tables_words as lexicon
from deepseek_tui.training.skills import tables_world as world
from deepseek_tui.training.skills.style import a, asked

Make = Callable[[random.Random], str]

_STYLE = (
    "", "", "", "", " in one sentence", " in simple words", " briefly", " to a child", " in two or three sentences", " with an example",
    " in a short paragraph", " step by step", " in plain English", " in under 50 words", " to a beginner",
)  # fmt: skip
_GREETINGS = (
    "Hi", "Hello", "Hey", "Good morning", "Good evening", "Hi there", "hello!", "How are you?", "How is it going?", "What's up?",
    "Hi, how are you today?", "Good afternoon!", "Nice to meet you", "Hello, can you help me?", "Can we talk?", "Tell me something nice.",
    "Tell me a joke.", "Tell me a fun fact.", "I'm bored.", "What shall we talk about?", "Can I ask you something?", "Are you there?",
    "Surprise me.", "Give me some advice for today.", "Tell me a riddle.", "Cheer me up.", "Motivate me.", "Good night!", "Thank you!",
)  # fmt: skip


def _explain(r: random.Random) -> str:
    topic = r.choice(talk.TOPICS)
    return r.choice(
        [
            f"Explain {topic}{r.choice(_STYLE)}.",
            f"Tell me about {topic}{r.choice(_STYLE)}.",
            f"What should I know about {topic}?",
            f"Can you explain {topic}{r.choice(_STYLE)}?",
            f"Give me {r.choice(['three', 'five', 'a few', 'some'])} facts about {topic}.",
            f"Write a short text about {topic}.",
            f"Why is it good to know something about {topic}?",
            f"I have to give a talk on {topic}. Where do I begin?",
            f"Ask me a question about {topic}.",
            f"What is interesting about {topic}?",
            f"Summarize the most important things about {topic}.",
        ]
    )


def _how_to(r: random.Random) -> str:
    task = r.choice(talk.HOW_TO)
    return r.choice(
        [
            f"How do I {task}?",
            f"How can I {task}?",
            f"What is the best way to {task}?",
            f"Give me {r.choice(['three', 'five', 'some'])} tips to {task}.",
            f"Explain how to {task}{r.choice(_STYLE)}.",
            f"I want to {task}. What do I need?",
            f"I have never tried to {task}. Can you help?",
            f"What are common mistakes when you {task}?",
        ]
    )


def _ideas(r: random.Random) -> str:
    occasion, dish = r.choice(talk.OCCASIONS), r.choice(talk.DISHES)
    return r.choice(
        [
            f"Give me {r.choice(['three', 'five', 'some', 'a few'])} ideas for {occasion}.",
            f"I need an idea for {occasion}.",
            f"What can I do for {occasion}?",
            f"How do I make {dish}?",
            f"What goes well with {dish}?",
            f"Give me a simple recipe for {dish}.",
            f"What do I need for {dish}?",
            f"What is a good present for my {r.choice(talk.RELATIVES)}?",
            f"What shall I cook tonight with {r.choice(talk.CATEGORIES['vegetables'])} and rice?",
        ]
    )


def _write(r: random.Random) -> str:
    who, topic, relative = r.choice(talk.CHARACTERS), r.choice(talk.TOPICS), r.choice(talk.RELATIVES)
    return r.choice(
        [
            f"Write a {r.choice(['short story', 'very short story', 'bedtime story', 'funny story'])} about {who}.",
            f"Write a {r.choice(['poem', 'short poem', 'four-line poem', 'funny poem', 'haiku'])} about {topic}.",
            f"Write a short email to my {relative} to say thank you.",
            f"Write an email to my {relative} because I am late.",
            f"Help me write a message to my {relative}: I am sorry that I forgot the birthday.",
            f"Write a birthday wish for my {relative}.",
            f"Continue the story: One morning, {who} woke up and",
            f"Make up a name for {who}.",
            f"Write a slogan about {topic}.",
            f"Write a title for a text about {topic}.",
            f"Write {r.choice(['two', 'three', 'four'])} sentences about {topic}.",
            f"Write a dialogue between {r.choice(talk.NAMES)} and {r.choice(talk.NAMES)} about {topic}.",
            f"Describe a day in the life of {a(r.choice(talk.CATEGORIES['jobs']))}.",
        ]
    )


def _facts(r: random.Random) -> str:
    country = r.choice(world.COUNTRIES)[0]
    animal, person = r.choice(nature.ANIMALS)[0], r.choice(world.PEOPLE)[0]
    thing = r.choice(nature.TOOLS)[0]
    return r.choice(
        [
            f"What is {country} known for?",
            f"What do people eat in {country}?",
            f"What is a nice place to visit in {country}?",
            f"Tell me something about {country}.",
            f"What does {a(animal)} eat?",
            f"How long does {a(animal)} live?",
            f"Tell me a fact about the {animal}.",
            f"Is {a(animal)} a good pet?",
            f"Who was {person}?",
            f"Tell me about {person}.",
            f"What did {person} do?",
            f"What can you do with {thing}?",
            f"What does {a(r.choice(talk.CATEGORIES['jobs']))} do all day?",
            f"What is the difference between {a(animal)} and {a(r.choice(nature.CLASSES)[0])}?",
            f"What is {r.choice(lexicon.MEANINGS)[0]}?",
            f'Use the word "{r.choice(lexicon.SPELLED)}" in a sentence.',
            f'What is another word for "{r.choice(lexicon.SYNONYMS)[0]}"?',
        ]
    )


def _lists(r: random.Random) -> str:
    name = r.choice(list(talk.CATEGORIES))
    count = r.choice(["two", "three", "four", "five", "3", "5", "some", "a few"])
    return r.choice(
        [
            f"Name {count} {name}.",
            f"List {count} {name} and say something about each.",
            f"Which {name} do you like best, and why?",
            f"Tell me {count} {name}.",
            f"Write a sentence about {count} {name}.",
        ]
    )


def _feelings(r: random.Random) -> str:
    return r.choice(
        [
            r.choice(talk.FEELINGS),
            f"My {r.choice(talk.RELATIVES)} is angry with me. What should I do?",
            f"I am afraid of {r.choice(['flying', 'spiders', 'the dark', 'exams', 'speaking in front of people'])}.",
            f"How can I be a better {r.choice(['friend', 'student', 'neighbour', 'listener', 'cook'])}?",
            f"Should I learn {r.choice(talk.CATEGORIES['languages'])}?",
            f"Is it better to {r.choice(['read a book or watch a film', 'get up early or stay up late', 'live in a city or a village'])}?",
            "What makes a good day?",
            "Can you give me some advice?",
        ]
    )


def _code(r: random.Random) -> str:
    task = r.choice(talk.CODE_TASKS)
    return r.choice(
        [
            f"Write a Python function to {task}.",
            f"How do I {task} in Python?",
            f"Show me code to {task}.",
            f"What is {r.choice(['a variable', 'a loop', 'a function', 'a list', 'a bug', 'a string', 'recursion'])} in programming?",
            "What does print do in Python?",
        ]
    )


def _greet(r: random.Random) -> str:
    return r.choice(_GREETINGS)


_KINDS: list[tuple[float, Make]] = [
    (5, _explain), (4, _how_to), (3, _ideas), (4, _write), (4, _facts), (2, _lists), (2, _feelings), (1, _code), (1, _greet),
]  # fmt: skip


def first_message(rng: random.Random) -> str:
    """One first message."""
    weights, makes = zip(*_KINDS, strict=True)
    text = rng.choices(makes, weights)[0](rng)
    return text if text in _GREETINGS else asked(rng, text)


def first_messages(count: int, rng: random.Random) -> list[str]:
    """`count` of them, different as long as that lasts."""
    seen: dict[str, None] = {}
    for _ in range(20 * count):
        seen.setdefault(first_message(rng))
        if len(seen) == count:
            return list(seen)
    found = list(seen)
    return [found[index % len(found)] for index in range(count)]

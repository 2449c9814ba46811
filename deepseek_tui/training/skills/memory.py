"""Remembering over turns: something said early is asked for later, with other talk between."""

# Questions and answers are read one a line.
# ruff: noqa: E501

from __future__ import annotations

import random
from collections.abc import Callable

from deepseek_tui.training.skills.facts import capital, truth
from deepseek_tui.training.skills.language import list_of, opposite, spell
from deepseek_tui.training.skills.numbers import arithmetic
from deepseek_tui.training.skills.style import NUMBER_WORDS, Exchange, a, cap, joined, pick, sample
from deepseek_tui.training.skills.tables_talk import CATEGORIES, NAMES, RELATIVES, relative_name
from deepseek_tui.training.skills.tables_words import SPELLED

_PETS = ("dog", "cat", "rabbit", "hamster", "parrot", "horse", "turtle", "goldfish")
_PET_NAMES = (
    "Bello",
    "Mimi",
    "Coco",
    "Rex",
    "Luna",
    "Kiwi",
    "Daisy",
    "Rocky",
    "Simba",
    "Nala",
    "Toby",
    "Fluffy",
    "Biscuit",
    "Shadow",
)
_CITIES = (
    "London",
    "Paris",
    "Rome",
    "Berlin",
    "Madrid",
    "Vienna",
    "Prague",
    "Dublin",
    "Oslo",
    "Athens",
    "Warsaw",
    "Toronto",
    "Boston",
    "Chicago",
    "Sydney",
    "Tokyo",
    "Cairo",
)
_BUY = (
    "milk",
    "butter",
    "rice",
    "apples",
    "onions",
    "soap",
    "tea",
    "flour",
    "sugar",
    "potatoes",
    "honey",
    "bananas",
    "salt",
    "pasta",
    "coffee",
    "paper",
)

Fact = tuple[str, str, list[tuple[str, str]]]
"""What the user says, a short reply, and questions with answers for later."""


def _name(r: random.Random) -> Fact:
    name = r.choice(NAMES)
    said = pick(
        r,
        f"My name is {name}.",
        f"I'm {name}.",
        f"Hello, I am {name}.",
        f"Call me {name}.",
        f"Hi! My name is {name}. Please remember it.",
    )
    return said, pick(r, f"Nice to meet you, {name}!", f"Hello {name}! How can I help you?", f"Hi {name}, nice to meet you."), [
        (pick(r, "What is my name?", "What's my name?", "Do you remember my name?", "Who am I?", "How am I called?", "Say my name."), pick(r, f"Your name is {name}.", f"You are {name}."))]  # fmt: skip


def _likes(r: random.Random) -> Fact:
    what, kind = r.choice([(r.choice(CATEGORIES["colours"]), "colour"), (r.choice(CATEGORIES["fruits"]), "fruit"), (r.choice(CATEGORIES["animals"]), "animal"),
                           (r.choice(CATEGORIES["sports"]), "sport"), (r.choice(CATEGORIES["drinks"]), "drink"), (r.choice(CATEGORIES["school subjects"]), "school subject"),
                           (r.choice(CATEGORIES["seasons"]), "season"), (r.choice(CATEGORIES["flowers"]), "flower")])  # fmt: skip
    many = f"the {what}" if kind in ("animal", "flower", "fruit") else what
    said = pick(
        r,
        f"My favourite {kind} is {many}.",
        f"The {kind} I like best is {many}.",
        f"Of all {kind}s I like {many} best.",
    )
    return said, pick(r, f"{cap(many)} is a good choice!", "That is a nice choice.", f"Good to know that you like {many}."), [
        (pick(r, f"What is my favourite {kind}?", f"Which {kind} do I like best?", f"Do you remember my favourite {kind}?"), f"Your favourite {kind} is {many}.")]  # fmt: skip


def _pet(r: random.Random) -> Fact:
    animal, name = r.choice(_PETS), r.choice(_PET_NAMES)
    said = pick(
        r,
        f"I have {a(animal)} called {name}.",
        f"My {animal} is called {name}.",
        f"I have a pet, {a(animal)}. The name is {name}.",
    )
    return said, pick(r, f"{name} is a nice name for {a(animal)}!", f"How nice! How old is {name}?"), [
        (pick(r, f"What is the name of my {animal}?", f"How is my {animal} called?"), f"Your {animal} is called {name}."),
        (pick(r, f"Who is {name}?", f"What kind of animal is {name}?"), f"{name} is your {animal}.")]  # fmt: skip


def _home(r: random.Random) -> Fact:
    city = r.choice(_CITIES)
    said = pick(r, f"I live in {city}.", f"My home is in {city}.", f"I moved to {city} last year.")
    return said, pick(r, f"{city} is an interesting city. Do you like it there?", "How nice! Do you like living there?"), [
        (pick(r, "Where do I live?", "In which city do I live?", "Do you remember where I live?"), f"You live in {city}.")]  # fmt: skip


def _job(r: random.Random) -> Fact:
    job = r.choice(CATEGORIES["jobs"])
    return pick(r, f"I work as {a(job)}.", f"I am {a(job)}.", f"My job: I'm {a(job)}."), pick(r, "That sounds like interesting work.", f"How long have you been {a(job)}?"), [
        (pick(r, "What is my job?", "What do I work as?", "Do you remember what I do for a living?"), f"You are {a(job)}.")]  # fmt: skip


def _code(r: random.Random) -> Fact:
    if r.random() < 0.5:
        secret: str = r.choice(SPELLED)
        return pick(r, f"Remember this word: {secret}.", f"The secret word is {secret}.", f"Keep the word {secret} in mind."), pick(r, f"OK, I will remember {secret}.", "I will keep it in mind."), [
            (pick(r, "What was the word?", "Which word should you remember?", "Tell me the word again.", "What is the secret word?"), pick(r, f"The word was {secret}.", f"{cap(secret)}."))]  # fmt: skip
    number = r.randint(2, 99)
    return pick(r, f"Remember the number {number}.", f"My lucky number is {number}.", f"Please keep the number {number} in mind."), pick(r, f"OK, {number}.", f"I will remember {number}."), [
        (pick(r, "What was the number?", "Which number did I say?", "Tell me the number again.", "What is my number?"), pick(r, f"The number was {number}.", f"{number}."))]  # fmt: skip


def _shopping(r: random.Random) -> Fact:
    items = sample(r, _BUY, 3)
    return pick(r, f"I need to buy {joined(items)}.", f"My shopping list: {', '.join(items)}.", f"Please note: I have to buy {joined(items)}."), pick(r, f"Noted: {joined(items)}.", "I have noted it."), [
        (pick(r, "What do I need to buy?", "What is on my shopping list?", "Tell me my list again."), f"You need to buy {joined(items)}."),
        ("How many things are on my list?", "There are three things on your list.")]  # fmt: skip


def _family(r: random.Random) -> Fact:
    relative = r.choice(RELATIVES)
    name = r.choice(relative_name(relative))
    low, high = {
        "grandmother": (60, 90),
        "grandfather": (60, 90),
        "mother": (30, 60),
        "father": (30, 60),
    }.get(relative, (18, 60))
    age = r.randint(low, high)
    return f"My {relative} is called {name} and is {age} years old.", pick(r, f"{name} is a nice name!", f"Do you see {name} often?"), [
        (f"What is the name of my {relative}?", f"Your {relative} is called {name}."), (pick(r, f"How old is {name}?", f"How old is my {relative}?"), f"{name} is {age} years old.")]  # fmt: skip


def _plan(r: random.Random) -> Fact:
    day, what, when = (
        r.choice(CATEGORIES["days of the week"]),
        r.choice(
            (
                "go to the dentist",
                "visit my aunt",
                "play tennis",
                "meet a friend",
                "write a test",
                "travel to the sea",
                "bake a cake",
            )
        ),
        r.choice(NUMBER_WORDS[1:12]),
    )
    shown = what.replace("my ", "your ")
    return f"On {day} at {when} I am going to {what}.", pick(r, "That sounds good. Is there anything to prepare?", "I see. I hope it goes well!"), [
        (pick(r, "When am I doing that?", "On which day is that?", f"When do I {what}?"), f"You {shown} on {day} at {when}."), (f"What do I do on {day}?", f"On {day} you {shown}.")]  # fmt: skip


_FACTS: tuple[Callable[[random.Random], Fact], ...] = (
    _name,
    _name,
    _likes,
    _likes,
    _pet,
    _home,
    _job,
    _code,
    _shopping,
    _family,
    _plan,
)
_BETWEEN: tuple[Callable[[random.Random], list[Exchange]], ...] = (
    capital,
    arithmetic,
    list_of,
    opposite,
    spell,
    truth,
)


def remember(r: random.Random) -> list[Exchange]:
    one = r.choice(_FACTS)(r)
    found = [one[:2]]
    two = r.choice(_FACTS)(r) if r.random() < 0.3 else None
    if two and two[0].split()[1] != one[0].split()[1]:
        found.append(two[:2])
    elif r.random() < 0.45:
        found.append(r.choice(_BETWEEN)(r)[0])
    found.append(r.choice(one[2]))
    if two and found[1] == two[:2]:
        found.append(r.choice(two[2]))
    return found


def at_once(r: random.Random) -> list[Exchange]:
    """Told and asked in one message."""
    said, _, questions = r.choice(_FACTS)(r)
    question, answer = r.choice(questions)
    return [(f"{said} {question}", answer)]


def earlier(r: random.Random) -> list[Exchange]:
    """About the conversation itself."""
    first = r.choice(_BETWEEN)(r)[0]
    topic = first[0].rstrip(".")
    return [first, (pick(r, "What did I ask you first?", "What was my question?", "What did I just ask?"), f'You asked: "{topic}"' if topic.endswith("?") else f'You wrote: "{topic}"')]  # fmt: skip


def last_of(r: random.Random) -> list[Exchange]:
    """Picking from a list that was just given."""
    name = r.choice(["fruits", "animals", "colours", "vegetables", "sports", "birds", "trees", "jobs"])
    items = sample(r, CATEGORIES[name], 3)
    which, word = r.choice(((0, "first"), (1, "second"), (2, "third"), (2, "last")))
    return [(pick(r, f"Name three {name}.", f"List three {name}."), "\n".join(f"{n}. {cap(item)}" for n, item in enumerate(items, 1))),
            (pick(r, f"What was the {word} one?", f"Which one was {word}?", f"Repeat the {word} one."), f"The {word} one was {items[which]}.")]  # fmt: skip


KINDS = {
    "remember": (10, remember),
    "at_once": (1, at_once),
    "earlier": (1, earlier),
    "last_of": (2, last_of),
}

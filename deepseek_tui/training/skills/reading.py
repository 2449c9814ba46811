"""Short texts with questions about them; the texts are made from parts, so the answers are known."""

# Questions and answers are read one a line.
# ruff: noqa: E501

from __future__ import annotations

import random

from deepseek_tui.training.skills.style import NUMBER_WORDS, Exchange, a, pick, sample
from deepseek_tui.training.skills.tables_talk import CATEGORIES, NAMES

_PLACES = (
    "the park",
    "the market",
    "the beach",
    "the library",
    "the station",
    "the zoo",
    "the museum",
    "the lake",
    "the bakery",
    "the cinema",
    "the garden",
    "the harbour",
)
_GOODS = (
    "apples",
    "oranges",
    "tomatoes",
    "eggs",
    "candles",
    "pencils",
    "books",
    "cups",
    "roses",
    "postcards",
    "lemons",
    "socks",
)
_DAYS = CATEGORIES["days of the week"]
_PETS = ("dog", "cat", "rabbit", "hamster", "parrot", "horse", "goat", "turtle")
_PET_NAMES = (
    "Bello",
    "Mimi",
    "Coco",
    "Rex",
    "Luna",
    "Max",
    "Kiwi",
    "Oscar",
    "Daisy",
    "Rocky",
    "Simba",
    "Nala",
    "Toby",
    "Fluffy",
)
_PET_NAMES = (
    "Bello",
    "Mimi",
    "Coco",
    "Rex",
    "Luna",
    "Max",
    "Kiwi",
    "Oscar",
    "Daisy",
    "Rocky",
    "Simba",
    "Nala",
    "Toby",
    "Fluffy",
)
_JOBS = CATEGORIES["jobs"]
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
)
_COLOURS = ("white", "black", "brown", "grey", "golden", "spotted")
_PETS = ("dog", "cat", "rabbit", "hamster", "parrot", "horse", "goat", "turtle")
_PET_NAMES = (
    "Bello",
    "Mimi",
    "Coco",
    "Rex",
    "Luna",
    "Max",
    "Kiwi",
    "Oscar",
    "Daisy",
    "Rocky",
    "Simba",
    "Nala",
    "Toby",
    "Fluffy",
)


def shopping(r: random.Random) -> list[Exchange]:
    name, friend = sample(r, NAMES, 2)
    place, day = r.choice(_PLACES), r.choice(_DAYS)
    good, other = sample(r, _GOODS, 2)
    x, y = sample(r, range(2, 12), 2)
    text = pick(r, f"On {day} {name} went to {place} with {friend}. There {name} bought {NUMBER_WORDS[x]} {good} and {NUMBER_WORDS[y]} {other}.",
                f"{name} and {friend} met at {place} on {day}. {name} brought {NUMBER_WORDS[x]} {good}, and {friend} brought {NUMBER_WORDS[y]} {other}.")  # fmt: skip
    both = "bought" in text
    questions = [
        (f"How many {good} did {name} {'buy' if both else 'bring'}?", f"{name} {'bought' if both else 'brought'} {NUMBER_WORDS[x]} {good}."),
        (f"Where did {name} {'go' if both else 'meet ' + friend}?", f"{name} went to {place}." if both else f"They met at {place}."),
        ("On which day was that?", f"It was on {day}."),
        (f"Who was with {name}?", f"{friend} was with {name}."),
        (f"Who had {other}?", f"{name if both else friend} had {NUMBER_WORDS[y]} {other}."),
    ]  # fmt: skip
    return _about(r, text, questions)


def pet(r: random.Random) -> list[Exchange]:
    name, animal, called = r.choice(NAMES), r.choice(_PETS), r.choice(_PET_NAMES)
    colour, age, place = r.choice(_COLOURS), r.randint(2, 12), r.choice(_PLACES)
    text = pick(r, f"{name} has {a(colour)} {animal} called {called}. {called} is {NUMBER_WORDS[age]} years old and likes {place}.",
                f"{called} is {a(colour)} {animal}. It belongs to {name}, is {NUMBER_WORDS[age]} years old and loves {place}.")  # fmt: skip
    return _about(r, text, [
        ("What is the name of the animal?", f"It is called {called}."), (f"What colour is {called}?", f"{called} is {colour}."),
        (f"How old is {called}?", f"{called} is {NUMBER_WORDS[age]} years old."), (f"Who does {called} belong to?", f"{called} belongs to {name}."),
        (f"What kind of animal is {called}?", f"{called} is {a(animal)}."), (f"What place does {called} like?", f"{called} likes {place}."),
    ])  # fmt: skip


def person(r: random.Random) -> list[Exchange]:
    name, job, city = r.choice(NAMES), r.choice(_JOBS), r.choice(_CITIES)
    hobby, start = r.choice(CATEGORIES["hobbies"]), r.choice(("six", "seven", "eight", "nine", "ten"))
    text = pick(r, f"{name} is {a(job)} and lives in {city}. Work begins at {start} in the morning. In the evening {name} likes {hobby}.",
                f"My name is {name}. I come from {city} and work as {a(job)}. I start at {start} every day, and my hobby is {hobby}.")  # fmt: skip
    return _about(r, text, [
        (f"What is {name}'s job?", f"{name} is {a(job)}."), (f"Where does {name} live?", f"{name} lives in {city}.") if "lives" in text else (f"Where does {name} come from?", f"{name} comes from {city}."),
        (f"What is {name}'s hobby?", f"{name}'s hobby is {hobby}."), (f"When does {name} start work?", f"{name} starts at {start}."),
    ])  # fmt: skip


def notice(r: random.Random) -> list[Exchange]:
    place = r.choice(("library", "museum", "shop", "swimming pool", "zoo", "post office", "cafe", "pharmacy"))
    opens, closes = r.choice(("eight", "nine", "ten", "eleven")), r.choice(("four", "five", "six", "seven"))
    day, price = r.choice(_DAYS), r.randint(2, 20)
    text = pick(r, f"The {place} opens at {opens} and closes at {closes}. It is closed on {day}. A ticket costs {price} euros.",
                f"Notice: the {place} is open from {opens} to {closes}, but not on {day}. Tickets are {price} euros.")  # fmt: skip
    return _about(r, text, [
        (f"When does the {place} open?", f"It opens at {opens}."), (f"When does the {place} close?", f"It closes at {closes}."),
        ("On which day is it closed?", f"It is closed on {day}."), ("How much is a ticket?", f"A ticket costs {price} euros."),
        (f"Can I go there on {day}?", f"No, it is closed on {day}."),
    ])  # fmt: skip


def _about(r: random.Random, text: str, questions: list[tuple[str, str]]) -> list[Exchange]:
    """One to three questions about a text."""
    chosen = sample(r, questions, r.choice([1, 1, 1, 2, 3]))
    first, answer = chosen[0]
    roll = r.randrange(5)
    given = (
        f"{text} {first}",
        f"Text: {text}\nQuestion: {first}",
        f"Read this text and answer: {text} {first}",
        f"{first} {text}",
        f"{text}\n\n{first}",
    )[roll]
    found = [(given, answer)]
    if r.random() < 0.12:
        return [(f"{text} Did anyone buy a car?", "The text does not say anything about a car.")]
    return found + chosen[1:]


def comparing(r: random.Random) -> list[Exchange]:
    one, two, three = sample(r, NAMES, 3)
    more, _, most, least = r.choice(
        (
            ("older", "younger", "oldest", "youngest"),
            ("taller", "shorter", "tallest", "shortest"),
            ("faster", "slower", "fastest", "slowest"),
        )
    )
    text = f"{one} is {more} than {two}. {two} is {more} than {three}."
    top = r.random() < 0.5
    return [
        (
            f"{text} Who is the {most if top else least}?",
            f"{one if top else three} is the {most if top else least}.",
        )
    ]


KINDS = {
    "shopping": (3, shopping),
    "pet": (3, pet),
    "person_text": (3, person),
    "notice": (2, notice),
    "comparing": (1, comparing),
}

"""Talks that stay on one subject over several turns, with "it", "they" and "there" for what was named before."""

# Questions and answers are read one a line.
# ruff: noqa: E501

from __future__ import annotations

import random

from deepseek_tui.training.skills import tables_nature as nature
from deepseek_tui.training.skills import tables_world as world
from deepseek_tui.training.skills.style import NUMBER_WORDS, Exchange, a, cap, pick, sample
from deepseek_tui.training.skills.talk import thanks
from deepseek_tui.training.skills.writing import RECIPES, SENTENCES

_MANY = {
    "mouse": "mice",
    "sheep": "sheep",
    "wolf": "wolves",
    "fox": "foxes",
    "goose": "geese",
    "donkey": "donkeys",
    "turkey": "turkeys",
}
_EATS = {
    "dog": "meat and special dog food", "cat": "meat, fish and cat food", "cow": "grass and hay", "horse": "grass, hay and oats", "sheep": "grass and hay", "goat": "grass, leaves and hay",
    "pig": "almost everything, above all grain and vegetables", "lion": "meat", "tiger": "meat", "wolf": "meat", "fox": "mice, birds, insects and fruit", "bear": "fish, berries, roots and honey",
    "elephant": "grass, leaves and bark", "rabbit": "grass, hay and vegetables", "mouse": "seeds, grain and fruit", "seal": "fish", "dolphin": "fish and squid", "owl": "mice and other small animals",
    "duck": "water plants, seeds and small animals", "bee": "nectar and pollen", "eagle": "fish and small animals", "hen": "grain, seeds and worms", "frog": "insects and worms", "donkey": "grass, hay and straw",
}  # fmt: skip


def _ending(r: random.Random, found: list[Exchange]) -> list[Exchange]:
    if len(found) < 4 and r.random() < 0.3:
        found.append(thanks(r)[0])
    return found[:4]


def animal(r: random.Random) -> list[Exchange]:
    name, young, sound, kind, legs = r.choice([row for row in nature.ANIMALS if row[0] in _EATS])
    many = _MANY.get(name, f"{name}s")
    opening = pick(
        r,
        f"Let's talk about {many}.",
        f"Tell me something about {many}.",
        f"I like {many}.",
        f"What is {a(name)}?",
        f"Do you know anything about {many}?",
    )
    first = (
        f"{cap(a(name))} is {a(kind)}."
        if "What is" in opening
        else pick(
            r,
            f"Gladly! {cap(many)} are {kind}s. What would you like to know?",
            f"{cap(many)} are {kind}s. What do you want to know about them?",
        )
        if kind != "fish"
        else f"{cap(many)} are fish."
    )
    more = [
        (pick(r, "What do they eat?", "And what do they eat?", "What is their food?"), pick(r, f"{cap(many)} eat {_EATS[name]}.", f"They eat {_EATS[name]}.")),
        (pick(r, "What are their young called?", "What do you call a young one?", "And the babies?"), pick(r, f"A young {name} is called {a(young)}.", f"It is called {a(young)}.")),
        (pick(r, "What sound do they make?", "Which noise does it make?"), f"{cap(a(name))} {sound}."),
    ]  # fmt: skip
    if legs != "0":
        more.append(
            (
                pick(r, "How many legs do they have?", "And how many legs?"),
                f"They have {NUMBER_WORDS[int(legs)]} legs.",
            )
        )
    return _ending(r, [(opening, first), *sample(r, more, r.choice([1, 2, 3]))])


def country(r: random.Random) -> list[Exchange]:
    name, city, continent, language, money = r.choice(world.COUNTRIES)
    opening = pick(
        r,
        f"Let's talk about {name}.",
        f"I am going to {name} next month.",
        f"Tell me about {name}.",
        f"I would like to visit {name}.",
        f"What do you know about {name}?",
    )
    first = pick(
        r,
        f"{cap(name)} is in {continent}, and its capital is {city}. What would you like to know?",
        f"How nice! {cap(name)} is in {continent}. Its capital is {city}.",
    )
    more = [
        (pick(r, "What language do they speak there?", "Which language is spoken there?", "And the language?"), f"People there speak {language}."),
        (pick(r, "How do I pay there?", "What money do they use?", "And what is the currency?"), f"The currency is {money}."),
        (pick(r, "What was the capital again?", "Which city did you say is the capital?", "And the capital?"), f"The capital is {city}."),
        (pick(r, "Which continent is that?", "On which continent is it?"), f"It is in {continent}."),
    ]  # fmt: skip
    return _ending(r, [(opening, first), *sample(r, more, r.choice([1, 2, 3]))])


def subject(r: random.Random) -> list[Exchange]:
    topic = r.choice(list(SENTENCES))
    one, two, three = SENTENCES[topic]
    opening = pick(
        r,
        f"Tell me about {topic}.",
        f"Let's talk about {topic}.",
        f"What do you know about {topic}?",
        f"Say something about {topic}.",
        f"I want to learn about {topic}.",
    )
    found = [
        (opening, one),
        (pick(r, "Tell me more.", "Go on.", "And more?", "What else?", "More, please.", "Continue."), two),
    ]
    if r.random() < 0.5:
        found.append((pick(r, "Anything else?", "One more thing, please.", "And what else?"), three))
    if r.random() < 0.4:
        found.append(
            (
                pick(r, "What are we talking about?", "What was the topic again?", "What is our subject?"),
                f"We are talking about {topic}.",
            )
        )
    return _ending(r, found)


def cooking(r: random.Random) -> list[Exchange]:
    dish = r.choice(list(RECIPES))
    parts, steps = RECIPES[dish]
    found = [
        (pick(r, f"I want to make {dish}.", f"Can you help me make {dish}?", f"Let's make {dish}."), pick(r, "Good idea! Shall I tell you what you need, or the steps?", "Gladly. Do you want the list of things you need first, or the steps?")),
        (pick(r, "What do I need?", "First the ingredients, please.", "Tell me what I need."), "\n".join(f"- {cap(part)}" for part in parts)),
        (pick(r, "And how do I make it?", "Now the steps, please.", "What do I do then?"), "\n".join(f"{n}. {step}" for n, step in enumerate(steps, 1))),
    ]  # fmt: skip
    if r.random() < 0.3:
        found.append((pick(r, "What was the first step?", "Repeat the first step."), steps[0]))
    return _ending(r, found)


def choice(r: random.Random) -> list[Exchange]:
    """Asking back about what was just said."""
    one, two = sample(r, world.COUNTRIES, 2)
    return _ending(r, [
        (f"What is the capital of {one[0]}?", f"The capital of {one[0]} is {one[1]}."), (pick(r, f"And of {two[0]}?", f"And the capital of {two[0]}?"), f"The capital of {two[0]} is {two[1]}."),
        (pick(r, f"Which of these two cities is in {one[0]}?", f"So which city is in {one[0]}?"), f"{one[1]} is in {one[0]}."),
    ])  # fmt: skip


KINDS = {
    "talk_animal": (3, animal),
    "talk_country": (2, country),
    "talk_subject": (3, subject),
    "talk_cooking": (1, cooking),
    "talk_choice": (1, choice),
}

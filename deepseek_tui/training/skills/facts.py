"""Questions about the world, answered from the tables."""

# Questions and answers are read one a line.
# ruff: noqa: E501

from __future__ import annotations

import random

from deepseek_tui.training.skills import tables_nature as nature
from deepseek_tui.training.skills import tables_words as lexicon
from deepseek_tui.training.skills import tables_world as world
from deepseek_tui.training.skills.style import Exchange, a, asked, cap, joined, pick, sample
from deepseek_tui.training.skills.tables_talk import CATEGORIES

_OF = {"Europe and Asia": "both Europe and Asia", "Asia and Europe": "both Asia and Europe"}


def capital(r: random.Random) -> list[Exchange]:
    country, city, *_ = r.choice(world.COUNTRIES)
    question = pick(
        r,
        f"What is the capital of {country}?",
        f"What's the capital of {country}?",
        f"What is the capital city of {country}?",
        f"Name the capital of {country}.",
        f"Can you tell me the capital of {country}?",
        f"Which city is the capital city of {country}?",
        f"Do you know the capital of {country}?",
        f"Capital of {country}?",
    )
    answer = pick(
        r, f"The capital of {country} is {city}.", f"{city} is the capital of {country}.", f"It is {city}."
    )
    found = [(asked(r, question), answer)]
    if r.random() < 0.35:
        other, second, *_ = r.choice([row for row in world.COUNTRIES if row[0] != country])
        found.append((pick(r, f"And of {other}?", f"And the capital of {other}?", f"What about {other}?"),
                      pick(r, f"The capital of {other} is {second}.", f"That is {second}.")))  # fmt: skip
    return found


def of_capital(r: random.Random) -> list[Exchange]:
    country, city, *_ = r.choice([row for row in world.COUNTRIES if row[1] not in row[0]])
    question = pick(
        r,
        f"Which country has {city} as its capital?",
        f"{city} is the capital of which country?",
        f"What country is {city} the capital of?",
        f"Of which country is {city} the capital?",
    )
    return [(asked(r, question), pick(r, f"{city} is the capital of {country}.", f"{cap(country)}."))]


def country(r: random.Random) -> list[Exchange]:
    name, _, continent, language, money = r.choice(world.COUNTRIES)
    where = _OF.get(continent, continent)
    several = " and " in language or "," in language
    roll = r.randrange(3)
    if roll == 0:
        question = pick(r, f"On which continent is {name}?", f"What continent is {name} in?", f"Where is {name}?",
                        f"In which part of the world is {name}?", f"Is {name} in {r.choice(['Europe', 'Asia', 'Africa'])}?")  # fmt: skip
        if question.startswith("Is "):
            asked_for = question.rsplit(" in ", 1)[1].rstrip("?")
            right = asked_for in continent
            answer = f"{'Yes' if right else 'No'}, {name} is in {where}."
        else:
            answer = pick(r, f"{cap(name)} is in {where}.", f"It is in {where}.")
    elif roll == 1:
        question = pick(r, f"What language do people speak in {name}?", f"Which language is spoken in {name}?",
                        f"What is the main language of {name}?", f"What do they speak in {name}?")  # fmt: skip
        answer = f"The main languages in {name} are {language}." if several else pick(
            r, f"People in {name} mostly speak {language}.", f"The main language of {name} is {language}.")  # fmt: skip
        if language.endswith("others"):
            answer = f"People in {name} speak {language}."
    else:
        question = pick(r, f"What is the currency of {name}?", f"What money do they use in {name}?",
                        f"How do you pay in {name}?", f"Which currency does {name} have?")  # fmt: skip
        answer = pick(r, f"People in {name} pay with {money}.", f"The currency of {name} is {money}.")
    return [(asked(r, question), answer)]


def city(r: random.Random) -> list[Exchange]:
    name, land = r.choice(
        [*world.CITIES, *((row[1], row[0]) for row in world.COUNTRIES if row[1] not in row[0])]
    )
    if r.random() < 0.3:
        wrong = r.choice(world.COUNTRIES)[0]
        right = wrong == land or r.random() < 0.5
        guess = land if right else wrong
        return [(asked(r, pick(r, f"Is {name} in {guess}?", f"Is {name} a city in {guess}?")),
                 f"Yes, {name} is in {land}." if right else f"No, {name} is in {land}.")]  # fmt: skip
    question = pick(r, f"Which country is {name} in?", f"Where is {name}?", f"In which country can I find {name}?",
                    f"What country is {name} in?", f"In what country is {name}?")  # fmt: skip
    return [(asked(r, question), pick(r, f"{name} is in {land}.", f"{name} is a city in {land}."))]


def landmark(r: random.Random) -> list[Exchange]:
    name, place = r.choice(world.LANDMARKS)
    question = pick(r, f"Where is {name}?", f"In which city is {name}?", f"Where can I see {name}?",
                    f"I want to see {name}. Where do I have to go?")  # fmt: skip
    return [(asked(r, question), pick(r, f"{cap(name)} is in {place}.", f"You can see {name} in {place}."))]


def author(r: random.Random) -> list[Exchange]:
    title, name, kind = r.choice(world.AUTHORS)
    if r.random() < 0.3:
        others = [row[0] for row in world.AUTHORS if row[1] == name]
        return [(asked(r, pick(r, f"What did {name} write?", f"Name a work by {name}.", f"Which work is {name} known for?")),
                 pick(r, f'{name} wrote {joined([chr(34) + t + chr(34) for t in others[:3]])}.',
                      f'For example the {kind} "{title}".'))]  # fmt: skip
    question = pick(r, f"Who wrote {title}?", f'Who wrote "{title}"?', f"Who is the author of {title}?", f"By whom is {title}?",
                    f"Which writer wrote {title}?", f"{title}: who wrote that?")  # fmt: skip
    return [
        (
            asked(r, question),
            pick(
                r, f"{name} wrote {title}.", f'"{title}" is a {kind} by {name}.', f"It was written by {name}."
            ),
        )
    ]


def art(r: random.Random) -> list[Exchange]:
    if r.random() < 0.55:
        title, name = r.choice(world.ARTISTS)
        question = pick(
            r, f"Who painted {title}?", f"Which artist painted {title}?", f"Who is the painter of {title}?"
        )
        return [
            (asked(r, question), pick(r, f"{name} painted {title}.", f"{cap(title)} was painted by {name}."))
        ]
    title, name = r.choice(world.COMPOSERS)
    question = pick(
        r, f"Who composed {title}?", f"Who wrote the music of {title}?", f"Which composer wrote {title}?"
    )
    return [(asked(r, question), pick(r, f"{name} composed {title}.", f"{cap(title)} is by {name}."))]


def person(r: random.Random) -> list[Exchange]:
    name, who, known = r.choice(world.PEOPLE)
    verb = "was"
    question = pick(r, f"Who was {name}?", f"Who is {name}?", f"What is {name} famous for?", f"Why is {name} known?",
                    f"What did {name} do?", f"Tell me who {name} was.", f"I have heard of {name}. Who was that?",
                    f"Tell me in one sentence who {name} was.")  # fmt: skip
    return [
        (
            asked(r, question),
            pick(
                r,
                f"{name} {verb} {who}, famous for {known}.",
                f"{name} {verb} {who} and is known for {known}.",
            ),
        )
    ]


def invention(r: random.Random) -> list[Exchange]:
    thing, name = r.choice(world.INVENTIONS)
    verb = (
        "discovered"
        if "penicillin" in thing or "X-ray" in thing
        else "created"
        if "table" in thing
        else "invented"
    )
    question = pick(
        r, f"Who {verb} {thing}?", f"Do you know who {verb} {thing}?", f"By whom was {thing} {verb}?"
    )
    return [
        (
            asked(r, question),
            pick(r, f"{cap(name)} {verb} {thing}.", f"It was {name}.", f"{cap(thing)} was {verb} by {name}."),
        )
    ]


def year(r: random.Random) -> list[Exchange]:
    event, when = r.choice(world.YEARS)
    question = pick(
        r,
        f"When did {event}?",
        f"In which year did {event}?",
        f"What year did {event}?",
        f"Do you know when {_past(event)}?",
    )
    return [
        (
            asked(r, question),
            pick(r, f"That was in {when}.", f"In {when}.", f"{cap(_past(event))} in {when}."),
        )
    ]


_PAST = {"begin": "began", "end": "ended", "reach": "reached", "land": "landed", "fall": "fell", "sink": "sank", "declare": "declared",
         "take": "took", "go": "went", "happen": "happened", "open": "opened", "make": "made", "become": "became", "come": "came",
         "fly": "flew"}  # fmt: skip


def _past(event: str) -> str:
    """ "the Titanic sink" -> "the Titanic sank"."""
    words = event.split(" ")
    for index, word in enumerate(words):
        if word in _PAST and index:
            return " ".join([*words[:index], _PAST[word], *words[index + 1 :]])
    raise ValueError(event)


def record(r: random.Random) -> list[Exchange]:
    what, which = r.choice(world.RECORDS)
    question = pick(
        r,
        f"What is {what}?",
        f"Which is {what}?",
        f"Can you tell me {what}?",
        f"Do you know {what}?",
        f"Name {what}.",
    )
    answer = pick(r, f"{cap(what)} is {which}.", f"That is {which}.", f"{cap(which)} is {what}.")
    return [(asked(r, question), answer)]


def animal(r: random.Random) -> list[Exchange]:
    name, young, sound, kind, legs = r.choice(nature.ANIMALS)
    roll = r.randrange(5)
    if roll == 0:
        question = pick(
            r,
            f"What is a young {name} called?",
            f"What do you call a baby {name}?",
            f"What is the word for a young {name}?",
        )
        answer = pick(r, f"A young {name} is called {a(young)}.", f"It is called {a(young)}.")
    elif roll == 1:
        question = pick(
            r,
            f"What sound does {a(name)} make?",
            f"What noise does {a(name)} make?",
            f"What does {a(name)} do to make a sound?",
        )
        answer = f"{cap(a(name))} {sound}."
    elif roll == 2:
        question = pick(r, f"What kind of animal is {a(name)}?", f"Is {a(name)} a mammal or a bird?" if kind in ("mammal", "bird")
                        else f"What is {a(name)}?", f"To which class of animals does the {name} belong?")  # fmt: skip
        answer = f"{cap(a(name))} is {a(kind)}."
    elif roll == 3 and legs != "0":
        word = {"2": "two", "4": "four", "6": "six"}[legs]
        question = pick(r, f"How many legs does {a(name)} have?", f"{cap(a(name))} has how many legs?")
        answer = pick(r, f"{cap(a(name))} has {word} legs.", f"It has {word} legs.")
    else:
        what, food = r.choice(nature.FOODS)
        question = pick(
            r,
            f"What does {what} eat?",
            f"What is the food of {what}?",
            f"What do I know about the food of {what}?",
        )
        answer = f"{cap(what)} eats {food}."
    return [(asked(r, question), answer)]


def nature_facts(r: random.Random) -> list[Exchange]:
    roll = r.randrange(7)
    if roll == 0:
        who, home = r.choice(nature.HOMES)
        return [
            (
                asked(r, pick(r, f"Where does {who} live?", f"What is the home of {who} called?")),
                f"{cap(who)} lives in {home}.",
            )
        ]
    if roll == 1:
        what, group = r.choice(nature.GROUPS)
        return [(asked(r, pick(r, f"What is a group of {what} called?", f"What do you call a group of {what}?")),
                 f"A group of {what} is called {group}.")]  # fmt: skip
    if roll == 2:
        part, does = r.choice(nature.BODY)
        verb = (
            "do" if does.split()[0] in ("take", "clean", "let", "hold", "move", "bite", "carry") else "does"
        )
        return [
            (
                asked(
                    r,
                    pick(r, f"What {verb} {part} do?", f"What {'are' if verb == 'do' else 'is'} {part} for?"),
                ),
                f"{cap(part)} {does}.",
            )
        ]
    if roll == 3:
        name, symbol = r.choice(nature.ELEMENTS)
        if r.random() < 0.5:
            return [(asked(r, pick(r, f"What is the chemical symbol for {name}?", f"Which symbol does {name} have in chemistry?")),
                     pick(r, f"The chemical symbol for {name} is {symbol}.", f"It is {symbol}."))]  # fmt: skip
        return [(asked(r, pick(r, f"Which element has the symbol {symbol}?", f"What does {symbol} stand for in chemistry?")),
                 f"{symbol} is the symbol for {name}.")]  # fmt: skip
    if roll == 4:
        name, formula = r.choice(nature.FORMULAS)
        return [
            (
                asked(
                    r, pick(r, f"What is the chemical formula of {name}?", f"What is the formula for {name}?")
                ),
                f"The formula of {name} is {formula}.",
            )
        ]
    if roll == 5:
        return [_class_question(r, *r.choice(nature.CLASSES))]
    index = r.randrange(len(nature.PLANETS))
    planet = nature.PLANETS[index]
    if r.random() < 0.5 and index < 7:
        return [(asked(r, pick(r, f"Which planet comes after {planet}, going away from the Sun?", f"Which planet is next after {planet} from the Sun?")),
                 f"After {planet} comes {nature.PLANETS[index + 1]}.")]  # fmt: skip
    order = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")[index]
    return [(asked(r, pick(r, f"Which is the {order} planet from the Sun?", f"What is the {order} planet from the Sun?")),
             f"The {order} planet from the Sun is {planet}.")]  # fmt: skip


def _class_question(r: random.Random, name: str, kind: str) -> Exchange:
    guess = r.choice(["mammal", "bird", "fish", "insect", "reptile", kind, kind])
    if r.random() < 0.6:
        return asked(
            r, f"Is {a(name)} {a(guess)}?"
        ), f"{'Yes' if guess == kind else 'No'}, {a(name)} is {a(kind)}."
    return asked(
        r, pick(r, f"What kind of animal is {a(name)}?", f"What type of animal is {a(name)}?")
    ), f"{cap(a(name))} is {a(kind)}."


def things(r: random.Random) -> list[Exchange]:
    roll = r.randrange(6)
    if roll == 0:
        tool, use = r.choice(nature.TOOLS)
        if r.random() < 0.5:
            return [(asked(r, pick(r, f"What is {tool} for?", f"What do you use {tool} for?", f"What can I do with {tool}?")),
                     pick(r, f"You use {tool} to {use}.", f"{cap(tool)} is used to {use}."))]  # fmt: skip
        return [(asked(r, pick(r, f"What do I need to {use}?", f"Which tool do you use to {use}?", f"I want to {use}. What do I use?")),
                 pick(r, f"You can use {tool}.", f"You need {tool}."))]  # fmt: skip
    if roll == 1:
        job, does = r.choice(nature.JOBS)
        if r.random() < 0.5:
            return [(asked(r, pick(r, f"What does {job} do?", f"What is the work of {job}?", f"What is {job}?")),
                     pick(r, f"{cap(job)} {does}.", f"{cap(job)} is a person who {does}."))]  # fmt: skip
        return [(asked(r, pick(r, f"What do you call someone who {does}?", f"Who {does}?", f"What is the job of a person who {does}?")),
                 pick(r, f"That is {job}.", f"Someone who {does} is {job}."))]  # fmt: skip
    if roll == 2:
        thing, colour = r.choice(nature.COLOURS)
        return [(asked(r, pick(r, f"What colour is {thing}?", f"What is the colour of {thing}?", f"Which colour does {thing} have?")),
                 pick(r, f"{cap(thing)} is {colour}.", f"It is {colour}."))]  # fmt: skip
    if roll == 3:
        mix, result = r.choice(nature.MIXES)
        one, two = mix.split(" and ")
        return [(asked(r, pick(r, f"What colour do you get when you mix {one} and {two}?", f"What do {one} and {two} make?", f"I mix {two} and {one} paint. What comes out?")),
                 pick(r, f"Mixing {mix} gives {result}.", f"You get {result}."))]  # fmt: skip
    if roll == 4:
        food, of = r.choice(nature.MATERIALS)
        are = "are" if food in ("chips", "raisins") else "is"
        return [(asked(r, pick(r, f"What {are} {food} made of?", f"What {are} {food} made from?", f"What do you need to make {food}?")),
                 f"{cap(food)} {are} made from {of}." if food != "raisins" else "Raisins are dried grapes.")]  # fmt: skip
    term, meaning = r.choice(lexicon.MEANINGS)
    question = pick(r, f"What is {term}?", f"What does {chr(34)}{_bare(term)}{chr(34)} mean?", f"Explain what {term} is.", f"Define {_bare(term)}.",
                    f"In one sentence: what is {term}?", f"What do you understand by {term}?", f"Can you explain {term} in simple words?")  # fmt: skip
    return [(asked(r, question), f"{cap(term)} is {meaning}.")]


def _bare(term: str) -> str:
    return term.split(" ", 1)[1] if term.startswith(("a ", "an ")) else term


def truth(r: random.Random) -> list[Exchange]:
    statement, verdict, more = r.choice(nature.TRUTHS)
    yes = verdict == "yes"
    roll = r.randrange(4)
    if roll == 0:
        question = pick(
            r,
            f"True or false: {statement}?",
            f"True or false? {cap(statement)}.",
            f"Is this true or false: {statement}.",
        )
        return [(asked(r, question), f"{'True' if yes else 'False'}. {more}")]
    if roll == 1:
        short = r.random() < 0.5
        question = f"Is it true that {statement}?" + (
            pick(r, " Only yes or no.", " Answer yes or no.", " Just say yes or no.") if short else ""
        )
        return [
            (asked(r, question), ("Yes." if yes else "No.") if short else f"{'Yes' if yes else 'No'}. {more}")
        ]
    if roll == 2:
        return [(asked(r, pick(r, f"My friend says that {statement}. Is that right?", f"Someone told me that {statement}. Is it so?")),
                 f"{'Yes, that is right' if yes else 'No, that is not right'}. {more}")]  # fmt: skip
    return [
        (
            asked(r, pick(r, f"Yes or no: {statement}?", f"Correct or not: {statement}?")),
            f"{'Yes' if yes else 'No'}. {more}",
        )
    ]


def odd_one(r: random.Random) -> list[Exchange]:
    groups = [
        "fruits",
        "birds",
        "trees",
        "musical instruments",
        "metals",
        "pieces of furniture",
        "vehicles",
        "months",
        "colours",
        "parts of the body",
    ]
    one, two = sample(r, groups, 2)
    members, stranger = sample(r, CATEGORIES[one], 3), r.choice(CATEGORIES[two])
    if (
        stranger in CATEGORIES[one]
        or any(member in CATEGORIES[two] for member in members)
        or {stranger, *members} & {"orange", "palm", "ash", "lime"}
    ):
        return odd_one(r)
    mixed = sample(r, [*members, stranger], 4)
    question = pick(
        r,
        f"Which word does not belong: {', '.join(mixed)}?",
        f"Find the odd one out: {', '.join(mixed)}.",
        f"Which of these is different: {joined(mixed)}?",
    )
    return [
        (
            asked(r, question),
            pick(
                r,
                f"{cap(stranger)}, because the others are {one}.",
                f"The odd one out is {stranger}. The others are {one}.",
            ),
        )
    ]


def either(r: random.Random) -> list[Exchange]:
    country_, city_, *_ = r.choice(world.COUNTRIES)
    wrong = r.choice([row[1] for row in world.COUNTRIES if row[0] != country_])
    first, second = sample(r, [city_, wrong], 2)
    name, *_, kind, _ = r.choice(nature.ANIMALS)
    other = r.choice([k for k in ("mammal", "bird", "reptile", "insect") if k != kind])
    k1, k2 = sample(r, [kind, other], 2)
    return [r.choice([
        (asked(r, f"Which is the capital of {country_}: {first} or {second}?"), f"The capital of {country_} is {city_}."),
        (asked(r, f"Is {a(name)} {a(k1)} or {a(k2)}?"), f"{cap(a(name))} is {a(kind)}."),
    ])]  # fmt: skip


KINDS = {
    "capital": (6, capital), "of_capital": (1, of_capital), "country": (2, country), "city": (2, city), "landmark": (1, landmark),
    "author": (2, author), "art": (1, art), "person": (2, person), "invention": (1, invention), "year": (1, year), "record": (2, record),
    "animal": (2, animal), "nature": (3, nature_facts), "things": (6, things), "truth": (4, truth), "odd_one": (1, odd_one), "either": (1, either),
}  # fmt: skip

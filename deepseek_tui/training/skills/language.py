"""Words: opposites, forms, spelling, order, sentences; and lists of things."""

# Questions and answers are read one a line.
# ruff: noqa: E501

from __future__ import annotations

import random

from deepseek_tui.training.skills import tables_words as lexicon
from deepseek_tui.training.skills.style import (
    NUMBER_WORDS,
    Exchange,
    a,
    asked,
    bullets,
    cap,
    joined,
    pick,
    sample,
)
from deepseek_tui.training.skills.tables_talk import CATEGORIES, NAMES


def opposite(r: random.Random) -> list[Exchange]:
    pair = r.choice(lexicon.OPPOSITES)
    one, two = (
        pair
        if r.random() < 0.5 or pair[0] in ("light", "old", "hard", "right", "long", "lose")
        else pair[::-1]
    )
    if one in ("short", "lose", "leave", "difficult", "young", "right"):
        one, two = pair
    quoted = f'"{one}"' if r.random() < 0.5 else one
    question = pick(r, f"What is the opposite of {quoted}?", f"What's the opposite of {quoted}?", f"Opposite of {quoted}?", f"Give me the opposite of {quoted}.",
                    f"Which word means the opposite of {quoted}?", f"Find an antonym for {quoted}.")  # fmt: skip
    return [
        (
            asked(r, question),
            pick(r, f"The opposite of {quoted} is {two}.", f"{cap(two)}.", f'The opposite is "{two}".'),
        )
    ]


def synonym(r: random.Random) -> list[Exchange]:
    one, two = r.choice(lexicon.SYNONYMS)
    question = pick(
        r,
        f'What is another word for "{one}"?',
        f"Give me a synonym for {one}.",
        f"Which word means nearly the same as {one}?",
        f'I need a different word for "{one}".',
    )
    return [
        (
            asked(r, question),
            pick(r, f'Another word for "{one}" is "{two}".', f"{cap(two)}.", f'You can say "{two}".'),
        )
    ]


def plural(r: random.Random) -> list[Exchange]:
    one, many = r.choice(lexicon.PLURALS)
    if r.random() < 0.25:
        return [
            (
                asked(r, pick(r, f'What is the singular of "{many}"?', f"Give the singular of {many}.")),
                f'The singular of "{many}" is "{one}".',
            )
        ]
    question = pick(
        r,
        f'What is the plural of "{one}"?',
        f"What is the plural of {one}?",
        f"Give me the plural of {one}.",
        f"How do you write more than one {one}?",
    )
    return [(asked(r, question), pick(r, f'The plural of "{one}" is "{many}".', f"{cap(many)}."))]


def past(r: random.Random) -> list[Exchange]:
    now, then = r.choice(lexicon.PAST)
    question = pick(
        r,
        f'What is the past tense of "{now}"?',
        f"What is the past tense of {now}?",
        f"Give me the simple past of {now}.",
        f"How do you say {now} in the past?",
    )
    return [(asked(r, question), pick(r, f'The past tense of "{now}" is "{then}".', f"{cap(then)}."))]


def degrees(r: random.Random) -> list[Exchange]:
    plain, more, most = r.choice(lexicon.COMPARATIVES)
    if r.random() < 0.5:
        return [
            (
                asked(
                    r, pick(r, f'What is the comparative of "{plain}"?', f"Give the comparative of {plain}.")
                ),
                f'The comparative of "{plain}" is "{more}".',
            )
        ]
    return [
        (
            asked(r, pick(r, f'What is the superlative of "{plain}"?', f"Give the superlative of {plain}.")),
            f'The superlative of "{plain}" is "{most}".',
        )
    ]


def spell(r: random.Random) -> list[Exchange]:
    word = r.choice(lexicon.SPELLED)
    letters = "-".join(word.upper())
    roll = r.randrange(6)
    if roll < 2:
        question = pick(
            r,
            f"How do you spell {word}?",
            f"Spell the word {word}.",
            f'Spell "{word}" letter by letter.',
            f"Can you spell {word} for me?",
        )
        return [(asked(r, question), pick(r, f"{letters}", f"{cap(word)} is spelled {letters}."))]
    if roll == 2:
        return [
            (
                asked(
                    r,
                    pick(
                        r, f"What is the first letter of {word}?", f'With which letter does "{word}" begin?'
                    ),
                ),
                f'The first letter of "{word}" is {word[0].upper()}.',
            )
        ]
    if roll == 3:
        return [
            (
                asked(
                    r, pick(r, f"What is the last letter of {word}?", f'With which letter does "{word}" end?')
                ),
                f'The last letter of "{word}" is {word[-1].upper()}.',
            )
        ]
    if roll == 4:
        return [
            (
                asked(
                    r,
                    pick(
                        r,
                        f"How many letters does the word {word} have?",
                        f'How many letters are in "{word}"?',
                    ),
                ),
                f'The word "{word}" has {NUMBER_WORDS[len(word)]} letters: {letters}.',
            )
        ]
    return [
        (
            asked(r, pick(r, f"Write {word} in capital letters.", f'Write "{word}" in upper case.')),
            word.upper(),
        )
    ]


def rhyme(r: random.Random) -> list[Exchange]:
    group = r.choice(lexicon.RHYMES)
    one, *others = sample(r, group, min(len(group), 4))
    if r.random() < 0.3 and len(others) >= 2:
        return [
            (
                asked(
                    r,
                    pick(
                        r,
                        f"Give me two words that rhyme with {one}.",
                        f"Name two words that rhyme with {one}.",
                    ),
                ),
                f"{cap(others[0])} and {others[1]}.",
            )
        ]
    return [
        (
            asked(
                r,
                pick(
                    r,
                    f"Which word rhymes with {one}?",
                    f"Give me a word that rhymes with {one}.",
                    f"What rhymes with {one}?",
                ),
            ),
            f"{cap(others[0])} rhymes with {one}.",
        )
    ]


def alphabet(r: random.Random) -> list[Exchange]:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    index = r.randrange(1, 25)
    roll = r.randrange(4)
    if roll == 0:
        return [
            (
                asked(
                    r,
                    pick(
                        r,
                        f"Which letter comes after {letters[index]}?",
                        f"What letter follows {letters[index]} in the alphabet?",
                    ),
                ),
                f"After {letters[index]} comes {letters[index + 1]}.",
            )
        ]
    if roll == 1:
        return [
            (
                asked(
                    r,
                    pick(
                        r,
                        f"Which letter comes before {letters[index]}?",
                        f"What letter is before {letters[index]} in the alphabet?",
                    ),
                ),
                f"Before {letters[index]} comes {letters[index - 1]}.",
            )
        ]
    plain = [member for member in r.choice(list(CATEGORIES.values())) if " " not in member]
    members = sample(r, plain, 3) if len(plain) > 3 and r.random() < 0.9 else sample(r, NAMES, 4)
    if len({m.lower() for m in members}) < len(members):
        return alphabet(r)
    question = pick(
        r,
        f"Sort these words alphabetically: {', '.join(members)}",
        f"Put these words in alphabetical order: {', '.join(members)}",
        f"Alphabetical order, please: {', '.join(members)}",
    )
    return [(question, ", ".join(sorted(members, key=str.lower)))]


_KINDS_OF_WORDS = {
    "verb": ("eat", "bring", "write", "speak", "choose", "teach", "think", "tell", "sing", "forget"),
    "adjective": ("big", "small", "happy", "easy", "hot", "tall", "young", "beautiful", "expensive", "busy"),
    "noun": ("table", "river", "teacher", "city", "apple", "garden", "letter", "window", "friend", "kitchen"),
}


def word_kinds(r: random.Random) -> list[Exchange]:
    kind = r.choice(list(_KINDS_OF_WORDS))
    word = r.choice(_KINDS_OF_WORDS[kind])
    question = pick(
        r,
        f'Is "{word}" a noun, a verb or an adjective?',
        f'What kind of word is "{word}": noun, verb or adjective?',
    )
    return [(asked(r, question), f'"{cap(word)}" is {a(kind)}.')]


def list_of(r: random.Random) -> list[Exchange]:
    name = r.choice(list(CATEGORIES))
    members = CATEGORIES[name]
    count = min(r.choice([1, 2, 2, 3, 3, 3, 4, 4, 5, 5, 6, 7]), len(members))
    chosen = sample(r, members, count)
    how = NUMBER_WORDS[count] if r.random() < 0.7 else str(count)
    if count == 1:
        single = pick(
            r,
            f"Name one of the {name}."
            if name in ("oceans", "continents", "planets", "seasons", "months")
            else f"Give me an example of {name}.",
        )
        return [(asked(r, single), f"{cap(chosen[0])}.")]
    marked = r.random()
    if marked < 0.2:
        question = pick(
            r, f"Make a numbered list of {how} {name}.", f"Write a numbered list with {how} {name}."
        )
        return [(asked(r, question), "\n".join(f"{n}. {cap(item)}" for n, item in enumerate(chosen, 1)))]
    if marked < 0.3:
        question = pick(r, f"List {how} {name} as bullet points.", f"Give me {how} {name} as a bullet list.")
        return [(asked(r, question), "\n".join(f"- {cap(item)}" for item in chosen))]
    if marked < 0.4:
        question = pick(
            r,
            f"Name {how} {name}, separated by commas.",
            f"Give me {how} {name} in one line, with commas.",
            f"Write {how} {name}, only the words, with commas.",
        )
        return [(asked(r, question), ", ".join(chosen))]
    question = pick(r, f"Name {how} {name}.", f"List {how} {name}.", f"Give me {how} {name}.", f"Tell me {how} {name}.", f"Can you name {how} {name}?", f"What are {how} {name}?",
                    f"I need {how} {name}.", f"Write down {how} {name}.", f"Give {how} examples of {name}.", f"Please list {how} {name}.", f"Do you know {how} {name}?")  # fmt: skip
    answer = bullets(r, [cap(item) for item in chosen]) if r.random() < 0.6 else f"{cap(joined(chosen))}."
    found = [(asked(r, question), answer)]
    rest = [member for member in members if member not in chosen]
    if r.random() < 0.2 and len(rest) >= 2:
        extra = sample(r, rest, r.choice([1, 2]))
        how_many = "one more" if len(extra) == 1 else "two more"
        found.append(
            (
                pick(r, f"{cap(how_many)}, please.", f"Can you give me {how_many}?", f"And {how_many}?"),
                f"{cap(joined(extra))}.",
            )
        )
    return found


def letter_list(r: random.Random) -> list[Exchange]:
    name = r.choice(
        [
            "animals",
            "fruits",
            "countries in Europe",
            "vegetables",
            "jobs",
            "musical instruments",
            "colours",
            "birds",
            "languages",
        ]
    )
    one = {"animals": "an animal", "fruits": "a fruit", "countries in Europe": "a country in Europe", "vegetables": "a vegetable", "jobs": "a job",
           "musical instruments": "a musical instrument", "colours": "a colour", "birds": "a bird", "languages": "a language"}[name]  # fmt: skip
    word = r.choice(CATEGORIES[name])
    letter = word[0].upper()
    question = pick(
        r,
        f"Name {one} that begins with {letter}.",
        f"Give me {one} that starts with the letter {letter}.",
        f"Which {one.split(' ', 1)[1]} begins with {letter}?",
    )
    return [(asked(r, question), f"{cap(word)}.")]


def belongs(r: random.Random) -> list[Exchange]:
    name = r.choice([n for n in CATEGORIES if n in _SINGULAR])
    word = r.choice(CATEGORIES[name])
    right = r.random() < 0.5
    guess = (
        name
        if right
        else r.choice([n for n in _SINGULAR if word not in CATEGORIES[n] and n not in _NEAR.get(name, ())])
    )
    question = pick(r, f"Is {word} {_SINGULAR[guess]}?", f"Is {word} {_SINGULAR[guess]}? Yes or no.")
    return [(asked(r, question), f"{'Yes' if right else 'No'}, {word} is {_SINGULAR[name]}.")]


_SINGULAR = {"colours": "a colour", "languages": "a language", "metals": "a metal", "spices": "a spice", "herbs": "a herb", "months": "a month",
             "days of the week": "a day of the week", "sports": "a sport", "feelings": "a feeling", "planets": "a planet", "capital cities": "a capital city"}  # fmt: skip
_NEAR = {
    "herbs": ("spices",),
    "spices": ("herbs", "colours"),
    "metals": ("colours", "planets"),
    "colours": ("metals", "spices"),
    "planets": ("metals",),
}


def in_order(r: random.Random) -> list[Exchange]:
    name = r.choice(["days of the week", "months", "seasons", "planets"])
    items = CATEGORIES[name]
    label = {
        "days of the week": "the days of the week",
        "months": "the months of the year",
        "seasons": "the four seasons",
        "planets": "the planets from the Sun outwards",
    }[name]
    question = pick(r, f"Name {label}.", f"What are {label}?", f"List {label} in order.", f"Tell me {label}.")
    return [
        (
            asked(r, question),
            bullets(r, [cap(item) for item in items]) if r.random() < 0.4 else f"{cap(joined(items))}.",
        )
    ]


KINDS = {
    "opposite": (4, opposite), "synonym": (2, synonym), "plural": (2, plural), "past": (2, past), "degrees": (1, degrees), "spell": (3, spell),
    "rhyme": (2, rhyme), "alphabet": (2, alphabet), "word_kinds": (0.5, word_kinds), "list_of": (10, list_of), "letter_list": (1, letter_list),
    "belongs": (1, belongs), "in_order": (1, in_order),
}  # fmt: skip

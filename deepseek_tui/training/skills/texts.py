"""Working on a given text: repeating, reading, rewriting, following a form. Texts are made from parts, so the
right answer is known."""

# Questions and answers are read one a line.
# ruff: noqa: E501

from __future__ import annotations

import random

from deepseek_tui.training.skills import tables_words as lexicon
from deepseek_tui.training.skills.style import NUMBER_WORDS, Exchange, cap, joined, pick, sample
from deepseek_tui.training.skills.tables_nature import COLOURS
from deepseek_tui.training.skills.tables_talk import NAMES, TOPICS
from deepseek_tui.training.skills.tables_world import COUNTRIES

_COLOURS = ("white", "black", "brown", "grey", "golden", "spotted")
_SUBJECTS = (
    "The dog",
    "My sister",
    "The teacher",
    "Our neighbour",
    "The old man",
    "A little bird",
    "The baker",
    "The girl",
    "My friend",
    "The farmer",
    "A tall boy",
    "The cat",
)
_ACTIONS = (
    ("eat an apple", "eats an apple", "ate an apple", "eating an apple"), ("read a book", "reads a book", "read a book", "reading a book"),
    ("drink some water", "drinks some water", "drank some water", "drinking some water"), ("sing a song", "sings a song", "sang a song", "singing a song"),
    ("write a letter", "writes a letter", "wrote a letter", "writing a letter"), ("go to school", "goes to school", "went to school", "going to school"),
    ("play in the garden", "plays in the garden", "played in the garden", "playing in the garden"), ("walk to the station", "walks to the station", "walked to the station", "walking to the station"),
    ("open the window", "opens the window", "opened the window", "opening the window"), ("sleep on the sofa", "sleeps on the sofa", "slept on the sofa", "sleeping on the sofa"),
    ("buy some bread", "buys some bread", "bought some bread", "buying some bread"), ("see a rainbow", "sees a rainbow", "saw a rainbow", "seeing a rainbow"),
    ("run through the park", "runs through the park", "ran through the park", "running through the park"), ("wash the car", "washes the car", "washed the car", "washing the car"),
    ("cook dinner", "cooks dinner", "cooked dinner", "cooking dinner"), ("find a coin", "finds a coin", "found a coin", "finding a coin"),
    ("wait for the bus", "waits for the bus", "waited for the bus", "waiting for the bus"), ("carry a heavy bag", "carries a heavy bag", "carried a heavy bag", "carrying a heavy bag"),
)  # fmt: skip
"""Base form, present, past, -ing form."""


def sentence(r: random.Random, form: int = 1) -> str:
    """A plain sentence in the present (1) or the past (2)."""
    return f"{r.choice(_SUBJECTS)} {r.choice(_ACTIONS)[form]}."


def repeat(r: random.Random) -> list[Exchange]:
    text = r.choice(
        [
            sentence(r, r.choice([1, 2])),
            sentence(r),
            r.choice(lexicon.SPELLED),
            f"{r.choice(NAMES)} likes {r.choice(TOPICS)}.",
            joined(sample(r, lexicon.SPELLED, 3)),
        ]
    )
    question = pick(r, f"Repeat after me: {text}", f"Repeat this: {text}", f"Say: {text}", f"Please repeat: {text}", f'Say "{text}"', f"Copy this: {text}",
                    f"Write exactly this: {text}", f"Repeat exactly: {text}", f"Say the following and nothing else: {text}", f"Answer only with this: {text}")  # fmt: skip
    if r.random() < 0.12:
        word = r.choice(lexicon.SPELLED)
        count = r.choice([2, 3, 4])
        times = "twice" if count == 2 else f"{NUMBER_WORDS[count]} times"
        return [
            (pick(r, f"Say the word {word} {times}.", f'Write "{word}" {times}.'), " ".join([word] * count))
        ]
    return [(question, text)]


def tense(r: random.Random) -> list[Exchange]:
    who, (base, now, then, doing) = r.choice(_SUBJECTS), r.choice(_ACTIONS)
    roll = r.randrange(6)
    plain = f"{who} {now}."
    if roll == 0:
        return [
            (
                pick(
                    r,
                    f"Put this sentence in the past: {plain}",
                    f"Write this in the past tense: {plain}",
                    f"Change to the past tense: {plain}",
                ),
                f"{who} {then}.",
            )
        ]
    if roll == 1:
        return [
            (
                pick(
                    r,
                    f"Put this sentence in the future: {plain}",
                    f"Write this in the future tense with will: {plain}",
                ),
                f"{who} will {base}.",
            )
        ]
    if roll == 2:
        return [
            (
                pick(
                    r, f"Turn this into a question: {plain}", f"Make a question from this sentence: {plain}"
                ),
                f"Does {who[0].lower() + who[1:]} {base}?",
            )
        ]
    if roll == 3:
        return [
            (
                pick(r, f"Make this sentence negative: {plain}", f"Say the opposite with not: {plain}"),
                f"{who} does not {base}.",
            )
        ]
    if roll == 4:
        return [
            (
                pick(
                    r,
                    f"Put this in the present continuous: {plain}",
                    f"Say that it is happening right now: {plain}",
                ),
                f"{who} is {doing}.",
            )
        ]
    return [
        (
            pick(
                r,
                f"Put this sentence in the present: {who} {then}.",
                f"Change to the present tense: {who} {then}.",
            ),
            plain,
        )
    ]


def rewrite(r: random.Random) -> list[Exchange]:
    text = sentence(r, r.choice([1, 2]))
    roll = r.randrange(6)
    if roll == 0:
        return [
            (
                pick(
                    r,
                    f"Write this in capital letters: {text}",
                    f"Write in upper case: {text}",
                    f"All caps, please: {text}",
                ),
                text.upper(),
            )
        ]
    if roll == 1:
        return [
            (
                pick(
                    r,
                    f"Write this in lower case: {text.upper()}",
                    f"Write this in small letters: {text.upper()}",
                ),
                text.lower(),
            )
        ]
    if roll == 2:
        old = next(subject for subject in _SUBJECTS if text.startswith(f"{subject} "))
        new = r.choice([subject for subject in _SUBJECTS if subject != old])
        return [
            (
                pick(
                    r,
                    f'Replace "{old}" with "{new}": {text}',
                    f'In this sentence, change "{old}" to "{new}": {text}',
                ),
                text.replace(old, new, 1),
            )
        ]
    if roll == 3:
        words_ = text.rstrip(".").split(" ")
        return [
            (
                pick(r, f"How many words are in this sentence: {text}", f"Count the words: {text}"),
                f"The sentence has {NUMBER_WORDS[len(words_)]} words.",
            )
        ]
    if roll == 4:
        bare = text.rstrip(".")
        return [(pick(r, f"Add the full stop: {bare}", f"Put a full stop at the end: {bare}"), text)]
    lines = sample(r, lexicon.SPELLED, r.choice([3, 4]))
    return [
        (
            pick(
                r,
                f"Write these words as a list: {', '.join(lines)}",
                f"One word per line, please: {', '.join(lines)}",
            ),
            "\n".join(lines),
        )
    ]


_SLIPS = (
    ("I recieve a letter every week.", "I receive a letter every week."), ("She dont like coffee.", "She doesn't like coffee."), ("He go to school by bus.", "He goes to school by bus."),
    ("Their is a cat in the garden.", "There is a cat in the garden."), ("I has two brothers.", "I have two brothers."), ("We was at home yesterday.", "We were at home yesterday."),
    ("The childs play outside.", "The children play outside."), ("I am go to the shop.", "I am going to the shop."), ("She can sings well.", "She can sing well."),
    ("Yesterday I go to the cinema.", "Yesterday I went to the cinema."), ("It is definately true.", "It is definitely true."), ("I wright a letter.", "I write a letter."),
    ("He is more taller than me.", "He is taller than me."), ("This are my books.", "These are my books."), ("I didn't saw him.", "I didn't see him."),
    ("Its a nice day.", "It's a nice day."), ("Your my best friend.", "You're my best friend."), ("I look forward to see you.", "I look forward to seeing you."),
    ("Tommorow we go swimming.", "Tomorrow we go swimming."), ("He buyed a car.", "He bought a car."), ("My freind is ill.", "My friend is ill."), ("The dog runned away.", "The dog ran away."),
    ("there are seven days in a weak.", "There are seven days in a week."), ("i like apples", "I like apples."), ("She have a red bag.", "She has a red bag."), ("An dog barked.", "A dog barked."),
    ("I eat a apple.", "I eat an apple."), ("There is many people here.", "There are many people here."), ("Me and him is friends.", "He and I are friends."), ("I no the answer.", "I know the answer."),
)  # fmt: skip


def correct(r: random.Random) -> list[Exchange]:
    wrong, right = r.choice(_SLIPS)
    question = pick(
        r,
        f"Correct this sentence: {wrong}",
        f"Find the mistake and correct it: {wrong}",
        f"Is this correct? {wrong}",
        f"Fix the mistake: {wrong}",
        f"Please correct: {wrong}",
    )
    return [(question, f"No, it should be: {right}" if question.startswith("Is") else right)]


_RUDE = (
    ("Give me the book.", "Could you please give me the book?"), ("Be quiet!", "Could you please be quiet?"), ("Open the door.", "Could you please open the door?"),
    ("I want a coffee.", "I would like a coffee, please."), ("Help me.", "Could you please help me?"), ("Send me the file.", "Could you please send me the file?"),
    ("Move!", "Excuse me, could you please let me pass?"), ("You are late.", "I was expecting you a little earlier."), ("Tell me your name.", "May I ask your name, please?"), ("Call me back.", "Could you please call me back?"),
)  # fmt: skip
_LONG = (
    ("Due to the fact that it was very late, we went home.", "It was late, so we went home."), ("He is a person who always tells the truth.", "He always tells the truth."),
    ("In my personal opinion, I think that the film was good.", "I think the film was good."), ("She made the decision to leave at this point in time.", "She decided to leave now."),
    ("There are many people who like to drink tea in the morning.", "Many people like tea in the morning."), ("We are in need of some help with the work.", "We need help with the work."),
    ("The house that belongs to my uncle is very big in size.", "My uncle's house is very big."), ("It is possible that it will rain tomorrow.", "It may rain tomorrow."),
)  # fmt: skip


def tone(r: random.Random) -> list[Exchange]:
    if r.random() < 0.5:
        rude, kind = r.choice(_RUDE)
        return [
            (
                pick(
                    r,
                    f"Say this more politely: {rude}",
                    f"Make this polite: {rude}",
                    f"How can I say this in a nicer way? {rude}",
                ),
                kind,
            )
        ]
    long, short = r.choice(_LONG)
    return [
        (
            pick(
                r,
                f"Make this shorter: {long}",
                f"Say this in fewer words: {long}",
                f"Shorten this sentence: {long}",
            ),
            short,
        )
    ]


def one_word(r: random.Random) -> list[Exchange]:
    limit = pick(r, "Answer in one word: ", "One word only: ", "In one word: ", "Answer with one word. ")
    if r.random() < 0.5:
        thing, colour = r.choice(COLOURS)
        return [
            (
                f"{limit}what colour is {thing}?"
                if limit.endswith(": ")
                else f"{limit}What colour is {thing}?",
                f"{cap(colour)}.",
            )
        ]
    land, city, *_ = r.choice([row for row in COUNTRIES if " " not in row[1]])
    return [
        (
            f"{limit}what is the capital of {land}?"
            if limit.endswith(": ")
            else f"{limit}What is the capital of {land}?",
            f"{city}.",
        )
    ]


def fill_in(r: random.Random) -> list[Exchange]:
    who, (base, now, _, _) = r.choice(_SUBJECTS), r.choice(_ACTIONS)
    verb, rest = now.split(" ", 1)
    roll = r.randrange(2)
    if roll:
        return [
            (
                pick(
                    r,
                    f"Fill in the verb ({base.split(' ')[0]}): {who} ___ {rest}.",
                    f"Complete with the right form of {base.split(' ')[0]}: {who} ___ {rest}.",
                ),
                f"{who} {verb} {rest}.",
            )
        ]
    one, two = r.choice(
        [
            pair
            for pair in lexicon.OPPOSITES
            if pair[0]
            in (
                "hot",
                "big",
                "fast",
                "high",
                "old",
                "happy",
                "heavy",
                "early",
                "full",
                "wet",
                "loud",
                "strong",
                "thick",
                "deep",
                "cheap",
            )
        ]
    )
    return [
        (
            pick(
                r,
                f"Complete: the opposite of {one} is ___",
                f"Fill in the gap: something that is not {one} is ___.",
            ),
            f"{cap(two)}.",
        )
    ]


KINDS = {
    "repeat": (4, repeat),
    "tense": (3, tense), "rewrite": (4, rewrite), "correct": (2, correct), "tone": (1, tone), "one_word": (2, one_word), "fill_in": (1, fill_in),
}  # fmt: skip

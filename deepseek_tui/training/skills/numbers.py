"""Small sums, comparisons, sequences, units, money, time and dates: computed, so always right."""

# Questions and answers are read one a line.
# ruff: noqa: E501

from __future__ import annotations

import random

from deepseek_tui.training.skills.style import NUMBER_WORDS, Exchange, asked, cap, joined, pick, sample
from deepseek_tui.training.skills.tables_talk import NAMES

_THINGS = (
    "apples",
    "books",
    "coins",
    "marbles",
    "stamps",
    "pencils",
    "sweets",
    "eggs",
    "tickets",
    "balls",
    "cards",
    "flowers",
    "cups",
    "stones",
)


def _number(r: random.Random) -> int:
    return (
        r.randint(1, 10) if r.random() < 0.5 else r.randint(2, 20) if r.random() < 0.7 else r.randint(10, 99)
    )


def _word(r: random.Random, value: int) -> str:
    return NUMBER_WORDS[value] if value <= 20 and r.random() < 0.15 else str(value)


def _sum(r: random.Random) -> tuple[str, str, int]:
    """Question, the sum written out, result."""
    kind = r.choice("++--*/")
    if kind == "+":
        x, y = _number(r), _number(r)
        say = pick(r, f"What is {_word(r, x)} plus {_word(r, y)}?", f"What is {x} + {y}?", f"{x} + {y}", f"{x}+{y}=?", f"Add {x} and {y}.",
                   f"Calculate {x} + {y}.", f"How much is {x} + {y}?", f"What's the sum of {x} and {y}?", f"Can you add {x} and {y}?")  # fmt: skip
        return say, f"{x} + {y}", x + y
    if kind == "-":
        x, y = sorted((_number(r), _number(r)), reverse=True)
        say = pick(r, f"What is {_word(r, x)} minus {_word(r, y)}?", f"What is {x} - {y}?", f"{x} - {y}", f"Subtract {y} from {x}.",
                   f"Calculate {x} - {y}.", f"How much is {x} minus {y}?", f"What do I get if I take {y} away from {x}?")  # fmt: skip
        return say, f"{x} - {y}", x - y
    x, y = r.randint(1, 12), r.randint(1, 12)
    if kind == "*":
        say = pick(r, f"What is {_word(r, x)} times {_word(r, y)}?", f"What is {x} x {y}?", f"{x} * {y}", f"Multiply {x} by {y}.",
                   f"Calculate {x} × {y}.", f"How much is {x} times {y}?", f"What's the product of {x} and {y}?")  # fmt: skip
        return say, f"{x} × {y}", x * y
    say = pick(
        r,
        f"What is {x * y} divided by {y}?",
        f"What is {x * y} / {y}?",
        f"Divide {x * y} by {y}.",
        f"How much is {x * y} ÷ {y}?",
        f"{x * y} : {y} = ?",
    )
    return say, f"{x * y} ÷ {y}", x


def arithmetic(r: random.Random) -> list[Exchange]:
    say, written, result = _sum(r)
    found = [
        (
            asked(r, say),
            pick(
                r, f"{written} = {result}", f"{written} = {result}.", f"The answer is {result}.", f"{result}"
            ),
        )
    ]
    if r.random() < 0.25:
        y = r.randint(1, 10)
        found.append(
            (
                pick(r, f"And plus {y}?", f"Now add {y}.", f"Add {y} to that."),
                pick(r, f"{result} + {y} = {result + y}", f"That makes {result + y}."),
            )
        )
    return found


def doubling(r: random.Random) -> list[Exchange]:
    x = r.randint(1, 50)
    roll = r.randrange(5)
    if roll == 0:
        return [
            (
                asked(
                    r, pick(r, f"What is twice {x}?", f"What is double {x}?", f"What is the double of {x}?")
                ),
                pick(r, f"Twice {x} is {2 * x}.", f"{2 * x}"),
            )
        ]
    if roll == 1:
        return [
            (
                asked(
                    r,
                    pick(r, f"What is half of {2 * x}?", f"What is one half of {2 * x}?", f"Halve {2 * x}."),
                ),
                pick(r, f"Half of {2 * x} is {x}.", f"{x}"),
            )
        ]
    if roll == 2:
        return [
            (
                asked(
                    r,
                    pick(
                        r,
                        f"What number comes after {x}?",
                        f"Which number follows {x}?",
                        f"What comes next after {x}?",
                    ),
                ),
                pick(r, f"After {x} comes {x + 1}.", f"{x + 1}"),
            )
        ]
    if roll == 3:
        return [
            (
                asked(r, pick(r, f"What number comes before {x}?", f"Which number is just before {x}?")),
                pick(r, f"Before {x} comes {x - 1}.", f"{x - 1}"),
            )
        ]
    even = x % 2 == 0
    if r.random() < 0.5:
        word = r.choice(["even", "odd"])
        return [
            (
                asked(r, f"Is {x} {a_(word)} number?"),
                f"{'Yes' if even == (word == 'even') else 'No'}, {x} is {'even' if even else 'odd'}.",
            )
        ]
    return [(asked(r, f"Is {x} even or odd?"), f"{x} is {'even' if even else 'odd'}.")]


def a_(word: str) -> str:
    """With its article."""
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def story(r: random.Random) -> list[Exchange]:
    name, other = sample(r, NAMES, 2)
    thing = r.choice(_THINGS)
    x, y = r.randint(3, 20), r.randint(2, 9)
    roll = r.randrange(5)
    if roll == 0:
        text = pick(r, f"{name} has {x} {thing} and gets {y} more. How many {thing} does {name} have now?",
                    f"There are {x} {thing} on the table. {name} puts {y} more there. How many are there now?",
                    f"{name} has {x} {thing} and {other} has {y}. How many do they have together?")  # fmt: skip
        return [
            (
                text,
                pick(
                    r,
                    f"{x} + {y} = {x + y}, so there are {x + y} {thing}.",
                    f"{x + y} {thing}, because {x} + {y} = {x + y}.",
                ),
            )
        ]
    if roll == 1:
        y = min(y, x - 1)
        text = pick(r, f"{name} has {x} {thing} and gives {y} to {other}. How many are left?", f"I had {x} {thing} and lost {y}. How many do I have left?",
                    f"There are {x} {thing} in a box. {name} takes out {y}. How many stay in the box?")  # fmt: skip
        return [(text, pick(r, f"{x} - {y} = {x - y}, so {x - y} {thing} are left." if x - y > 1 else f"{x} - {y} = 1, so one is left.",
                            f"{x - y}, because {x} - {y} = {x - y}."))]  # fmt: skip
    if roll == 2:
        x = r.randint(2, 9)
        text = pick(
            r,
            f"{name} has {x} bags with {y} {thing} each. How many {thing} is that?",
            f"One box holds {y} {thing}. How many are in {x} boxes?",
        )
        return [(text, f"{x} × {y} = {x * y}, so there are {x * y} {thing}.")]
    if roll == 3:
        x = r.randint(2, 5)
        text = pick(
            r,
            f"{name} shares {x * y} {thing} equally among {x} children. How many does each get?",
            f"I want to put {x * y} {thing} into {x} boxes, the same number in each. How many go in one?",
        )
        return [(text, f"{x * y} ÷ {x} = {y}, so it is {y} each.")]
    price = r.randint(1, 9)
    count = r.randint(2, 6)
    text = pick(
        r,
        f"One ticket costs {price} euros. What do {count} tickets cost?",
        f"A book costs {price} dollars. How much do {count} of them cost?",
    )
    money = "euros" if "euros" in text else "dollars"
    return [(text, f"{count} × {price} = {count * price}, so they cost {count * price} {money}.")]


def compare(r: random.Random) -> list[Exchange]:
    numbers = sample(r, range(1, 100), r.choice([2, 2, 3, 4]))
    big = r.random() < 0.5
    best = max(numbers) if big else min(numbers)
    if len(numbers) == 2:
        x, y = numbers
        word = "larger" if big else "smaller"
        question = pick(r, f"Which is {word}, {x} or {y}?", f"Which number is {word}: {x} or {y}?", f"What is {'more' if big else 'less'}: {x} or {y}?",
                        f"Is {x} {word} than {y}?")  # fmt: skip
        if question.startswith("Is "):
            return [
                (
                    asked(r, question),
                    f"{'Yes' if best == x else 'No'}, {x} is {word if best == x else 'smaller' if big else 'larger'} than {y}.",
                )
            ]
        if question.startswith("What is "):
            return [(asked(r, question), f"{best} is {'more' if big else 'less'}.")]
        return [(asked(r, question), pick(r, f"{best} is {word}.", f"{best}."))]
    word = "largest" if big else "smallest"
    written = ", ".join(map(str, numbers))
    question = pick(
        r,
        f"Which of these numbers is the {word}: {written}?",
        f"What is the {word} number: {written}?",
        f"Find the {word} number in this list: {written}.",
    )
    return [(asked(r, question), pick(r, f"The {word} number is {best}.", f"{best}."))]


def sorting(r: random.Random) -> list[Exchange]:
    numbers = sample(r, range(1, 60), r.randint(3, 6))
    written = ", ".join(map(str, numbers))
    down = r.random() < 0.35
    done = ", ".join(map(str, sorted(numbers, reverse=down)))
    question = (pick(r, f"Sort these numbers from largest to smallest: {written}", f"Put these numbers in descending order: {written}") if down else
                pick(r, f"Sort these numbers: {written}", f"Put these numbers in order: {written}", f"Sort from smallest to largest: {written}",
                     f"Arrange these numbers in ascending order: {written}"))  # fmt: skip
    return [(question, pick(r, done, f"{done}."))]


def counting(r: random.Random) -> list[Exchange]:
    start, step = r.randint(1, 20), r.choice([1, 1, 2, 3, 5, 10])
    if r.random() < 0.5:
        end = start + r.randint(3, 11)
        if r.random() < 0.25:
            done = ", ".join(map(str, range(end, start - 1, -1)))
            return [
                (
                    asked(
                        r,
                        pick(
                            r, f"Count down from {end} to {start}.", f"Count backwards from {end} to {start}."
                        ),
                    ),
                    f"{done}.",
                )
            ]
        done = ", ".join(map(str, range(start, end + 1)))
        return [
            (
                asked(
                    r,
                    pick(
                        r,
                        f"Count from {start} to {end}.",
                        f"Write the numbers from {start} to {end}.",
                        f"Can you count from {start} to {end}?",
                    ),
                ),
                f"{done}.",
            )
        ]
    shown = [start + i * step for i in range(4)]
    question = pick(
        r,
        f"What comes next: {', '.join(map(str, shown))}, ...?",
        f"Continue the sequence: {', '.join(map(str, shown))}",
        f"Which number follows in {', '.join(map(str, shown))}?",
    )
    following = start + 4 * step
    return [
        (
            question,
            pick(
                r,
                f"The next number is {following}.",
                f"{following}, because each number is {step} more than the one before.",
            ),
        )
    ]


def written(r: random.Random) -> list[Exchange]:
    value = r.randint(1, 20)
    if r.random() < 0.4:
        return [
            (
                asked(
                    r, pick(r, f"Write the number {value} in words.", f"How do you write {value} as a word?")
                ),
                f"{value} is written {NUMBER_WORDS[value]}.",
            )
        ]
    if r.random() < 0.5:
        return [
            (
                asked(
                    r,
                    pick(
                        r,
                        f"Write {NUMBER_WORDS[value]} as a number.",
                        f"Write the number {NUMBER_WORDS[value]} in digits.",
                    ),
                ),
                f"{value}",
            )
        ]
    value = r.randint(1, 39)
    roman = ""
    left = value
    for size, letters in ((10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")):
        while left >= size:
            roman, left = roman + letters, left - size
    return [
        (
            asked(r, pick(r, f"What is {value} in Roman numerals?", f"Write {value} as a Roman numeral.")),
            f"{value} in Roman numerals is {roman}.",
        )
    ]


def shapes(r: random.Random) -> list[Exchange]:
    name, sides = r.choice(
        (("triangle", 3), ("square", 4), ("rectangle", 4), ("pentagon", 5), ("hexagon", 6), ("octagon", 8))
    )
    roll = r.randrange(3)
    if roll == 0:
        return [
            (
                asked(
                    r,
                    pick(
                        r, f"How many sides does {a_(name)} have?", f"How many corners does {a_(name)} have?"
                    ),
                ),
                f"{cap(a_(name))} has {NUMBER_WORDS[sides]} " + "sides and corners.",
            )
        ]
    x, y = r.randint(2, 10), r.randint(2, 10)
    if roll == 1:
        return [
            (
                asked(
                    r,
                    pick(
                        r,
                        f"What is the area of a rectangle {x} metres long and {y} metres wide?",
                        f"A room is {x} metres long and {y} metres wide. What is its area?",
                    ),
                ),
                f"{x} × {y} = {x * y}, so the area is {x * y} square metres.",
            )
        ]
    return [
        (
            asked(
                r,
                pick(
                    r,
                    f"What is the perimeter of a square with sides of {x} cm?",
                    f"A square has sides of {x} cm. How long is its edge all around?",
                ),
            ),
            f"4 × {x} = {4 * x}, so it is {4 * x} cm.",
        )
    ]


def ages(r: random.Random) -> list[Exchange]:
    names = sample(r, NAMES, r.choice([2, 3]))
    years = sample(r, range(5, 40), len(names))
    text = joined([f"{name} is {age}" for name, age in zip(names, years, strict=True)]) + "."
    old = r.random() < 0.5
    best = names[years.index(max(years) if old else min(years))]
    word = ("older" if old else "younger") if len(names) == 2 else ("the oldest" if old else "the youngest")
    return [(f"{text} Who is {word}?", f"{best} is {word}.")]


KINDS = {
    "arithmetic": (8, arithmetic), "doubling": (3, doubling), "story_sum": (4, story), "compare": (3, compare), "sorting": (2, sorting),
    "counting": (2, counting), "written": (1, written), "shapes": (1, shapes),
    "ages": (1, ages),
}  # fmt: skip

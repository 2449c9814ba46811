"""Units, days and months, and times of day: computed, so always right."""

# Questions and answers are read one a line.
# ruff: noqa: E501

from __future__ import annotations

import random

from deepseek_tui.training.skills.style import NUMBER_WORDS, Exchange, asked, cap, pick

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_UNITS = (
    ("minutes", "an hour", 60), ("seconds", "a minute", 60), ("hours", "a day", 24), ("days", "a week", 7), ("months", "a year", 12),
    ("centimetres", "a metre", 100), ("metres", "a kilometre", 1000), ("grams", "a kilogram", 1000), ("millimetres", "a centimetre", 10),
    ("millilitres", "a litre", 1000), ("cents", "a euro", 100), ("cents", "a dollar", 100), ("years", "a century", 100), ("years", "a decade", 10),
    ("inches", "a foot", 12), ("feet", "a yard", 3), ("eggs", "a dozen eggs", 12), ("weeks", "a year", 52), ("days", "a leap year", 366),
    ("years", "a millennium", 1000), ("kilograms", "a tonne", 1000), ("quarters", "a whole", 4),
)  # fmt: skip
_PLURAL = {"an hour": "hours", "a minute": "minutes", "a day": "days", "a week": "weeks", "a year": "years", "a metre": "metres", "a kilometre": "kilometres",
           "a kilogram": "kilograms", "a centimetre": "centimetres", "a litre": "litres", "a euro": "euros", "a century": "centuries", "a decade": "decades",
           "a foot": "feet", "a dozen eggs": "dozen eggs"}  # fmt: skip


def units(r: random.Random) -> list[Exchange]:
    small, big, factor = r.choice(_UNITS)
    if r.random() < 0.5 or big not in _PLURAL or factor == 52:
        about = "about " if factor == 52 else ""
        question = pick(
            r,
            f"How many {small} are in {big}?",
            f"How many {small} does {big} have?",
            f"How many {small} make {big}?",
        )
        return [
            (
                asked(r, question),
                pick(
                    r,
                    f"{cap(big)} has {about}{factor} {small}.",
                    f"There are {about}{factor} {small} in {big}.",
                ),
            )
        ]
    count = r.randint(2, 6)
    many = _PLURAL[big]
    question = pick(
        r,
        f"How many {small} are {count} {many}?",
        f"Convert {count} {many} to {small}.",
        f"How many {small} are in {count} {many}?",
    )
    return [
        (
            asked(r, question),
            pick(
                r,
                f"{count} {many} are {count * factor} {small}.",
                f"{count} × {factor} = {count * factor} {small}.",
            ),
        )
    ]


def calendar(r: random.Random) -> list[Exchange]:
    roll = r.randrange(7)
    day, month = r.randrange(7), r.randrange(12)
    if roll == 0:
        question = pick(
            r,
            f"What day comes after {_DAYS[day]}?",
            f"Which day follows {_DAYS[day]}?",
            f"Today is {_DAYS[day]}. What day is tomorrow?",
        )
        return [
            (
                asked(r, question),
                f"After {_DAYS[day]} comes {_DAYS[(day + 1) % 7]}."
                if "Today" not in question
                else f"Tomorrow is {_DAYS[(day + 1) % 7]}.",
            )
        ]
    if roll == 1:
        question = pick(
            r, f"What day comes before {_DAYS[day]}?", f"Today is {_DAYS[day]}. What day was yesterday?"
        )
        return [
            (
                asked(r, question),
                f"The day before {_DAYS[day]} is {_DAYS[day - 1]}."
                if "Today" not in question
                else f"Yesterday was {_DAYS[day - 1]}.",
            )
        ]
    if roll == 2:
        return [
            (
                asked(
                    r,
                    pick(
                        r,
                        f"Which month comes after {_MONTHS[month]}?",
                        f"What month follows {_MONTHS[month]}?",
                    ),
                ),
                f"After {_MONTHS[month]} comes {_MONTHS[(month + 1) % 12]}.",
            )
        ]
    if roll == 3:
        return [
            (
                asked(
                    r,
                    pick(
                        r,
                        f"Which month comes before {_MONTHS[month]}?",
                        f"What is the month before {_MONTHS[month]}?",
                    ),
                ),
                f"Before {_MONTHS[month]} comes {_MONTHS[month - 1]}.",
            )
        ]
    if roll == 4:
        days = "28 days, and 29 in a leap year" if month == 1 else f"{_LENGTHS[month]} days"
        return [
            (
                asked(
                    r,
                    pick(
                        r,
                        f"How many days does {_MONTHS[month]} have?",
                        f"How many days are in {_MONTHS[month]}?",
                        f"How long is {_MONTHS[month]}?",
                    ),
                ),
                f"{_MONTHS[month]} has {days}.",
            )
        ]
    if roll == 5:
        order = (
            "first",
            "second",
            "third",
            "fourth",
            "fifth",
            "sixth",
            "seventh",
            "eighth",
            "ninth",
            "tenth",
            "eleventh",
            "twelfth",
        )[month]
        return [
            (
                asked(
                    r, pick(r, f"What is the {order} month of the year?", f"Which month is the {order} one?")
                ),
                f"The {order} month of the year is {_MONTHS[month]}.",
            )
        ]
    later = r.randint(2, 6)
    return [
        (
            asked(r, f"Today is {_DAYS[day]}. What day is it in {later} days?"),
            f"In {later} days it is {_DAYS[(day + later) % 7]}.",
        )
    ]


def clock(r: random.Random) -> list[Exchange]:
    hour, later = r.randint(1, 9), r.randint(1, 3)
    half = r.random() < 0.4
    start = f"{hour}:30" if half else f"{hour} o'clock"
    end = f"{hour + later}:30" if half else f"{hour + later} o'clock"
    hours = "one hour" if later == 1 else f"{NUMBER_WORDS[later]} hours"
    if r.random() < 0.5:
        text = pick(
            r,
            f"It is {start}. What time is it in {hours}?",
            f"A film begins at {start} and lasts {hours}. When does it end?",
            f"I leave at {start} and travel for {hours}. When do I arrive?",
        )
        return [
            (
                text,
                f"In {hours} it is {end}."
                if text.startswith("It is")
                else f"It ends at {end}."
                if "film" in text
                else f"You arrive at {end}.",
            )
        ]
    text = pick(
        r,
        f"The shop opens at {start} and closes at {end}. How long is it open?",
        f"I slept from {start} to {end}. How long did I sleep?",
    )
    return [(text, f"The shop is open for {hours}." if "shop" in text else f"You slept for {hours}.")]


KINDS = {"units": (3, units), "calendar": (3, calendar), "clock": (2, clock)}

"""What a program can tell about a reply. A check is a JSON object; every key of it has to hold.

any, all, none: words or phrases, of which one, each or not one occurs (whole words, case ignored)
exact: the reply, punctuation at its ends, quotes and case ignored (a list: any of them)
number: this number, as digits or a word, is the last number in the reply
yes: true or false, whether it begins with yes or no
items: how many entries a list has; of: each of them contains one of these
max_words, max_sentences, sentences: lengths
starts: letter or phrase it begins with
ordered: phrases that occur in this order
english: true: no other script, and common English words
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

_NUMBERS = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15,
    "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20, "dozen": 12,
}  # fmt: skip
_NUMBERS |= {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_NUMBERS |= {"hundred": 100}
_COMMON = frozenset(
    ("the", "a", "an", "is", "are", "was", "of", "to", "in", "and", "it", "you", "i", "that", "for", "on",
     "with", "as", "be", "have", "can", "not", "this", "at", "or", "my", "your", "we")
)  # fmt: skip
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s*(.+)$")
_NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?|[A-Za-z]+")


def passes(reply: str, check: dict[str, Any]) -> bool:
    """Whether the reply meets every key of the check. Raises KeyError for a key that there is not."""
    return all(_KINDS[key](reply, value) for key, value in check.items() if key != "of") and (
        "of" not in check or _of(reply, check["of"])
    )


def contains(reply: str, phrase: str) -> bool:
    """Whether the phrase occurs as whole words."""
    return re.search(rf"(?<!\w){re.escape(phrase.lower())}(?!\w)", reply.lower()) is not None


def entries(reply: str) -> list[str]:
    """The entries of a list: lines with bullets or numbers, else lines, else what commas separate."""
    lines = [line for line in reply.splitlines() if line.strip()]
    marked = [match[1].strip() for line in lines if (match := _BULLET.match(line))]
    if len(marked) > 1:
        return marked
    if len(lines) > 2:
        return [line.strip() for line in lines if not line.rstrip().endswith(":")]
    text = lines[-1] if lines else ""
    text = text.split(":", 1)[-1]
    parts = re.split(r",\s*(?:and\s+|or\s+)?|\s+and\s+|\s*;\s*", text.strip().rstrip("."))
    return [part.strip() for part in parts if part.strip()]


def loops(reply: str) -> bool:
    """Whether it goes in circles: six words that come three times, or one line three times."""
    words = reply.lower().split()
    seen: dict[tuple[str, ...], int] = {}
    for start in range(len(words) - 5):
        gram = tuple(words[start : start + 6])
        seen[gram] = seen.get(gram, 0) + 1
        if seen[gram] >= 3:
            return True
    lines = [line.strip().lower() for line in reply.splitlines() if len(line.strip()) > 3]
    return any(lines.count(line) >= 3 for line in set(lines))


def _plain(text: str) -> str:
    text = text.strip().replace("’", "'").lower()
    return re.sub(r"\s+", " ", text.strip(" .!?\"'`*“”"))


def _any(reply: str, phrases: Sequence[str]) -> bool:
    return any(contains(reply, phrase) for phrase in phrases)


def _all(reply: str, phrases: Sequence[str]) -> bool:
    return all(contains(reply, phrase) for phrase in phrases)


def _none(reply: str, phrases: Sequence[str]) -> bool:
    return not _any(reply, phrases)


def _exact(reply: str, wanted: str | Sequence[str]) -> bool:
    return _plain(reply) in {_plain(text) for text in ([wanted] if isinstance(wanted, str) else wanted)}


def _number(reply: str, wanted: float) -> bool:
    found: list[float] = []
    for token in _NUMBER.findall(reply):
        if token[-1].isdigit():
            found.append(float(token.replace(",", "")))
        elif token.lower() in _NUMBERS:
            found.append(_NUMBERS[token.lower()])
    return bool(found) and found[-1] == wanted


def _yes(reply: str, wanted: bool) -> bool:
    start = _plain(reply)
    return bool(re.match(r"yes\b|correct\b|true\b" if wanted else r"no\b|incorrect\b|false\b", start))


def _items(reply: str, count: int) -> bool:
    return len(entries(reply)) == count


def _of(reply: str, allowed: Sequence[str]) -> bool:
    found = [[word for word in allowed if contains(entry, word)] for entry in entries(reply)]
    return bool(found) and all(found) and len({max(words, key=len) for words in found}) == len(found)


def _sentences(reply: str) -> int:
    return len(re.findall(r"[.!?]+(?=\s|$)", reply.strip())) or int(bool(reply.strip()))


def _ordered(reply: str, phrases: Sequence[str]) -> bool:
    places = [reply.lower().find(phrase.lower()) for phrase in phrases]
    return -1 not in places and places == sorted(places)


def _english(reply: str, wanted: bool) -> bool:
    words = re.findall(r"[a-z']+", reply.lower())
    foreign = sum(ord(letter) > 0x24F and letter.isalpha() for letter in reply)
    common = sum(word in _COMMON for word in words)
    return (not foreign and common >= max(len(words) // 10, 1)) == wanted


_KINDS: dict[str, Callable[[str, Any], bool]] = {
    "any": _any,
    "all": _all,
    "none": _none,
    "exact": _exact,
    "number": _number,
    "yes": _yes,
    "items": _items,
    "max_words": lambda reply, most: len(reply.split()) <= most,
    "max_sentences": lambda reply, most: _sentences(reply) <= most,
    "sentences": lambda reply, wanted: _sentences(reply) == wanted,
    "starts": lambda reply, start: _plain(reply).startswith(start.lower()),
    "ordered": _ordered,
    "english": _english,
}

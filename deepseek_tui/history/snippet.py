"""The piece of a long text to show for what was searched, and where in it that stands."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from deepseek_tui.history.shelf import folded

LENGTH = 160
_BEFORE = 40
# A book is not read to its end for one line, nor every place weighed in a text full of the word.
_READ = 200_000
_WEIGHED = 200
_SPACES = re.compile(r"\s+")


class _Folding(dict[int, str]):
    """Each letter without case and accents, worked out at first use."""

    def __missing__(self, code: int) -> str:
        self[code] = plain = folded(chr(code))
        return plain


_FOLDING = _Folding()


class Snippets:
    """Makes snippets for one search, which was for these terms."""

    def __init__(self, terms: Sequence[str]) -> None:
        words = {folded(term) for term in terms}
        # The index cuts at what is no letter or digit, so anything of that kind may stand between words.
        patterns = [r"[\W_]+".join(re.findall(r"[^\W_]+", word)) for word in sorted(words, key=len)[::-1]]
        self._pattern = re.compile("|".join(rf"(?:(?<![^\W_]){p}|{p})" for p in patterns if p) or r"(?!)")

    def of(self, text: str) -> tuple[str, tuple[tuple[int, int], ...]]:
        """The piece with the most of what was searched for, on one line, and the places of it there."""
        start, end = self._piece(text)
        piece = _SPACES.sub(" ", text[start:end]).strip()
        before, after = "…" if start else "", "…" if end < len(text) else ""
        marks = tuple((a + len(before), b + len(before)) for a, b in self._places(piece))
        return f"{before}{piece}{after}", marks

    def _piece(self, text: str) -> tuple[int, int]:
        places = self._places(text[:_READ], _WEIGHED)
        best, most = 0, 0
        for number, (start, _) in enumerate(places):
            last = start + LENGTH - _BEFORE
            inside = set()
            for a, b in itertools.islice(places, number, None):
                if b > last:
                    break
                inside.add(folded(text[a:b]))
            if len(inside) > most:
                best, most = start, len(inside)
        start = max(0, best - _BEFORE)
        if start:
            # Not in the middle of a word, where there are words.
            space = _SPACES.search(text, start, best)
            start = space.end() if space else start
        end = min(len(text), start + LENGTH)
        if end < len(text):
            space_at = text.rfind(" ", best + LENGTH // 2, end)
            end = space_at if space_at > 0 else end
        return start, end

    def _places(self, text: str, limit: int = 1000) -> list[tuple[int, int]]:
        plain = text.lower() if text.isascii() else text.translate(_FOLDING)
        found = []
        for match in self._pattern.finditer(plain):
            found.append(match.span())
            if len(found) == limit:
                break
        if len(plain) == len(text) or not found:
            return found
        # Some letters became two or none: where each place of the plain text came from.
        origin = [at for at, char in enumerate(text) for _ in _FOLDING[ord(char)]] + [len(text)]
        return [(origin[a], origin[b]) for a, b in found]

"""The filter between text from anywhere (models, files, titles, errors) and the terminal.

Controls are not obeyed and not hidden: they are shown. ESC becomes the symbol ␛ and what follows it stays
plain text, so every kind of sequence (CSI, OSC, DCS, APC, PM, SOS, ended or not, in one piece or split) is
harmless without being parsed, and nothing that a user wrote or a model said is swallowed. In detail:

- C0 controls and DEL become their control pictures; C1 controls become ␛ and the letter of their 7-bit form.
- CR LF and CR are LF, as are NEL, the line and the paragraph separator; LF and TAB stay.
- Bidirectional embeddings, overrides and isolates are named (‹U+202E›): they make text read otherwise than
  it is. Tag characters, which spell invisible text, become the letters they stand for.
- Invisible formatting without meaning in a terminal is dropped (zero width space, BOM, direction marks, soft
  hyphen, annotations, ...). ZWJ, ZWNJ and variation selectors stay: scripts and emoji need them.
- Lone surrogates become U+FFFD. More than `MAX_MARKS` combining marks on one character are dropped.

The control sequences meant are those of ECMA-48; the bidi ones those of Unicode UAX #9.
"""

from __future__ import annotations

import re
import unicodedata

# Pointed Hebrew with cantillation needs five, Tibetan stacks somewhat more.
MAX_MARKS = 8

_BREAKS = "\x85\u2028\u2029"
_BIDI = "\u202a-\u202e\u2066-\u2069"
_SURROGATES = "\ud800-\udfff"
_TAGS = "\U000e0000-\U000e007f"
_DROPPED = (
    "\xad\u061c\u180e\u200b\u200e\u200f\u2060-\u2065\u206a-\u206f\ufeff\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0080-\U000e00ff\U000e01f0-\U000e0fff"
)
_UNSAFE = re.compile(
    f"\r\n?|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{_BREAKS}{_BIDI}{_SURROGATES}{_TAGS}{_DROPPED}]+"
)
# A row of what may be combining marks: no letters or digits, and none of the blocks of punctuation, symbols,
# boxes and arrows that text is full of. A class of the two thousand marks themselves is fifty times slower.
_MAYBE_MARKS = re.compile(
    rf"[^\w\x00-\u02ff\u2010-\u20cf\u2100-\u2cee\u2e00-\u3029\U0001f000-\U0001faff]{{{MAX_MARKS + 1},}}"
)


class _Table(dict[int, str]):
    """Translation of unsafe code points, worked out at first use of each."""

    def __missing__(self, code: int) -> str:
        self[code] = shown = _shown(code)
        return shown


def _shown(code: int) -> str:
    if chr(code) in _BREAKS:
        return "\n"
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if code < 0xA0:
        return "\u241b" + chr(code - 0x40)
    if 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069:
        return f"\u2039U+{code:04X}\u203a"
    if 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    if 0xE0020 <= code <= 0xE007E:
        return chr(code - 0xE0000)
    return ""


_TABLE = _Table()


def _replace(match: re.Match[str]) -> str:
    found = match.group()
    return "\n" if found[0] == "\r" else found.translate(_TABLE)


def _is_mark(char: str) -> bool:
    # Joiners count as marks here, or one between every eight would allow any number.
    return char in "\u200c\u200d" or unicodedata.category(char) in ("Mn", "Me")


def _bounded(match: re.Match[str]) -> str:
    kept = []
    row = 0
    for char in match.group():
        row = row + 1 if _is_mark(char) else 0
        if row <= MAX_MARKS:
            kept.append(char)
    return "".join(kept)


def _marks_at_end(text: str) -> str:
    start = len(text)
    while start > 0 and _is_mark(text[start - 1]):
        start -= 1
    return text[start:]


class Sanitizer:
    """The filter for text that comes in pieces: the pieces cut anywhere give the same as the whole.

    Nothing is held back: every `feed` returns all that is known of its piece.
    """

    def __init__(self) -> None:
        self._after_cr = False
        self._marks = ""

    def feed(self, text: str) -> str:
        """The safe form of the next piece."""
        if not text:
            return ""
        if self._after_cr and text[0] == "\n":
            # The other half of a CR LF whose line break is already out.
            self._after_cr = False
            return self.feed(text[1:])
        self._after_cr = text[-1] == "\r"
        clean = _UNSAFE.sub(_replace, text)
        if not clean:
            return ""
        if clean.isascii():
            self._marks = ""
            return clean
        before = len(self._marks)
        clean = _MAYBE_MARKS.sub(_bounded, self._marks + clean)
        self._marks = _marks_at_end(clean)
        return clean[before:]

    def flush(self) -> str:
        """End the text: what was held back (never anything), and ready for another one."""
        self._after_cr = False
        self._marks = ""
        return ""


def sanitize(text: str) -> str:
    """The safe form of a whole text."""
    return Sanitizer().feed(text)


def sanitize_line(text: str) -> str:
    """The safe form of a name or a title: one line, line breaks and tabs as spaces."""
    return sanitize(text).replace("\n", " ").replace("\t", " ")

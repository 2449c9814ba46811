"""Search in the texts of messages, by the index of words or, where there is none, text by text."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from deepseek_tui.history import index
from deepseek_tui.history.base import Base
from deepseek_tui.history.errors import HistoryError
from deepseek_tui.history.records import Hit
from deepseek_tui.history.rows import find_conversation
from deepseek_tui.history.snippet import Snippets

# Messages that are ranked; of words that more have, the newest.
RANKED = 2000

_QUERY = re.compile(r'"([^"]*)"?|([^\s"]+)')
# Writing without spaces: the index has whole runs of it as one word, and what is typed is rarely one.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
# Of a hit, in the order of its fields, and the text.
_COLUMNS = "c.id, c.title, m.id, m.role, m.created, m.text"


@dataclass(frozen=True)
class Term:
    """A word, or several that were in quotes."""

    text: str
    quoted: bool


class Search(Base):
    """The part of `Store` that finds messages."""

    def search(
        self, text: str, *, conversation: str | None = None, limit: int = 50, offset: int = 0
    ) -> list[Hit]:
        """The messages with every word of `text`, deleted and still growing ones left out.

        A word finds all that begin with it, whatever the case and accents; words in "quotes" are found as
        they stand, one after the other. Everywhere: the best first. In one conversation: on all of its
        branches, in the order the messages were made.
        """
        terms = terms_of(text)
        if not terms:
            return []
        if self._read(index.missing):
            # What cannot be read in now is found next time.
            with contextlib.suppress(HistoryError):
                self.index_more()

        def work(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
            if conversation is not None:
                find_conversation(db, conversation)
            by_index = index.available(db) and not any(_UNSPACED.search(term.text) for term in terms)
            find = _look_up if by_index else _scan
            return find(db, terms, conversation, (limit, offset))

        snippets = Snippets([term.text for term in terms])
        return [
            Hit(home, title, message, role, created, *snippets.of(words))
            for home, title, message, role, created, words in self._read(work)
        ]

    def search_note(self) -> str:
        """A sentence where `search` cannot find all it should; empty where it can."""

        def work(db: sqlite3.Connection) -> str:
            if not index.available(db):
                return (
                    "SQLite has no FTS5 here: search reads every message, which is slower, and wants accents"
                    " as they were written."
                )
            left = index.missing(db)
            return f"{left} older messages are not searched yet: they are still being read." if left else ""

        return self._read(work)

    def index_more(self, seconds: float = 0.1) -> int:
        """Read older messages into the index for about that long; returns about how many are left.

        There are some only after the first start with a file from before there was an index.
        """
        until = time.monotonic() + seconds
        while left := self._read(index.missing):
            left = self._write(index.fill)
            if time.monotonic() >= until:
                break
        return left


def _look_up(
    db: sqlite3.Connection, terms: list[Term], conversation: str | None, page: tuple[int, int]
) -> list[tuple[Any, ...]]:
    if conversation is None:
        return db.execute(
            "WITH found AS MATERIALIZED (SELECT rowid AS number, bm25(words) AS score FROM words"
            " WHERE words MATCH ? ORDER BY rowid DESC LIMIT ?)"
            f" SELECT {_COLUMNS} FROM found JOIN messages m ON m.number = found.number"
            " JOIN conversations c ON c.id = m.conversation WHERE m.deleted IS NULL AND c.deleted IS NULL"
            " ORDER BY found.score, found.number DESC LIMIT ? OFFSET ?",
            (expression(terms), RANKED, *page),
        ).fetchall()
    # Its messages are mostly in one row, and the index can be entered at a number.
    span = db.execute(
        "SELECT coalesce(min(number), 0), coalesce(max(number), 0) FROM messages WHERE conversation = ?",
        (conversation,),
    ).fetchone()
    return db.execute(
        f"SELECT {_COLUMNS} FROM words w JOIN messages m ON m.number = w.rowid"
        " JOIN conversations c ON c.id = m.conversation"
        " WHERE words MATCH ? AND w.rowid BETWEEN ? AND ?"
        " AND m.conversation = ? AND m.deleted IS NULL ORDER BY w.rowid LIMIT ? OFFSET ?",
        (expression(terms), *span, conversation, *page),
    ).fetchall()


def _scan(
    db: sqlite3.Connection, terms: list[Term], conversation: str | None, page: tuple[int, int]
) -> list[tuple[Any, ...]]:
    conditions = ["m.deleted IS NULL", "c.deleted IS NULL", "m.state <> 'streaming'"]
    values: list[Any] = []
    for term in terms:
        if _UNSPACED.search(term.text):
            conditions.append("instr(m.text, ?)")
            values.append(term.text)
        else:
            conditions.append("m.text LIKE ? ESCAPE '\\'")
            values.append("%" + re.sub(r"([\\%_])", r"\\\1", term.text) + "%")
    order = "DESC"
    if conversation is not None:
        conditions[1] = "m.conversation = ?"
        values.insert(0, conversation)
        order = "ASC"
    return db.execute(
        f"SELECT {_COLUMNS} FROM messages m JOIN conversations c ON c.id = m.conversation"
        f" WHERE {' AND '.join(conditions)} ORDER BY m.number {order} LIMIT ? OFFSET ?",
        (*values, *page),
    ).fetchall()


def terms_of(text: str) -> list[Term]:
    """The words and quoted phrases of what a person typed that have a letter or a digit in them."""
    found = [Term(quoted or word, bool(quoted)) for quoted, word in _QUERY.findall(text.replace("\x00", " "))]
    return [term for term in found if any(c.isalnum() for c in term.text)]


def expression(terms: list[Term]) -> str:
    """The query of FTS5: all terms, each as the beginning of a word unless it was in quotes."""
    return " ".join(f'"{t.text}"' if t.quoted else f'"{t.text}"*' for t in terms)

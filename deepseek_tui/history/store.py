"""The conversations of this user, in one SQLite file that several running apps share.

Messages form a tree: each names the one before it, so an edited question or another try at an answer is a
sibling, and a conversation's head says which branch is shown. Every method is one transaction, done when it
returns. A store may be used from any thread. Texts are stored as they came; what shows them makes them safe.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from deepseek_tui.history import file, owner
from deepseek_tui.history.errors import HistoryError, explain, is_damage
from deepseek_tui.history.records import (
    CONVERSATION_COLUMNS,
    MESSAGE_COLUMNS,
    Conversation,
    Message,
    Role,
    State,
    conversation_of,
    message_of,
    packed,
    storable,
)
from deepseek_tui.history.title import title_from
from deepseek_tui.history.transaction import transaction

__all__ = ["HEAD", "Conversation", "HistoryError", "Message", "Role", "State", "Store"]

HEAD = "head"

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


class Store:
    """The history in the file `path`, or with None in memory, for a session that cannot be saved.

    A damaged file is set aside, what can be read of it is taken over, and the work goes on in a new one:
    `recovered` then names the old file and `salvaged` counts the messages that came over. That may happen at
    opening or at any later call. Every method raises HistoryError, with nothing changed, when the file cannot
    be used (full disk, no permission, held by another program) or what was asked for is not there.
    """

    _connection: sqlite3.Connection
    _identity: tuple[int, int] | None = None

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.time) -> None:
        self.location = path
        self.recovered: Path | None = None
        self.salvaged = 0
        self._clock = clock
        self._lock = threading.RLock()
        self._closed = False
        self._open()

    def close(self) -> None:
        """Let go of the file. Further calls, other than this one, raise HistoryError."""
        with self._lock:
            self._closed = True
            self._connection.close()

    def copy_in_memory(self) -> Store:
        """All that is stored, in memory: what goes on when the file cannot be written any more."""
        copy = Store(None, self._clock)
        with self._lock, copy._lock:
            try:
                self._connection.backup(copy._connection)
            except sqlite3.Error as error:
                raise explain(error, self.location) from error
        return copy

    # --- conversations ---------------------------------------------------------------------------

    def create_conversation(
        self, model: str = "", system_prompt: str = "", settings: Mapping[str, Any] | None = None
    ) -> Conversation:
        """A new, empty conversation without a title."""
        identity = uuid.uuid4().hex

        def work(db: sqlite3.Connection) -> Conversation:
            now = self._clock()
            db.execute(
                "INSERT INTO conversations (id, title, created, updated, model, system_prompt, settings)"
                " VALUES (?, '', ?, ?, ?, ?, ?)",
                (identity, now, now, storable(model), storable(system_prompt), packed(settings or {})),
            )
            return _conversation(db, identity)

        return self._write(work)

    def conversations(self, limit: int | None = None, offset: int = 0) -> list[Conversation]:
        """Those not deleted, the one used last first."""
        statement = (
            f"SELECT {CONVERSATION_COLUMNS} FROM conversations c WHERE c.deleted IS NULL"
            " ORDER BY c.updated DESC, c.number DESC LIMIT ? OFFSET ?"
        )
        page = (-1 if limit is None else limit, offset)
        return self._read(lambda db: [conversation_of(row) for row in db.execute(statement, page)])

    def get(self, conversation_id: str) -> Conversation:
        """The conversation, a deleted one too as long as it is not purged."""
        return self._read(lambda db: _conversation(db, conversation_id))

    def rename(self, conversation_id: str, title: str) -> None:
        """Give it another title."""
        self._change(conversation_id, title=storable(title))

    def configure(
        self,
        conversation_id: str,
        *,
        model: str | None = None,
        system_prompt: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Change what holds for all replies to come; None leaves a thing as it is."""
        changes = {
            "model": None if model is None else storable(model),
            "system_prompt": None if system_prompt is None else storable(system_prompt),
            "settings": None if settings is None else packed(settings),
        }
        self._change(conversation_id, **{k: v for k, v in changes.items() if v is not None})

    def delete(self, conversation_id: str) -> None:
        """Take it out of the list; `undelete` brings it back until `purge_deleted`."""
        self._change(conversation_id, deleted=self._clock())

    def undelete(self, conversation_id: str) -> None:
        """Bring a deleted conversation back to its place in the list."""
        self._change(conversation_id, deleted=None)

    def purge(self, conversation_id: str) -> None:
        """Remove one conversation for good, without undo."""

        def work(db: sqlite3.Connection) -> None:
            if db.execute("DELETE FROM conversations WHERE id = ?", (conversation_id,)).rowcount == 0:
                raise _gone("conversation", conversation_id)

        self._write(work)

    def purge_deleted(self, older_than_seconds: float) -> int:
        """Remove for good what was deleted at least that long ago, and return how many conversations."""
        limit = self._clock() - older_than_seconds
        statement = "DELETE FROM conversations WHERE deleted <= ?"
        return self._write(lambda db: db.execute(statement, (limit,)).rowcount)

    def set_head(self, conversation_id: str, message_id: str | None) -> None:
        """Show the branch that ends in this message; None shows nothing, and the next message begins anew."""

        def work(db: sqlite3.Connection) -> None:
            _conversation(db, conversation_id)
            if message_id is not None:
                _in_conversation(db, conversation_id, message_id)
            db.execute("UPDATE conversations SET head = ? WHERE id = ?", (message_id, conversation_id))

        self._write(work)

    # --- messages --------------------------------------------------------------------------------

    def add_message(
        self,
        conversation_id: str,
        role: Role,
        text: str,
        *,
        parent: str | None = HEAD,
        state: State = "complete",
        model: str = "",
        settings: Mapping[str, Any] | None = None,
        stats: Mapping[str, Any] | None = None,
    ) -> Message:
        """Put a message after `parent` (the head; None: at the beginning) and make it the head.

        The first message of a user gives an untitled conversation its title. A conversation that was deleted,
        in another window perhaps, comes back: what is written now is not to vanish.
        """
        message_id = uuid.uuid4().hex
        words = storable(text)

        def work(db: sqlite3.Connection) -> Message:
            conversation = _conversation(db, conversation_id)
            before = conversation.head if parent == HEAD else parent
            if before is not None:
                _in_conversation(db, conversation_id, before)
            now = self._clock()
            db.execute(
                f"INSERT INTO messages ({MESSAGE_COLUMNS}, owner) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                (
                    *(message_id, conversation_id, before, role, words, state, now, now, storable(model)),
                    *(packed(settings or {}), packed(stats or {}), _owner(state)),
                ),
            )
            title = conversation.title or (title_from(words) if role == "user" else "")
            db.execute(
                "UPDATE conversations SET head = ?, updated = ?, title = ?, deleted = NULL WHERE id = ?",
                (message_id, now, title, conversation_id),
            )
            return _message(db, message_id)

        # What a person typed is to survive a power cut too; a reply can be made again.
        return self._write(work, durable=role == "user")

    def update_message(
        self,
        message_id: str,
        *,
        text: str | None = None,
        state: State | None = None,
        stats: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Change a message in place, as a reply grows; None leaves a thing as it is."""
        changes: dict[str, Any] = {}
        if text is not None:
            changes["text"] = storable(text)
        if state is not None:
            changes |= {"state": state, "owner": _owner(state)}
        if stats is not None:
            changes["stats"] = packed(stats)
        if settings is not None:
            changes["settings"] = packed(settings)

        def work(db: sqlite3.Connection) -> None:
            now = self._clock()
            columns = ", ".join(f"{name} = ?" for name in [*changes, "updated"])
            values = (*changes.values(), now, message_id)
            if db.execute(f"UPDATE messages SET {columns} WHERE id = ?", values).rowcount == 0:
                raise _gone("message", message_id)
            if state is not None:
                db.execute(
                    "UPDATE conversations SET updated = ?"
                    " WHERE id = (SELECT conversation FROM messages WHERE id = ?)",
                    (now, message_id),
                )

        self._write(work)

    def path(self, conversation_id: str) -> list[Message]:
        """The branch shown, from the first message to the head."""
        # A message is made after its parent, so its number says its place in the branch.
        statement = (
            "WITH RECURSIVE branch(id) AS ("
            " SELECT head FROM conversations WHERE id = ? UNION"
            " SELECT m.parent FROM branch JOIN messages m ON m.id = branch.id)"
            f" SELECT {MESSAGE_COLUMNS} FROM messages WHERE id IN branch ORDER BY number"
        )
        return self._messages_of(conversation_id, statement)

    def messages(self, conversation_id: str) -> list[Message]:
        """Every message of the tree, in the order they were made."""
        statement = f"SELECT {MESSAGE_COLUMNS} FROM messages WHERE conversation = ? ORDER BY number"
        return self._messages_of(conversation_id, statement)

    def prompts(self, limit: int) -> list[str]:
        """What the user said before, the newest first, each text once, deleted conversations left out."""

        def work(db: sqlite3.Connection) -> list[str]:
            # CROSS JOIN keeps this order of tables, in which nothing has to be sorted.
            rows = db.execute(
                "SELECT m.text FROM messages m CROSS JOIN conversations c ON c.id = m.conversation"
                " WHERE m.role = 'user' AND c.deleted IS NULL ORDER BY m.number DESC"
            )
            texts: dict[str, None] = {}
            for (text,) in rows:
                if len(texts) == limit:
                    break
                texts[text] = None
            rows.close()
            return list(texts)

        return self._read(work)

    def recover_streaming(self) -> int:
        """Mark the replies that a dead app left half written as stopped, and return how many.

        Those of other apps that still run, and of this one, stay as they are.
        """

        def work(db: sqlite3.Connection) -> int:
            owners = db.execute("SELECT DISTINCT owner FROM messages WHERE state = 'streaming'").fetchall()
            count = 0
            for (name,) in owners:
                if not owner.is_alive(name or ""):
                    count += db.execute(
                        "UPDATE messages SET state = 'stopped', owner = NULL"
                        " WHERE state = 'streaming' AND owner IS ?",
                        (name,),
                    ).rowcount
            return count

        return self._write(work)

    # --- one transaction -------------------------------------------------------------------------

    def _change(self, conversation_id: str, **changes: Any) -> None:
        if not changes:
            return
        columns = ", ".join(f"{name} = ?" for name in changes)

        def work(db: sqlite3.Connection) -> None:
            values = (*changes.values(), conversation_id)
            if db.execute(f"UPDATE conversations SET {columns} WHERE id = ?", values).rowcount == 0:
                raise _gone("conversation", conversation_id)

        self._write(work)

    def _messages_of(self, conversation_id: str, statement: str) -> list[Message]:
        def work(db: sqlite3.Connection) -> list[Message]:
            _conversation(db, conversation_id)
            return [message_of(row) for row in db.execute(statement, (conversation_id,))]

        return self._read(work)

    def _read(self, work: Work[T]) -> T:
        return self._run(work, "BEGIN", durable=False)

    def _write(self, work: Work[T], durable: bool = False) -> T:
        return self._run(work, "BEGIN IMMEDIATE", durable)

    def _run(self, work: Work[T], begin: str, durable: bool) -> T:
        with self._lock:
            if self._closed:
                raise HistoryError("The history is closed.")
            try:
                if self._replaced():
                    self._connection.close()
                    self._open()
                return self._attempt(work, begin, durable)
            except sqlite3.Error as error:
                if not is_damage(error) or self.location is None:
                    raise explain(error, self.location) from error
            self._connection.close()
            self._open(thorough=True)
            try:
                return self._attempt(work, begin, durable)
            except sqlite3.Error as error:
                raise explain(error, self.location) from error

    def _attempt(self, work: Work[T], begin: str, durable: bool) -> T:
        db = self._connection
        if durable:
            db.execute("PRAGMA synchronous = FULL")
        try:
            with transaction(db, begin):
                return work(db)
        finally:
            if durable:
                with contextlib.suppress(sqlite3.Error):
                    db.execute("PRAGMA synchronous = NORMAL")

    def _open(self, thorough: bool = False) -> None:
        if self.location is None:
            self._connection = file.connect(None)
            return
        self._connection, aside, salvaged = file.open_sound(self.location, thorough)
        if aside:
            self.recovered, self.salvaged = aside, salvaged
        self._identity = file.identity(self.location)

    def _replaced(self) -> bool:
        """Whether the file was deleted or set aside under us: writing on would go to nowhere."""
        return self.location is not None and file.identity(self.location) != self._identity


def _owner(state: State) -> str | None:
    return owner.this_process() if state == "streaming" else None


def _gone(kind: str, identity: str) -> HistoryError:
    return HistoryError(
        f"There is no {kind} {identity[:8]} in the history any more.", "Another window may have removed it."
    )


def _conversation(db: sqlite3.Connection, identity: str) -> Conversation:
    statement = f"SELECT {CONVERSATION_COLUMNS} FROM conversations c WHERE c.id = ?"
    row = db.execute(statement, (identity,)).fetchone()
    if row is None:
        raise _gone("conversation", identity)
    return conversation_of(row)


def _message(db: sqlite3.Connection, identity: str) -> Message:
    return message_of(
        db.execute(f"SELECT {MESSAGE_COLUMNS} FROM messages WHERE id = ?", (identity,)).fetchone()
    )


def _in_conversation(db: sqlite3.Connection, conversation_id: str, message_id: str) -> None:
    statement = "SELECT 1 FROM messages WHERE id = ? AND conversation = ?"
    if db.execute(statement, (message_id, conversation_id)).fetchone() is None:
        raise _gone("message", message_id)

"""The conversations of this user, in one SQLite file that several running apps share.

Messages form a tree: each names the one before it, so an edited question or another try at an answer is a
sibling, and a conversation's head says which branch is shown. Every method is one transaction, done when it
returns. A store may be used from any thread. Texts are stored as they came; what shows them makes them safe.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Mapping
from typing import Any

from deepseek_tui.history import owner
from deepseek_tui.history.branches import Branches, insert_message, touch
from deepseek_tui.history.deletions import UNDO_SECONDS, Deletions
from deepseek_tui.history.errors import HistoryError
from deepseek_tui.history.records import (
    Conversation,
    Hit,
    Message,
    Place,
    Role,
    State,
    Undo,
    packed,
    storable,
)
from deepseek_tui.history.rows import check_message, find_conversation, find_message, gone, put_head
from deepseek_tui.history.search import Search
from deepseek_tui.history.shelf import Shelf
from deepseek_tui.history.title import title_from
from deepseek_tui.history.transfer import Transfer

__all__ = [
    "HEAD",
    "UNDO_SECONDS",
    "Conversation",
    "HistoryError",
    "Hit",
    "Message",
    "Place",
    "Role",
    "State",
    "Store",
    "Undo",
]

HEAD = "head"


class Store(Branches, Deletions, Search, Shelf, Transfer):
    """The history in the file `path`, or with None in memory, for a session that cannot be saved.

    A damaged file is set aside, what can be read of it is taken over, and the work goes on in a new one:
    `recovered` then names the old file and `salvaged` counts the messages that came over. That may happen at
    opening or at any later call. Every method raises HistoryError, with nothing changed, when the file cannot
    be used (full disk, no permission, held by another program) or what was asked for is not there.
    """

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
            return find_conversation(db, identity)

        return self._write(work)

    def get(self, conversation_id: str) -> Conversation:
        """The conversation, a deleted one too as long as it is not purged."""
        return self._read(lambda db: find_conversation(db, conversation_id))

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
            conversation = find_conversation(db, conversation_id)
            before = conversation.head if parent == HEAD else parent
            if before is not None:
                check_message(db, conversation_id, before)
            now = self._clock()
            insert_message(
                db,
                Message(
                    *(message_id, conversation_id, before, role, words, state, now, now, storable(model)),
                    *(dict(settings or {}), dict(stats or {})),
                ),
            )
            if not conversation.title and role == "user":
                title = title_from(words)
                db.execute("UPDATE conversations SET title = ? WHERE id = ?", (title, conversation_id))
            touch(db, conversation_id, now)
            put_head(db, conversation_id, message_id)
            return find_message(db, message_id)

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
        model: str | None = None,
    ) -> None:
        """Change a message in place, as a reply grows; None leaves a thing as it is."""
        changes: dict[str, Any] = {}
        if text is not None:
            changes["text"] = storable(text)
        if state is not None:
            changes |= {"state": state, "owner": _owner(state)}
        if stats is not None:
            changes["stats"] = packed(stats)
        if model is not None:
            changes["model"] = storable(model)
        if settings is not None:
            changes["settings"] = packed(settings)

        def work(db: sqlite3.Connection) -> None:
            now = self._clock()
            columns = ", ".join(f"{name} = ?" for name in [*changes, "updated"])
            values = (*changes.values(), now, message_id)
            if db.execute(f"UPDATE messages SET {columns} WHERE id = ?", values).rowcount == 0:
                raise gone("message", message_id)
            if state is not None:
                db.execute(
                    "UPDATE conversations SET updated = ?"
                    " WHERE id = (SELECT conversation FROM messages WHERE id = ?)",
                    (now, message_id),
                )

        self._write(work)

    def prompts(self, limit: int) -> list[str]:
        """What the user said before, the newest first, each text once, deleted conversations left out."""

        def work(db: sqlite3.Connection) -> list[str]:
            # CROSS JOIN keeps this order of tables, in which nothing has to be sorted.
            rows = db.execute(
                "SELECT m.text FROM messages m CROSS JOIN conversations c ON c.id = m.conversation"
                " WHERE m.role = 'user' AND m.deleted IS NULL AND c.deleted IS NULL ORDER BY m.number DESC"
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


def _owner(state: State) -> str | None:
    return owner.this_process() if state == "streaming" else None

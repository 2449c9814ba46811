"""Moving in the tree of a conversation, and making new branches of it."""

from __future__ import annotations

import dataclasses
import sqlite3
import uuid

from deepseek_tui.history import owner
from deepseek_tui.history.base import Base
from deepseek_tui.history.errors import HistoryError
from deepseek_tui.history.records import (
    MESSAGE_COLUMNS,
    Conversation,
    Message,
    Place,
    State,
    message_of,
    packed,
    storable,
)
from deepseek_tui.history.rows import (
    check_message,
    find_conversation,
    find_message,
    put_head,
    tree_of,
)


class Branches(Base):
    """The part of `Store` that knows that messages form a tree."""

    def path(self, conversation_id: str) -> list[Message]:
        """The branch shown, from the first message to the head."""

        def work(db: sqlite3.Connection) -> list[Message]:
            return _path(db, conversation_id, find_conversation(db, conversation_id).head)

        return self._read(work)

    def path_to(self, message_id: str) -> list[Message]:
        """The branch from the first message to this one, whatever is shown."""

        def work(db: sqlite3.Connection) -> list[Message]:
            return _path(db, find_message(db, message_id).conversation, message_id)

        return self._read(work)

    def messages(self, conversation_id: str) -> list[Message]:
        """Every message of the tree, in the order they were made."""

        def work(db: sqlite3.Connection) -> list[Message]:
            find_conversation(db, conversation_id)
            return all_messages(db, conversation_id)

        return self._read(work)

    def siblings(self, message_id: str) -> list[Message]:
        """The variants that stand at the place of this message, itself among them, the oldest first."""

        def work(db: sqlite3.Connection) -> list[Message]:
            conversation = find_message(db, message_id).conversation
            tree = tree_of(db, conversation)
            return [
                dataclasses.replace(find_message(db, one), parent=tree.parent[one])
                for one in tree.siblings(message_id)
            ]

        return self._read(work)

    def places(self, conversation_id: str) -> dict[str, Place]:
        """For each message on the branch shown that has siblings: which one it is, and of how many."""

        def work(db: sqlite3.Connection) -> dict[str, Place]:
            head = find_conversation(db, conversation_id).head
            tree = tree_of(db, conversation_id)
            beside = {one: tree.siblings(one) for one in tree.path(head)}
            return {m: Place(row.index(m), len(row)) for m, row in beside.items() if len(row) > 1}

        return self._read(work)

    def set_head(self, conversation_id: str, message_id: str | None) -> None:
        """Show the branch that ends in this message; None shows nothing, and the next message begins anew."""

        def work(db: sqlite3.Connection) -> None:
            find_conversation(db, conversation_id)
            if message_id is not None:
                check_message(db, conversation_id, message_id)
            put_head(db, conversation_id, message_id)

        self._write(work)

    def show(self, message_id: str) -> None:
        """Show a branch with this message on it: the present one, or the one through it shown last."""

        def work(db: sqlite3.Connection) -> None:
            conversation = find_message(db, message_id).conversation
            tree = tree_of(db, conversation)
            if message_id not in tree.path(find_conversation(db, conversation).head):
                put_head(db, conversation, tree.leaf_below(message_id))

        self._write(work)

    def walk(self, message_id: str, step: int) -> Message | None:
        """Show the sibling `step` places after (before: negative) this message, as it was shown last.

        Returns that sibling, or None with nothing changed when there is none so far off.
        """

        def work(db: sqlite3.Connection) -> Message | None:
            conversation = find_message(db, message_id).conversation
            tree = tree_of(db, conversation)
            row = tree.siblings(message_id)
            wanted = row.index(message_id) + step
            if not 0 <= wanted < len(row):
                return None
            put_head(db, conversation, tree.leaf_below(row[wanted]))
            return dataclasses.replace(find_message(db, row[wanted]), parent=tree.parent[message_id])

        return self._write(work)

    def edit(self, message_id: str, text: str, state: State = "complete") -> Message:
        """A sibling of this message with another text, which becomes the head; the old one is kept.

        A reply takes over the model and settings of the old one, not its figures. To let the model carry on
        from an edited reply, give state "streaming".
        """
        identity, words = uuid.uuid4().hex, storable(text)

        def work(db: sqlite3.Connection) -> Message:
            old = find_message(db, message_id)
            parent = tree_of(db, old.conversation).parent[message_id]
            now = self._clock()
            insert_message(
                db,
                dataclasses.replace(
                    old,
                    id=identity,
                    parent=parent,
                    text=words,
                    state=state,
                    created=now,
                    updated=now,
                    stats={},
                ),
            )
            touch(db, old.conversation, now)
            put_head(db, old.conversation, identity)
            return find_message(db, identity)

        return self._write(work, durable=True)

    def resume(self, message_id: str) -> Message:
        """Mark a reply that stopped as being written again, and show the branch that ends in it.

        Its text stays and is what the model carries on from. What follows it stays too, but is not shown.
        Raises HistoryError for what is no reply or is being written.
        """

        def work(db: sqlite3.Connection) -> Message:
            message = find_message(db, message_id)
            if message.role != "assistant":
                raise HistoryError("Only a reply can be continued.", "Choose a message of the model.")
            if message.state == "streaming":
                raise HistoryError("That reply is still being written.", "Stop it first.")
            now = self._clock()
            db.execute(
                "UPDATE messages SET state = 'streaming', owner = ?, updated = ? WHERE id = ?",
                (owner.this_process(), now, message_id),
            )
            touch(db, message.conversation, now)
            put_head(db, message.conversation, message_id)
            parent = tree_of(db, message.conversation).parent[message_id]
            return dataclasses.replace(find_message(db, message_id), parent=parent)

        return self._write(work)

    def fork(self, message_id: str) -> Conversation:
        """A new conversation with copies of the messages up to this one; the old one stays as it is.

        `origin` of the new one names the message. A reply that is being written is copied as stopped.
        """
        identity = uuid.uuid4().hex

        def work(db: sqlite3.Connection) -> Conversation:
            source = find_message(db, message_id).conversation
            now = self._clock()
            db.execute(
                "INSERT INTO conversations"
                " (id, title, created, updated, model, system_prompt, settings, folder, origin)"
                " SELECT ?, title, ?, ?, model, system_prompt, settings, folder, ?"
                " FROM conversations WHERE id = ?",
                (identity, now, now, message_id, source),
            )
            parent = None
            for message in _path(db, source, message_id):
                copy = dataclasses.replace(
                    message,
                    id=uuid.uuid4().hex,
                    conversation=identity,
                    parent=parent,
                    state="stopped" if message.state == "streaming" else message.state,
                )
                insert_message(db, copy)
                parent = copy.id
            put_head(db, identity, parent)
            return find_conversation(db, identity)

        return self._write(work, durable=True)


def insert_message(db: sqlite3.Connection, message: Message) -> None:
    """A new row, whose texts are storable; one that streams belongs to this process."""
    mark = owner.this_process() if message.state == "streaming" else None
    db.execute(
        f"INSERT INTO messages ({MESSAGE_COLUMNS}, owner) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            *(message.id, message.conversation, message.parent, message.role, message.text, message.state),
            *(message.created, message.updated, message.model),
            *(packed(message.settings), packed(message.stats), mark),
        ),
    )


def touch(db: sqlite3.Connection, conversation_id: str, now: float) -> None:
    """Something was written: it moves up in the list, and a deleted one comes back to it."""
    db.execute("UPDATE conversations SET updated = ?, deleted = NULL WHERE id = ?", (now, conversation_id))
    db.execute("DELETE FROM deletions WHERE conversation = ? AND kind = 'conversation'", (conversation_id,))


def all_messages(db: sqlite3.Connection, conversation_id: str) -> list[Message]:
    """Every message that is there, in the order they were made, each with the parent it has now."""
    tree = tree_of(db, conversation_id)
    rows = db.execute(
        f"SELECT {MESSAGE_COLUMNS} FROM messages WHERE conversation = ? AND deleted IS NULL ORDER BY number",
        (conversation_id,),
    )
    return [dataclasses.replace(message_of(row), parent=tree.parent[row[0]]) for row in rows]


def _path(db: sqlite3.Connection, conversation_id: str, head: str | None) -> list[Message]:
    """The messages that are there up to `head`."""
    # A message is made after its parent, so its number says its place in the branch.
    rows = db.execute(
        "WITH RECURSIVE branch(id) AS ("
        " VALUES (?) UNION SELECT m.parent FROM branch JOIN messages m ON m.id = branch.id)"
        f" SELECT {MESSAGE_COLUMNS} FROM messages"
        " WHERE id IN branch AND conversation = ? AND deleted IS NULL ORDER BY number",
        (head, conversation_id),
    )
    found: list[Message] = []
    for row in rows:
        message = message_of(row)
        before = found[-1].id if found else None
        found.append(message if message.parent == before else dataclasses.replace(message, parent=before))
    return found

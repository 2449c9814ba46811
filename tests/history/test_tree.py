"""Random work on the store against a model of a few dictionaries."""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from deepseek_tui.history.store import Place, Store


@dataclass
class Node:
    """A message of the model; `taken` is the deletion that hides it."""

    conversation: str
    parent: str | None
    text: str
    taken: int | None = None
    shown: int = 0


@dataclass
class Talk:
    head: str | None = None
    taken: bool = False
    nodes: dict[str, Node] = field(default_factory=dict)

    def there(self) -> dict[str, Node]:
        return {i: n for i, n in self.nodes.items() if n.taken is None}

    def above(self, identity: str) -> str | None:
        """The message before, as one sees it."""
        at = self.nodes[identity].parent
        while at is not None and self.nodes[at].taken is not None:
            at = self.nodes[at].parent
        return at

    def below(self, identity: str | None) -> list[str]:
        return [i for i in self.there() if self.above(i) == identity]

    def path(self, identity: str | None) -> list[str]:
        return [] if identity is None else [*self.path(self.above(identity)), identity]

    def all_below(self, identity: str) -> list[str]:
        return [identity, *(i for child in self.below(identity) for i in self.all_below(child))]

    def leaf(self, identity: str) -> str:
        order = list(self.nodes)
        leaves = [i for i in self.all_below(identity) if not self.below(i)]
        return max(leaves, key=lambda i: (self.nodes[i].shown, order.index(i)))


class Tree(RuleBasedStateMachine):
    conversations = Bundle("conversations")
    messages = Bundle("messages")
    deletions = Bundle("deletions")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "history.db"
        self.clock = map(float, itertools.count()).__next__
        self.store = Store(self.path, self.clock)
        self.talks: dict[str, Talk] = {}
        self.order: list[str] = []
        self.undos: dict[int, tuple[str, str, str | None]] = {}
        self.turn = itertools.count(1)

    def found(self, message: str) -> Talk | None:
        """The conversation of a message that is there."""
        return next((t for t in self.talks.values() if message in t.there()), None)

    def show_head(self, talk: Talk, head: str | None) -> None:
        talk.head = head
        if head is not None:
            talk.nodes[head].shown = next(self.turn)

    def written(self, conversation: str, made: str, parent: str | None, text: str) -> None:
        talk = self.talks[conversation]
        talk.nodes[made] = Node(conversation, parent, text)
        self.show_head(talk, made)
        self.touched(conversation)

    def touched(self, conversation: str) -> None:
        self.talks[conversation].taken = False
        self.undos = {n: u for n, u in self.undos.items() if u[:2] != (conversation, "conversation")}
        self.order.remove(conversation)
        self.order.append(conversation)

    @rule(target=conversations)
    def create(self) -> str:
        made = self.store.create_conversation().id
        self.order.append(made)
        self.talks[made] = Talk()
        return made

    @rule(target=messages, conversation=conversations, text=st.text(max_size=5))
    def add(self, conversation: str, text: str) -> object:
        if conversation not in self.talks:
            return multiple()
        parent = self.talks[conversation].head
        made = self.store.add_message(conversation, "user", text)
        self.written(conversation, made.id, parent, made.text)
        return made.id

    @rule(target=messages, at=messages, text=st.text(max_size=5))
    def follow(self, at: str, text: str) -> object:
        talk = self.found(at)
        if talk is None:
            return multiple()
        made = self.store.add_message(talk.nodes[at].conversation, "assistant", text, parent=at)
        self.written(made.conversation, made.id, at, made.text)
        return made.id

    @rule(target=messages, at=messages, text=st.text(max_size=5))
    def edit(self, at: str, text: str) -> object:
        talk = self.found(at)
        if talk is None:
            return multiple()
        made = self.store.edit(at, text)
        assert made.parent == talk.above(at)
        self.written(made.conversation, made.id, made.parent, made.text)
        return made.id

    @rule(at=messages, text=st.text(max_size=5))
    def grow(self, at: str, text: str) -> None:
        talk = self.found(at)
        if talk:
            self.store.update_message(at, text=text)
            talk.nodes[at].text = text

    @rule(at=messages, to_head=st.booleans())
    def show(self, at: str, to_head: bool) -> None:
        talk = self.found(at)
        if talk is None:
            return
        if to_head:
            self.store.set_head(talk.nodes[at].conversation, at)
            self.show_head(talk, at)
        else:
            self.store.show(at)
            if at not in talk.path(talk.head):
                self.show_head(talk, talk.leaf(at))

    @rule(at=messages, step=st.integers(-2, 2))
    def walk(self, at: str, step: int) -> None:
        talk = self.found(at)
        if talk is None:
            return
        row = talk.below(talk.above(at))
        assert [m.id for m in self.store.siblings(at)] == row
        wanted = row.index(at) + step
        shown = self.store.walk(at, step)
        if 0 <= wanted < len(row):
            assert shown is not None
            assert shown.id == row[wanted]
            self.show_head(talk, talk.leaf(row[wanted]))
        else:
            assert shown is None

    @rule(target=conversations, at=messages)
    def fork(self, at: str) -> object:
        talk = self.found(at)
        if talk is None:
            return multiple()
        made = self.store.fork(at)
        assert made.origin == at
        copies = self.store.path(made.id)
        assert [m.text for m in copies] == [talk.nodes[i].text for i in talk.path(at)]
        self.order.append(made.id)
        self.talks[made.id] = Talk()
        for copy in copies:
            self.written(made.id, copy.id, copy.parent, copy.text)
        return made.id

    @rule(target=deletions, at=messages, branch=st.booleans())
    def delete_message(self, at: str, branch: bool) -> object:
        talk = self.found(at)
        if talk is None:
            return multiple()
        above, old = talk.above(at), talk.head
        conversation = talk.nodes[at].conversation
        lost = talk.all_below(at) if branch else [at]
        undo = self.store.delete_branch(at) if branch else self.store.delete_message(at)
        assert undo.count == len(lost)
        for one in lost:
            talk.nodes[one].taken = undo.id
        if old in lost:
            order = list(talk.nodes)
            left = talk.below(above)
            older = [i for i in left if order.index(i) < order.index(at)]
            self.show_head(talk, talk.leaf((older[-1:] or left)[0]) if left else above)
        self.undos[undo.id] = (conversation, undo.kind, old)
        return undo.id

    @rule(target=deletions, conversation=conversations)
    def delete(self, conversation: str) -> object:
        if conversation not in self.talks:
            return multiple()
        kept = {n: u for n, u in self.undos.items() if u[:2] != (conversation, "conversation")}
        undo = self.store.delete(conversation)
        self.undos = {**kept, undo.id: (conversation, "conversation", None)}
        self.talks[conversation].taken = True
        return undo.id

    @rule(deletion=deletions)
    def undo(self, deletion: int) -> None:
        if deletion not in self.undos:
            return
        conversation, kind, head = self.undos.pop(deletion)
        assert self.store.undo(deletion).kind == kind
        talk = self.talks[conversation]
        if kind == "conversation":
            talk.taken = False
            return
        for node in talk.nodes.values():
            if node.taken == deletion:
                node.taken = None
        if head in talk.there():
            self.show_head(talk, head)

    @rule()
    def purge(self) -> None:
        assert self.store.purge_deleted(0) == sum(t.taken for t in self.talks.values())
        self.talks = {c: t for c, t in self.talks.items() if not t.taken}
        self.order = [c for c in self.order if c in self.talks]
        self.undos = {}
        for talk in self.talks.values():
            for identity, node in talk.there().items():
                node.parent = talk.above(identity)
            talk.nodes = talk.there()

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = Store(self.path, self.clock)

    @invariant()
    def the_same_is_there(self) -> None:
        listed = self.store.conversations()
        assert [c.id for c in listed] == [c for c in reversed(self.order) if not self.talks[c].taken]
        assert {u.id for u in self.store.undoable(limit=1000)} == set(self.undos)
        for conversation, talk in self.talks.items():
            shown = [(i, talk.above(i), talk.nodes[i].text) for i in talk.path(talk.head)]
            assert [(m.id, m.parent, m.text) for m in self.store.path(conversation)] == shown
            assert self.store.get(conversation).head == talk.head
            assert [(m.id, m.parent) for m in self.store.messages(conversation)] == [
                (i, talk.above(i)) for i in talk.there()
            ]
            rows = {i: talk.below(talk.above(i)) for i in talk.path(talk.head)}
            assert self.store.places(conversation) == {
                i: Place(row.index(i), len(row)) for i, row in rows.items() if len(row) > 1
            }

    def teardown(self) -> None:
        db = self.store._connection
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        db.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")
        self.store.close()
        self.folder.cleanup()


Tree.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestTree = Tree.TestCase

"""Random work on the store against a model of a few dictionaries."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from deepseek_tui.history.store import Store


class Tree(RuleBasedStateMachine):
    conversations = Bundle("conversations")
    messages = Bundle("messages")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "history.db"
        self.clock = map(float, itertools.count()).__next__
        self.store = Store(self.path, self.clock)
        self.order: list[str] = []
        self.deleted: set[str] = set()
        self.head: dict[str, str | None] = {}
        self.parent: dict[str, str | None] = {}
        self.text: dict[str, str] = {}
        self.home: dict[str, str] = {}

    @rule(target=conversations)
    def create(self) -> str:
        made = self.store.create_conversation().id
        self.order.append(made)
        self.head[made] = None
        return made

    def _added(self, conversation: str, made: str, parent: str | None, text: str) -> None:
        self.parent[made], self.text[made], self.home[made] = parent, text, conversation
        self.head[conversation] = made
        self.deleted.discard(conversation)
        self.order.remove(conversation)
        self.order.append(conversation)

    @rule(target=messages, conversation=conversations, text=st.text(max_size=5))
    def add(self, conversation: str, text: str) -> object:
        if conversation not in self.head:
            return multiple()
        parent = self.head[conversation]
        made = self.store.add_message(conversation, "user", text)
        self._added(conversation, made.id, parent, made.text)
        return made.id

    @rule(target=messages, at=messages, sibling=st.booleans(), text=st.text(max_size=5))
    def branch(self, at: str, sibling: bool, text: str) -> object:
        if at not in self.home:
            return multiple()
        parent = self.parent[at] if sibling else at
        made = self.store.add_message(self.home[at], "assistant", text, parent=parent)
        self._added(self.home[at], made.id, parent, made.text)
        return made.id

    @rule(at=messages, text=st.text(max_size=5))
    def edit(self, at: str, text: str) -> None:
        if at in self.home:
            self.store.update_message(at, text=text)
            self.text[at] = text

    @rule(at=messages)
    def show(self, at: str) -> None:
        if at in self.home:
            self.store.set_head(self.home[at], at)
            self.head[self.home[at]] = at

    @rule(conversation=conversations)
    def delete(self, conversation: str) -> None:
        if conversation in self.head:
            self.store.delete(conversation)
            self.deleted.add(conversation)

    @rule(conversation=conversations)
    def undelete(self, conversation: str) -> None:
        if conversation in self.head:
            self.store.undelete(conversation)
            self.deleted.discard(conversation)

    @rule()
    def purge(self) -> None:
        assert self.store.purge_deleted(0) == len(self.deleted)
        for conversation in self.deleted:
            self.order.remove(conversation)
            del self.head[conversation]
        self.home = {m: c for m, c in self.home.items() if c not in self.deleted}
        self.deleted.clear()

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = Store(self.path, self.clock)

    @invariant()
    def the_same_is_shown(self) -> None:
        listed = self.store.conversations()
        assert [c.id for c in listed] == [c for c in reversed(self.order) if c not in self.deleted]
        for conversation in self.order:
            expected = []
            at = self.head[conversation]
            while at is not None:
                expected.append((at, self.parent[at], self.text[at]))
                at = self.parent[at]
            path = self.store.path(conversation)
            assert [(m.id, m.parent, m.text) for m in path] == expected[::-1]
            assert [m.id for m in self.store.messages(conversation)] == [
                m for m, home in self.home.items() if home == conversation
            ]

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()


Tree.TestCase.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
TestTree = Tree.TestCase

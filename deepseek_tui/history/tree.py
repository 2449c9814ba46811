"""The tree of one conversation, without its texts: who follows whom once deleted messages are left out.

A deleted message keeps its place in the file, so that its return restores what was. To everybody else it is
not there: what follows it follows the nearest message before it that is still there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Node:
    """One message. `shown` grows with the time at which it last was the head; 0: never."""

    number: int
    id: str
    parent: str | None
    deleted: bool
    shown: int


class Tree:
    """The messages that are there, from rows in the order they were made."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._nodes = list(nodes)
        # The nearest message still there, at or before each one.
        nearest: dict[str | None, str | None] = {None: None}
        self.parent: dict[str, str | None] = {}
        self.children: dict[str | None, list[str]] = {None: []}
        self._rank: dict[str, tuple[int, int]] = {}
        for node in self._nodes:
            above = nearest.get(node.parent)
            if node.deleted:
                nearest[node.id] = above
                continue
            nearest[node.id] = node.id
            self.parent[node.id] = above
            self.children[node.id] = []
            self.children[above].append(node.id)
            self._rank[node.id] = (node.shown, node.number)

    def __contains__(self, identity: str | None) -> bool:
        return identity in self.parent

    def without(self, lost: set[str]) -> Tree:
        """The tree once these are deleted too."""
        return Tree(Node(n.number, n.id, n.parent, n.deleted or n.id in lost, n.shown) for n in self._nodes)

    def path(self, identity: str | None) -> list[str]:
        """From the first message to this one."""
        found = []
        while identity is not None:
            found.append(identity)
            identity = self.parent.get(identity)
        return found[::-1]

    def siblings(self, identity: str) -> list[str]:
        """All that stand at the same place, this one among them, the oldest first."""
        return self.children[self.parent[identity]]

    def subtree(self, identity: str) -> list[str]:
        """This message and all that follow it on any branch."""
        found = [identity]
        for one in found:
            found.extend(self.children[one])
        return found

    def leaf_below(self, identity: str) -> str:
        """The end of the branch through this message that was shown last, or else was made last."""
        leaves = (one for one in self.subtree(identity) if not self.children[one])
        return max(leaves, key=self._rank.__getitem__)

    def head_without(self, head: str | None, lost: str, rest: Tree) -> str | None:
        """What is shown once `lost` and perhaps more of it is deleted, which leaves `rest`.

        Where the head is gone: the variant before the lost one, or the one after it, or what came before.
        """
        if head is None or head in rest:
            return head
        above = self.parent[lost]
        left = rest.children[above]
        if not left:
            return above
        number = self._rank[lost][1]
        older = [one for one in left if rest._rank[one][1] < number]
        return rest.leaf_below(older[-1] if older else left[0])

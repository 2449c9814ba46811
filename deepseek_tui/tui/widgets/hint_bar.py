"""The line at the bottom while a message is chosen: what can be done with it, by which key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.binding import Binding
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from deepseek_tui.tui.key_names import key_names
from deepseek_tui.tui.thinking import split

if TYPE_CHECKING:
    from deepseek_tui.tui.widgets.message import MessageBlock

# Ids of actions with a word each, in the order they stand in; the rank says which gives way first.
_WORDS = (
    ("message.copy", "copy", 2),
    ("message.edit", "edit", 1),
    ("message.regenerate", "regenerate", 3),
    ("message.fork", "fork", 5),
    ("message.delete", "delete", 4),
    ("message.details", "details", 6),
    ("message.save", "save", 9),
)


class HintBar(Widget):
    """`block`: the message chosen."""

    block: reactive[MessageBlock | None] = reactive(None, always_update=True)

    def render(self) -> Content:
        width = self.content_size.width
        hints = self._hints()
        while True:
            line = Content("   ").join([text for _, text in hints])
            worst = max(hints, key=lambda hint: hint[0])
            if line.cell_length <= width or worst[0] == 0:
                return line
            hints.remove(worst)

    def _hints(self) -> list[tuple[int, Content]]:
        block = self.block
        hints: list[tuple[int, Content]] = []
        if block is None:
            return [(0, Content(""))]
        if block.place:
            keys = self._key("message.before") + self._key("message.after")
            hints.append((1, _hint(keys, f"variant {block.place}")))
        for identity, word, rank in _WORDS:
            hints.append((rank, _hint(self._key(identity), word)))
        if block.role == "assistant" and not block.streaming:
            from deepseek_tui.tui.code_blocks import code_blocks

            thought, answer = split(block.text)
            if code_blocks(answer):
                hints.append((3, _hint(self._key("message.code"), "copy code")))
            if thought:
                hints.append((3, _hint(self._key("message.thinking"), "thinking")))
        hints.append((0, _hint(self._key("message.leave"), "back")))
        return hints

    def _key(self, identity: str) -> str:
        """The first key of an action as it is bound now."""
        from deepseek_tui.tui.widgets.message_log import MessageLog

        bindings = (b for b in MessageLog.BINDINGS if isinstance(b, Binding))
        built_in = next((b.key for b in bindings if b.id == identity), "")
        return key_names(self.app._keymap.get(identity, built_in).split(",")[0])


def _hint(key: str, word: str) -> Content:
    return Content.assemble((key, "bold $text-accent"), f" {word}")

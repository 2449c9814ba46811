"""The chat log with one of its messages chosen: moving between messages, and the keys that act on one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from rich.segment import Segment
from textual import events
from textual.binding import Binding
from textual.reactive import reactive
from textual.strip import Strip

from deepseek_tui.tui.code_blocks import code_blocks
from deepseek_tui.tui.thinking import split
from deepseek_tui.tui.widgets.chat_log import ChatLog
from deepseek_tui.tui.widgets.message import MessageBlock, MessageView
from deepseek_tui.tui.widgets.message_events import Asked, Chosen, Left

# The first line of the chosen message and the others: a shape, so that it can be told without colours.
FIRST_MARK = "❯"
MARK = "┃"


class MessageLog(ChatLog):
    """The log of the chat screen. `chosen`: id of the message that keys act on, None for none.

    | Key | What it does |
    | :- | :- |
    | left, right | Show the variant before, after. |
    | y, shift+y | Copy as text, as Markdown. |
    | c, 1 to 9 | Copy the block of code. |
    | s | Save a block of code, or the message, to a file. |
    | e, r, f | Edit, regenerate, fork. |
    | d, shift+d | Delete the message; with all that follows it. |
    | u, ctrl+z | Take a deletion back. |
    | i, enter | Details. |
    | t | Fold or unfold its thinking. |
    | escape | Back to the prompt. |
    """

    BINDINGS = [
        Binding("y", "ask('copy')", "Copy it as text", id="message.copy"),
        Binding("Y,shift+y", "ask('copy_markdown')", "Copy it as Markdown", id="message.copy-markdown"),
        Binding("c", "ask('copy_code')", "Copy its code; 1 to 9 if it has several blocks", id="message.code"),
        Binding("s", "ask('save')", "Save its code, or the message, to a file", id="message.save"),
        Binding("e", "ask('edit')", "Edit it; the old text is kept beside it", id="message.edit"),
        Binding("r", "ask('regenerate')", "Regenerate it; the old reply is kept", id="message.regenerate"),
        Binding("left,left_square_bracket", "ask('before')", "Variant before", id="message.before"),
        Binding("right,right_square_bracket", "ask('after')", "Variant after", id="message.after"),
        Binding("f", "ask('fork')", "Fork: a new conversation up to here", id="message.fork"),
        Binding("d,delete", "ask('delete')", "Delete it", id="message.delete"),
        Binding("D,shift+d", "ask('delete_branch')", "Delete it and all that follows", id="message.prune"),
        Binding("u,ctrl+z", "ask('undo')", "Take a deletion back", id="message.undo"),
        Binding("i,enter", "ask('details')", "Details: model, tokens, speed, settings", id="message.details"),
        Binding("t", "toggle_thought", "Fold or unfold its thinking", id="message.thinking"),
        Binding("k", "choose(-1)", "The message before", id="message.up"),
        Binding("j", "choose(1)", "The message after", id="message.down"),
        Binding("escape", "leave", "Back to writing", id="message.leave"),
        *(Binding(str(n), f"ask('copy_code', {n})", show=False) for n in range(1, 10)),
    ]

    COMPONENT_CLASSES = {"chat-log--chosen", "chat-log--block-number"}
    DEFAULT_CSS = """
    MessageLog > .chat-log--chosen { color: $accent; text-style: bold; }
    MessageLog > .chat-log--block-number { color: $text-accent; text-style: bold reverse; }
    """

    chosen: reactive[str | None] = reactive(None, init=False)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._chosen_block: MessageBlock | None = None
        # Lines of the chosen message that begin a block of code, for the layout they were found in.
        self._code_rows: tuple[object, dict[int, int]] = (None, {})

    @property
    def chosen_block(self) -> MessageBlock | None:
        """The message chosen."""
        block = self._chosen_block
        if block is None or block.id != self.chosen:
            chosen = self.chosen
            block = next((b for b in self._blocks if b.id == chosen), None) if chosen else None
            self._chosen_block = block
        return block

    async def show(self, messages: Sequence[MessageView]) -> None:
        self.chosen = self._chosen_block = None
        await super().show(messages)

    # Choosing

    def choose(self, message: str, row: int | None = None) -> None:
        """Choose a message and bring it into view, its first line in `row` of the log if that is given."""
        index = next((at for at, block in enumerate(self._blocks) if block.id == message), None)
        if index is None:
            return
        self.focus(scroll_visible=False)
        self.chosen = message
        self._bring_into_view(index, row)

    def row_of(self, message: str | None) -> int | None:
        """The row of the log that the message begins in, which may be off the screen; None without it."""
        index = next((at for at, block in enumerate(self._blocks) if block.id == message), None)
        return None if index is None else self._tops[index] - self.scroll_offset.y

    def action_choose(self, step: int) -> None:
        """Choose the message before or after; from the prompt the last one seen, then the prompt again."""
        ids = [at for at, block in enumerate(self._blocks) if _can_be_chosen(block)]
        chosen = self.chosen
        at = next((n for n, index in enumerate(ids) if self._blocks[index].id == chosen), None)
        if at is not None:
            at += step
        elif step < 0 and ids:
            bottom = self.scroll_offset.y + self.size.height
            seen = [n for n, index in enumerate(ids) if self._tops[index] < bottom]
            at = seen[-1] if seen else 0
        if at is None or at >= len(ids):
            self.action_leave()
        else:
            self.choose(self._blocks[ids[max(0, at)]].id)

    def action_leave(self) -> None:
        self.chosen = None
        self.post_message(Left())

    def action_ask(self, action: str, number: int = 0) -> None:
        block = self.chosen_block
        if block is not None or action == "undo":
            self.post_message(Asked(action, block, number))
        elif any(map(_can_be_chosen, self._blocks)):
            self.action_choose(-1)

    def action_toggle_thought(self) -> None:
        block = self.chosen_block
        if block is not None:
            self._toggle_thought(block)

    def watch_chosen(self) -> None:
        self.post_message(Chosen(self.chosen_block))
        self.refresh()

    def on_blur(self) -> None:
        # Behind a dialog the message stays chosen.
        if self.screen.focused is not self:
            self.chosen = None

    def on_click(self, event: events.Click) -> None:
        if self.text_selection is not None:
            return
        offset = event.get_content_offset(self)
        y = self.scroll_offset.y + (offset.y if offset is not None else -1)
        if not 0 <= y < self._tops[-1]:
            return
        index = bisect_right(self._tops, y) - 1
        block = self._blocks[index]
        if _can_be_chosen(block):
            self.chosen = block.id
            line = self._line_at(y)
            if line is not None and y == self._tops[index] + 1 and line.spans[-1:] and block.thinks:
                self._toggle_thought(block)

    def _bring_into_view(self, index: int, row: int | None) -> None:
        if not self._layout_width:
            return
        self._measure(index)
        rows, y = self.size.height, self.scroll_offset.y
        top, end = self._tops[index], self._tops[index + 1] - 1
        if row is not None:
            y = top - row
        elif top < y or end - top > rows:
            y = top if not y <= top < y + rows // 2 else y
        elif end > y + rows:
            y = end - rows
        y = max(0, y)
        # What is above may be measured only now, and then all of it moves.
        inside = y - top
        first = bisect_right(self._tops, y) - 1
        for above in range(max(0, first), index):
            self._measure(above)
        y = max(0, self._tops[index] + inside)
        self.following = y >= self._tops[-1] - rows
        if self.following:
            self._settle()
        else:
            self._settle_around(y)
        self._settle() if self.following else self._settle_around(y)
        self.refresh()

    def _toggle_thought(self, block: MessageBlock) -> None:
        if not block.thinks:
            return
        block.folded = not block.folded
        index = next(at for at, other in enumerate(self._blocks) if other is block)
        block.lines = None
        self._laid_out.discard(index)
        self._bring_into_view(index, self._tops[index] - self.scroll_offset.y)

    # Painting

    def _marked(self, strip: Strip, y: int) -> Strip:
        block = self.chosen_block
        if block is None or not 0 <= y < self._tops[-1]:
            return strip
        index = bisect_right(self._tops, y) - 1
        if self._blocks[index] is not block or y == self._tops[index + 1] - 1:
            return strip
        at = y - self._tops[index]
        width = strip.cell_length
        mark = Segment(FIRST_MARK if at == 0 else MARK, self._style("chosen"))
        number = self._numbers(block).get(at)
        if number is None:
            return Strip([mark, *strip.crop(1, width)], width)
        label = Segment(f" {number} ", self._style("block-number"))
        end = self._layout_width - len(label.text)
        return Strip([mark, *strip.crop(1, end), label, *strip.crop(end + len(label.text), width)], width)

    def _numbers(self, block: MessageBlock) -> dict[int, int]:
        """Which lines of the message begin a block of code, and its number."""
        lines = block.lay_out(self._layout_width)
        if self._code_rows[0] is not lines:
            starts: list[int] = []
            if not block.streaming and block.role == "assistant":
                fills = [line.fill == "code" for line in lines]
                starts = [at for at, code in enumerate(fills) if code and not fills[at - 1]]
                # Two blocks without a line between them look like one: no number is better than a wrong one.
                starts = starts if len(starts) == len(code_blocks(split(block.text)[1])) else []
            self._code_rows = (lines, {at: n for n, at in enumerate(starts, 1)})
        return self._code_rows[1]


def _can_be_chosen(block: MessageBlock) -> bool:
    """Notices of the app are no messages of the conversation."""
    return block.role in ("user", "assistant", "system")

"""A message of the chat log: its text, and the screen lines it takes in a given width."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from deepseek_tui.text.sanitize import Sanitizer, sanitize
from deepseek_tui.tui.thinking import Thinking, split, thought_label, words
from deepseek_tui.tui.widgets.message_lines import BLANK, Line, Span, common_width, prefix_lines, wrap_text
from deepseek_tui.tui.widgets.stream import MarkdownStream, markdown_lines

# Who speaks, in words: colours only repeat it.
LABELS = {"user": "You", "assistant": "Assistant", "system": "System"}
USER_BAR = "▌ "
INDENT = "  "
THOUGHT_BAR = "│ "
# Of a thought that grows, this many characters are shown at most.
THOUGHT_TAIL = 1000
NOTICE_MARKS = {"notice": "· ", "error": "✗ "}


@dataclass(frozen=True, slots=True)
class MessageView:
    """A message to show. `role`: "user", "assistant", "system", "notice" or "error".

    `note`: what stands under it ("■ stopped", or a sentence that says what went wrong); "" for nothing.
    `place`: "2/3" for the second of three siblings. `thought`: what stands for its thinking.
    """

    id: str
    role: str
    text: str
    note: str = ""
    place: str = ""
    thought: str = ""


class MessageBlock:
    """One message in the log. It is no widget: it only knows its lines.

    `append` and `finish` are for a reply that streams; `changed` is told of every change.
    """

    def __init__(
        self,
        view: MessageView,
        *,
        streaming: bool = False,
        changed: Callable[[MessageBlock], None] | None = None,
        schedule: Callable[[float, Callable[[], None]], object] | None = None,
    ) -> None:
        self.id = view.id
        self.role = view.role
        self._raw = view.text
        self._text: str | None = None
        self.note = sanitize(view.note) if view.note else ""
        self.place = view.place
        self.folded = True  # whether the thinking is one line
        self.streaming = streaming
        self.lines: list[Line] | None = None
        self.flushes = 0
        # What the last flush changed: from a cell of a line of `lines` on, and how many lines.
        self.changed_line = self.changed_cell = self.changed_rows = 0
        self._width = 0
        self._changed = changed
        self._schedule = schedule
        self._sanitizer = Sanitizer()
        self._stream: MarkdownStream | None = None
        self._head: list[Line] = []
        self._thinking = Thinking()
        self._thought_label = view.thought
        self._waiting: list[str] = []
        self._scheduled = False
        self._last_flush = 0.0
        self._cost = 0.0

    @property
    def text(self) -> str:
        """What was said, safe to show. Filtered at first use: a conversation may be long."""
        if self._text is None:
            self._text = sanitize(self._raw)
        return self._text

    # Layout

    def estimate(self, width: int) -> int:
        """About how many lines the message takes; cheap, for messages far from the screen."""
        text = self._raw if self._text is None else self._text
        if self.folded and self.role == "assistant":
            text = split(text)[1]
        return 2 + text.count("\n") + len(text) // max(1, width) + bool(self.note)

    def lay_out(self, width: int) -> list[Line]:
        """The screen lines in this width, a blank one at the end included; kept until `release`."""
        if self.lines is None or self._width != width:
            self._width = width
            if self.streaming:
                self._thinking = Thinking()
                self._stream = MarkdownStream(width - len(INDENT))
                self._stream.feed(self._thinking.feed(self.text))
                self._head = [*self._label(), *self._thought(self._thinking.thought, width)]
                self.lines = [*self._head, *self._indented(self._stream.lines), BLANK]
            else:
                self.lines = [*self._label(), *self._body(width), *self._notes(width), BLANK]
        return self.lines

    @property
    def thinks(self) -> bool:
        """Whether there is a thought to fold or unfold."""
        return self.role == "assistant" and bool(self._thinking.thought or split(self.text)[0])

    def release(self) -> None:
        """Forgets the lines; `lay_out` makes them again."""
        if not self.streaming:
            self.lines = None

    def _label(self) -> list[Line]:
        label = LABELS.get(self.role)
        if label is None:
            return []
        bar = [Span(USER_BAR, "user-bar")] if self.role == "user" else [Span(INDENT)]
        skip = len(bar[0].text)
        style = f"label-{self.role}"
        place = [Span(f"  ‹ {self.place} ›", f"{style} place")] if self.place else []
        return [Line((*bar, Span(label, style), *place), skip=skip, fill=self._fill)]

    def _thought(self, thought: str, width: int) -> list[Line]:
        """The line that stands for the thinking, and where it is unfolded the thinking itself."""
        if not thought.strip():
            return []
        open_now = self.streaming and self._thinking.state == "open"
        label = f"thinking… {words(thought)}" if open_now else self._thought_label
        label = label or thought_label(thought, {})
        mark = "▸" if self.folded else "▾"
        lines = [Line((Span(f"{INDENT}{mark} {label}", "thought"),), skip=len(INDENT) + 2)]
        if not self.folded:
            shown = thought.strip()
            if open_now and len(shown) > THOUGHT_TAIL:
                shown = "…" + shown[-THOUGHT_TAIL:]
            bar = Span(f"{INDENT}{THOUGHT_BAR}", "thought")
            inner = width - len(INDENT) - len(THOUGHT_BAR)
            lines += prefix_lines(wrap_text(shown, inner, "thought"), bar, bar)
        return lines if open_now else [*lines, BLANK]

    @property
    def _fill(self) -> str:
        return "user" if self.role == "user" else ""

    def _body(self, width: int) -> list[Line]:
        inner = width - len(INDENT)
        if self.role == "assistant":
            thought, answer = split(self.text)
            return [*self._thought(thought, width), *self._indented(markdown_lines(answer, inner))]
        if self.role == "user":
            bar = Span(USER_BAR, "user user-bar")
            lines = wrap_text(self.text, inner - 1, "user")
            return [
                Line(line.spans, line.joiner, line.skip, "user") for line in prefix_lines(lines, bar, bar)
            ]
        mark = Span(NOTICE_MARKS.get(self.role, INDENT), self.role)
        return prefix_lines(wrap_text(self.text, inner, self.role), mark, Span(INDENT))

    def _notes(self, width: int) -> list[Line]:
        if not self.note:
            return []
        gap = [BLANK] if self.text else []
        return [*gap, *self._indented(wrap_text(self.note, width - len(INDENT), "note"))]

    def _indented(self, lines: list[Line]) -> list[Line]:
        return prefix_lines(lines, Span(INDENT), Span(INDENT))

    # Streaming

    def append(self, text: str) -> None:
        """Adds what the model wrote. It is shown a little later, together with what comes until then."""
        self._waiting.append(text)
        if not self._scheduled and self._schedule is not None:
            self._scheduled = True
            # Ten times the cost of the last one between two flushes: at most a tenth of a core at any length.
            interval = min(0.5, max(0.06, 10 * self._cost))
            self._schedule(max(0.001, self._last_flush + interval - monotonic()), self.flush)

    def flush(self) -> None:
        """Shows what was added."""
        self._scheduled = False
        if not self._waiting:
            return
        began = monotonic()
        text = self._sanitizer.feed("".join(self._waiting))
        self._waiting.clear()
        self._text = self.text + text
        self.flushes += 1
        thought = self._thinking.thought, self._thinking.state
        if text and self._stream is not None and self.lines is not None:
            text = self._thinking.feed(text)
        if thought != (self._thinking.thought, self._thinking.state) and self._thinking.thought:
            self._show_thought(text)
        elif text and self._stream is not None and self.lines is not None:
            first = self._stream.feed(text)
            at = len(self._head) + first
            old = self.lines[at] if at < len(self.lines) else BLANK
            count = len(self.lines)
            self.lines[at:] = [*self._indented(self._stream.lines[first:]), BLANK]
            self.changed_rows = max(count, len(self.lines)) - at - (count == len(self.lines))
            self.changed_line, self.changed_cell = at, common_width(old, self.lines[at])
        if self._changed is not None:
            self._changed(self)
        self._last_flush = monotonic()
        self._cost = self._last_flush - began

    def _show_thought(self, answer: str) -> None:
        """The thinking has grown or ended; `answer` came behind it."""
        if self._stream is None or self.lines is None:
            return
        self._stream.feed(answer)
        old = self.lines
        self._head = [*self._label(), *self._thought(self._thinking.thought, self._width)]
        self.lines = [*self._head, *self._indented(self._stream.lines), BLANK]
        pairs = enumerate(zip(old, self.lines, strict=False))
        shorter = min(len(old), len(self.lines))
        at = next((i for i, (before, after) in pairs if before != after), shorter)
        self.changed_line, self.changed_cell = at, 0
        self.changed_rows = max(len(old), len(self.lines)) - at

    async def finish(self, text: str, note: str = "", thought: str = "") -> None:
        """Ends the reply: `text` is the whole of it, `note` what stands under it, `thought` what stands for
        its thinking."""
        self._waiting.clear()
        self._text = sanitize(text)
        self.note = sanitize(note)
        self._thought_label = thought
        if self._stream is not None:
            # Colouring much code takes longer than a key press may wait.
            thinking, answer = split(self.text)
            body = await to_thread(self._stream.finish, answer)
            self.streaming = False
            if self._stream.width == self._width - len(INDENT):
                head = [*self._label(), *self._thought(thinking, self._width)]
                self.lines = [*head, *self._indented(body), *self._notes(self._width), BLANK]
            else:
                self.lines = None
        self.streaming = False
        self._stream = None
        if self._changed is not None:
            self._changed(self)

"""The part of the chat screen that finds: in the conversation shown, and in all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on

from deepseek_tui.tui.screens.message_screen import MessageScreen
from deepseek_tui.tui.widgets.find_bar import Counted, FindBar
from deepseek_tui.tui.widgets.prompt import Prompt

if TYPE_CHECKING:
    from deepseek_tui.tui.screens.search import Found
    from deepseek_tui.tui.widgets.found_log import FoundLog


class FindingScreen(MessageScreen):
    """What the chat screen does with its log when something is looked for."""

    @property
    def log_widget(self) -> FoundLog:
        raise NotImplementedError

    # --- in the conversation shown ---------------------------------------------------------------

    async def action_find(self) -> None:
        if not self.query(FindBar):
            await self.query_one("#main").mount(FindBar(), before="#prompt")
        self.query_one(FindBar).open()

    @on(FindBar.Asked)
    def _find(self, event: FindBar.Asked) -> None:
        from deepseek_tui.tui.widgets.found import literally

        self.log_widget.find(literally(event.text))

    @on(FindBar.Step)
    def _step(self, event: FindBar.Step) -> None:
        self.log_widget.step(event.step)

    @on(FindBar.Closed)
    def _close_find(self) -> None:
        self.forget_found()
        self.query_one(Prompt).focus()

    def forget_found(self) -> None:
        """Nothing is looked for any more; what was found stays where it is on the screen."""
        for bar in self.query(FindBar):
            bar.display = False
        self.log_widget.find(None)

    @on(Counted)
    def _counted(self, event: Counted) -> None:
        for bar in self.query(FindBar):
            bar.count(event.here, event.total)

    # --- in all conversations --------------------------------------------------------------------

    def action_search(self) -> None:
        from deepseek_tui.tui.screens.search import SearchScreen

        self.app.push_screen(SearchScreen(self.controller.archive), self._open_found)

    def _open_found(self, found: Found | None) -> None:
        self.query_one(Prompt).focus()
        if found is not None:
            self.in_order(self._show_found(found))

    async def _show_found(self, found: Found) -> None:
        """The conversation, on a branch that the message is on, and the message in view."""
        from deepseek_tui.tui.widgets.found import any_of

        hit = found.hit
        await self.controller.archive.call(lambda s: s.show(hit.message))
        self.log_widget.seek(hit.message, any_of(found.terms))
        await self.controller.show(hit.conversation)

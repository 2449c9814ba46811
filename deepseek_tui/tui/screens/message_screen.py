"""The part of the chat screen that acts on the chosen message."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import on
from textual.screen import Screen

from deepseek_tui.errors import UserError
from deepseek_tui.text.sanitize import sanitize_line
from deepseek_tui.tui.copying import copy
from deepseek_tui.tui.widgets.hint_bar import HintBar
from deepseek_tui.tui.widgets.message_events import Asked, Chosen, Left
from deepseek_tui.tui.widgets.prompt import Prompt

if TYPE_CHECKING:
    from deepseek_tui.tui.code_blocks import CodeBlock
    from deepseek_tui.tui.controller import Controller
    from deepseek_tui.tui.screens.edit import Edited
    from deepseek_tui.tui.widgets.message_log import MessageLog

# Longer messages are not edited in the app: each key press would take too long.
EDITABLE = 200_000
# Columns that a copy as text is laid out in where its layout matters, as in a table.
TEXT_WIDTH = 100


class MessageScreen(Screen[None]):
    """What the chat screen does with `controller` and `log_widget` when a message is acted on."""

    controller: Controller

    @property
    def log_widget(self) -> MessageLog:
        raise NotImplementedError

    # --- choosing --------------------------------------------------------------------------------

    def action_message(self, step: int) -> None:
        """Choose the message before or after."""
        self.log_widget.action_choose(step)

    @on(Chosen)
    def _chosen(self, event: Chosen) -> None:
        self.query_one(HintBar).block = event.block
        self.set_class(event.block is not None, "-acting")

    @on(Left)
    def _left(self) -> None:
        self.query_one(Prompt).focus()

    # --- acting ----------------------------------------------------------------------------------

    @on(Asked)
    def _asked(self, event: Asked) -> None:
        branches = self.controller.branches
        if event.action == "undo":
            self.in_order(branches.undo())
        elif event.block is not None:
            message = event.block.id
            match event.action:
                case "copy" | "copy_markdown":
                    self.in_order(self._copy(message, markdown=event.action == "copy_markdown"))
                case "copy_code":
                    self.in_order(self._copy_code(message, event.number))
                case "save":
                    self.in_order(self._save(message))
                case "edit":
                    self.in_order(self._edit(message))
                case "details":
                    self.in_order(self._details(message))
                case "regenerate":
                    self.in_order(branches.regenerate(message))
                case "before" | "after":
                    self.in_order(branches.walk(message, 1 if event.action == "after" else -1))
                case "fork":
                    self.in_order(branches.fork(message))
                case "delete" | "delete_branch":
                    self.in_order(branches.delete(message, following=event.action == "delete_branch"))

    def action_undo_deletion(self) -> None:
        self.in_order(self.controller.branches.undo())

    def action_continue(self) -> None:
        block = self.log_widget.chosen_block
        self.in_order(self.controller.branches.carry_on(block.id if block else None))

    def action_regenerate(self) -> None:
        block = self.log_widget.chosen_block
        self.in_order(self.controller.branches.regenerate(block.id if block else None))

    async def _copy(self, message: str, markdown: bool) -> None:
        from deepseek_tui.tui.thinking import split
        from deepseek_tui.tui.widgets.message_lines import plain
        from deepseek_tui.tui.widgets.stream import markdown_lines

        found, _ = await self.controller.branches.find(message)
        text = split(found.text)[1].strip() if found.role == "assistant" else found.text
        if not markdown and found.role == "assistant":
            text = plain(await asyncio.to_thread(markdown_lines, text, TEXT_WIDTH))
        self._say(await copy(self.app, text) if text else "There is nothing to copy yet.")

    async def _copy_code(self, message: str, number: int) -> None:
        blocks = await self._code(message)
        if not blocks:
            self._say("There is no block of code in this message.")
        elif number > len(blocks) or (number == 0 and len(blocks) > 1):
            self._say(
                f"There are {len(blocks)} blocks of code: press 1 to {min(9, len(blocks))} to copy one."
            )
        else:
            self._say(await copy(self.app, blocks[max(0, number - 1)].code))

    async def _save(self, message: str) -> None:
        """Ask for a path and write a block of code there, or the message where it has none."""
        from deepseek_tui.tui.screens.save import SaveScreen

        found, _ = await self.controller.branches.find(message)
        blocks = await self._code(message)
        self.app.push_screen(SaveScreen(found.text, blocks), self._saved)

    def _saved(self, path: Path | None) -> None:
        if path is not None:
            self._say(f"Saved to {path}, readable by you alone.")

    async def _edit(self, message: str) -> None:
        from deepseek_tui.tui.screens.edit import EditScreen

        found, _ = await self.controller.branches.find(message)
        if found.state == "streaming":
            self._say("Stop the reply first, then edit it.")
            return
        if len(found.text) > EDITABLE:
            self._say(f"A message of {len(found.text):,} characters is too long to edit here.")
            return

        def edited(result: Edited | None) -> None:
            if result is not None:
                self.in_order(self.controller.branches.edit(message, result.text, carry_on=result.carry_on))

        self.app.push_screen(EditScreen(found.text, found.role), edited)

    async def _details(self, message: str) -> None:
        from deepseek_tui.tui.screens.details import DetailsScreen

        self.app.push_screen(DetailsScreen(*await self.controller.branches.find(message)))

    async def _code(self, message: str) -> list[CodeBlock]:
        from deepseek_tui.tui.code_blocks import code_blocks
        from deepseek_tui.tui.thinking import split

        found, _ = await self.controller.branches.find(message)
        return code_blocks(split(found.text)[1])

    # --- settings of the conversation --------------------------------------------------------------

    def action_settings(self) -> None:
        self.in_order(self._settings())

    async def _settings(self) -> None:
        from deepseek_tui.tui.screens.conversation_settings import ConversationSettingsScreen, Defaults

        controller = self.controller
        system_prompt, choices = await controller.choices()
        shown = controller.shown

        def chosen(result: tuple[str, Any] | None) -> None:
            if result is not None and controller.shown == shown:
                self.in_order(controller.choose(*result))

        defaults = Defaults(
            controller.status.model,
            controller.system_prompt,
            controller.sampling,
            controller.client.model.defaults if controller.client.model else None,
            controller.context_policy,
        )
        self.app.push_screen(ConversationSettingsScreen(system_prompt, choices, defaults), chosen)

    # --- inside ----------------------------------------------------------------------------------

    def in_order(self, action: Coroutine[Any, Any, None]) -> None:
        """Run what the controller does without holding up the keys that follow."""
        self.run_worker(self._told(action))

    async def _told(self, action: Coroutine[Any, Any, None]) -> None:
        try:
            await action
        except UserError as error:
            self.apologize(error)

    def apologize(self, error: UserError) -> None:
        if not self.controller.closed:
            self.notify(sanitize_line(str(error)), severity="error", timeout=10, markup=False)

    def _say(self, sentence: str) -> None:
        self.notify(sanitize_line(sentence), markup=False)

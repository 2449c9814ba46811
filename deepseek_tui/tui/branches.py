"""What is done to single messages: edit, regenerate, continue, walk, fork, delete, take back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deepseek_tui.history.store import Message, Place, Undo
from deepseek_tui.tui.reply import Reply
from deepseek_tui.tui.updates import Said

if TYPE_CHECKING:
    from deepseek_tui.tui.controller import Controller


class Branches:
    """The part of the controller that knows that a conversation is a tree. Raises HistoryError."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    async def find(self, message: str) -> tuple[Message, Place | None]:
        """A message as far as it has come, and its place where it has siblings."""
        found, siblings = await self._controller.archive.call(
            lambda s: (s.path_to(message)[-1], [m.id for m in s.siblings(message)])
        )
        live = self._live(message)
        place = Place(siblings.index(message), len(siblings)) if len(siblings) > 1 else None
        return (live.current() if live else found), place

    async def edit(self, message: str, text: str, *, carry_on: bool = False) -> None:
        """Another text beside the old one. A question is answered anew; a reply is kept as it is written, or
        with `carry_on` the model goes on from there."""
        controller = self._controller
        async with controller.order:
            if self._busy(message, "Stop the reply first, then edit it."):
                return
            role = (await self._find(message)).role
            if (role == "user" or carry_on) and not controller.has_model():
                return
            if role == "user":
                user = await controller.archive.call(lambda s: s.edit(message, text))
                await controller.answer(user.conversation, user.id, show=True)
                return
            new = await controller.archive.call(
                lambda s: s.edit(message, text, "streaming" if carry_on else "complete")
            )
            if carry_on:
                controller.queue(Reply(controller, new, continued=bool(text)))
            else:
                await controller.archive.call(lambda s: s.update_message(new.id, stats={"edited": True}))
            await controller.show(new.conversation, new.id)

    async def regenerate(self, message: str | None = None) -> None:
        """Another reply beside the old ones: to this message of the user, or in place of this reply.

        Without a message, the last one shown.
        """
        controller = self._controller
        async with controller.order:
            message = message or await self._last()
            if message is None or self._busy(message, "Stop the reply first, then regenerate it."):
                return
            if not controller.has_model():
                return
            target = await self._find(message)
            parent = target.parent if target.role == "assistant" else target.id
            await controller.answer(target.conversation, parent, show=True)

    async def carry_on(self, message: str | None = None) -> None:
        """Let the model go on with a reply that was stopped, cut off or edited; the last one shown."""
        controller = self._controller
        async with controller.order:
            message = message or await self._last()
            if message is None or self._busy(message, "The reply is still being written."):
                return
            if not controller.has_model():
                return
            target = await self._find(message)
            whole = target.state == "complete" and not target.stats.get("edited")
            if target.role != "assistant" or whole:
                controller.say(Said("There is no unfinished reply to continue."))
                return
            resumed = await controller.archive.call(lambda s: s.resume(target.id))
            controller.queue(Reply(controller, resumed, continued=bool(resumed.text)))
            await controller.show(target.conversation)

    async def walk(self, message: str, step: int) -> None:
        """Show the sibling `step` places on, with what followed it when it was shown last."""
        found = await self._controller.archive.call(lambda s: s.walk(message, step))
        if found is not None:
            await self._controller.show(found.conversation, found.id)

    async def fork(self, message: str) -> None:
        """Go on from this message in a conversation of its own."""
        controller = self._controller
        if live := self._live(message):
            await live.save()
        new = await controller.archive.call(lambda s: s.fork(message))
        title = f"{new.title.removesuffix(FORKED)}{FORKED}"
        await controller.archive.call(lambda s: s.rename(new.id, title))
        await controller.show(new.id)
        controller.say(Said(f"A new conversation with the {_messages(new.message_count)} up to there."))

    async def delete(self, message: str, following: bool = False) -> None:
        """Take out a message, or with `following` all that come after it too."""
        controller = self._controller
        target = await self._find(message)
        for reply in controller.replies:
            before = [m.id for m in await controller.archive.path_to(target.conversation, reply.message.id)]
            if message in (before if following else before[-2:]):
                await controller.stop(reply)
        undo = await controller.archive.call(
            lambda s: s.delete_branch(message) if following else s.delete_message(message)
        )
        await controller.show(undo.conversation, target.parent)
        controller.say(Said(f"Deleted {_messages(undo.count)}. u or Ctrl+Z takes that back."))

    async def undo(self) -> None:
        """Take back the last deletion in the conversation shown, or of a conversation where none is shown."""
        controller = self._controller
        shown = controller.shown
        found = await controller.archive.call(lambda s: s.undoable(shown, 1))
        if not found:
            controller.say(Said("There is no deletion to take back."))
            return
        undo: Undo = await controller.archive.call(lambda s: s.undo(found[0].id))
        await controller.show(undo.conversation)
        what = "the conversation" if undo.kind == "conversation" else _messages(undo.count)
        controller.say(Said(f"Brought back {what}."))

    async def _find(self, message: str) -> Message:
        return (await self._controller.archive.call(lambda s: s.path_to(message)))[-1]

    async def _last(self) -> str | None:
        """The message at the end of what is shown."""
        shown = self._controller.shown
        if shown is None:
            return None
        return (await self._controller.archive.call(lambda s: s.get(shown))).head

    def _live(self, message: str) -> Reply | None:
        return next((r for r in self._controller.replies if r.message.id == message), None)

    def _busy(self, message: str, otherwise: str) -> bool:
        live = self._live(message) is not None
        if live:
            self._controller.say(Said(otherwise))
        return live


FORKED = " (fork)"


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count} messages"

"""Another model in the middle of everything: the replies in line wait for it, conversations go on with it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from deepseek_tui.engine.protocol import Failed
from deepseek_tui.text.sanitize import sanitize_line
from deepseek_tui.tui.updates import Noticed, Phase, Said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deepseek_tui.history.store import Conversation, Message
    from deepseek_tui.tui.controller import Controller


async def switch(
    controller: Controller, before: asyncio.Task[Failed | None] | None, model: Path | str, name: str
) -> Failed | None:
    """Load `model`; where that fails, the one before again. The failure, or None when one of them is there.

    `before`: the loading that is under way, which nobody waits for any more.
    """
    if before is not None and not before.done():
        before.cancel()
        await asyncio.gather(before, return_exceptions=True)
    old = controller.model, controller.adapter_path, controller.status.model
    controller.model, controller.adapter_path = model, None
    controller.set_status(model=sanitize_line(name))
    failure = await controller.load()
    if failure is None:
        await _now_answering(controller)
        return None
    if old[0] is None or str(old[0]) == str(model):
        return failure
    controller.model, controller.adapter_path = old[:2]
    controller.set_status(model=old[2])
    if await controller.load() is not None:
        return failure
    controller.say(Said(f"{old[2]} answers as before.", "warning"))
    return None


async def _now_answering(controller: Controller) -> None:
    """Say so in the conversation shown, which is one of this model from now on."""
    shown = controller.shown
    controller.model_problem = None
    if shown is None:
        return
    await take_over(controller, shown)
    controller.say(Noticed(shown, f"Now answering: {controller.status.model}"))


async def take_over(controller: Controller, conversation: str) -> None:
    """Write down that the model that is loaded answers in this conversation."""
    model = str(controller.model)
    await controller.archive.call(lambda s: s.configure(conversation, model=model))


def other_model(controller: Controller, conversation: Conversation, path: Sequence[Message]) -> str:
    """A line for a conversation that another model answered in, "" for one of the present model."""
    if not conversation.model or controller.model is None or conversation.model == str(controller.model):
        return ""
    last = next((m.model for m in reversed(path) if m.role == "assistant" and m.model), "")
    name = sanitize_line(last or Path(conversation.model).name)
    now = controller.status.model
    if not now or name == now or controller.status.phase is Phase.NO_MODEL:
        return ""
    return f"Written with {name}; {now} answers from here on."

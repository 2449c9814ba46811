"""What goes wrong with a checkpoint, said to the person who brought it."""

from __future__ import annotations

from deepseek_tui.errors import UserError


class CheckpointError(UserError):
    """A model file or folder that cannot be read, fetched or used, and what to do about it."""

"""What can go wrong in training that a person can mend."""

from __future__ import annotations

from deepseek_tui.errors import UserError


class TrainingError(UserError):
    """A training run that cannot start or cannot go on: which file, key or step, and what to do."""

"""The one kind of error that is meant for the person at the keyboard."""

from __future__ import annotations


class UserError(Exception):
    """Something a user can cause or mend. `message`: what and where; `hint`: what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

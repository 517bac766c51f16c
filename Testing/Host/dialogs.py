"""The person in front of a modal dialog."""

from __future__ import annotations

from collections import deque


class Dialogs:
    """`shown`: every dialog that was executed, as a dict with what is known of it (title, text, detail ...), in order. `answers`: what the
    next ones return, first in first out: the button of a message box, a path of a file dialog, a text of an input dialog.

    Without an answer a message box gets its default button, and everything else is cancelled.
    """

    def __init__(self):
        self.shown: list[dict] = []
        self.answers: deque = deque()

    def ask(self, default, **about):
        self.shown.append(about)
        return self.answers.popleft() if self.answers else default

    def texts(self) -> list[str]:
        return [entry.get("text", "") for entry in self.shown]

    def clear(self) -> None:
        self.shown.clear()
        self.answers.clear()

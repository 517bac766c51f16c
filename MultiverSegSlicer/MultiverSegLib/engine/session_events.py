"""What slice sessions tell of themselves to those who keep a journal of them or show what they found."""

from __future__ import annotations

from ..core.signal import Signal


class SessionEvents:
    """The events of all sessions that were given this object; main thread.

    Attributes:
        requesting: (session), before a request reads the nodes.
        predicted: (session, request, prediction), after a prediction was written.
    """

    def __init__(self) -> None:
        self.requesting = Signal("session")
        self.predicted = Signal("session", "request", "prediction")

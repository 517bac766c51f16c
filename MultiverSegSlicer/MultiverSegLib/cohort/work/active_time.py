"""Seconds of active work: the time between a user's actions, pauses not counted."""

from __future__ import annotations

import time
from collections.abc import Callable


class ActivityClock:
    """Adds up the time between actions. A pause of more than ``idle_after`` seconds counts as nothing at all.

    ``clock`` gives seconds that never go back.
    """

    def __init__(self, idle_after: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.idle_after = idle_after
        self._clock = clock
        self._last = clock()
        self._seconds = 0.0

    def touch(self) -> None:
        """The person has done something."""
        moment = self._clock()
        pause = moment - self._last
        if pause <= self.idle_after:
            self._seconds += pause
        self._last = moment

    def taken(self) -> float:
        """The seconds since the last ``taken``; begins anew at zero."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds

"""The one timer that fetches results from worker threads: it gives them the time they need while they work, and rests while they don't.

Inside Slicer the main thread keeps Python's global lock while Qt's event loop runs, so that a thread runs only while the main thread executes
Python or waits in a call that lets the lock go. Looking for results now and then would leave the threads a few microseconds each time:
the first prediction took half a minute in place of two seconds. So whoever waits for a thread waits here, in small portions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import qt

from ...core.worker import InferenceWorker, attend

#: How long the main thread waits for the threads at a time, in seconds. Less, when one of them has finished something.
GIVEN_S = 0.008
#: What Qt gets in between, in ms: events of mouse, keyboard and views come first.
BETWEEN_MS = 2


class Pulse:
    """Beats while one of the followed workers is busy. ``start`` it after each ``submit``."""

    def __init__(self) -> None:
        self._followed: list[tuple[Callable[[], Iterable[InferenceWorker]], Callable[[], object]]] = []
        self.timer = qt.QTimer()
        self.timer.setInterval(BETWEEN_MS)
        self.timer.connect("timeout()", self.beat)

    def follow(self, workers: Callable[[], Iterable[InferenceWorker]], deliver: Callable[[], object]) -> None:
        """``workers``: returns the current workers; ``deliver``: called on the main thread when one of them has finished something."""
        self._followed.append((workers, deliver))

    def leave(self, deliver: Callable[[], object]) -> None:
        """Follow these workers no longer."""
        self._followed = [entry for entry in self._followed if entry[1] != deliver]

    def start(self) -> None:
        """Something was given to a worker."""
        if not self.timer.isActive():
            self.timer.start()

    def beat(self) -> None:
        """One turn: wait for the threads, deliver what is finished, rest when nothing is left."""
        attend([worker for workers, _ in self._followed for worker in workers()], GIVEN_S)
        for workers, deliver in list(self._followed):
            if any(worker.finished for worker in workers()):
                deliver()
        if not any(worker.busy or worker.finished for workers, _ in self._followed for worker in workers()):
            self.timer.stop()

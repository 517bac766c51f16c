"""InferenceWorker: one long-lived thread for predictions, in which the newest request wins. It never touches MRML or Qt."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .errors import Cancelled, MultiverSegError

#: What is called with the outcome: the result, or the exception. A superseded or cancelled request's outcome is ``Cancelled``.
Callback = Callable[[Any], None]


@dataclass(eq=False)
class _Request:
    """All that the thread gets: ``work``, and a number by which the caller's side finds whom to answer."""

    token: int
    work: Callable[[], Any]
    cancelled: bool = False
    outcome: Any = None


@dataclass(eq=False)
class _Desk:
    """Where the caller's thread and the worker's meet; the only thing of its worker that the thread holds."""

    condition: threading.Condition = field(default_factory=threading.Condition)
    waiting: _Request | None = None
    running: _Request | None = None
    finished: list[_Request] = field(default_factory=list)
    closed: bool = False

    def drop(self) -> None:
        """Under the lock. The running request's outcome becomes Cancelled in any case."""
        if self.running is not None:
            self.running.cancelled = True
        if self.waiting is not None:
            self.waiting.cancelled = True
            self.finished.append(self.waiting)
            self.waiting = None

    def work(self) -> None:
        """The thread. It drops no request itself: each is handed back, so that the caller's thread lets go of what ``work`` and the outcome hold."""
        while self._take():
            assert self.running is not None
            self.running.outcome = _computed(self.running.work)  # never in a variable of this thread's
            self._hand_back()

    def _take(self) -> bool:
        """Wait for a request and begin it; False at the end."""
        with self.condition:
            self.condition.wait_for(lambda: self.closed or self.waiting is not None)
            if self.closed:
                _orphans.append(self.finished)
                return False
            self.running, self.waiting = self.waiting, None
            return True

    def _hand_back(self) -> None:
        with self.condition:
            assert self.running is not None
            self.finished.append(self.running)
            self.running = None
            self.condition.notify_all()
        with _news:
            _news.notify_all()


def _computed(work: Callable[[], Any]) -> Any:
    """The result or the exception. The request is not here, or an exception's traceback would close a circle that only garbage collection opens."""
    try:
        return work()
    except Exception as error:
        return error


class InferenceWorker:
    """Computes requests one at a time in a thread that starts with the first request. Outcomes wait for ``poll``.

    A new request cancels the one that runs and drops the one that waits. Every callback is called exactly once: by ``poll`` or, for what was not
    answered by then, by ``close``.

    Callbacks hold widgets, and nodes that may have left their scene meanwhile. Whoever drops the last reference to such a thing destroys it, and
    only the caller's thread may: so callbacks stay on the caller's side, under the number of their request. ``work`` must hold nothing of that
    kind (arrays and predictors only): Python's garbage collection runs in any thread, this one too.
    """

    def __init__(self) -> None:
        self._desk = _Desk()
        self._callbacks: dict[int, Callback] = {}
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None

    def submit(self, work: Callable[[], Any], callback: Callback) -> None:
        """Have ``work()`` computed. Returns at once.

        Raises:
            MultiverSegError: the worker is closed.
        """
        _orphans.clear()
        desk = self._desk
        with desk.condition:
            desk.drop()
            if desk.closed:
                raise MultiverSegError("The prediction thread was closed: start a new one.")
            desk.waiting = _Request(next(self._numbers), work)
            self._callbacks[desk.waiting.token] = callback
            if self._thread is None:
                self._thread = threading.Thread(target=desk.work, name="MultiverSeg inference", daemon=True)
                self._thread.start()
            desk.condition.notify_all()

    def cancel(self) -> None:
        """Drop what waits and stop what runs, at the latest after the forward pass it is in."""
        with self._desk.condition:
            self._desk.drop()

    @property
    def busy(self) -> bool:
        """Whether a request runs or waits."""
        with self._desk.condition:
            return self._desk.waiting is not None or self._desk.running is not None

    def poll(self) -> int:
        """Call the callbacks of finished requests in the caller's thread; returns their number."""
        answered = 0
        while True:
            with self._desk.condition:
                if not self._desk.finished:
                    return answered
                request = self._desk.finished.pop(0)
            self._answer(request)
            answered += 1

    @property
    def finished(self) -> bool:
        """Whether an outcome waits for ``poll``."""
        with self._desk.condition:
            return bool(self._desk.finished)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until nothing runs or waits; False if that took longer than ``timeout`` seconds. Outcomes still need ``poll``."""
        desk = self._desk
        with desk.condition:
            return desk.condition.wait_for(lambda: desk.waiting is None and desk.running is None, timeout)

    def close(self, timeout: float = 10.0) -> bool:
        """Cancel everything and end the thread, waiting ``timeout`` seconds for it at most; whether it has ended. Idempotent.

        What was not answered yet is answered now, in the caller's thread; a result that is there is kept.
        """
        desk = self._desk
        with desk.condition:
            finished, desk.finished = desk.finished, []
            desk.closed = True
            desk.drop()
            desk.condition.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)
        with desk.condition:
            unanswered = [*finished, *desk.finished, *([desk.running] if desk.running is not None else [])]
            desk.finished = []
        for request in unanswered:
            self._answer(request)
        return self._thread is None or not self._thread.is_alive()

    def _answer(self, request: _Request) -> None:
        callback = self._callbacks.pop(request.token, None)
        if callback is not None:
            callback(Cancelled("Cancelled.") if request.cancelled else request.outcome)


#: Told whenever any worker has finished something.
_news = threading.Condition()


def attend(workers: Sequence[InferenceWorker], seconds: float) -> None:
    """Let the workers' threads run: block until one has an outcome for ``poll`` or none is busy, for ``seconds`` at most.

    For a host whose main thread keeps Python's global lock otherwise, as Slicer's does.
    """
    with _news:
        _news.wait_for(lambda: any(worker.finished for worker in workers) or not any(worker.busy for worker in workers), seconds)


#: What ended workers had not delivered: nobody may be left to do it, and their thread must not be the one that destroys it.
_orphans: list[list[_Request]] = []

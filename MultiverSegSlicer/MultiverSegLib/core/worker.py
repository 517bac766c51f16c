"""InferenceWorker: one long-lived thread for predictions, in which the newest request wins. It never touches MRML or Qt."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .errors import Cancelled, MultiverSegError

#: What is called with the outcome: the result, or the exception. A superseded or cancelled request's outcome is ``Cancelled``.
Callback = Callable[[Any], None]


@dataclass(eq=False)
class _Request:
    work: Callable[[], Any]
    callback: Callback
    cancel: threading.Event = field(default_factory=threading.Event)
    outcome: Any = None
    answered: bool = False
    collection: _NoCollection = field(default_factory=lambda: _NoCollection())

    def compute(self) -> None:
        try:
            self.outcome = self.work()
        except Exception as error:
            self.outcome = error

    def answer(self) -> None:
        """Call the callback."""
        self.collection.end()
        if self.answered:
            return
        self.answered = True
        self.callback(Cancelled("Cancelled.") if self.cancel.is_set() else self.outcome)


class InferenceWorker:
    """Computes requests one at a time in a thread that starts with the first request. Outcomes wait for ``poll``.

    A new request cancels the one that runs and drops the one that waits. Every callback is called exactly once: by ``poll`` or, for what was not
    answered by then, by ``close``.

    Requests hold what the caller's callbacks hold: widgets, and nodes that may have left their scene meanwhile. Whoever drops the last
    reference to such a thing destroys it, and only the caller's thread may. So the thread here never holds a request outside of
    attributes and hands every one back under the lock, and Python's garbage collection, which runs in any thread, waits from ``submit``
    until ``poll``, ``cancel`` or ``close``.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._waiting: _Request | None = None
        self._running: _Request | None = None
        self._finished: list[_Request] = []
        self._closed = False
        self._thread: threading.Thread | None = None

    def submit(self, work: Callable[[], Any], callback: Callback) -> None:
        """Have ``work()`` computed. Returns at once.

        Raises:
            MultiverSegError: the worker is closed.
        """
        _orphans.clear()
        request = _Request(work, callback)
        with self._condition:
            self._drop()
            if self._closed:
                request.collection.end()
                raise MultiverSegError("The prediction thread was closed: start a new one.")
            self._waiting = request
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="MultiverSeg inference", daemon=True)
                self._thread.start()
            self._condition.notify_all()

    def cancel(self) -> None:
        """Drop what waits and stop what runs, at the latest after the forward pass it is in."""
        with self._condition:
            self._drop()

    @property
    def busy(self) -> bool:
        """Whether a request runs or waits."""
        with self._condition:
            return self._waiting is not None or self._running is not None

    def poll(self) -> int:
        """Call the callbacks of finished requests in the caller's thread; returns their number."""
        answered = 0
        while True:
            with self._condition:
                if not self._finished:
                    return answered
                request = self._finished.pop(0)
            request.answer()
            answered += 1

    @property
    def finished(self) -> bool:
        """Whether an outcome waits for ``poll``."""
        with self._condition:
            return bool(self._finished)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until nothing runs or waits; False if that took longer than ``timeout`` seconds. Outcomes still need ``poll``."""
        with self._condition:
            return self._condition.wait_for(lambda: self._waiting is None and self._running is None, timeout)

    def close(self, timeout: float = 10.0) -> bool:
        """Cancel everything and end the thread, waiting ``timeout`` seconds for it at most; whether it has ended. Idempotent.

        What was not answered yet is answered now, in the caller's thread; a result that is there is kept.
        """
        with self._condition:
            finished, self._finished = self._finished, []
            self._closed = True
            self._drop()
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)
        with self._condition:
            unanswered = [*finished, *self._finished, *([self._running] if self._running is not None else [])]
            self._finished = []
        for request in unanswered:
            request.answer()
        return self._thread is None or not self._thread.is_alive()

    # --- details

    def _drop(self) -> None:
        """Under the lock. The running request's outcome becomes Cancelled in any case. Nobody may ask for the outcomes any more."""
        if self._running is not None:
            self._running.cancel.set()
            self._running.collection.end()
        if self._waiting is not None:
            self._waiting.cancel.set()
            self._finished.append(self._waiting)
            self._waiting = None
        for request in self._finished:
            request.collection.end()

    def _work(self) -> None:
        while self._take():
            self._running.compute()
            self._hand_back()

    def _take(self) -> bool:
        """Wait for a request and begin it; False at the end."""
        with self._condition:
            self._condition.wait_for(lambda: self._closed or self._waiting is not None)
            if self._closed:
                _orphans.append(self._finished)
                return False
            self._running, self._waiting = self._waiting, None
            return True

    def _hand_back(self) -> None:
        with self._condition:
            self._finished.append(self._running)
            self._running = None
            self._condition.notify_all()
        with _news:
            _news.notify_all()


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


class _NoCollection:
    """No automatic garbage collection in any thread until ``end``, of this one and all others; begun and ended in the caller's thread."""

    _lock, _count, _was_enabled = threading.Lock(), 0, True

    def __init__(self) -> None:
        self._ended = False
        with self._lock:
            if _NoCollection._count == 0:
                _NoCollection._was_enabled = gc.isenabled()
                gc.disable()
            _NoCollection._count += 1

    def end(self) -> None:
        """Idempotent."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            _NoCollection._count -= 1
            if _NoCollection._count == 0 and _NoCollection._was_enabled:
                gc.enable()

"""InferenceWorker: one long-lived thread for predictions, in which the newest request wins. It never touches MRML or Qt."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import Cancelled, MultiverSegError

#: What is called with the outcome: the result, or the exception. A superseded or cancelled request's outcome is ``Cancelled``.
Callback = Callable[[Any], None]


@dataclass(eq=False)
class _Request:
    work: Any
    callback: Callback
    cancel: threading.Event = field(default_factory=threading.Event)


class InferenceWorker:
    """Computes requests one at a time in a thread that starts with the first request.

    Args:
        predictor: a Predictor, or a function without arguments that makes one (called once, in the thread: importing PyTorch takes seconds).
            Needed only for requests that are a mapping.
        dispatcher: ``dispatcher(callback, outcome)``, called in the worker's thread, delivers outcomes; None: they wait for ``poll``.

    A new request cancels the one that runs and drops the one that waits. Every callback is called exactly once.
    """

    def __init__(self, predictor: Any = None, dispatcher: Callable[[Callback, Any], None] | None = None) -> None:
        self._source, self._predictor = predictor, None
        self._dispatcher = dispatcher
        self._condition = threading.Condition()
        self._waiting: _Request | None = None
        self._running: _Request | None = None
        self._closed = False
        self._finished: queue.SimpleQueue[tuple[Callback, Any]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, work: Callable[[], Any] | Mapping[str, Any], callback: Callback) -> None:
        """Have ``work`` computed: a function without arguments, or the arguments of ``Predictor.predict`` by name. Returns at once.

        Raises:
            MultiverSegError: the worker is closed.
        """
        request = _Request(work, callback)
        with self._condition:
            if self._closed:
                raise MultiverSegError("The prediction thread was closed: start a new one.")
            self._drop("A newer request took its place.")
            self._waiting = request
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="MultiverSeg inference", daemon=True)
                self._thread.start()
            self._condition.notify_all()

    def cancel(self) -> None:
        """Drop what waits and stop what runs, at the latest after the forward pass it is in."""
        with self._condition:
            self._drop("Cancelled.")

    @property
    def busy(self) -> bool:
        """Whether a request runs or waits."""
        with self._condition:
            return self._waiting is not None or self._running is not None

    def poll(self) -> int:
        """Call the callbacks of finished requests in the caller's thread; gives their number."""
        delivered = 0
        while True:
            try:
                callback, outcome = self._finished.get_nowait()
            except queue.Empty:
                return delivered
            callback(outcome)
            delivered += 1

    def wait(self, timeout: float | None = None) -> bool:
        """Block until nothing runs or waits; False if that took longer than ``timeout`` seconds. Outcomes still need ``poll``."""
        with self._condition:
            return self._condition.wait_for(lambda: self._waiting is None and self._running is None, timeout)

    def close(self, timeout: float = 10.0) -> None:
        """Cancel everything and end the thread, waiting ``timeout`` seconds for it at most. Idempotent."""
        with self._condition:
            self._closed = True
            self._drop("Cancelled.")
            self._condition.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    # --- details

    def _drop(self, reason: str) -> None:
        """Under the lock. The running request's outcome becomes Cancelled in any case."""
        if self._running is not None:
            self._running.cancel.set()
        if self._waiting is not None:
            dropped, self._waiting = self._waiting, None
            self._deliver(dropped.callback, Cancelled(reason))

    def _work(self) -> None:
        while True:
            with self._condition:
                self._running = None
                self._condition.notify_all()
                self._condition.wait_for(lambda: self._closed or self._waiting is not None)
                if self._closed:
                    return
                request, self._waiting = self._waiting, None
                self._running = request
            outcome = self._outcome(request)
            if request.cancel.is_set():
                outcome = Cancelled("Cancelled.")
            self._deliver(request.callback, outcome)

    def _outcome(self, request: _Request) -> Any:
        try:
            if not isinstance(request.work, Mapping):
                return request.work()
            if self._predictor is None:
                self._predictor = self._source if hasattr(self._source, "predict") else self._source()
            return self._predictor.predict(**{"cancel": request.cancel, **request.work})
        except Exception as error:
            return error

    def _deliver(self, callback: Callback, outcome: Any) -> None:
        if self._dispatcher is None:
            self._finished.put((callback, outcome))
            return
        try:
            self._dispatcher(callback, outcome)
        except Exception as error:  # the thread must outlive a broken receiver
            threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, threading.current_thread())))

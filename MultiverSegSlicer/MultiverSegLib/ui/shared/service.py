"""One predictor and one worker thread for the whole application, made when first asked for a prediction."""

from __future__ import annotations

import gc
import itertools
import threading
from collections.abc import Callable, Sequence
from functools import partial

import slicer

from ...core.devices import share_processors
from ...core.errors import Cancelled
from ...core.predicting import Cancel, Capabilities, Prediction, Predictor, Progress, Request
from ...core.predictors import capabilities_of, open_predictor
from ...core.worker import InferenceWorker
from ...engine.session_events import SessionEvents
from . import settings, torch_setup
from .pulse import Pulse

#: How often background work looks whether the person's predictions are finished, in seconds.
_LOOK_S = 0.1
#: How long a change of model, and how long the end of the application waits for a thread, in seconds. A thread that is still in PyTorch when
#: Python ends takes the process down with it.
_CHANGE_S, END_S = 0.5, 60.0

_shared = None
_settled = False


class LazyPredictor:
    """The predictor of the chosen model, made by the first prediction in the thread that runs it: importing PyTorch takes seconds."""

    def __init__(self, model: str, device: str) -> None:
        self.model = model
        self._device = device
        self._predictor: Predictor | None = None
        self._described: Capabilities | None = None

    @property
    def description(self) -> str:
        """E.g. "compact on CPU"; empty until the first prediction has begun."""
        return self._predictor.description if self._predictor is not None else ""

    @property
    def capabilities(self) -> Capabilities:
        """Of a listed model they are known before PyTorch is loaded.

        Raises:
            CheckpointError: there is no such model.
        """
        if self._predictor is not None:
            return self._predictor.capabilities
        if self._described is None:
            self._described = capabilities_of(self.model)
        return self._described

    def load(self) -> None:
        """Makes the predictor, if it isn't made yet."""
        self._made()

    def predict(self, request: Request, cancel: Cancel = None, progress: Progress | None = None) -> Prediction:
        """See ``core.predicting.Predictor``."""
        return self._made().predict(request, cancel, progress)

    def predict_batch(self, requests: Sequence[Request], cancel: Cancel = None, progress: Progress | None = None) -> list[Prediction]:
        """See ``core.predicting.Predictor``."""
        return self._made().predict_batch(requests, cancel, progress)

    def _made(self) -> Predictor:
        if self._predictor is None:
            share_processors()
            self._predictor = open_predictor(self.model, self._device)
        return self._predictor


class Turns:
    """Whose turn it is to predict: what threads get of the service. It holds numbers, no widgets and no nodes, so that no thread destroys any."""

    def __init__(self) -> None:
        self.one_at_a_time = threading.Lock()
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._wanted: set[int] = set()

    def want(self) -> int:
        """The person wants a prediction: its number."""
        with self._changed:
            number = next(self._numbers)
            self._wanted.add(number)
            return number

    def over(self, number: int) -> None:
        """It was computed, or is not wanted any more. Idempotent."""
        with self._changed:
            self._wanted.discard(number)
            self._changed.notify_all()

    def idle(self, seconds: float) -> bool:
        """Wait until nothing of the person's runs or waits; False if that took longer than ``seconds``."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._wanted, seconds)

    def compute(self, number: int, function: Callable, request: object) -> object:
        """``function(request)``, in the prediction thread."""
        try:
            with self.one_at_a_time:
                return function(request)
        finally:
            self.over(number)

    def load(self, predictor: Predictor) -> None:
        """Gets a predictor ready, in any thread."""
        with self.one_at_a_time:
            if isinstance(predictor, LazyPredictor):
                predictor.load()


class ModelChanged(Cancelled):
    """Another model or device was chosen while this was computed: to be asked again, with the new one."""


class Ticket:
    """Something that was submitted: waiting, running or answered. ``cancel`` drops it; its callback gets ``Cancelled``."""

    def __init__(self, service: PredictionService, function: Callable, request: object, callback: Callable[[object], None]) -> None:
        self._service, self._callback = service, callback
        self.number = service.turns.want()
        self.work = partial(service.turns.compute, self.number, function, request)
        self.cancelled = self.answered = False

    def cancel(self) -> None:
        """Idempotent."""
        if not self.answered and not self.cancelled:
            self.cancelled = True
            self._service.drop(self)

    def answer(self, outcome) -> None:
        """Calls the callback, once."""
        if not self.answered:
            self.answered = True
            self._service.turns.over(self.number)
            self._callback(Cancelled("Cancelled.") if self.cancelled else outcome)


class PredictionService:
    """Runs predictions of the chosen model on the chosen device in one long-lived thread, one after the other, and delivers what it finishes: what
    one part of the panel asks for does not drop what another one waits for.

    ``pulse`` does the waiting; whoever has other workers joins it. ``events`` are those of all sessions that predict with it.
    """

    def __init__(self, predictor: Predictor | None = None) -> None:
        self._worker = None
        self._predictor = predictor
        self._lazy: LazyPredictor | None = None
        self.turns = Turns()
        self._current: Ticket | None = None
        self._queue: list[Ticket] = []
        self._leaving: list[InferenceWorker] = []
        self.events = SessionEvents()
        self.pulse = Pulse()
        self.pulse.follow(self._workers, self.poll)
        slicer.app.connect("aboutToQuit()", self.finish)

    @property
    def predictor(self) -> Predictor:
        """The predictor of the chosen model."""
        if self._predictor is None:
            self._predictor = self._lazy = LazyPredictor(settings.value("Model"), settings.value("Device"))
        return self._predictor

    @property
    def needs_torch(self) -> bool:
        """Whether a prediction is made in this process by PyTorch; not if a predictor was handed in that works elsewhere."""
        return self._predictor is None or self._lazy is not None

    @property
    def ready(self) -> bool:
        """Whether what the predictor needs is installed; another one than ours needs no PyTorch here."""
        return not self.needs_torch or torch_setup.installed()

    @property
    def description(self) -> str:
        return self._predictor.description if self._predictor is not None else ""

    def submit(self, function, request, callback) -> Ticket:
        """Have ``function(request)`` computed after what was submitted before. ``callback`` gets the result or the exception inside ``poll`` (or
        ``close``), exactly once. ``function`` and ``request`` hold no node and no widget: they go to a thread."""
        ticket = Ticket(self, function, request, callback)
        self._queue.append(ticket)
        self._next()
        return ticket

    @property
    def busy(self) -> bool:
        """Whether something runs or waits. Any thread."""
        return self._current is not None or bool(self._queue)

    def _next(self) -> None:
        """Hands the worker what is to be computed now; one that was cancelled need not have ended."""
        if not self._queue or (self._current is not None and not self._current.cancelled):
            return
        if self._worker is None:
            self._worker = InferenceWorker()
        ticket = self._current = self._queue.pop(0)
        self._worker.submit(ticket.work, lambda outcome: self._answered(ticket, outcome))
        self.pulse.start()

    def _workers(self) -> list[InferenceWorker]:
        return [] if self._worker is None else [self._worker]

    def _answered(self, ticket: Ticket, outcome) -> None:
        if ticket is self._current:
            self._current = None
        elif not ticket.cancelled:
            return  # the service was closed, which answers it
        try:
            ticket.answer(outcome)
        finally:
            self._next()
        self.settle()

    def settle(self) -> None:
        """After PyTorch was loaded: have Python's collector look at its half million objects now, which takes a quarter of a second, and not in the
        middle of a click. After that a full collection waits until a quarter as many new ones are there. Main thread."""
        global _settled
        if not _settled and self._lazy is not None and self._lazy.description:
            _settled = True
            gc.collect()

    def drop(self, ticket: Ticket) -> None:
        """See ``Ticket.cancel``."""
        if ticket in self._queue:
            self._queue.remove(ticket)
            ticket.answer(None)
        elif ticket is self._current and self._worker is not None:
            self._worker.cancel()
            self._next()

    def in_background(self, stop: Callable[[], bool]) -> BackgroundPredictor:
        """The same predictor for work in the background, in another thread. Main thread."""
        return BackgroundPredictor(self.turns, self.predictor, stop)

    def loader(self) -> Callable[[], None]:
        """What gets the predictor ready, in any thread. Main thread."""
        return partial(self.turns.load, self.predictor)

    def idle(self, seconds: float) -> bool:
        """Wait until nothing of the person's runs or waits; False if that took longer than ``seconds``. Any thread."""
        return self.turns.idle(seconds)

    def poll(self) -> None:
        """Deliver what is finished. Main thread."""
        if self._worker is not None:
            self._worker.poll()

    def cancel(self) -> None:
        """Forget what waits and what runs."""
        for ticket in [*self._queue, self._current]:
            if ticket is not None:
                ticket.cancel()

    def close(self, wait: float = _CHANGE_S) -> None:
        """Stop the thread; a later ``submit`` starts a new one. What was not answered is answered with ``ModelChanged``.

        A thread that is in a forward pass for longer than ``wait`` seconds ends by itself later.
        """
        worker, unanswered = self._worker, [t for t in (self._current, *self._queue) if t is not None]
        self._worker = self._predictor = self._lazy = self._current = None
        self._queue = []
        self._leaving = [other for other in self._leaving if not other.close(0)]
        if worker is not None:
            outcome = ModelChanged("The model or the device was changed.")
            if not worker.close(wait):
                self._leaving.append(worker)
            for ticket in unanswered:
                ticket.answer(outcome)

    def see_off(self, workers: list[InferenceWorker]) -> None:
        """These are closed but still busy: the end of the application waits for them."""
        self._leaving += workers

    def finish(self) -> None:
        """The application ends: no thread may be left."""
        self.cancel()
        self.close(END_S)
        for worker in self._leaving:
            worker.close(END_S)


class BackgroundPredictor:
    """Predicts between the person's predictions: it waits while one of them runs or waits, so that a click waits for one forward pass at most.

    ``stop``: whether to give up, with ``Cancelled``.
    """

    def __init__(self, turns: Turns, predictor: Predictor, stop: Callable[[], bool]) -> None:
        self._turns, self._predictor, self._stop = turns, predictor, stop

    @property
    def capabilities(self) -> Capabilities:
        """Of the person's predictor."""
        return self._predictor.capabilities

    @property
    def description(self) -> str:
        """Of the person's predictor."""
        return self._predictor.description

    def predict(self, request: Request, cancel: Cancel = None, progress: Progress | None = None) -> Prediction:
        """See ``core.predicting.Predictor``."""
        return self.predict_batch([request], cancel, progress)[0]

    def predict_batch(self, requests: Sequence[Request], cancel: Cancel = None, progress: Progress | None = None) -> list[Prediction]:
        """See ``core.predicting.Predictor``."""
        while True:
            while not self._turns.idle(_LOOK_S):
                self._check()
            self._check()
            with self._turns.one_at_a_time:
                if self._turns.idle(0):
                    return self._predictor.predict_batch(requests, cancel, progress)

    def _check(self) -> None:
        if self._stop():
            raise Cancelled("Cancelled.")


def shared() -> PredictionService:
    """The application's service."""
    global _shared
    if _shared is None:
        _shared = PredictionService()
    return _shared


def use(service: PredictionService) -> PredictionService:
    """Make ``service`` the application's one."""
    global _shared
    if _shared is not None:
        _shared.close()
    _shared = service
    return service


def reset() -> None:
    """Forget model and device: the next prediction takes the settings anew."""
    if _shared is not None:
        _shared.close()


def registry():
    """The known models."""
    from ...core.models.registry import Registry

    return Registry()

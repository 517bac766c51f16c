"""One predictor and one worker thread for the whole application, made when first asked for a prediction."""

from __future__ import annotations

from . import settings

_shared = None


class PredictionService:
    """Runs predictions of the chosen model on the chosen device in one long-lived thread.

    The thread makes the predictor (which imports PyTorch and loads the weights), so that the panel never waits for that.
    """

    def __init__(self) -> None:
        self._worker = None
        self.description = ""

    def _make_worker(self):
        from ..core.worker import InferenceWorker

        return InferenceWorker(self._make_predictor)

    def _make_predictor(self):
        from ..core.predictor import Predictor

        predictor = Predictor(settings_snapshot["Model"], device=settings_snapshot["Device"])
        self.description = predictor.description
        return predictor

    def submit(self, request, callback) -> None:
        """Queue a request; what waits unstarted is dropped (newest wins). ``callback(outcome)`` runs inside ``poll``."""
        if self._worker is None:
            settings_snapshot.update({name: settings.value(name) for name in settings.DEFAULTS})
            self._worker = self._make_worker()
        self._worker.submit(request, callback)

    def poll(self) -> None:
        """Deliver finished predictions to their callbacks. Main thread."""
        if self._worker is not None:
            self._worker.poll()

    def cancel(self) -> None:
        if self._worker is not None:
            self._worker.cancel()

    def close(self) -> None:
        """Stop the thread; a later ``submit`` starts a new one."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None
        self.description = ""


#: Model and device as they were on the main thread when the worker was started.
settings_snapshot: dict[str, str] = {}


def shared() -> PredictionService:
    """The application's service."""
    global _shared
    if _shared is None:
        _shared = PredictionService()
    return _shared


def reset() -> None:
    """Forget model and device: the next prediction takes the settings anew."""
    if _shared is not None:
        _shared.close()


def registry():
    """The known models."""
    from ..core.models import Registry

    return Registry()

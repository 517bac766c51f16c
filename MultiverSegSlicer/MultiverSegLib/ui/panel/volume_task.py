"""Propagation through a volume for the panel: computed in the worker, shown as it goes, written all at once or not at all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from slicer.i18n import tr as _

from ...engine.volume_session import VolumeWork
from ..shared.counting import counted


def _held(count: int) -> str:
    return counted(count, _("1 slice holds the structure now."), _("{count} slices hold the structure now."))


class VolumeTask:
    """One propagation. Call ``step`` from a timer until ``busy`` is False.

    Args:
        target: asked.Target.
        work: what to do.
        prompts: the structure's prompts.
        service: see ``service.PredictionService``.
        writer: a SegmentWriter; saves the editor's state before the one write.
        report: called with (fraction 0..1, text).
    """

    def __init__(
        self, target: Any, work: VolumeWork, prompts: Any, service: Any, writer: Any, report: Callable[[float, str], None]
    ) -> None:
        self.target, self.work, self.service, self.writer, self.report = target, work, service, writer, report
        self.busy = True
        self._cancelled = threading.Event()
        self._done = [0]  # slices, counted in the thread
        work.prepare(prompts)
        self._state = target.state()
        self._ticket = service.submit(_compute, (work.compute, self._cancelled, self._done), self._finished)

    def step(self) -> None:
        """Show how far the worker is; give up if a node is gone."""
        if not self.busy:
            return
        if not self.target.alive:
            self.cancel()
            return
        count = len(self.work.stack)
        done = self._done[0]
        text = counted(count, _("{done} of 1 slice"), _("{done} of at most {count} slices"), done=done)
        self.report(min(0.99, done / max(1, count)), text)

    def _finished(self, outcome: Any) -> None:
        if not self.busy:
            return
        self.busy = False
        if isinstance(outcome, Exception):
            self._cancelled.set()
            self.report(0.0, _("{reason} Nothing was changed.").format(reason=outcome))
        elif self.target.alive and self.target.state() != self._state:
            self.report(0.0, _("The volume or the segmentation changed or moved meanwhile: nothing was written."))
        elif self.target.alive:
            self.work.commit(outcome, self.writer)
            self.report(1.0, _held(sum(r.area > 0 for r in outcome.values())))

    def cancel(self) -> None:
        """Stop; nothing is written."""
        if self.busy:
            self.busy = False
            self._cancelled.set()
            self._ticket.cancel()
            self.report(0.0, _("Cancelled; nothing was changed."))


def _compute(given: tuple[Callable[..., Any], threading.Event, list[int]]) -> Any:
    """In the thread: what is to be computed, when to stop, and where to count."""
    computation, cancelled, done = given
    return computation(cancelled.is_set, partial(done.__setitem__, 0))

"""Predictions that the user waits for, one after the other: nothing is dropped without a word. No Qt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from slicer.i18n import tr as _

from ...core.errors import Cancelled, MultiverSegError
from ...core.prompts import Prompts
from ..shared.service import ModelChanged
from .asked import Ask, AskInFlight


class Asker(Protocol):
    """Who asks: reads the nodes, and writes what comes back."""

    def begin(self, ask: Ask) -> AskInFlight:
        """Reads what a prediction needs. Raises MultiverSegError."""

    def verdict(self, job: AskInFlight) -> str | None:
        """Whether a result may be written: "" yes; None: ask again, something else counts now; else why not."""

    def write(self, job: AskInFlight, outcome: Any) -> None:
        """Writes a result. Raises MultiverSegError."""

    def changed(self) -> None:
        """Something began or ended: show it."""


class AskQueue:
    """What was asked for on several slices, in order; on one slice the newest wins.

    Attributes:
        job: the prediction in flight.
        waiting: what comes next.
        problems: what went wrong since the user last began something.
    """

    def __init__(self, asker: Asker, service: Any) -> None:
        self.job: AskInFlight | None = None
        self.waiting: list[Ask] = []
        self.problems: list[str] = []
        self._asker, self._service = asker, service
        self._then: Callable[[str], None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a prediction runs or waits."""
        return self.job is not None or bool(self.waiting)

    @property
    def accepting(self) -> bool:
        """Whether somebody waits for all of it."""
        return self._then is not None

    def when_answered(self, then: Callable[[str], None]) -> None:
        """Calls ``then`` once everything that was asked for is written: with "", or with the reason why something was not."""
        if not self.busy:
            then("")
            return
        self._then = then

    def ask(self, ask: Ask) -> None:
        """Begins a prediction, or has it wait for its turn.

        Raises:
            MultiverSegError: it can't begin.
        """
        for older in [a for a in self.waiting if a.plane == ask.plane]:
            self.waiting.remove(older)
            ask = ask.merged(older)
        if self.job is not None and self.job.ask.plane == ask.plane:
            ask = ask.merged(self._drop().ask)
        if self.job is not None:
            self.waiting.append(ask)
            self._asker.changed()
        else:
            self._start(ask)

    def take_back(self, changed: Prompts) -> list[Ask]:
        """Drops what was asked for on slices that these prompts touch; returns it."""
        again = [ask for ask in self.waiting if ask.held(changed)]
        self.waiting = [ask for ask in self.waiting if ask not in again]
        if self.job is not None and self.job.ask.held(changed):
            again.insert(0, self._drop().ask)
        return again

    def cancel(self) -> bool:
        """Drops everything; True if there was something. Nothing of it is written."""
        if not self.busy:
            return False
        self.waiting = []
        if self.job is not None:
            self._drop()
        self._told(_("Cancelled."))
        return True

    def _drop(self) -> AskInFlight:
        job, self.job = self.job, None
        job.cancel()
        return job

    def _start(self, ask: Ask) -> None:
        job = self.job = self._asker.begin(ask)
        job.ticket = self._service.submit(job.session.run, job.request, lambda outcome: self._finished(job, outcome))
        self._asker.changed()

    def _finished(self, job: AskInFlight, outcome: Any) -> None:
        if job is not self.job:
            return
        if isinstance(outcome, ModelChanged):
            self._again(job)
        elif isinstance(outcome, Exception):
            self._end(_("Cancelled.") if isinstance(outcome, Cancelled) else str(outcome) or type(outcome).__name__)
        else:
            problem = self._asker.verdict(job)
            if problem is None:
                self._again(job)
            elif problem:
                self._end(problem)
            else:
                self._write(job, outcome)

    def _write(self, job: AskInFlight, outcome: Any) -> None:
        problem = ""
        try:
            self._asker.write(job, outcome)
        except MultiverSegError as error:
            problem = str(error)
        self._end(problem)

    def _again(self, job: AskInFlight) -> None:
        self.job = None
        self.waiting.insert(0, job.ask)
        self._end()

    def _end(self, problem: str = "") -> None:
        """A prediction is over: begins the next one, or says what came of all."""
        self.job = None
        while True:
            if problem:
                self.problems.append(problem)
            if not self.waiting:
                break
            try:
                self._start(self.waiting.pop(0))
                return
            except MultiverSegError as error:
                problem = str(error)
        self._asker.changed()
        self._told(" ".join(self.problems))

    def _told(self, problem: str) -> None:
        then, self._then = self._then, None
        if then is not None:
            then(problem)

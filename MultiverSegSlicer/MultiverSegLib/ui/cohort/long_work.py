"""Work that takes longer than a moment: in steps, with a bar that says how far it is and a button that stops it.

What is done is a generator that yields, in turn:

- ``Told``: how far it is; the application handles its events before the generator goes on;
- ``InThread``: a function without nodes and widgets, which is computed in a thread; its result comes back as the value of the ``yield``, and
  what it raises is raised there.

It ends by returning its result. When the user stops it, ``GeneratorExit`` is raised at the ``yield``: what was finished by then stays.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ...core.errors import MultiverSegError
from ...core.worker import InferenceWorker
from ..shared.service import END_S
from ..shared.widgets import button, described

_SHOW_MS = 100


@dataclass(frozen=True)
class Told:
    """``done`` of ``total`` (0: nobody knows) steps; ``text``: what is being done now."""

    text: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class InThread:
    """``work`` is called with a ``Progress``, in a thread."""

    work: Callable[[Progress], Any]


class Progress:
    """What work in a thread says about itself, and whether it is to end. Any thread."""

    def __init__(self) -> None:
        self.last: Told | None = None
        self._stop = threading.Event()

    def tell(self, text: str, done: int = 0, total: int = 0) -> None:
        """Says how far the work is."""
        self.last = Told(text, done, total)

    def stop(self) -> None:
        """The user doesn't want it any more."""
        self._stop.set()

    def stopped(self) -> bool:
        """Whether the work is to end."""
        return self._stop.is_set()


Steps = Generator[Told | InThread, Any, Any]


class LongWork:
    """One piece of work at a time. ``service``: whose pulse gives the thread its time; ``say``: called with what went wrong, or was stopped.

    ``changed``: called when work begins and ends.
    """

    def __init__(self, layout, service, say: Callable[[str], None], changed: Callable[[], None]) -> None:
        self._service, self._say, self._changed = service, say, changed
        self._worker = InferenceWorker()
        self._steps: Steps | None = None
        self._finished: Callable[[Any], None] = lambda result: None
        self._progress = Progress()
        self._waiting = False
        self.frame = qt.QFrame()
        column = qt.QVBoxLayout(self.frame)
        column.setContentsMargins(0, 0, 0, 0)
        self.label = described(qt.QLabel(), _("What is being done now."), _("Work under way"))
        self.label.setWordWrap(True)
        self.bar = described(qt.QProgressBar(), _("How far the work is."), _("Progress of the work under way"))
        self.cancel_button = button(_("Stop"), _("Stop the work under way. What is finished stays."), _("Stop the work under way"))
        row = qt.QHBoxLayout()
        row.addWidget(self.bar, 1)
        row.addWidget(self.cancel_button)
        column.addWidget(self.label)
        column.addLayout(row)
        layout.addWidget(self.frame)
        self.frame.hide()
        self.cancel_button.connect("clicked()", self.stop)
        self.timer = qt.QTimer()
        self.timer.connect("timeout()", self._step)
        service.pulse.follow(self._workers, self._worker.poll)
        slicer.app.connect("aboutToQuit()", self.finish)

    @property
    def busy(self) -> bool:
        """Whether something is under way."""
        return self._steps is not None

    def start(self, steps: Steps, finished: Callable[[Any], None]) -> None:
        """Begins work; ``finished`` is called with its result, unless it fails or is stopped.

        Raises:
            MultiverSegError: something is under way already.
        """
        if self.busy:
            steps.close()
            raise MultiverSegError(_("Something else is still being done: wait for it, or stop it."))
        self._steps, self._finished, self._progress = steps, finished, Progress()
        self.bar.setRange(0, 0)
        self.label.text = ""
        self.frame.show()
        self.timer.setInterval(0)
        self.timer.start()
        self._changed()

    def stop(self) -> None:
        """Ends what is under way. What it has finished stays."""
        if not self.busy:
            return
        steps = self._end()
        steps.close()
        self._say(_("Stopped. What was finished by then is there."))

    def close(self) -> None:
        """The panel is about to be destroyed."""
        if self.busy:
            self._end().close()
        self._service.pulse.leave(self._worker.poll)
        slicer.app.disconnect("aboutToQuit()", self.finish)
        if not self._worker.close(0):
            self._service.see_off([self._worker])

    def finish(self) -> None:
        """The application ends: no thread may be left."""
        if self.busy:
            self._end().close()
        self._worker.close(END_S)

    def _workers(self) -> list[InferenceWorker]:
        return [self._worker]

    def _step(self) -> None:
        if self._waiting:
            self._show(self._progress.last)
        else:
            self._go_on(lambda steps: next(steps))

    def _go_on(self, advance: Callable[[Steps], Any]) -> None:
        """Runs the generator to its next ``yield``."""
        steps = self._steps
        try:
            what = advance(steps)
        except StopIteration as end:
            self._end()
            self._finished(end.value)
            return
        except MultiverSegError as error:
            self._end()
            self._say(str(error))
            return
        except BaseException:
            self._end()
            raise
        if self._steps is not steps:
            return  # it was stopped meanwhile
        if isinstance(what, InThread):
            self._compute(what)
        else:
            self._show(what)

    def _compute(self, what: InThread) -> None:
        steps, progress = self._steps, self._progress
        self._waiting = True
        self.timer.setInterval(_SHOW_MS)
        self._worker.submit(lambda: what.work(progress), lambda outcome: self._computed(steps, outcome))
        self._service.pulse.start()

    def _computed(self, steps: Steps, outcome: Any) -> None:
        if steps is not self._steps:
            return  # it was stopped meanwhile
        self._waiting = False
        self.timer.setInterval(0)
        if isinstance(outcome, Exception):
            self._go_on(lambda going: going.throw(outcome))
        else:
            self._go_on(lambda going: going.send(outcome))

    def _show(self, told: Told | None) -> None:
        if told is None:
            return
        if self.label.text != told.text:
            self.label.text = told.text
        if self.bar.maximum != told.total:
            self.bar.setRange(0, told.total)
        self.bar.setValue(told.done)

    def _end(self) -> Steps:
        steps, self._steps = self._steps, None
        self._progress.stop()
        self._worker.cancel()
        self._waiting = False
        self.timer.stop()
        self.frame.hide()
        self._changed()
        return steps

"""Working ahead in the panel: the choice of what is predicted in the background, how far it is, and the timer that drives it."""

from __future__ import annotations

import qt
import slicer
from slicer.i18n import tr as _

from ...cohort.batch.background import Background
from ...core.errors import MultiverSegError
from ..shared import settings
from ..shared.service import END_S
from ..shared.widgets import choose, combo, described

STEP_MS = 100
KINDS = (("slice", "best slice"), ("volume", "whole volumes"), ("off", "off"))


class BackgroundBox:
    """``desk``: the cohort's; ``service``: see ``service.PredictionService``; ``order``: gives the order of work; ``may_show``: see
    ``Background``; ``stepped``: called at every step with the cases whose proposals are new; ``told``: called with what went wrong."""

    def __init__(self, layout, desk, service, order, may_show, stepped, told) -> None:
        self.background = Background(
            desk, service.in_background, lambda: service.predictor.capabilities.model, lambda: service.ready, may_show, service.loader
        )
        self._desk, self._order, self._stepped, self._told = desk, order, stepped, told
        row = qt.QHBoxLayout()
        self.kind = combo(
            _("What is predicted in the background for the cases nobody has begun. Your own predictions always come first."),
            _("Predict ahead"),
        )
        for kind, text in KINDS:
            self.kind.addItem(_("Predict ahead: {what}").format(what=_(text)), kind)
        self.label = described(qt.QLabel(), "", _("Progress of the proposals"))
        row.addWidget(self.kind)
        row.addWidget(self.label)
        layout.addLayout(row)
        choose(self.kind, settings.value("Proposals"))
        self.kind.connect("activated(int)", self._chosen)
        self._service = service
        service.pulse.follow(lambda: self.background.workers, self._deliver)
        slicer.app.connect("aboutToQuit()", self.finish)
        self.timer = qt.QTimer()
        self.timer.setInterval(STEP_MS)
        self.timer.connect("timeout()", self.step)

    def warm_up(self) -> None:
        """A cohort is being opened: what takes seconds the first time begins now."""
        self.background.kind = self._kind()
        self.background.warm_up()
        self._service.pulse.start()

    def start(self) -> None:
        """A cohort was opened."""
        self.background.kind = self._kind()
        self.timer.start()
        self.show()

    def stop(self) -> None:
        """The cohort is put away; what is under way is dropped."""
        self.timer.stop()
        self.background.cancel()
        self.show()

    def close(self) -> None:
        """The panel is about to be destroyed."""
        self.timer.stop()
        self._service.pulse.leave(self._deliver)
        slicer.app.disconnect("aboutToQuit()", self.finish)
        self._service.see_off(self.background.close())

    def finish(self) -> None:
        """The application ends: no thread may be left."""
        self.timer.stop()
        self.background.close(END_S)

    def _deliver(self) -> None:
        """Called by the pulse when a thread has finished something: the next thing need not wait for the timer."""
        if self.timer.isActive():
            self.step()
        else:
            self.background.take()
        self._service.settle()

    def step(self) -> None:
        """Takes what is finished, hands out what is due, and looks what the person has done meanwhile."""
        try:
            changed = self.background.step(self._order())
        except MultiverSegError as error:  # the disk refuses, or somebody took the cohort over: it would go on failing
            self.stop()
            self._told(str(error))
            return
        if self.background.busy:
            self._service.pulse.start()
        self._stepped(changed)
        self.show()

    def show(self) -> None:
        """Says how far the proposals are."""
        cohort = self._desk.cohort
        text, tip = "", _("How many of the cases that nobody has begun are predicted.")
        if cohort is not None and not cohort.read_only and self.background.kind and self.timer.isActive():
            standing = self.background.standing(self._order())
            if standing.total:
                text = _("proposals {done} of {total}").format(done=standing.done, total=standing.total)
            if standing.failed:
                text += _(", {count} failed").format(count=len(standing.failed))
                tip += "\n" + standing.reasons
        if self.label.text != text:
            self.label.text = text
        if self.label.toolTip != tip:
            self.label.setToolTip(tip)

    def _kind(self) -> str:
        kind = str(self.kind.itemData(self.kind.currentIndex))
        return "" if kind == "off" else kind

    def _chosen(self, index) -> None:
        settings.set_value("Proposals", str(self.kind.itemData(index)))
        if self._kind() != self.background.kind:
            self.background.cancel()
            self.background.kind = self._kind()
        self.show()

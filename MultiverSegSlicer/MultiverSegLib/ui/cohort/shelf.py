"""The row that opens, begins and puts away a cohort, and what each of these does to the panel around it."""

from __future__ import annotations

import qt
from slicer.i18n import tr as _

from ...cohort.store.cohort import Cohort
from ...core.errors import MultiverSegError
from ..shared.widgets import button, combo
from .curve import remove_curve
from .new import SOURCES, new_cohort, sample_cohort


class Shelf:
    """``owner``: the CohortPanel."""

    def __init__(self, layout, owner) -> None:
        self.owner = owner
        row = qt.QHBoxLayout()
        self.open_button = button(_("Open…"), _("Open a cohort: the folder that holds its cohort.json."), _("Open a cohort"))
        self.new_button = button(_("New…"), _("Begin a cohort of the volumes chosen on the right."), _("New cohort"))
        self.source = combo(_("Where the volumes of a new cohort come from."), _("Source of a new cohort"))
        self.close_button = button(_("Close"), _("Put the cohort away; everything is stored."), _("Close the cohort"))
        for name, title in SOURCES.items():
            self.source.addItem(_(title), name)
        for widget in (self.open_button, self.new_button, self.source, self.close_button):
            row.addWidget(widget)
        layout.addLayout(row)
        self.sample_button = button(
            _("Try a sample cohort…"),
            _("Begin a cohort of the 20 small MRI volumes that come with the extension, in an empty folder of yours."),
            _("Begin the sample cohort"),
        )
        layout.addWidget(self.sample_button)
        self.sample_button.connect("clicked()", owner.doing(self._sample))
        self.open_button.connect("clicked()", self.open)
        self.new_button.connect("clicked()", lambda: self.owner.guarded(self._new))
        self.close_button.connect("clicked()", self.put_away)

    def open(self) -> None:
        """Asks for a cohort's folder and opens it at its next case."""
        folder = qt.QFileDialog.getExistingDirectory(self.open_button, _("Open a cohort"), "")
        if folder:
            self.owner.guarded(lambda: self.take(Cohort.open(str(folder))))

    def _new(self) -> None:
        """Asks for the volumes, a folder for the results and the structure's name, and begins a cohort."""
        kind = str(self.source.itemData(self.source.currentIndex))
        cohort = new_cohort(self.new_button, kind, self.owner.panel.parameters.axis)
        if cohort is not None:
            self.take(cohort)

    def _sample(self) -> None:
        cohort = sample_cohort(self.sample_button)
        if cohort is not None:
            self.take(cohort)

    def take(self, cohort: Cohort) -> None:
        """Works on an open cohort: its contexts become the panel's, its next case is opened."""
        owner = self.owner
        owner.leave_open_work()
        owner.panel.contexts.use(None)  # while the cohort before is closed there are no others
        owner.desk.take(cohort)
        owner.steps.choose_order(cohort.setting("order"))
        owner.panel.contexts.use(owner.contexts)
        if not cohort.read_only:
            owner.ahead.warm_up()
            owner.open_case(owner.desk.next)
            owner.ahead.start()
        owner.update()
        if owner.desk.contexts.notes:
            owner.say(" ".join(owner.desk.contexts.notes))

    def put_away(self) -> None:
        """Closes the cohort. What can't be stored is said; the lock is given back all the same."""
        owner = self.owner
        owner.leave_open_work()
        owner.ahead.stop()
        owner.guarded(owner.view.show_nothing)
        owner.panel.contexts.use(None)
        self.closing(owner.desk.close)

    def closing(self, step) -> None:
        """Puts something away, and says what could not be stored of it."""
        try:
            step()
            problem = ""
        except MultiverSegError as error:
            problem = _("Closed, but not everything could be stored: {reason}").format(reason=error)
        if self.owner.desk.cohort is None:
            remove_curve()
        self.owner.update()
        if problem:
            self.owner.say(problem)

    def show(self) -> None:
        """Shows the cohort as it is now."""
        self.close_button.enabled = self.owner.desk.cohort is not None
        self.sample_button.setVisible(self.owner.desk.cohort is None)

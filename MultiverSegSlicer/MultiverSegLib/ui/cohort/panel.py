"""The cohort's part of the panel: fits its parts together, and shows the cohort as it is now."""

from __future__ import annotations

import logging

import qt
from slicer.i18n import tr as _

from ...cohort.store.order import progress
from ...cohort.work.workflow import Desk
from ...core.errors import MultiverSegError
from ..shared.widgets import described
from .accepting import Accepting
from .background_box import BackgroundBox
from .case_actions import CaseActions
from .case_view import CaseView
from .cohort_actions import CohortActions
from .cohort_contexts import CohortContexts
from .long_work import LongWork
from .outcome import Outcome
from .proposals_page import ProposalsPage
from .results_gallery import ResultsGallery
from .shelf import Shelf
from .steps import Steps
from .structures import StructuresBox
from .table import CohortTable
from .watching import Watching


class CohortPanel:
    """``ui``: the named widgets of the panel (the section is ``ui.cohortCollapsibleButton``; its layout is empty, so
    ``childWidgetVariables`` leaves it out: PythonQt calls an empty layout false);
    ``panel``: the Panel, whose parameter node names the nodes worked on."""

    def __init__(self, ui, panel) -> None:
        self.ui = ui
        self.panel = panel
        self.desk = Desk(events=panel.service.events)
        self.contexts = CohortContexts(self.desk)
        self.contexts.changed.connect(self.update)
        self._structure = ""
        self.accepting = Accepting(self)
        self.view = CaseView(self)
        self.watching = Watching(self)
        self._make(ui.cohortCollapsibleButton.layout())
        shelf, steps = self.shelf, self.steps  # the buttons of the rows, which scripts and tests press
        self.open_button, self.new_button, self.source = shelf.open_button, shelf.new_button, shelf.source
        self.close_button, self.curve_button, self.shortcut = shelf.close_button, steps.curve_button, steps.shortcut
        self.previous_button, self.accept_button, self.skip_button = steps.previous_button, steps.accept_button, steps.skip_button
        self.update()

    def _make(self, layout) -> None:
        self.shelf = Shelf(layout, self)
        self.message = described(qt.QLabel(), _("How far the work has come, and what went wrong."), _("Progress of the cohort"))
        self.message.setWordWrap(True)
        layout.addWidget(self.message)
        self.structures = StructuresBox(layout, self)
        self.table = CohortTable(layout, self.go_to, lambda: self.case_actions.show())
        watching = self.watching
        self.ahead = BackgroundBox(
            layout, self.desk, self.panel.service, lambda: self.steps.chosen_order(), watching.may_show, self._stepped, self.say
        )
        self.proposals = ProposalsPage(layout, self)
        self.steps = Steps(layout, self)
        self.results = ResultsGallery(layout, self.go_to)
        self.case_actions = CaseActions(layout, self)
        self.cohort_actions = CohortActions(layout, self)
        self.tasks = LongWork(layout, self.panel.service, self.say, self._work_changed)
        self.outcome = Outcome(layout)

    # Life

    def enter(self) -> None:
        """The module is shown."""
        self.update()

    def exit(self) -> None:
        """Another module is shown."""
        self.watching.autosave()
        self.steps.shortcut.setEnabled(False)

    def release_scene(self) -> None:
        """The scene is about to be closed: the case's nodes go with it, the cohort stays open."""
        self.leave_open_work()
        self.watching.autosave()
        self.shelf.closing(self.desk.forget_scene)

    def close(self) -> None:
        """The panel is about to be destroyed."""
        self.leave_open_work()
        self.ahead.close()
        self.proposals.close()
        self.tasks.close()
        self.panel.contexts.use(None)
        try:
            self.desk.close()
        except MultiverSegError as error:  # no line is left to say it in
            logging.error(str(error))

    def leave_open_work(self) -> None:
        """Nothing that is under way for the open cohort may go on."""
        self.watching.stop()
        self.tasks.stop()
        self.proposals.stop()

    # What the parts and the panel around ask for

    @property
    def structure(self) -> str:
        """The structure that is worked on; the first one where none was chosen."""
        cohort = self.desk.cohort
        if cohort is None:
            return ""
        return self._structure if self._structure in cohort.state.structures else cohort.structure().name

    def prefer_structure(self, name: str) -> None:
        """The next case is opened with this structure to work on; empty: the one there is."""
        self._structure = name or self._structure

    def choose_structure(self, name: str) -> None:
        """Works on another structure of the open case: its segment, axis, examples and slice."""
        self._structure = name
        if self.desk.work is not None:
            self.view.show_structure()
        self.structures.show()

    def follow_segment(self) -> None:
        """Another segment was selected in the editor: its structure is the one to work on."""
        work = self.desk.work
        if work is None or self.view.leading or self.panel.editor.segmentationNode() is not work.nodes.segmentation:
            return
        name = work.nodes.structure_of(self.panel.segment_id())
        if name and name != self.structure:
            self.choose_structure(name)

    def follow_name(self, name: str) -> None:
        """A structure was named in the panel: if it is one of the cohort's, it is the one to work on."""
        if self.desk.work is not None and name in self.desk.cohort.state.structures and name != self.structure:
            self.choose_structure(name)

    def take(self, cohort) -> None:
        """See ``Shelf``."""
        self.shelf.take(cohort)

    def put_away(self) -> None:
        """See ``Shelf``."""
        self.shelf.put_away()

    def go_to(self, case_id: str, structure: str = "") -> None:
        """See ``Steps``."""
        self.steps.go_to(case_id, structure)

    def open_case(self, action) -> None:
        """Runs a step of the desk that opens another case, and shows that one."""
        before, unanswered = self.desk.work, self.accepting.unanswered()
        try:
            self.view.change(action)
        finally:
            self.accepting.opened()
            self.update()
        if unanswered:
            self.say(_("The last click in {case} was not answered; its prompt is kept.").format(case=before.case_id))

    def opened_anew(self, structure: str = "") -> None:
        """The open case changed under our feet: it is opened again, with ``structure`` to work on."""
        self.prefer_structure(structure)
        case_id = self.desk.case_id
        if case_id is not None:
            self.open_case(lambda: self.desk.go_to(case_id))
        self.update()

    # Showing

    def update(self) -> None:
        """Shows the cohort as it is now."""
        cohort, case_id = self.desk.cohort, self.desk.case_id
        self.shelf.show()
        self.table.show(cohort, case_id)
        self.structures.show()
        self.steps.show(cohort is not None and not cohort.read_only and case_id is not None)
        self.results.show(cohort, self.desk.contexts)
        self.proposals.show()
        self.case_actions.show()
        self.cohort_actions.show()
        self.say(self._line())

    def _stepped(self, proposed: list[str]) -> None:
        """A moment has passed; ``proposed``: cases that got proposals in the background."""
        self.watching.stepped(proposed)
        self.proposals.stepped(proposed)

    def _work_changed(self) -> None:
        """Long work began or ended."""
        self.cohort_actions.show()

    def say(self, text: str) -> None:
        """One line to the person."""
        self.message.text = text

    def _line(self) -> str:
        cohort = self.desk.cohort
        if cohort is None:
            return _("No cohort is open: open one, begin one of your volumes, or try a sample cohort.")
        if cohort.read_only:
            text = _("Read only: held by {holder}. {progress}").format(holder=cohort.holder or _("nobody"), progress=progress(cohort.state))
            return text + " " + _("If nobody works on it any more, delete its file cohort.lock.") if cohort.holder else text
        return f"{cohort.state.name}: {progress(cohort.state)}"

    def doing(self, function):
        """What a button is connected to: ``function``, run by ``guarded``."""
        return lambda: self.guarded(function)

    def guarded(self, function) -> None:
        """Runs a step; says what went wrong."""
        try:
            function()
        except MultiverSegError as error:
            self.say(str(error))

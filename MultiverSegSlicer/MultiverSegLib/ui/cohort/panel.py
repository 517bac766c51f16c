"""The cohort's part of the panel: the cases in a table, from one to the next, progress, the curve and a gallery of the results."""

from __future__ import annotations

import logging
from contextlib import contextmanager

import qt
import slicer
from slicer.i18n import tr as _

from ...cohort.store.cohort import Cohort
from ...cohort.store.order import ORDERS, progress
from ...cohort.work.workflow import Desk
from ...core.errors import MultiverSegError
from ...mrml import prompt_tags
from ..shared import settings
from ..shared.widgets import button, combo, described
from .accepting import Accepting
from .background_box import AheadBox
from .curve import remove_curve, show_curve
from .new import SOURCES, new_cohort
from .results_gallery import ResultsGallery
from .structures import StructuresBox, next_structure
from .table import CohortTable

#: Hand-made changes are stored, and the next case is loaded, when nothing has happened for this long.
QUIET_MS = 1500


class CohortPanel:
    """``ui``: the named widgets of the panel (the section is ``ui.cohortCollapsibleButton``; its layout is empty, so
    ``childWidgetVariables`` leaves it out: PythonQt calls an empty layout false);
    ``panel``: the Panel, whose parameter node names the nodes worked on."""

    def __init__(self, ui, panel) -> None:
        self.ui = ui
        self.panel = panel
        self.desk = Desk()
        self._shown_at: list[float] = []
        self._seen = None
        self._structure = ""
        self._opening = False
        self.accepting = Accepting(self)
        self._make_controls(ui.cohortCollapsibleButton.layout())
        self.quiet = qt.QTimer()
        self.quiet.setSingleShot(True)
        self.quiet.setInterval(QUIET_MS)
        self.quiet.connect("timeout()", self.autosave)
        self.shortcut = qt.QShortcut(qt.QKeySequence("Ctrl+Return"), panel.widget)
        self.shortcut.setContext(qt.Qt.ApplicationShortcut)
        self.shortcut.autoRepeat = False  # a key held down must not accept case after case
        self.shortcut.connect("activated()", self.accept_and_next)
        self.shortcut.setEnabled(False)
        self.update()

    def _make_controls(self, layout) -> None:
        first = qt.QHBoxLayout()
        self.open_button = button(_("Open…"), _("Open a cohort: the folder that holds its cohort.json."), _("Open a cohort"))
        self.new_button = button(_("New…"), _("Begin a cohort of the volumes chosen on the right."), _("New cohort"))
        self.source = combo(_("Where the volumes of a new cohort come from."), _("Source of a new cohort"))
        self.close_button = button(_("Close"), _("Put the cohort away; everything is stored."), _("Close the cohort"))
        for name in SOURCES:
            self.source.addItem(_(name), name)
        for widget in (self.open_button, self.new_button, self.source, self.close_button):
            first.addWidget(widget)
        layout.addLayout(first)
        self.message = described(qt.QLabel(), _("How far the work has come, and what went wrong."), _("Progress of the cohort"))
        self.message.setWordWrap(True)
        layout.addWidget(self.message)
        self.structures = StructuresBox(layout, self)
        self.table = CohortTable(layout, self.go_to)
        self.ahead = AheadBox(layout, self.desk, self.panel.service, self._order, self._may_show, self._stepped, self.message.setText)
        second = qt.QHBoxLayout()
        self.previous_button = button(_("Previous"), _("Go to the case before."), _("Previous case"))
        tip = _("Accept all that is segmented in the open case and go to the next (Ctrl+Enter).")
        self.accept_button = button(_("Accept and next"), tip, _("Accept and next case"))
        self.skip_button = button(_("Skip"), _("Leave the open case out and go to the next."), _("Skip case"))
        for widget in (self.previous_button, self.accept_button, self.skip_button):
            second.addWidget(widget)
        layout.addLayout(second)
        third = qt.QHBoxLayout()
        self.order = combo(_("Which case comes next."), _("Order of work"))
        for number, plugin in enumerate(ORDERS):
            self.order.addItem(_(plugin.title), plugin.name)
            self.order.setItemData(number, _(plugin.help), qt.Qt.ToolTipRole)
        self.curve_button = button(_("Curve"), _("Show the interactions per case as a plot."), _("Curve of interactions"))
        third.addWidget(self.order)
        third.addWidget(self.curve_button)
        layout.addLayout(third)
        self.results = ResultsGallery(layout, self.go_to)
        for widget, action in (
            (self.open_button, self.open),
            (self.new_button, self.new),
            (self.close_button, self.put_away),
            (self.previous_button, self.previous),
            (self.accept_button, self.accept_and_next),
            (self.skip_button, self.skip),
            (self.curve_button, self.curve),
        ):
            widget.connect("clicked()", action)
        self.order.connect("activated(int)", self._order_chosen)

    # Life

    def enter(self) -> None:
        """The module is shown."""
        self.update()

    def exit(self) -> None:
        """Another module is shown."""
        self.autosave()
        self.shortcut.setEnabled(False)

    def release_scene(self) -> None:
        """The scene is about to be closed: the case's nodes go with it, the cohort stays open."""
        self.quiet.stop()
        self.autosave()
        self._closing(self.desk.forget_scene)

    def close(self) -> None:
        """The panel is about to be destroyed."""
        self.quiet.stop()
        self.ahead.close()
        settings.use_contexts(None)
        self.panel.library.cohort = None
        try:
            self.desk.close()
        except MultiverSegError as error:  # no line is left to say it in
            logging.error(str(error))

    # Opening

    def open(self) -> None:
        """Asks for a cohort's folder and opens it at its next case."""
        folder = qt.QFileDialog.getExistingDirectory(self.ui.cohortCollapsibleButton, _("Open a cohort"), "")
        if folder:
            self.guarded(lambda: self.take(Cohort.open(str(folder))))

    def new(self) -> None:
        """Asks for the volumes, a folder for the results and the structure's name, and begins a cohort."""
        self.guarded(self._new)

    def _new(self) -> None:
        kind = str(self.source.itemData(self.source.currentIndex))
        cohort = new_cohort(self.ui.cohortCollapsibleButton, kind, self.panel.parameters.axis)
        if cohort is not None:
            self.take(cohort)

    def take(self, cohort: Cohort) -> None:
        """Works on an open cohort: its contexts become the panel's, its next case is opened."""
        self.desk.take(cohort)
        settings.use_contexts(cohort.folder / "context")
        self.panel.library.cohort = self
        self.order.setCurrentIndex(max(0, self.order.findData(cohort.setting("order"))))
        self.panel.library.forget()
        if not cohort.read_only:
            self.ahead.warm_up()
            self._open_case(self.desk.next)
            self.ahead.start()
        self.update()
        if self.desk.contexts.notes:
            self.message.text = " ".join(self.desk.contexts.notes)

    def put_away(self) -> None:
        """Closes the cohort. What can't be stored is said; the lock is given back all the same."""
        self.quiet.stop()
        self.ahead.stop()
        self.guarded(self._show_nothing)
        settings.use_contexts(None)
        self.panel.library.cohort = None
        self.panel.library.forget()
        self._closing(self.desk.close)

    def _closing(self, step) -> None:
        """Puts something away, and says what could not be stored of it."""
        try:
            step()
            problem = ""
        except MultiverSegError as error:
            problem = _("Closed, but not everything could be stored: {reason}").format(reason=error)
        if self.desk.cohort is None:
            remove_curve()
        self.update()
        if problem:
            self.message.text = problem

    # Working

    @property
    def structure(self) -> str:
        """The structure that is worked on; the first one where none was chosen."""
        cohort = self.desk.cohort
        if cohort is None:
            return ""
        return self._structure if self._structure in cohort.state.structures else cohort.structure().name

    def choose_structure(self, name: str) -> None:
        """Works on another structure of the open case: its segment, axis, examples and slice."""
        self._structure = name
        if self.desk.work is not None:
            self._show_structure()
        self.structures.show()

    def follow_segment(self) -> None:
        """Another segment was selected in the editor: its structure is the one to work on."""
        work = self.desk.work
        if work is None or self._opening or self.panel.editor.segmentationNode() is not work.nodes.segmentation:
            return
        name = work.nodes.structure_of(self.panel.segment_id())
        if name and name != self.structure:
            self.choose_structure(name)

    def follow_name(self, name: str) -> None:
        """A structure was named in the panel: if it is one of the cohort's, it is the one to work on."""
        if self.desk.work is not None and name in self.desk.cohort.state.structures and name != self.structure:
            self.choose_structure(name)

    def opened_anew(self, structure: str) -> None:
        """The structures changed: the open case is opened again, with ``structure`` to work on."""
        self._structure, case_id = structure, self.desk.case_id
        if case_id is not None:
            self._open_case(lambda: self.desk.go_to(case_id))
        self.update()

    def accept_structure(self) -> None:
        """Accepts the structure that is worked on, and goes to the case's next one; after the last to the next case."""
        self.guarded(lambda: self.accepting.when_answered(self._accept_structure))

    def _accept_structure(self) -> None:
        current = self.structure
        self.accept(current)
        following = next_structure(self.desk.cohort.case(self.desk.case_id), list(self.desk.cohort.state.structures), current)
        if following is not None:
            self.choose_structure(following)
        else:
            self._open_case(lambda: self.desk.next(self._order()))

    def go_to(self, case_id: str, structure: str = "") -> None:
        """Opens a case; ``structure``: to work on this one."""
        self._structure = structure or self._structure
        if structure and case_id == self.desk.case_id:
            self.choose_structure(structure)
            return
        self.guarded(lambda: self._open_case(lambda: self.desk.go_to(case_id)))

    def previous(self) -> None:
        self.guarded(lambda: self._open_case(self.desk.previous))

    def accept_and_next(self) -> None:
        """Accepts the open case (all structures that are segmented) and opens the next."""
        self.guarded(lambda: self.accepting.when_answered(lambda: self._open_case(lambda: self.desk.accept_and_next(order=self._order()))))

    # What the library of contexts asks (see ``user_contexts.CohortSide``)

    def context(self, structure: str):
        """The cohort's own examples of one of its structures."""
        return self.desk.contexts.get(structure) if self.desk.cohort and structure in self.desk.cohort.state.structures else None

    def case_of(self, segmentation) -> str:
        """The open case, if the segmentation is that case's; else empty."""
        work = self.desk.work
        return work.case_id if work is not None and segmentation is not None and segmentation is work.nodes.segmentation else ""

    def structure_of(self, segment_id: str) -> str:
        """The structure that a segment of the open case stands for; empty if none."""
        return self.desk.work.nodes.structure_of(segment_id) if self.desk.work is not None else ""

    def accept(self, structure: str):
        """The effect's own button: accepts one structure of the open case and stays there; gives the example.

        Raises:
            MultiverSegError: the segment is none of the cohort's structures, or it is empty.
        """
        if not structure:
            raise MultiverSegError(_("The selected segment is none of the cohort's structures: select one that is."))
        self.desk.work.accept([structure])
        self.update()
        example = self.desk.cohort.case(self.desk.case_id).work(structure).example
        return self.desk.contexts.find(structure, example)

    def skip(self) -> None:
        self.guarded(lambda: self._open_case(lambda: self.desk.skip_and_next(order=self._order())))

    def curve(self) -> None:
        self.guarded(lambda: show_curve(self.desk.cohort))

    def remove_example(self, structure: str, example) -> bool:
        """Takes an example out of the cohort's context and marks what was predicted with it; False where no cohort has that structure."""
        if self.desk.cohort is None or structure not in self.desk.cohort.state.structures:
            return False
        self.desk.contexts.remove(structure, example.id)
        self.update()
        return True

    def autosave(self) -> None:
        """Stores what was done by hand. Called when nothing has happened for a while."""
        if self.desk.work is None:
            return
        self.guarded(self.desk.work.autosave)

    def _may_show(self, structure: str) -> bool:
        """Whether a proposal may be put into the open case: the person has not begun, and waits for no prediction."""
        nodes = self.desk.work.nodes
        return self.panel.service.idle(0) and not len(prompt_tags.load(nodes.segmentation, nodes.segment_id(structure)))

    def _stepped(self, proposed: list[str]) -> None:
        """Called a few times a second; ``proposed``: cases that got proposals in the background."""
        for case_id in proposed:
            self.table.refresh(self.desk.cohort.case(case_id))
        if self.desk.case_id is None:
            return
        if self.desk.case_id in proposed:
            self._show_uncertainty()
            if self._offsets() == self._shown_at:
                self._jump()
        nodes, cohort = self.desk.work.nodes, self.desk.cohort
        if nodes.notes:
            self.message.text = nodes.notes.pop()
        now = cohort.state.seq, [nodes.stamp(structure.name) for structure in cohort.structures]
        if now != self._seen:
            self._seen = now
            self.table.refresh(cohort.case(self.desk.case_id))
            self.quiet.start()

    def _order(self) -> str:
        return str(self.order.itemData(self.order.currentIndex) or "")

    def _order_chosen(self, index) -> None:
        if self.desk.cohort is not None and not self.desk.cohort.read_only:
            self.guarded(lambda: self.desk.cohort.record("setting", name="order", value=self._order()))

    def _open_case(self, action) -> None:
        """Runs a step of the desk with the panel showing nothing of the old case, then shows the new one."""
        before, unanswered = self.desk.work, self.accepting.unanswered()
        self.panel.predict.cancel()
        try:
            with self._leading():
                self.panel.editor.setActiveEffect(None)
                action()
        finally:
            self.accepting.opened()
            if self.desk.work is not before:
                self._show_case()
            else:
                self._activate()
            self.update()
        if unanswered:
            self.message.text = _("The last click in {case} was not answered; its prompt is kept.").format(case=before.case_id)

    def _show_case(self) -> None:
        work, parameters = self.desk.work, self.panel.parameters
        if work is None:
            return
        with self._leading():
            if parameters is not None:
                parameters.sourceVolume = work.nodes.volume
                parameters.segmentation = work.nodes.segmentation
            slicer.util.setSliceViewerLayers(background=work.nodes.volume, fit=True)
        self._show_structure()

    def _show_structure(self) -> None:
        """The segment, axis, examples and slice of the structure to work on, with our effect."""
        structure, parameters = self.desk.cohort.structure(self.structure), self.panel.parameters
        with self._leading():
            if parameters is not None:
                parameters.structure = structure.name
                if structure.axis in ("axial", "coronal", "sagittal"):
                    parameters.axis = structure.axis
            self._jump()
            self._activate()
        self._show_uncertainty()

    @contextmanager
    def _leading(self):
        """The editor follows this panel meanwhile, not the other way round."""
        before, self._opening = self._opening, True
        try:
            yield
        finally:
            self._opening = before

    def _jump(self) -> None:
        """Shows the slice to work on."""
        centre = self.desk.work.plane_for(self.structure).to_ras(63.5, 63.5)
        slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *centre)
        self._shown_at = self._offsets()

    def _show_uncertainty(self) -> None:
        """How unsure the model is of the proposal that is shown."""
        structure, nodes = self.structure, self.desk.work.nodes
        found = self.desk.work.uncertainty(structure) if nodes.stamp(structure) else None
        if found is not None and not self.desk.cohort.case(self.desk.case_id).work(structure).interactions:
            self.panel.uncertainty.set(*found, nodes.segmentation, nodes.segment_id(structure))

    def _offsets(self) -> list[float]:
        return [node.GetSliceOffset() for node in slicer.util.getNodesByClass("vtkMRMLSliceNode")]

    def _activate(self) -> None:
        """Our effect again, on the structure's segment."""
        work = self.desk.work
        if work is None or self.panel.editor.segmentationNode() is not work.nodes.segmentation:
            return
        self.panel.editor.setCurrentSegmentID(work.nodes.segment_id(self.structure))
        self.panel.editor.setActiveEffectByName("MultiverSegPrompt")

    def _show_nothing(self) -> None:
        if self.panel.parameters is not None and self.desk.work is not None:
            self.panel.editor.setActiveEffect(None)
            self.panel.parameters.segmentation = None
            self.panel.parameters.sourceVolume = None

    # Showing

    def update(self) -> None:
        """Shows the cohort as it is now."""
        cohort, case_id = self.desk.cohort, self.desk.case_id
        writable = cohort is not None and not cohort.read_only
        self.table.show(cohort, case_id)
        self.structures.show()
        for widget in (self.previous_button, self.accept_button, self.skip_button):
            widget.enabled = writable and case_id is not None
        for widget in (self.close_button, self.curve_button, self.order):
            widget.enabled = cohort is not None
        self.shortcut.setEnabled(writable and case_id is not None)
        self.message.text = self._line()
        self.results.show(self.desk.cohort, self.desk.contexts)

    def _line(self) -> str:
        cohort = self.desk.cohort
        if cohort is None:
            return _("No cohort is open.")
        if cohort.read_only:
            text = _("Read only: held by {holder}. {progress}").format(holder=cohort.holder or _("nobody"), progress=progress(cohort.state))
            return text + " " + _("If nobody works on it any more, delete its file cohort.lock.") if cohort.holder else text
        return f"{cohort.state.name}: {progress(cohort.state)}"

    def guarded(self, function) -> None:
        """Runs a step; says what went wrong."""
        try:
            function()
        except MultiverSegError as error:
            self.message.text = str(error)

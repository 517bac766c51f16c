"""What is done with the cohort as a whole: its report, its export, existing labels, further cases, scans that were moved."""

from __future__ import annotations

from functools import partial

import qt
from slicer.i18n import tr as _

from ...cohort.sources.files import cases_from_folder
from ...cohort.sources.keeping import add_cases, relink
from ...cohort.store.noticing import keep
from ...cohort.work.case_nodes import scene_volumes
from ...cohort.work.labels_to_context import ImportedLabels, example_from_files, labels_to_context, take_example
from ...core.errors import CohortError, MultiverSegError
from ...core.notices import notice, withheld
from ...mrml.plain_segments import reads_plain
from ..shared.counting import counted
from ..shared.widgets import button
from .long_work import InThread, Progress, Steps, Told
from .results_actions import ExportBox, start_report


class CohortActions:
    """``owner``: the CohortPanel."""

    def __init__(self, layout, owner) -> None:
        self.owner = owner
        self.report_button = button(
            _("Report…"),
            _("Write the report (pictures, curve, table, methods) into the cohort's folder and show it in the browser."),
            _("Report of the cohort"),
        )
        self.export_button = button(
            _("Export…"),
            _("Write results for other programs: choose formats and cases below."),
            _("Export results"),
            checkable=True,
        )
        self.labels_button = button(
            _("Use existing labels…"),
            _("Make examples of the segmentations that came with the volumes, for the structure that is worked on."),
            _("Use existing labels as examples"),
        )
        self.add_button = button(
            _("Add cases…"),
            _("Add the volumes below a folder; those that the cohort has already are left out."),
            _("Add cases from a folder"),
        )
        self.relink_button = button(
            _("Find moved scans…"),
            _("Look for the scans that are not where they were, below a folder that they were moved to."),
            _("Find scans that were moved"),
        )
        grid = qt.QGridLayout()
        for number, (widget, action) in enumerate(
            (
                (self.report_button, lambda: start_report(owner)),
                (self.export_button, self._unfold),
                (self.labels_button, self.use_labels),
                (self.add_button, self.add),
                (self.relink_button, self.relink),
            )
        ):
            grid.addWidget(widget, number // 2, number % 2)
            widget.connect("clicked()", owner.doing(action))
        layout.addLayout(grid)
        self.export = ExportBox(layout, owner)

    def show(self) -> None:
        """Shows what can be done now."""
        cohort, free = self.owner.desk.cohort, not self.owner.tasks.busy
        for widget in (self.report_button, self.export_button):
            widget.enabled = cohort is not None and free
        for widget in (self.labels_button, self.add_button, self.relink_button):
            widget.enabled = cohort is not None and not cohort.read_only and free
        if cohort is None:
            self.export_button.checked = False
            self._unfold()

    def _unfold(self) -> None:
        self.export.frame.setVisible(self.export_button.checked)

    def _folder(self, title: str) -> str:
        return str(qt.QFileDialog.getExistingDirectory(self.add_button, title, "") or "")

    def use_labels(self) -> None:
        """Every case with an existing label of the structure becomes an example of it."""
        desk, structure = self.owner.desk, self.owner.structure
        cases = [case.id for case in desk.cohort.cases if any(label.structure == structure for label in case.labels)]
        if not cases:
            raise CohortError(_("No label file of {structure} was found beside the volumes.").format(structure=structure))
        self.owner.tasks.start(_taking(desk.cohort, desk.contexts, structure, cases), lambda taken: self._taken(structure, taken))

    def _taken(self, structure: str, taken: ImportedLabels) -> None:
        self.owner.update()
        text = counted(
            len(taken.cases),
            _("1 example of {structure} was made of an existing label."),
            _("{count} examples of {structure} were made of existing labels."),
            structure=structure,
        )
        self.owner.outcome.tell(text, taken.left_out)

    def add(self) -> None:
        """Adds the volumes below a folder."""
        folder, cohort = self._folder(_("Folder of the further volumes")), self.owner.desk.cohort
        if folder:
            self.owner.tasks.start(_adding(cohort, folder), self._added)

    def _added(self, result: tuple[int, int]) -> None:
        fresh, found = result
        self.owner.update()
        known = counted(found - fresh, _("1 was there already"), _("{count} were there already"))
        self.owner.outcome.tell(counted(fresh, _("1 case added; {known}."), _("{count} cases added; {known}."), known=known))

    def relink(self) -> None:
        """Looks for moved scans below a folder."""
        folder, cohort = self._folder(_("Folder that the scans were moved to")), self.owner.desk.cohort
        if not folder:
            return
        result = relink(cohort, folder)
        self.owner.update()
        if not result.found and not result.left_out:
            self.owner.outcome.tell(_("All scans are where they were."))
        else:
            self.owner.outcome.tell(
                counted(len(result.found), _("1 scan was found again."), _("{count} scans were found again.")), result.left_out
            )


def _taking(cohort, contexts, structure: str, cases: list[str]) -> Steps:
    """Volumes and labels are read in a thread."""
    taken, record, voxels = ImportedLabels(), cohort.structure(structure), scene_volumes(cohort, cases)

    def work(progress: Progress, case):
        with withheld() as told:
            return example_from_files(cohort, case, record, voxels), told

    for number, case in enumerate(map(cohort.case, cases)):
        yield Told(_("Reading the label of {case}").format(case=case.id), number, len(cases))
        try:
            if all(reads_plain(label.path) for label in case.labels if label.structure == structure):
                example, told = yield InThread(partial(work, case=case))
                for text in told:
                    notice(text)
                keep(cohort, told, case.id)
                take_example(cohort, contexts, structure, case.id, example)
            else:
                labels_to_context(cohort, structure, [case.id], contexts)
            taken.cases.append(case.id)
        except MultiverSegError as error:
            taken.left_out[case.id] = str(error)
    return taken


def _adding(cohort, folder: str) -> Steps:
    yield Told(_("Looking for volumes below {folder}").format(folder=folder))
    place, names = cohort.folder, list(cohort.state.structures)
    found = yield InThread(lambda progress: cases_from_folder(folder, place, names))
    return len(add_cases(cohort, found)), len(found)

"""Report and export from the panel: what it needs is asked for once, the work goes case by case, and it says what was left out and why."""

from __future__ import annotations

from pathlib import Path

import qt
from slicer.i18n import tr as _

from ...cohort.results.export import export_cohort, to_export
from ...cohort.results.formats import FORMATS
from ...cohort.results.report import write_cohort_report
from ...cohort.results.requirements import REPORT, missing, requirements
from ...cohort.store.cohort import Cohort
from ...cohort.work.case_nodes import scene_volumes
from ...core.errors import CohortError
from ...core.notices import notice, withheld
from ..shared import packages
from ..shared.widgets import button, combo, described
from .long_work import InThread, Progress, Steps

_ALL, _ONE = "all", "one"


class ExportBox:
    """Which formats, which cases: unfolded by *Export…*. ``owner``: the CohortPanel."""

    def __init__(self, layout, owner) -> None:
        self.owner = owner
        self.frame = qt.QFrame()
        column = qt.QVBoxLayout(self.frame)
        column.setContentsMargins(0, 0, 0, 0)
        self.formats = described(qt.QListWidget(), _("The formats to write; tick one or several."), _("Formats of the export"))
        for plugin in FORMATS:
            item = qt.QListWidgetItem(_(plugin.title))
            item.setToolTip(_(plugin.help))
            item.setData(qt.Qt.UserRole, plugin.name)
            item.setCheckState(qt.Qt.Checked if self.formats.count == 0 else qt.Qt.Unchecked)
            self.formats.addItem(item)
        self.formats.setMaximumHeight((self.formats.count + 1) * self.formats.sizeHintForRow(0))
        self.scope = combo(_("Whose results are written."), _("Cases to export"))
        self.scope.addItem(_("all accepted cases"), _ALL)
        self.scope.addItem(_("the selected case"), _ONE)
        self.write_button = button(
            _("Write files…"),
            _("Choose a folder and write the files. Files of the cohort itself are never overwritten."),
            _("Write the files"),
        )
        row = qt.QHBoxLayout()
        row.addWidget(self.scope)
        row.addWidget(self.write_button)
        column.addWidget(self.formats)
        column.addLayout(row)
        layout.addWidget(self.frame)
        self.frame.hide()
        self.write_button.connect("clicked()", lambda: owner.guarded(self.write))

    def chosen(self) -> list[str]:
        """The names of the formats that are ticked."""
        items = [self.formats.item(row) for row in range(self.formats.count)]
        return [str(item.data(qt.Qt.UserRole)) for item in items if item.checkState() == qt.Qt.Checked]

    def write(self) -> None:
        """Asks for the folder and begins."""
        formats, cohort, selected = self.chosen(), self.owner.desk.cohort, self.owner.table.selected()
        if not formats:
            raise CohortError(_("Tick at least one format."))
        one = self.scope.itemData(self.scope.currentIndex) == _ONE
        if one and selected is None:
            raise CohortError(_("Select a case in the table first."))
        cases = [selected[0]] if one else None
        packages.ensure(_("The export"), requirements(*formats), missing)
        folder = str(qt.QFileDialog.getExistingDirectory(self.write_button, _("Folder for the exported files"), "") or "")
        if folder:
            self.owner.tasks.start(_exporting(cohort, Path(folder), formats, cases), self._written)

    def _written(self, done) -> None:
        self.owner.outcome.tell(str(done), {**done.left_out, **done.remarks}, done.folder)


def _exporting(cohort, folder: Path, formats: list[str], cases: list[str] | None) -> Steps:
    """Reading, resampling and writing are done in a thread, which reads the cohort anew."""
    voxels, text = scene_volumes(cohort, to_export(cohort, cases)), _("Exporting {case}")

    def work(progress: Progress):
        with withheld() as told, Cohort.open(cohort.folder, read_only=True) as own:

            def tell(case: str, done: int, total: int) -> None:
                progress.tell(text.format(case=case), done, total)

            return export_cohort(own, folder, formats, tell, cases, progress.stopped, voxels), told

    done, told = yield InThread(work)
    for line in told:
        notice(line)
    return done


def start_report(owner) -> None:
    """Writes the cohort's report into its folder and shows it in the web browser.

    Raises:
        MultiverSegError: its packages were not installed, or nothing was done yet.
    """
    packages.ensure(_("The report"), REPORT, missing)
    owner.tasks.start(_reporting(owner.desk.cohort), lambda files: _reported(owner, files))


def _reporting(cohort) -> Steps:
    """Reading, drawing and writing are done in a thread, which reads the cohort anew."""
    voxels, text = scene_volumes(cohort, [case.id for case in cohort.cases]), _("Drawing the report: {case}")

    def work(progress: Progress):
        with withheld() as told, Cohort.open(cohort.folder, read_only=True) as own:

            def tell(case: str, done: int, total: int) -> None:
                progress.tell(text.format(case=case), done, total)

            return write_cohort_report(own, own.folder, tell, progress.stopped, voxels), told

    files, told = yield InThread(work)
    for line in told:
        notice(line)
    return files


def _reported(owner, files: list[Path]) -> None:
    owner.outcome.tell(_("The report is {file}.").format(file=files[0]), folder=files[0].parent)
    qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(files[0])))

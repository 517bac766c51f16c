"""Begins a cohort from the panel: asks where the volumes are, where the results go, and what to segment."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from ...cohort.sources.files import cases_from_folder
from ...cohort.sources.scene import cases_from_scene, cases_from_sequence, cases_from_subject_hierarchy, subject_hierarchy_folders
from ...cohort.sources.tables import cases_from_csv
from ...cohort.store.cohort import Cohort
from ...cohort.store.noticing import keep
from ...core.errors import CohortError
from ...core.notices import noticed
from ...core.sample_cohorts import SAMPLE_COHORTS
from ...mrml.masks import EVERY_LABEL
from ..shared import settings
from .structures import named

#: Kind of source -> what it is called.
SOURCES = {
    "folder": "folder",
    "table (CSV)": "table (CSV)",
    "scene": "scene",
    "folder of the scene": "folder of the scene",
    "sequence": "sequence",
}


def new_cohort(parent, kind: str, axis: str) -> Cohort | None:
    """The new cohort, open; None if the person gave up.

    Args:
        parent: widget of the dialogs.
        kind: one of ``SOURCES``.
        axis: slice axis of the structures, until it is changed.

    Raises:
        CohortError: there is nothing to begin with, or the folder is in use.
    """
    origin = _origin(parent, kind)
    if origin is None:
        return None
    folder = str(qt.QFileDialog.getExistingDirectory(parent, _("Folder for the cohort and its results"), "") or "")
    text = _("Structure to segment (several: divided by commas)")
    structures = named(str(qt.QInputDialog.getText(parent, _("New cohort"), text) or ""), axis) if folder else []
    if not structures:
        return None
    names = _names_wanted()
    with noticed() as told:
        cases = _cases(kind, origin, Path(folder), [structure.name for structure in structures])
    cohort = Cohort.create(folder, cases, structures, settings={"model": settings.value("Model"), "names": names})
    try:
        keep(cohort, told)
    except BaseException:
        cohort.close()
        raise
    return cohort


def sample_cohort(parent) -> Cohort | None:
    """A cohort of volumes that come with the extension, in a folder that is asked for; None if the person gave up. It keeps nobody's name.

    Raises:
        CohortError: the folder is in use.
    """
    samples = {_(sample.title): sample for sample in SAMPLE_COHORTS.values()}
    # nothing is chosen at first, since a cancelled dialog gives the first entry
    title = str(qt.QInputDialog.getItem(parent, _("Sample cohort"), _("Volumes"), ["", *samples], 0, False) or "")
    if title not in samples:
        return None
    sample = samples[title]
    folder = str(qt.QFileDialog.getExistingDirectory(parent, _("Empty folder for the cohort and its results"), "") or "")
    if not folder:
        return None
    cases = cases_from_folder(sample.path, folder, [sample.structure], value=EVERY_LABEL)
    return Cohort.create(folder, cases, named(sample.structure, sample.axis), settings={"model": settings.value("Model"), "names": False})


def _names_wanted() -> bool:
    """Whether the cohort keeps who did what."""
    question = _("Record who does what: the login name with every step, in the journal, the reports and the tables of this cohort?")
    return bool(slicer.util.confirmYesNoDisplay(question, _("New cohort")))


def _origin(parent, kind: str) -> str | int | None:
    """The folder, file or subject-hierarchy item that the volumes come from; empty where that is clear; None if the person gave up."""
    if kind == "folder":
        return str(qt.QFileDialog.getExistingDirectory(parent, _("Folder of the volumes"), "") or "") or None
    if kind == "table (CSV)":
        return str(qt.QFileDialog.getOpenFileName(parent, _("Table of the volumes"), "", "CSV (*.csv)") or "") or None
    if kind == "folder of the scene":
        folders = subject_hierarchy_folders()
        if not folders:
            raise CohortError(_("No folder, study or patient of the scene holds a volume: see the module Data."))
        names = [f"{n}. {name}" for n, (name, _item) in enumerate(folders, start=1)]  # two folders may have one name
        # nothing is chosen at first, since a cancelled dialog gives the first entry
        chosen = str(qt.QInputDialog.getItem(parent, _("New cohort"), _("Folder of the scene"), ["", *names], 0, False) or "")
        return folders[names.index(chosen)][1] if chosen in names else None
    return ""


def _cases(kind: str, origin: str | int, folder: Path, structures: list[str]) -> list:
    if kind == "folder":
        return cases_from_folder(Path(origin), folder, structures)
    if kind == "table (CSV)":
        return cases_from_csv(Path(origin), folder, structures)
    if kind == "scene":
        return cases_from_scene(folder)
    if kind == "folder of the scene":
        return cases_from_subject_hierarchy(origin, folder)
    sequences = slicer.util.getNodesByClass("vtkMRMLSequenceNode")
    if not sequences:
        raise CohortError(_("There is no sequence in the scene."))
    return cases_from_sequence(sequences[0], folder)

"""Closing, or going on, when something can't be stored: the reason is in the message line and the lock is given back."""

import pytest
from MultiverSegLib.cohort.store.cohort import Cohort

from .steps import area, click_structure, paint

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def unlocked(study):
    """Whether somebody else can open the cohort for writing now."""
    with Cohort.open(study.folder, who="somebody") as cohort:
        return not cohort.read_only


def blocked(path):
    """Nothing can be written where a folder stands in a file's place (the tests may run as one who may write everywhere)."""
    path.unlink(missing_ok=True)
    (path / "x").mkdir(parents=True)


def test_the_segmentation_was_deleted(study):
    import slicer

    click_structure(study)
    slicer.mrmlScene.RemoveNode(study.segmentation)
    study.host.process_events(0.5)
    study.cohort.close_button.click()
    assert not study.host.exceptions and unlocked(study) and not slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")


def test_the_disk_refuses_the_result(study):
    import slicer

    click_structure(study)
    blocked(study.folder / "segmentations" / "p0.seg.nrrd")
    study.cohort.close_button.click()
    assert not study.host.exceptions and "not everything could be stored" in study.cohort.message.text
    assert unlocked(study) and not slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")


def test_the_next_case_is_not_opened_over_what_is_not_stored(study):
    click_structure(study)
    before = area(study)
    blocked(study.folder / "segmentations" / "p0.seg.nrrd")
    study.cohort.go_to("p1")
    assert study.cohort.desk.case_id == "p0" and area(study) == before and "Can't write" in study.cohort.message.text


def test_the_scene_is_closed_and_the_journal_refuses(study):
    import slicer

    click_structure(study)
    mask = study.cohort.desk.work.nodes.mask("blob")
    mask[5, 10:20, 10:20] = 1
    paint(study, mask)  # not stored yet
    journal = study.folder / "journal.jsonl"
    stored = journal.read_bytes()
    blocked(journal)
    slicer.mrmlScene.Clear(0)
    assert not study.host.exceptions and study.cohort.desk.case_id is None
    (journal / "x").rmdir()
    journal.rmdir()
    journal.write_bytes(stored)

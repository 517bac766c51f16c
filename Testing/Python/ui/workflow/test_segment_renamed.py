"""The open case's segment is renamed, or deleted, in the Segment Editor's list: it stays the structure's, with what was segmented."""

import pytest

from .steps import area, case, click_structure

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def rename(study, name="Blob (left)"):
    study.segmentation.GetSegmentation().GetSegment(study.editor.currentSegmentID()).SetName(name)


def test_accepting_after_renaming(study):
    click_structure(study)
    rename(study)
    study.cohort.accept_button.click()
    assert case(study).status == "accepted", study.cohort.message.text


def test_the_name_is_put_back_and_that_is_said(study):
    click_structure(study)
    rename(study)
    study.host.wait_until(lambda: "keeps its name" in study.cohort.message.text, 30)
    assert study.segmentation.GetSegmentation().GetSegment(study.editor.currentSegmentID()).GetName() == "blob"


def test_the_work_is_there_after_going_away(study):
    panel = study.cohort
    click_structure(study)
    before = area(study)
    rename(study)
    panel.go_to("p1")
    panel.go_to("p0")
    assert area(study) == before > 0 and panel.desk.cohort.segmentation_path("p0").exists()


def test_the_work_is_there_after_closing_the_cohort(study):
    click_structure(study)
    rename(study, "Blob")
    study.cohort.close_button.click()
    study.host.dialogs.answers.append(str(study.folder))
    study.cohort.open_button.click()
    assert area(study)


def test_a_deleted_segment_comes_back(study):
    click_structure(study)
    study.host.wait_until(lambda: case(study).work("blob").first_prediction)
    before = area(study)
    study.segmentation.GetSegmentation().RemoveSegment(study.editor.currentSegmentID())
    study.host.wait_until(lambda: "put back" in study.cohort.message.text, 30)
    assert area(study) == before and "edit" not in case(study).work("blob").interactions

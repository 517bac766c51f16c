"""A scene that was saved while a case was open is loaded again: its segmentation is not the open case's."""

import pytest

from .steps import case, click_structure, status_line, statuses

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def test_the_open_case_is_not_accepted_instead(study, tmp_path):
    import slicer

    click_structure(study)
    slicer.util.saveScene(str(tmp_path / "s.mrb"))
    study.cohort.accept_button.click()
    study.host.wait_until(lambda: statuses(study)[1] == "proposal", 30)
    slicer.util.loadScene(str(tmp_path / "s.mrb"))
    study.host.process_events(0.5)
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    stale = next(n for n in nodes if n.GetAttribute("MultiverSeg.Case") == "p0")
    study.panel.parameters.segmentation = stale
    study.host.wait_until(lambda: study.segmentation is stale)
    study.editor.setCurrentSegmentID(stale.GetSegmentation().GetNthSegmentID(0))
    study.editor.setActiveEffectByName("MultiverSegPrompt")
    assert study.segmentation.GetName() == "p0"
    study.effect.self().accept()
    assert case(study, "p1").status != "accepted" and "belongs to case p0" in status_line(study)


def test_no_case_is_open(study, tmp_path):
    import slicer

    click_structure(study)
    slicer.util.saveScene(str(tmp_path / "s.mrb"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "s.mrb"))
    study.host.process_events(0.05)
    study.host.wait_until(lambda: study.cohort.desk.case_id is None and study.effect is not None)
    study.effect.self().accept()
    assert "belongs to case p0" in status_line(study) and case(study).status == "in progress"

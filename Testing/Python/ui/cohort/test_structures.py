"""Several structures in the panel, each with its own segment, axis, colour and context; and cohorts of a folder of the scene."""

import numpy as np
import pytest
from MultiverSegLib.cohort.store.cohort import Cohort
from MultiverSegLib.mrml.volumes import new_volume

from ...cohort.volumes import ellipsoid, write_cohort_files
from .test_panel import click_structure, open_study, study, table  # noqa: F401  (study is a fixture)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture
def two(study, tmp_path):  # noqa: F811
    """A new cohort of two cases with two structures, made in the panel."""
    write_cohort_files(tmp_path / "scans", 2)
    study.host.dialogs.answers.extend([str(tmp_path / "scans"), str(tmp_path / "new"), "liver, spleen, liver"])
    study.cohort.new_button.click()
    study.red = study.host.view("Red")
    study.panel.ui.cohortCollapsibleButton.collapsed = False
    return study


def selected(bench):
    return bench.segmentation.GetSegmentation().GetSegment(bench.editor.currentSegmentID()).GetName()


def test_structures_are_made_in_the_beginning_and_later(two):
    panel = two.cohort
    liver, spleen = panel.desk.cohort.structures
    assert (liver.name, spleen.name) == ("liver", "spleen") and liver.color != spleen.color and (liver.value, spleen.value) == (1, 2)
    assert [panel.structures.box.itemText(n) for n in range(2)] == ["liver", "spleen"] and panel.structures.accept.isVisibleTo(
        panel.panel.widget
    )
    two.host.dialogs.answers.append("kidney")
    panel.structures.add.click()
    assert panel.structure == selected(two) == "kidney" and panel.desk.case_id == "p0" and len(table(two, 0)) == 6
    two.host.dialogs.answers.append("spleen")
    panel.structures.add.click()
    assert "'spleen' already" in panel.message.text and len(panel.desk.cohort.structures) == 3


def test_colour_and_axis(two):
    import qt

    panel = two.cohort
    two.host.dialogs.answers.append(qt.QColor(255, 0, 51))
    panel.structures.color.click()
    segment = two.segmentation.GetSegmentation().GetSegment(two.editor.currentSegmentID())
    assert panel.desk.cohort.structure("liver").color == segment.GetColor() == (1.0, 0.0, 0.2)
    panel.structures.color.click()  # given up
    assert panel.desk.cohort.structure("liver").color == (1.0, 0.0, 0.2)
    panel.structures.axis.setCurrentIndex(1)
    panel.structures._turn("coronal")
    assert panel.desk.cohort.structure("liver").axis == two.panel.parameters.axis == "coronal"
    assert panel.desk.cohort.structure("spleen").axis == "axial"
    click_structure(two)
    panel.structures.accept.click()
    assert panel.structures.axis.enabled, "the spleen has no examples yet"
    panel.choose_structure("liver")
    assert not panel.structures.axis.enabled, "examples are of the old axis"
    with Cohort.open(panel.desk.cohort.folder, read_only=True) as again:
        assert again.structure("liver").color == (1.0, 0.0, 0.2) and again.structure("liver").axis == "coronal"


def test_each_structure_has_its_own_segment_and_context(two):
    panel = two.cohort
    assert selected(two) == "liver"
    click_structure(two)
    panel.structures.accept.click()
    assert panel.desk.case_id == "p0" and panel.structure == selected(two) == two.panel.parameters.structure == "spleen"
    assert table(two, 1)[:2] == ["accepted", "in progress"]
    assert [e.case for e in panel.desk.contexts.get("liver").examples] == ["p0"] and not len(panel.desk.contexts.get("spleen"))
    click_structure(two, 9.0)  # beside the liver, which it would else overwrite
    asked = [call for call in two.predictor.calls if call.prompts is not None]
    assert asked[-1].examples == (), "the liver's example is none of the spleen"
    assert panel.desk.cohort.case("p0").work("spleen").clicks == 1
    panel.structures.accept.click()
    assert panel.desk.case_id == "p1" and panel.desk.cohort.case("p0").status == "accepted", "after the last structure the next case"
    assert panel.results.widget.count == 2


def test_choosing_the_segment_chooses_the_structure_and_the_other_way_round(two):
    panel = two.cohort
    work = panel.desk.work
    two.editor.setCurrentSegmentID(work.nodes.segment_id("spleen"))
    assert panel.structure == two.panel.parameters.structure == "spleen" and panel.structures.box.currentText == "spleen"
    panel.choose_structure("liver")
    assert selected(two) == "liver"
    two.panel.ui.structureComboBox.setCurrentText("spleen")
    two.panel._structure_edited()
    assert selected(two) == "spleen"
    row = table(two, 2).index("liver", 2)
    panel.table._activated(row, 0)
    assert panel.desk.case_id == "p1" and selected(two) == "liver"


def test_accept_and_next_takes_all_that_are_segmented(two):
    panel = two.cohort
    click_structure(two)
    panel.choose_structure("spleen")
    point = panel.desk.work.plane_for("spleen").to_ras(30, 64)
    two.red.jump_to(point)
    two.red.click(point)
    two.settle()
    panel.accept_button.click()
    case = panel.desk.cohort.case("p0")
    assert case.status == "accepted" and case.work("liver").example and case.work("spleen").example and panel.desk.case_id == "p1"


def test_the_table_shows_one_structure_if_asked(two):
    panel = two.cohort
    box = panel.table.structure
    assert box.isVisibleTo(panel.panel.widget)
    box.setCurrentIndex(box.findData("spleen"))
    rows = range(panel.table.widget.rowCount)
    assert [table(two, 2)[r] for r in rows if not panel.table.widget.isRowHidden(r)] == ["spleen", "spleen"]


def test_a_cohort_of_a_folder_of_the_scene(study, tmp_path):  # noqa: F811
    hierarchy = study.slicer.mrmlScene.GetSubjectHierarchyNode()
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Anna")
    inner = hierarchy.CreateStudyItem(patient, "2024")
    hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "empty")
    for number, parent in ((0, inner), (1, inner), (2, hierarchy.GetSceneItemID())):
        node = new_volume(ellipsoid(number)[0], np.diag([-1.0, -1, 2, 1]), f"v{number}")
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node), parent)
    source = study.cohort.source
    source.setCurrentIndex(source.findData("folder of the scene"))
    study.cohort.new_button.click()
    assert study.cohort.desk.cohort is None, "nothing was chosen"
    study.host.dialogs.answers.extend(["2. Anna / 2024", str(tmp_path / "c"), "blob"])
    study.cohort.new_button.click()
    assert study.cohort.desk.cohort is not None, study.cohort.message.text
    assert [c.id for c in study.cohort.desk.cohort.cases] == ["v0", "v1"] and study.cohort.desk.case_id == "v0"
    click = study.host.view("Red")
    study.red = click
    click_structure(study)
    study.cohort.accept_button.click()
    assert study.cohort.desk.case_id == "v1"
    study.cohort.put_away()
    assert study.slicer.util.getNode("v0") is not None, "the scene's own volumes stay"


def test_without_such_a_folder_it_says_so(study):  # noqa: F811
    source = study.cohort.source
    source.setCurrentIndex(source.findData("folder of the scene"))
    study.cohort.new_button.click()
    assert "holds a volume" in study.cohort.message.text


def test_a_structures_name_can_be_read_in_its_list(two):
    box = two.cohort.structures.box
    two.host.process_events(0.05)
    assert box.width >= box.fontMetrics().horizontalAdvance("hippocampus") + 30

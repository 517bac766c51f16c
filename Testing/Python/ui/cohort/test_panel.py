"""The cohort in the panel: opened, worked through with the mouse and Ctrl+Enter, journaled, and put away without a trace in the scene."""

import numpy as np
import pytest
from MultiverSegLib.cohort.store.cohort import Cohort
from MultiverSegLib.cohort.store.cohort_contexts import Contexts
from MultiverSegLib.cohort.store.lock import login_name
from MultiverSegLib.cohort.store.records import Case, Source, Structure
from MultiverSegLib.cohort.work.replay import replay

from ...cohort.volumes import real_cohort, write_cohort_files

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture
def study(bench, tmp_path):
    """The module open, a cohort of three volumes in a folder, not opened yet."""
    real_cohort(tmp_path / "s", 3, model="disc").close()
    bench.folder = tmp_path / "s" / "cohort"
    bench.open()
    bench.cohort = bench.panel.cohort
    yield bench
    bench.cohort.put_away()


def open_study(bench):
    bench.host.dialogs.answers.append(str(bench.folder))
    bench.cohort.open_button.click()
    bench.red = bench.host.view("Red")
    return bench.cohort


def centre(bench):
    """RAS of the middle of the open volume."""
    from MultiverSegLib.mrml.volumes import dimensions_of, ijk_to_ras

    volume = bench.cohort.desk.work.nodes.volume
    middle = (np.array(dimensions_of(volume)) - 1) // 2
    return (ijk_to_ras(volume) @ (*middle, 1))[:3]


def click_structure(bench, right=0.0):
    point = centre(bench) + np.array((right, 0, 0))
    bench.red.jump_to(point)
    bench.red.click(point)
    bench.settle()


def cases_shown(bench):
    """Cases of the examples that the last prediction got."""
    cases = {e.id: e.case for e in Contexts(bench.panel.cohort.desk.cohort).get("blob").examples}
    return [cases[e.id] for e in bench.predictor.calls[-1].examples]


def table(bench, column):
    widget = bench.cohort.table.widget
    return [widget.item(row, column).text() for row in range(widget.rowCount)]


def test_opening_shows_the_first_case_with_our_effect_on_its_segment(study):
    panel = open_study(study)
    assert panel.desk.case_id == "p0" and "0 of 3" in panel.message.text
    assert study.panel.parameters.sourceVolume is panel.desk.work.nodes.volume
    assert study.effect is not None and study.effect.name == "MultiverSegPrompt"
    assert table(study, 0) == ["p0", "p1", "p2"] and table(study, 1) == ["in progress", "not begun", "not begun"]
    assert panel.accept_button.enabled and not panel.message.text.startswith("Error")


def test_clicks_in_the_view_are_journaled_and_ctrl_enter_goes_on(study):
    panel = open_study(study)
    click_structure(study)
    assert panel.desk.work.nodes.mask("blob").any()
    study.red.key("Ctrl+Return")
    assert panel.desk.case_id == "p1" and "1 of 3, 1.0 clicks a case" in panel.message.text
    assert table(study, 1)[0] == "accepted" and table(study, 3)[0] == "1"
    work = panel.desk.cohort.case("p0").work("blob")
    assert work.interactions == {"positive point": 1} and work.model == "disc" and work.first_vs_accepted_dice > 0.8
    assert panel.results.widget.count == 1 and panel.desk.cohort.segmentation_path("p0").is_file()

    study.presenter.predict(study.red.node)
    study.settle()
    assert cases_shown(study) == ["p0"], "the accepted case is the next one's context"
    panel.accept_button.click()
    assert panel.desk.case_id == "p2" and panel.desk.cohort.case("p1").work("blob").clicks == 0
    assert replay(panel.desk.cohort, "p0", study.predictor).identical and replay(panel.desk.cohort, "p1", study.predictor).identical


def test_a_bad_example_taken_out_of_the_gallery_marks_what_it_was_used_for(study):
    panel = open_study(study)
    click_structure(study)
    panel.accept_button.click()
    study.presenter.predict(study.red.node)
    study.settle()
    panel.accept_button.click()
    study.panel.gallery.update()
    study.panel.ui.contextListWidget.item(0).setSelected(True)
    study.panel.ui.removeExampleButton.click()
    assert table(study, 1)[:2] == ["accepted", "look again"]
    assert [e.case for e in study.panel.context()] == ["p1"]


def test_painting_by_hand_is_stored_when_it_is_quiet(study):
    from MultiverSegLib.mrml import segments

    panel = open_study(study)
    nodes = panel.desk.work.nodes
    mask = nodes.mask("blob")
    mask[5, 10:20, 10:20] = 1
    segments.set_segment(nodes.segmentation, nodes.segment_id("blob"), nodes.volume, mask)
    study.host.wait_until(lambda: panel.desk.cohort.case("p0").work("blob").interactions == {"edit": 1})
    study.host.wait_until(lambda: panel.desk.ahead is not None)
    assert panel.desk.ahead.case_id == "p1", "and the next case is read ahead"


def test_skipping_filtering_sorting_and_going_back(study):
    import qt

    panel = open_study(study)
    panel.skip_button.click()
    assert panel.desk.case_id == "p1" and table(study, 1) == ["left out", "in progress", "not begun"]
    panel.previous_button.click()
    assert panel.desk.case_id == "p0"
    panel.table.filter.setText("P2")
    hidden = [panel.table.widget.isRowHidden(row) for row in range(3)]
    assert hidden == [True, True, False]
    panel.table.filter.setText("")
    panel.table.status.setCurrentIndex(panel.table.status.findData("todo"))
    assert [panel.table.widget.isRowHidden(row) for row in range(3)] == [True, True, False]
    panel.table.status.setCurrentIndex(0)
    panel.table.widget.sortItems(0, qt.Qt.DescendingOrder)
    assert table(study, 0) == ["p2", "p1", "p0"]


def test_nothing_to_accept_is_said_and_the_case_stays(study):
    panel = open_study(study)
    panel.accept_button.click()
    assert panel.desk.case_id == "p0" and "empty in p0" in panel.message.text


def test_a_new_cohort_from_a_folder(study, tmp_path):
    write_cohort_files(tmp_path / "scans", 2)
    study.host.dialogs.answers.extend([str(tmp_path / "scans"), str(tmp_path / "new"), "blob"])
    study.cohort.new_button.click()
    assert study.cohort.desk.cohort is not None, study.cohort.message.text
    assert [c.id for c in study.cohort.desk.cohort.cases] == ["p0", "p1"] and study.cohort.desk.case_id == "p0"


@pytest.mark.parametrize("wanted", [True, False])
def test_login_names_are_kept_only_if_wanted(study, tmp_path, wanted):
    import qt

    write_cohort_files(tmp_path / "scans", 2)
    answer = qt.QMessageBox.Yes if wanted else qt.QMessageBox.No
    study.host.dialogs.answers.extend([str(tmp_path / "scans"), str(tmp_path / "new"), "blob", answer])
    study.cohort.new_button.click()
    assert "login name" in study.host.dialogs.texts()[-1]
    study.cohort.put_away()
    written = "".join(p.read_text(encoding="utf-8") for p in (tmp_path / "new").iterdir() if p.is_file())
    assert (f'"{login_name()}"' in written) == wanted


def test_what_was_noticed_while_a_cohort_was_begun_is_in_its_journal(study, tmp_path):
    write_cohort_files(tmp_path / "scans", 2)
    (tmp_path / "scans" / "moved.nrrd").symlink_to(tmp_path / "nowhere.nrrd")
    study.host.dialogs.answers.extend([str(tmp_path / "scans"), str(tmp_path / "new"), "blob"])
    study.cohort.new_button.click()
    noticed = [e["texts"] for e in study.cohort.desk.cohort.journal.events() if e["event"] == "noticed"]
    assert noticed == [[f"{tmp_path / 'scans' / 'moved.nrrd'} is left out: the link leads nowhere."]]


def test_a_cohort_held_by_someone_else_is_read_only(study):
    with Cohort.open(study.folder, who="anna"):
        panel = open_study(study)
        assert "Read only: held by anna" in panel.message.text and not panel.accept_button.enabled
        assert panel.desk.case_id is None and table(study, 0) == ["p0", "p1", "p2"]


def test_putting_away_and_closing_the_scene_leave_nothing(study):
    import slicer

    def names():
        kinds = ("vtkMRMLScalarVolumeNode", "vtkMRMLSegmentationNode", "vtkMRMLPlotChartNode", "vtkMRMLTableNode")
        return [n.GetName() for kind in kinds for n in slicer.util.getNodesByClass(kind)]

    before = names()
    panel = open_study(study)
    panel.put_away()
    assert names() == before
    with Cohort.open(study.folder) as free:
        assert not free.read_only
    open_study(study)
    click_structure(study)
    slicer.mrmlScene.Clear(0)
    assert panel.desk.case_id is None and panel.desk.cohort is not None
    assert panel.desk.cohort.case("p0").work("blob").clicks == 1
    panel.go_to("p0")
    assert panel.desk.work.nodes.mask("blob").any(), "what was done is restored from the journal"


def test_the_curve_is_a_native_plot(study):
    from MultiverSegLib.ui.cohort.curve import update_curve

    panel = open_study(study)
    click_structure(study)
    panel.accept_button.click()
    chart = update_curve(panel.desk.cohort)
    series = chart.GetNthPlotSeriesNode(0)
    assert series.GetYColumnName() == "blob" and series.GetTableNode().GetTable().GetValueByName(0, "blob").ToDouble() == 1.0
    assert update_curve(panel.desk.cohort) is chart and chart.GetNumberOfPlotSeriesNodes() == 1


def test_five_hundred_cases_in_the_table(study, tmp_path):
    cases = [Case(f"c{n:03d}", Source("file", f"{n}.nrrd")) for n in range(500)]
    with Cohort.create(tmp_path / "large", cases, [Structure("a"), Structure("b")]) as cohort:
        study.cohort.table.show(cohort, "c499")
        assert study.cohort.table.widget.rowCount == 1000
        study.cohort.table.filter.setText("c49")
        shown = [r for r in range(1000) if not study.cohort.table.widget.isRowHidden(r)]
        assert len(shown) == 20


def test_a_case_opened_again_is_not_predicted_from_its_own_result(study):
    panel = open_study(study)
    for _ in range(2):
        click_structure(study)
        panel.accept_button.click()
    panel.ahead.background.kind = ""  # whose calls are not the ones looked at
    study.host.wait_until(lambda: not panel.ahead.background.busy)
    panel.go_to("p0")
    study.presenter.predict(study.red.node)
    study.settle()
    assert cases_shown(study) == ["p1"]
    middle = study.presenter._session.plane.sample(panel.desk.work.nodes.volume)
    for strategy in ("all", "most_recent", "most_similar", "diverse", "balanced"):
        study.set_option("Selection", strategy)
        assert [e.case for e in study.presenter.examples(middle)] == ["p1"], "through the volume, too"
    assert [e.case for e in study.panel.context()] == ["p0", "p1"], "the gallery shows all"


def test_accepting_in_the_effect_is_accepting_the_case(study):
    panel = open_study(study)
    click_structure(study)
    study.effect.self().accept()
    assert panel.desk.case_id == "p0" and panel.desk.cohort.case("p0").status == "accepted"
    assert [e.case for e in study.panel.context()] == ["p0"] and panel.desk.cohort.segmentation_path("p0").is_file()
    assert len(study.prompts()) == 0 and "has 1 example now" in study.effect.self().options.statusLabel.text


def test_going_from_case_to_case_leaves_no_node(study):
    panel = open_study(study)
    counts = []
    for turn in range(8):
        panel.go_to(f"p{turn % 3}")
        study.host.process_events(0.02)
        study.host.render()
        # one more or less: a volume that was read ahead has no storage node
        stored = len(study.slicer.util.getNodesByClass("vtkMRMLVolumeArchetypeStorageNode"))
        counts.append(study.slicer.mrmlScene.GetNumberOfNodes() - stored)
    assert stored <= 1 and len(set(counts[2:])) == 1, counts


def test_a_curve_of_one_case_is_refused_in_words(study):
    panel = open_study(study)
    click_structure(study)
    panel.accept_button.click()
    panel.curve_button.click()
    assert "second accepted case" in panel.message.text
    assert study.slicer.util.getNodesByClass("vtkMRMLPlotChartNode") == []

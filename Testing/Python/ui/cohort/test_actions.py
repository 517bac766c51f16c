"""Report, export, labels, prompts as an example, taking back, further cases and moved scans: done from the panel, with progress and a result."""

import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from MultiverSegLib.cohort.store.cohort import Cohort

from ...cohort.volumes import write_cohort_files
from .test_panel import click_structure, open_study, study, table  # noqa: F401  (study is a fixture)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def done(bench):
    bench.host.wait_until(lambda: not bench.cohort.tasks.busy, 60)


@pytest.fixture
def begun(study):  # noqa: F811
    """The first of three cases accepted, the second open."""
    panel = open_study(study)
    panel.ahead.background.kind = ""
    click_structure(study)
    panel.accept_button.click()
    return study


def choose_row(bench, row):
    bench.cohort.table.widget.selectRow(row)


def test_the_report_is_written_into_the_cohort_and_shown(begun):
    pytest.importorskip("matplotlib")
    begun.cohort.cohort_actions.report_button.click()
    assert begun.cohort.tasks.busy and not begun.cohort.cohort_actions.export_button.enabled
    done(begun)
    assert "p0" in (begun.folder / "report.html").read_text(encoding="utf-8")
    assert str(begun.folder / "report.html") in begun.cohort.outcome.label.text
    assert begun.host.dialogs.texts()[-1].endswith("report.html")


def test_an_export_writes_what_was_accepted_and_says_what_is_missing(begun, tmp_path):
    import qt

    actions = begun.cohort.cohort_actions
    actions.export_button.click()
    names = [actions.export.formats.item(n).data(qt.Qt.UserRole) for n in range(actions.export.formats.count)]
    for name in ("seg.nrrd", "dicom-seg"):
        actions.export.formats.item(names.index(name)).setCheckState(qt.Qt.Checked)
    begun.host.dialogs.answers.append(str(tmp_path / "out"))
    actions.export.write_button.click()
    done(begun)
    written = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "p0.nii.gz")))
    saved = begun.cohort.desk.cohort.case("p0").work("blob")
    assert np.count_nonzero(written) > 0 and saved.slices == np.count_nonzero(written.any(axis=(1, 2)))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["p0.nii.gz", "p0.seg.nrrd"]
    outcome = begun.cohort.outcome
    assert "2 files of 1 case" in outcome.label.text and outcome.list.count == 1
    assert "p0: dicom-seg" in outcome.list.item(0).text() and "DICOM" in outcome.list.item(0).text()


def test_a_missing_package_is_asked_for_once_and_declining_exports_nothing(begun, monkeypatch, tmp_path):
    import qt
    from MultiverSegLib.ui.cohort import results_actions

    monkeypatch.setattr(results_actions, "requirements", lambda *formats: ("no-such-package-of-ours>=1",))
    begun.host.dialogs.clear()
    begun.host.dialogs.answers.append(qt.QMessageBox.Cancel)
    begun.cohort.cohort_actions.export.write_button.click()
    assert "no-such-package-of-ours" in begun.cohort.message.text and begun.host.installs == []
    assert len(begun.host.dialogs.shown) == 1 and not begun.cohort.tasks.busy


def test_existing_labels_become_examples_and_stopping_keeps_what_is_done(begun):
    panel = begun.cohort
    begun.panel.ui.cohortCollapsibleButton.collapsed = False
    panel.cohort_actions.labels_button.click()
    assert panel.tasks.busy and panel.tasks.frame.isVisibleTo(panel.tasks.frame.parent())
    done(begun)
    assert [e.case for e in panel.desk.contexts.get("blob").examples] == ["p0", "p1", "p2"]
    assert "3 examples" in panel.outcome.label.text
    panel.cohort_actions.labels_button.click()
    panel.tasks.cancel_button.click()
    assert not panel.tasks.busy and "Stopped" in panel.message.text and panel.cohort_actions.labels_button.enabled


def test_prompts_become_an_example(begun):
    panel = begun.cohort
    click_structure(begun)
    panel.case_actions.prompts_button.click()
    weak = panel.desk.contexts.get("blob").examples[-1]
    assert weak.case == "p1" and weak.mask is None and weak.prompts.any()
    assert "1 full, 1 weak" in panel.message.text


def test_an_acceptance_and_an_example_are_taken_back(begun):
    import qt

    panel = begun.cohort
    begun.presenter.predict(begun.red.node)
    begun.settle()
    panel.accept_button.click()
    choose_row(begun, 0)
    begun.host.dialogs.answers.append(qt.QMessageBox.No)
    panel.case_actions.forget_button.click()
    assert [e.case for e in panel.desk.contexts.get("blob").examples] == ["p0", "p1"], "asked first"
    begun.host.dialogs.answers.append(qt.QMessageBox.Yes)
    panel.case_actions.forget_button.click()
    assert table(begun, 1)[:2] == ["accepted", "look again"] and "p1" in panel.message.text
    assert [e.case for e in panel.desk.contexts.get("blob").examples] == ["p1"]
    choose_row(begun, 1)
    panel.case_actions.reopen_button.click()
    assert table(begun, 1)[1] == "in progress" and len(panel.desk.contexts.get("blob")) == 0
    panel.case_actions.reopen_button.click()
    assert "Nothing of p1 is accepted" in panel.message.text


def test_a_case_is_marked_for_another_look_with_the_reason(begun):
    panel = begun.cohort
    choose_row(begun, 0)
    panel.case_actions.review_button.click()
    assert table(begun, 1)[0] == "accepted", "no reason was given"
    begun.host.dialogs.answers.append("the rim")
    panel.case_actions.review_button.click()
    assert table(begun, 1)[0] == "look again" and panel.desk.cohort.case("p0").note == "the rim"


def test_cases_are_added_and_moved_scans_found(begun, tmp_path):
    panel = begun.cohort
    write_cohort_files(tmp_path / "more", 1, labels=False)
    (tmp_path / "more" / "images" / "p0.nrrd").rename(tmp_path / "more" / "images" / "late.nrrd")
    begun.host.dialogs.answers.append(str(tmp_path / "more"))
    panel.cohort_actions.add_button.click()
    done(begun)
    assert [case.id for case in panel.desk.cohort.cases][-1] == "late" and "1 case added" in panel.outcome.label.text
    shutil.move(tmp_path / "more" / "images", tmp_path / "elsewhere")
    begun.host.dialogs.answers.append(str(tmp_path / "elsewhere"))
    panel.cohort_actions.relink_button.click()
    assert panel.desk.cohort.resolve(panel.desk.cohort.case("late").volume.path) == tmp_path / "elsewhere" / "late.nrrd"


def test_a_cohort_of_somebody_else_can_be_exported_not_changed(study):  # noqa: F811
    with Cohort.open(study.folder, who="anna"):
        panel = open_study(study)
        actions = panel.cohort_actions
        assert actions.report_button.enabled and actions.export_button.enabled
        assert not any(b.enabled for b in (actions.labels_button, actions.add_button, panel.case_actions.reopen_button))


def test_a_confidence_is_marked_beside_the_accepted_ones(slicer_host):
    from MultiverSegLib.ui.cohort.words import Confidences

    few, known = Confidences([0.8, 0.9]), Confidences([0.7, 0.8, 0.8, 0.9, None])
    assert "once there are 4" in few.mark(0.5).tip and few.mark(None).sign == ""
    marks = [known.mark(value) for value in (0.6, 0.8, 0.95)]
    assert [m.sign for m in marks] == sorted(m.sign for m in marks) and len({m.sign for m in marks}) == 3
    assert "0.60" in marks[0].tip and marks[0].word == "lower than usual"


@pytest.mark.parametrize(
    "title, structure, axis", [("Hippocampus MRI", "hippocampus", "sagittal"), ("Heart cine MRI", "left ventricle", "axial")]
)
def test_a_sample_cohort_begins_in_a_folder_of_the_users(study, tmp_path, title, structure, axis):  # noqa: F811
    shelf = study.cohort.shelf
    study.panel.ui.cohortCollapsibleButton.collapsed = False
    assert shelf.sample_button.isVisibleTo(study.panel.widget) and "sample cohort" in study.cohort.message.text
    shelf.sample_button.click()
    assert study.cohort.desk.cohort is None, "no cohort was chosen"
    study.host.dialogs.answers.append(title)
    shelf.sample_button.click()
    assert study.cohort.desk.cohort is None, "no folder was chosen"
    study.host.dialogs.answers += [title, str(tmp_path / "sample")]
    shelf.sample_button.click()
    cohort = study.cohort.desk.cohort
    assert cohort is not None, study.cohort.message.text
    assert len(cohort.cases) == 20 and all(case.labels for case in cohort.cases) and cohort.structure().axis == axis
    assert cohort.structure().name == structure
    assert cohort.folder == tmp_path / "sample" and not shelf.sample_button.isVisibleTo(study.panel.widget)


def test_report_labels_and_export_bring_no_node_into_the_scene(begun, tmp_path):
    pytest.importorskip("matplotlib")
    slicer, added = begun.slicer, []
    tag = slicer.mrmlScene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, lambda *event: added.append(event))
    actions = begun.cohort.cohort_actions
    try:
        for step in (actions.report_button, actions.labels_button, actions.export.write_button):
            begun.host.dialogs.answers.append(str(tmp_path / "out"))
            step.click()
            done(begun)
    finally:
        slicer.mrmlScene.RemoveObserver(tag)
    assert added == [] and (begun.folder / "report.html").is_file() and (tmp_path / "out" / "p0.nii.gz").is_file()

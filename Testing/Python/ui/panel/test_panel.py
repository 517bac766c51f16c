"""The module's panel: first run, set-up, parameters, context gallery, propagation, prompts from markups and painted segments."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from ..conftest import CENTRE

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
ROOT = Path(__file__).resolve().parents[4]
UI_FILE = ROOT / "Resources" / "UI" / "MultiverSegSlicer.ui"
CONTROLS = {
    "QPushButton", "QToolButton", "QComboBox", "QCheckBox", "QSpinBox", "QDoubleSpinBox", "QListWidget", "QProgressBar",
    "ctkSliderWidget", "ctkRangeWidget", "ctkPathLineEdit", "ctkCollapsibleButton", "qMRMLNodeComboBox",
}  # fmt: skip


def off(right=0.0, anterior=0.0, superior=0.0):
    return (CENTRE[0] + right, CENTRE[1] + anterior, CENTRE[2] + superior)


def accept_one(bench):
    bench.red.drag([off(-8), off(8)])
    bench.settle()
    bench.effect.self().accept()
    return bench.presenter.structure()


# First run


def test_opening_the_module_installs_and_asks_nothing(bench):
    with bench.host.torch("missing"):
        bench.open()
        assert bench.host.dialogs.shown == [] and bench.host.installs == []
        assert "not installed" in bench.panel.ui.torchStatusLabel.text
        assert not bench.panel.ui.setupCollapsibleButton.collapsed, "the explanation can be seen"
        assert bench.panel.ui.installTorchButton.isVisibleTo(bench.panel.widget)


def test_opening_the_module_does_not_import_torch(bench, monkeypatch):
    for name in [n for n in sys.modules if n == "torch" or n.startswith("torch.")]:
        monkeypatch.delitem(sys.modules, name)
    bench.volume()
    bench.open()
    assert "torch" not in sys.modules
    assert not bench.panel.ui.installTorchButton.isVisibleTo(bench.panel.widget)


def test_the_install_button_uses_the_pytorch_extension(bench):
    bench.host.pytorch_extension(True)
    with bench.host.torch("missing"):
        bench.open()
        bench.panel.ui.installTorchButton.click()
        assert bench.host.installs == ["torch>=2.6"]
        assert len(bench.host.dialogs.shown) == 1


def test_without_the_pytorch_extension_slicers_packages_are_offered(bench):
    bench.host.pytorch_extension(False)
    with bench.host.torch("missing"):
        bench.open()
        bench.panel.ui.installTorchButton.click()
        assert "Extensions Manager" in bench.host.dialogs.texts()[0]


def test_declining_the_installation_changes_nothing(bench):
    import qt

    bench.host.pytorch_extension(False)
    with bench.host.torch("missing"):
        bench.open()
        bench.host.dialogs.answers.append(qt.QMessageBox.No)
        bench.panel.ui.installTorchButton.click()
        assert bench.host.installs == []


def test_a_broken_torch_is_diagnosed_whatever_it_raises(bench):
    with bench.host.torch("broken"):
        bench.open()
        bench.panel.ui.checkTorchButton.click()
        text = bench.panel.ui.torchStatusLabel.text
        assert "does not work" in text and "WinError 126" in text
        bench.panel.ui.setupCollapsibleButton.collapsed = False
        assert bench.panel.ui.installTorchButton.isVisibleTo(bench.panel.widget)


def test_predicting_without_torch_says_where_to_get_it(opened):
    opened.service.close()  # the predictor that the bench handed in needs no PyTorch; the chosen model's does
    with opened.host.torch("missing"):
        opened.red.click(CENTRE)
        opened.host.process_events(0.05)
        assert "not installed" in opened.effect.self().options.statusLabel.text
        assert opened.host.installs == []


def test_a_working_torch_is_named_with_its_devices(bench):
    bench.open()
    bench.panel.ui.checkTorchButton.click()
    assert "ready" in bench.panel.ui.torchStatusLabel.text and "CPU" in bench.panel.ui.torchStatusLabel.text


def test_a_model_without_weights_is_not_used_and_not_fetched_unasked(bench):
    import qt

    bench.open()
    box = bench.panel.ui.modelComboBox
    index = box.findData("scribbleprompt-v1")
    assert index >= 0
    before = box.currentIndex
    bench.host.dialogs.answers.append(qt.QMessageBox.No)
    box.setCurrentIndex(index)
    bench.panel.setup._model_chosen(index)
    assert len(bench.host.dialogs.shown) == 1 and "weights" in bench.host.dialogs.texts()[0].lower()
    assert box.currentIndex == before


def test_weights_from_a_file_that_is_none_are_refused_in_words(bench, tmp_path):
    bench.open()
    (tmp_path / "weights.pt").write_bytes(b"not a checkpoint")
    bench.host.dialogs.answers.append(str(tmp_path / "weights.pt"))
    bench.panel.ui.weightsFromFileButton.click()
    assert any("weights.pt" in text for text in bench.host.dialogs.texts())


def test_another_volume_gets_a_segmentation_of_its_own(opened):
    first = opened.segmentation
    second = opened.volume("CT2")
    opened.panel.parameters.sourceVolume = second
    opened.host.process_events(0.02)
    assert opened.segmentation is not first and not first.GetDisplayNode().GetVisibility()
    opened.panel.parameters.sourceVolume = opened.ct
    opened.host.process_events(0.02)
    assert opened.segmentation is first and first.GetDisplayNode().GetVisibility()


def test_a_volume_chosen_after_the_module_was_opened_is_ready_at_once(bench):
    bench.open()
    assert bench.effect is None
    volume = bench.volume()
    bench.panel.parameters.sourceVolume = volume
    bench.host.process_events(0.02)
    assert bench.effect is not None and bench.segmentation is not None


# Form


def test_every_control_of_the_file_has_a_tooltip_and_an_accessible_name():
    for widget in ElementTree.parse(UI_FILE).getroot().iter("widget"):
        if widget.get("class") in CONTROLS:
            names = {p.get("name") for p in widget.findall("property")}
            assert {"toolTip", "accessibleName"} <= names, widget.get("name")


def test_every_control_of_the_effect_has_a_tooltip_and_an_accessible_name(opened):
    import slicer

    frame = opened.effect.self().options.widget
    found = 0
    for kind in ("QToolButton", "QComboBox", "QCheckBox", "QSpinBox", "QDoubleSpinBox", "QProgressBar"):
        for widget in slicer.util.findChildren(frame, className=kind):
            if widget.parent() is not None and "qt_" in (widget.objectName or ""):
                continue
            outer = widget
            while outer is not None and not outer.accessibleName and outer.parent() is not frame:
                outer = outer.parent()
            assert outer is not None and outer.accessibleName and outer.toolTip, f"{kind} {widget.objectName}"
            found += 1
    assert found >= 15


def test_the_panel_fits_into_350_pixels(bench):
    bench.volume()
    bench.open()
    for button in ("setup", "inputs", "context", "predict", "prompts"):
        getattr(bench.panel.ui, f"{button}CollapsibleButton").collapsed = False
    bench.host.process_events(0.05)
    for name in ("setup", "inputs", "context", "predict", "prompts"):
        section = getattr(bench.panel.ui, f"{name}CollapsibleButton")
        assert section.minimumSizeHint.width() <= 350, name
    assert bench.effect.self().options.widget.minimumSizeHint.width() <= 340


def test_texts_go_through_translation(bench):
    bench.host.app.translations = {"Point": "Punkt"}
    bench.volume()
    bench.open()
    assert bench.effect.self().options.toolButtons["point"].text == "Punkt"


def test_the_help_names_every_shortcut(opened):
    help_text = opened.effect.self().helpText()
    for key in opened.effect.self().commands():
        assert key in help_text


# Parameters


def test_choices_are_kept_in_the_parameter_node(opened):
    import slicer

    node = opened.panel.parameters.parameterNode
    opened.panel.ui.structureComboBox.lineEdit().setText("hippocampus")
    opened.panel._structure_edited()
    opened.panel.ui.axisComboBox.setCurrentIndex(1)
    opened.panel._axis_chosen(1)
    assert node.GetParameter("structure") == "hippocampus" and node.GetParameter("axis") == "coronal"
    assert node.GetNodeReference("sourceVolume") is opened.ct
    assert opened.effect.parameter("Structure") == "hippocampus"
    opened.panel.parameters.structure = "liver"
    assert opened.panel.ui.structureComboBox.currentText == "liver"
    assert isinstance(node, slicer.vtkMRMLScriptedModuleNode)


def test_the_effects_structure_and_the_panels_are_one(opened):
    opened.set_option("Structure", "spleen")
    opened.host.process_events(0.02)
    assert opened.panel.parameters.structure == "spleen"


def test_a_new_segmentation_lies_beside_its_volume(opened):
    import slicer

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.GetItemByDataNode(opened.segmentation)
    assert item and hierarchy.GetItemParent(item) == hierarchy.GetItemParent(hierarchy.GetItemByDataNode(opened.ct))


# Context


def test_the_gallery_shows_examples_and_removes_them(opened):
    accept_one(opened)
    ui = opened.panel.ui
    assert ui.contextListWidget.count == 1 and ui.contextListWidget.item(0).text() == "CT"
    assert "1" in ui.contextSummaryLabel.text
    ui.contextListWidget.setCurrentRow(0)
    assert ui.removeExampleButton.enabled and ui.showExampleButton.enabled
    ui.showExampleButton.click()
    assert opened.host.dialogs.shown == []
    ui.removeExampleButton.click()
    assert ui.contextListWidget.count == 0 and not ui.removeExampleButton.enabled


def test_contexts_are_user_documents_outside_of_the_extension(opened, tmp_path):
    structure = accept_one(opened)
    folder = tmp_path / "contexts" / structure
    assert folder.is_dir() and list(folder.glob("*.png"))
    import MultiverSegLib

    assert Path(MultiverSegLib.__file__).parent not in folder.parents


def test_update_or_uninstall_keeps_contexts(opened, tmp_path, installed_module):
    """The folder of the extension can go: nothing of the user's lies in it."""
    accept_one(opened)
    inside = {p for p in installed_module.parent.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    listed = {installed_module.parent / p for p in _listed()}
    assert inside == listed, "something was written into the installed extension"


def _listed():
    import importlib.util

    spec = importlib.util.spec_from_file_location("lists", ROOT / "Testing" / "packaging.py")
    lists = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lists)
    return lists.listed("MODULE_PYTHON_SCRIPTS") + lists.listed("EXTENSION_RESOURCES")


# Predict and propagate


def wait_for_panel(bench):
    bench.host.wait_until(lambda: not bench.panel.predict.busy, 120)
    bench.host.process_events(0.05)


def test_propagation_fills_the_range_in_one_undo_step(opened):
    opened.red.drag([off(-6), off(6)])
    opened.settle()
    before = opened.mask(opened.ct)
    k = opened.ijk(opened.ct, CENTRE)[2]
    opened.panel.parameters.firstSlice, opened.panel.parameters.lastSlice = k - 3, k + 2
    opened.panel.ui.propagateButton.click()
    assert opened.panel.ui.cancelButton.enabled and not opened.panel.ui.propagateButton.enabled
    wait_for_panel(opened)
    assert opened.slices(opened.ct) == list(range(k - 3, k + 3))
    assert opened.panel.ui.progressBar.value == 100
    opened.editor.undo()
    opened.host.process_events(0.05)
    assert np.array_equal(opened.mask(opened.ct), before)


def test_cancelled_propagation_leaves_no_trace(opened):
    opened.red.drag([off(-6), off(6)])
    opened.settle()
    before = opened.mask(opened.ct)
    opened.predictor.hold()
    opened.panel.ui.propagateButton.click()
    opened.host.process_events(0.1)
    opened.panel.ui.cancelButton.click()
    opened.predictor.go()
    opened.host.wait_until(lambda: not opened.panel.predict.busy and not opened.service.busy, 60)
    assert np.array_equal(opened.mask(opened.ct), before)
    assert opened.panel.ui.propagateButton.enabled


def test_scene_closed_during_propagation(opened):
    opened.red.drag([off(-6), off(6)])
    opened.settle()
    opened.predictor.hold()
    opened.panel.ui.propagateButton.click()
    opened.host.process_events(0.1)
    committed = []
    opened.panel.predict.task.work.commit = lambda *arguments: committed.append(arguments)
    opened.slicer.mrmlScene.Clear(0)
    opened.predictor.go()
    opened.host.wait_until(lambda: not opened.panel.predict.busy and not opened.service.busy, 60)
    assert committed == []


def test_prompts_from_markups_and_painted_segments(opened):
    import slicer

    inside = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "inside")
    inside.AddControlPoint(list(CENTRE))
    outside = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "outside")
    outside.AddControlPoint(list(off(10)))
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    roi.SetCenter(off(0, 0, 6))
    roi.SetSize(12, 10, 1)
    target = opened.editor.currentSegmentID()
    node = opened.editor.mrmlSegmentEditorNode()
    node.SetOverwriteMode(node.OverwriteNone)
    painted = opened.segmentation.GetSegmentation().AddEmptySegment("", "painted")
    from MultiverSegLib.mrml import segments

    i, j, k = opened.ijk(opened.ct, off(0, 0, -6))
    stroke = np.zeros(opened.slicer.util.arrayFromVolume(opened.ct).shape[1:], np.uint8)
    stroke[j, i - 4 : i + 5] = 1
    segments.set_slice(opened.segmentation, painted, opened.ct, stroke, "k", k)
    parameters = opened.panel.parameters
    parameters.positivePoints, parameters.negativePoints, parameters.box = inside, outside, roi
    parameters.positiveSegment = painted
    opened.panel.ui.usePromptsButton.click()
    wait_for_panel(opened)
    middle = opened.ijk(opened.ct, CENTRE)[2]
    assert opened.slices(opened.ct, segment_id=target) == [k, middle, opened.ijk(opened.ct, off(0, 0, 6))[2]]
    assert opened.mask(opened.ct, segment_id=painted).sum() == 9, "the painted segment stays as it was"
    assert sorted(type(p).__name__ for p in opened.prompts()) == ["Box", "Point", "Point"]


def test_predict_slice_uses_the_view_of_the_axis(opened):
    opened.panel.parameters.structure = accept_one(opened)
    opened.editor.setCurrentSegmentID(opened.segmentation.GetSegmentation().AddEmptySegment("", "fresh"))
    green = opened.host.view("Green")
    green.jump_to(CENTRE)
    opened.panel.parameters.axis = "coronal"
    opened.panel.ui.predictSliceButton.click()
    opened.settle()
    mask = opened.mask(opened.ct)
    j = opened.ijk(opened.ct, CENTRE)[1]
    assert mask[:, j, :].any(axis=1).sum() >= 3, "several rows of the coronal slice"


def test_sample_data_are_registered_with_checksums(bench):
    import SampleData

    sources = list(SampleData.SampleDataLogic.sampleDataSourcesByCategory("MultiverSeg"))
    assert [len(source.uris) for source in sources] == [1, 20, 1, 20]
    assert all(len(s.uris) == len(s.checksums) and all(c.startswith("SHA256:") for c in s.checksums) for s in sources)
    assert all(Path(s.thumbnailFileName if hasattr(s, "thumbnailFileName") else "").suffix in (".png", "") for s in sources)


def test_sample_data_become_volumes(bench):
    import SampleData

    logic = SampleData.SampleDataLogic()
    for source in logic.sampleDataSourcesByCategory("MultiverSeg"):
        assert source.loadFileTypes == ["VolumeFile"] * len(source.uris)
    for one in (s for s in logic.sampleDataSourcesByCategory("MultiverSeg") if len(s.uris) == 1):
        (node,) = logic.downloadFromSource(one)
        assert node.IsA("vtkMRMLScalarVolumeNode") and node.GetName() == one.nodeNames[0]


def test_a_structure_named_later_names_the_segment_while_it_is_empty(opened):
    def name(text):
        opened.panel.ui.structureComboBox.setEditText(text)
        opened.panel._structure_edited()
        return opened.segmentation.GetSegmentation().GetSegment(opened.editor.currentSegmentID()).GetName()

    opened.segmentation.GetSegmentation().GetSegment(opened.editor.currentSegmentID()).SetName("Structure")
    assert name("") == "Structure" and name("liver") == "liver" and name("spleen") == "liver"
    opened.segmentation.GetSegmentation().GetSegment(opened.editor.currentSegmentID()).SetName("Structure")
    opened.red.click(CENTRE)
    opened.settle()
    assert name("kidney") == "Structure", "what holds something keeps its name"

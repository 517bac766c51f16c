"""The stand-ins for Slicer's and CTK's widgets behave like them, and the services around them record instead of acting."""

import sys

import numpy as np
import pytest


@pytest.fixture
def selector(slicer_host):
    import slicer

    box = slicer.qMRMLNodeComboBox()
    box.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    return box


def volume(name="CT"):
    import slicer

    return slicer.util.addVolumeFromArray(np.zeros((2, 2, 2)), name=name)


def test_a_selector_without_a_scene_is_disabled(selector):
    import slicer

    assert selector.enabled is False
    selector.setMRMLScene(slicer.mrmlScene)
    assert selector.enabled is True


def test_a_selector_takes_the_first_node_unless_none_is_enabled(selector):
    import slicer

    selector.setMRMLScene(slicer.mrmlScene)
    first, second = volume("a"), volume("b")
    assert selector.currentNode() is first
    slicer.mrmlScene.RemoveNode(first)
    assert selector.currentNode() is second
    selector.noneEnabled = True
    slicer.mrmlScene.RemoveNode(second)
    assert selector.currentNode() is None
    volume("c")
    assert selector.currentNode() is None


def test_a_selector_tells_changes_by_both_signatures(selector):
    import slicer

    seen = []
    selector.noneEnabled = True
    selector.connect("currentNodeChanged(vtkMRMLNode*)", lambda node: seen.append(node))
    selector.connect("currentNodeChanged(bool)", seen.append)
    selector.currentNodeIDChanged.connect(seen.append)
    selector.setMRMLScene(slicer.mrmlScene)
    node = volume()
    selector.setCurrentNode(node)
    assert seen == [node, True, node.GetID()]
    selector.setCurrentNode(node)
    assert len(seen) == 3
    selector.setCurrentNode(None)
    assert seen[3:] == [None, False, ""]


def test_a_selector_filters_by_type_attribute_and_visibility(selector):
    import slicer

    selector.setMRMLScene(slicer.mrmlScene)
    selector.addAttribute("vtkMRMLScalarVolumeNode", "mine", "1")
    wanted, hidden = volume("wanted"), volume("hidden")
    volume("other")
    for node in (wanted, hidden):
        node.SetAttribute("mine", "1")
    hidden.SetHideFromEditors(True)
    selector.removeAttribute("x", "y")
    assert [selector.nodeFromIndex(i) for i in range(selector.nodeCount())] == [wanted]
    selector.nodeTypes = ["vtkMRMLSegmentationNode"]
    assert selector.nodeCount() == 0


def test_a_selector_adds_a_node_of_its_type(selector):
    import slicer

    selector.nodeTypes = ["vtkMRMLSegmentationNode"]
    selector.setMRMLScene(slicer.mrmlScene)
    node = selector.addNode()
    assert node.GetClassName() == "vtkMRMLSegmentationNode"
    assert selector.currentNode() is node


def test_a_segment_selector_follows_the_segmentation(slicer_host):
    import slicer

    box, seen = slicer.qMRMLSegmentSelectorWidget(), []
    box.setMRMLScene(slicer.mrmlScene)
    box.connect("currentSegmentChanged(QString)", seen.append)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    box.setCurrentNode(node)
    first = node.GetSegmentation().AddEmptySegment("a", "a")
    node.GetSegmentation().AddEmptySegment("b", "b")
    box.setCurrentSegmentID("b")
    node.GetSegmentation().RemoveSegment("b")
    assert seen == [first, "b", first]


def test_a_collapsible_button_hides_its_contents_and_keeps_what_was_hidden(slicer_host):
    import ctk
    import qt

    button, seen = ctk.ctkCollapsibleButton(), []
    layout = qt.QVBoxLayout(button)
    shown, hidden = qt.QLabel("a"), qt.QLabel("b")
    layout.addWidget(shown)
    layout.addWidget(hidden)
    hidden.hide()
    button.show()
    button.connect("contentsCollapsed(bool)", seen.append)
    button.collapsed = True
    assert shown.isHidden() and button.checked is False
    button.click()
    assert not shown.isHidden() and hidden.isHidden()
    assert seen == [True, False]


def test_a_slider_and_a_range_keep_their_limits(slicer_host):
    import ctk

    slider, seen = ctk.ctkSliderWidget(), []
    slider.minimum, slider.maximum, slider.decimals = -5, 5, 1
    slider.connect("valueChanged(double)", seen.append)
    slider.value = 99
    assert (slider.value, seen) == (5, [5])
    widget = ctk.ctkRangeWidget()
    widget.minimum, widget.maximum = 0, 10
    widget.setValues(2, 7)
    widget.minimumValue = 9
    assert (widget.minimumValue, widget.maximumValue) == (9, 9)


def test_a_path_line_is_filled_by_its_dialog(slicer_host):
    import ctk

    line, seen = ctk.ctkPathLineEdit(), []
    line.currentPathChanged.connect(seen.append)
    slicer_host.dialogs.answers.append("/data/case.nrrd")
    line.browse()
    line.browse()
    assert (line.currentPath, seen) == ("/data/case.nrrd", ["/data/case.nrrd"])


def test_settings_belong_to_the_test(slicer_host):
    import qt
    import slicer

    assert qt.QSettings().value("MultiverSeg/Model") is None
    qt.QSettings().setValue("MultiverSeg/Model", "compact")
    assert slicer.app.userSettings().value("MultiverSeg/Model") == "compact"
    assert qt.QSettings().fileName().startswith(slicer_host.folder)


def test_torch_can_look_missing_and_broken(slicer_host):
    import importlib.util

    import torch

    with slicer_host.torch("missing"):
        assert importlib.util.find_spec("torch") is None
        with pytest.raises(ImportError):
            import torch
    with slicer_host.torch("broken"):
        broken = sys.modules["torch"]
        with pytest.raises(OSError):
            broken.ones(1)
    assert sys.modules["torch"] is torch


def test_installations_are_recorded_after_the_question(slicer_host):
    import qt
    import slicer.packaging
    from packaging.requirements import Requirement

    slicer_host.dialogs.answers.append(qt.QMessageBox.Cancel)
    with pytest.raises(RuntimeError):
        slicer.packaging.pip_ensure([Requirement("no-such-package>=2")], requester="MultiverSeg")
    slicer.packaging.pip_ensure([Requirement("no-such-package>=2"), Requirement("numpy>=1")], requester="MultiverSeg")
    assert slicer_host.installs == ["no-such-package>=2"]
    assert "MultiverSeg" in slicer_host.dialogs.texts()[0]


def test_the_pytorch_extension_is_there_or_not(slicer_host):
    with pytest.raises(ImportError):
        import PyTorchUtils
    slicer_host.pytorch_extension(True)
    import PyTorchUtils

    assert PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=">=2.6") is not None
    assert slicer_host.installs == ["torch>=2.6"]


def test_sample_data_is_checked_and_loaded(slicer_host, tmp_path):
    import hashlib

    import SampleData
    import slicer

    path = tmp_path / "a b.nrrd"
    slicer.util.saveNode(volume(), str(path))
    digest = "SHA256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    logic = SampleData.SampleDataLogic
    for name, checksum in (("good", digest), ("bad", digest[:-1] + "x")):
        logic.registerCustomSampleDataSource("Mine", name, path.as_uri(), path.name, "sample", checksums=checksum)
    good, bad = slicer.modules.sampleDataSources["Mine"]
    assert logic().downloadFromSource(good)[0].GetName() == "sample"
    with pytest.raises(ValueError, match="checksum"):
        logic().downloadFromSource(bad)


@pytest.mark.parametrize(
    "layout", ["SlicerLayoutFourUpView", "SlicerLayoutOneUpRedSliceView", "SlicerLayoutConventionalView", "SlicerLayoutTabbedSliceView"]
)
def test_views_convert_coordinates_in_any_layout(slicer_host, layout):
    import slicer

    slicer.app.layoutManager().setLayout(getattr(slicer.vtkMRMLLayoutNode, layout))
    slicer_host.process_events()
    slicer_host.show(volume())
    for name in slicer.app.layoutManager().sliceViewNames():
        view = slicer_host.view(name)
        assert view.to_xy(view.to_ras((30, 40))) == (30, 40)
        widget = slicer.app.layoutManager().sliceWidget(name)
        assert widget.sliceView().mrmlSliceNode() is widget.mrmlSliceNode() is widget.sliceLogic().GetSliceNode()


def test_a_view_renders_its_volume(slicer_host):
    import slicer

    array = np.zeros((9, 9, 9))
    array[:, :, 5:] = 100
    slicer_host.show(slicer.util.addVolumeFromArray(array, np.diag([-1, -1, 1, 1.0]), name="half"))
    pixels = slicer_host.view("Red").pixels()
    rows, columns, _ = pixels.shape
    assert pixels[rows // 2, columns // 2 + 40].min() > 200 > 50 > pixels[rows // 2, columns // 2 - 40].max()


def test_a_picture_of_the_window_is_written(slicer_host, tmp_path):
    from PySide6 import QtGui

    path = slicer_host.grab(tmp_path / "pictures" / "window.png")
    picture = QtGui.QImage(str(path))
    assert (picture.width(), picture.height()) == (1280, 800)

"""A scripted module from Slicer's template runs unmodified: loading, panel, parameter node, selector, reload, scene close."""

import sys
from pathlib import Path

import numpy as np
import pytest

MODULE = Path(__file__).parent / "module_files" / "HostSample.py"


@pytest.fixture
def panel(slicer_host):
    slicer_host.load_module(MODULE)
    return slicer_host.open_module("HostSample")


def test_loading_and_start(slicer_host):
    import slicer

    module = slicer_host.load_module(MODULE)
    assert (module.title, module.name, module.categories) == ("Host Sample", "HostSample", ["Testing"])
    assert slicer.modules.hostsample.path == str(MODULE)
    assert slicer_host.modules["HostSample"]._python.started


def test_widgets_are_filled_from_the_parameters(panel):
    ui = panel.ui
    assert ui.thresholdSlider.value == 50
    assert (ui.thresholdSlider.minimum, ui.thresholdSlider.maximum) == (0, 100)
    assert (ui.countBox.value, ui.countBox.minimum) == (8, 1)
    assert ui.liveBox.checked is True
    assert ui.axisBox.currentText == "AXIAL"
    assert ui.modelBox.currentText == "full"
    assert ui.lowBox.value == 1.0


def test_parameters_and_widgets_follow_each_other(panel):
    import slicer

    parameters, ui = panel.parameters, panel.ui
    volume = slicer.util.addVolumeFromArray(np.zeros((2, 2, 2)), name="CT")
    ui.volumeSelector.setCurrentNode(volume)
    ui.thresholdSlider.value = 70
    ui.structureEdit.text = "liver"
    ui.axisBox.currentIndex = 1
    ui.lowBox.value = 3
    assert (parameters.volume, parameters.threshold, parameters.structure) == (volume, 70, "liver")
    assert parameters.axis.name == "CORONAL"
    assert parameters.range.low == 3
    parameters.live = False
    parameters.volume = None
    parameters.range.low = 4
    assert ui.liveBox.checked is False
    assert ui.volumeSelector.currentNode() is None
    assert ui.lowBox.value == 4


def test_disconnected_widgets_stay_alone(panel):
    panel.parameters.disconnectGui(panel.tag)
    panel.ui.thresholdSlider.value = 20
    assert panel.parameters.threshold == 50


def test_the_node_holds_what_slicer_would_write(panel):
    parameters = panel.parameters
    parameters.structure, parameters.names, parameters.limit = "spleen", ["a", "b"], 3
    node = parameters.parameterNode
    assert node.GetAttribute("ModuleName") == "HostSample"
    names = ("threshold", "count", "live", "structure", "axis", "model", "names_len", "names_1", "limit_0", "range.low", "volume")
    assert {name: node.GetParameter(name) for name in names} == {
        "threshold": "50",
        "count": "8",
        "live": "True",
        "structure": "spleen",
        "axis": "AXIAL",
        "model": "full",
        "names_len": "2",
        "names_1": "b",
        "limit_0": "3",
        "range.low": "1.0",
        "volume": "",
    }


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("threshold", 101, ValueError),
        ("threshold", "50", TypeError),
        ("count", 0, ValueError),
        ("count", 1.5, TypeError),
        ("structure", None, ValueError),
        ("model", "other", ValueError),
        ("live", 1, TypeError),
    ],
)
def test_wrong_values_are_refused_and_change_nothing(panel, name, value, error):
    before = getattr(panel.parameters, name)
    with pytest.raises(error):
        setattr(panel.parameters, name, value)
    assert getattr(panel.parameters, name) == before


def test_a_scene_saved_and_loaded_goes_on(panel, tmp_path):
    import slicer

    volume = slicer.util.addVolumeFromArray(np.zeros((2, 2, 2)), name="CT")
    panel.parameters.volume, panel.parameters.threshold = volume, 33
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear()
    assert panel.logic.getParameterNode().threshold == 50
    slicer.util.loadScene(path)
    restored = panel.logic.getParameterNode()
    assert restored.threshold == 33
    assert restored.volume.GetName() == "CT"


def test_a_widget_that_does_not_fit_its_parameter_is_refused(panel):
    import qt

    with pytest.raises(RuntimeError, match="Unable to create GUI connector"):
        panel.parameters.connectParametersToGui({"threshold": qt.QLabel()})
    with pytest.raises(ValueError, match="Cannot find a param"):
        panel.parameters.connectParametersToGui({"nothing": qt.QCheckBox()})


def test_a_button_and_an_error(panel, slicer_host):
    panel.ui.applyButton.click()
    assert panel.calls == ["enter", 100]
    panel.parameters.threshold = 95
    panel.ui.applyButton.click()
    assert slicer_host.dialogs.texts() == ["Failed.\n\ntoo much"]
    assert str(slicer_host.exceptions.pop()) == "too much"


def test_enter_exit_and_cleanup(panel, slicer_host):
    import slicer

    assert panel.parent.isEntered is True
    slicer.util.selectModule("SegmentEditor")
    assert slicer.util.selectedModule() == "SegmentEditor"
    slicer.util.selectModule("HostSample")
    assert panel.calls == ["enter", "exit", "enter"]
    slicer_host.unload_module("HostSample")
    assert panel.calls[-1] == "cleanup"


def test_reload_makes_a_new_widget(panel, slicer_host):
    import slicer

    slicer.util.reloadScriptedModule("HostSample")
    slicer_host.process_events()
    fresh = slicer.modules.HostSampleWidget
    assert fresh is not panel
    assert panel.calls == ["enter", "cleanup"]
    assert slicer.util.getModuleWidget("HostSample") is fresh
    assert fresh.ui.thresholdSlider.value == 50


def test_the_self_test_runs(panel):
    import slicer

    slicer.selfTests["HostSample"]()
    assert sys.modules["HostSample"].HostSampleTest.ran == 1


def test_packages_beside_the_module_are_imported_afresh_and_given_back(panel, slicer_host):
    import HostSampleLib.ui

    assert HostSampleLib.ui.loads == [panel]
    beside = str(Path(HostSampleLib.__file__).parent.parent)
    assert beside in sys.path
    slicer_host.close()
    assert beside not in sys.path, "a process that is started later would import from there"
    assert "HostSampleLib" not in sys.modules
    assert sys.modules["MultiverSegLib"].__name__ == "MultiverSegLib"


def test_an_exception_that_a_vtk_observer_raises_is_collected(slicer_host):
    import slicer

    def fail(caller, event):
        raise RuntimeError("observer")

    tag = slicer.mrmlScene.AddObserver(slicer.mrmlScene.EndCloseEvent, fail)
    slicer.mrmlScene.Clear()
    slicer.mrmlScene.RemoveObserver(tag)
    assert str(slicer_host.exceptions.pop()) == "observer"


def test_a_ui_file_with_an_unknown_property_or_class_is_reported(slicer_host, tmp_path):
    import slicer

    text = (MODULE.parent / "Resources" / "UI" / "HostSample.ui").read_text()
    path = tmp_path / "wrong.ui"
    path.write_text(text.replace("noneEnabled", "nullEnabled"))
    slicer.util.loadUI(str(path))
    assert "nullEnabled" in str(slicer_host.exceptions.pop())

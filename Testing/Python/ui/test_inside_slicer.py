"""Faults that showed in Slicer itself, on the host that has its manners: views, parameters, start-up module, threads, quitting."""

from __future__ import annotations

import ast
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest

from .cohort.test_panel import click_structure, open_study, study  # noqa: F401  (study is a fixture)
from .conftest import CENTRE
from .test_lifecycle import off, reload_module

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def layout(bench, name):
    bench.slicer.app.layoutManager().setLayout(getattr(bench.slicer.vtkMRMLLayoutNode, name))
    bench.host.process_events()


def press(bench, key, view="Red"):
    bench.host.view(view).key(key)
    bench.settle()


# Which view


@pytest.mark.parametrize("order", range(2))
@pytest.mark.parametrize(("axis", "view"), [("axial", "Red"), ("coronal", "Green"), ("sagittal", "Yellow")])
def test_a_key_acts_on_the_view_of_the_structures_axis_in_whatever_order_views_are_listed(opened, order, axis, view):
    opened.host.layout_manager.view_order = order
    opened.panel.parameters.axis = axis
    for name in ("Red", "Green", "Yellow"):
        opened.host.view(name).jump_to(CENTRE)
    opened.predictor.calls.clear()
    opened.red.click(CENTRE)
    opened.settle()
    opened.effect.self().accept()
    opened.editor.setActiveEffect(None)
    opened.editor.setActiveEffectByName("MultiverSegPrompt")
    press(opened, "M")
    assert opened.presenter._slice_node is opened.host.view(view).node


@pytest.mark.parametrize("order", range(2))
def test_of_several_views_the_one_under_the_pointer_counts(opened, order):
    opened.host.layout_manager.view_order = order
    opened.panel.parameters.axis = "coronal"
    opened.host.view("Green").node.SetOrientation("Axial")
    for view in ("Yellow", "Green"):
        opened.host.view(view).enter()
    assert opened.presenter.slice_node() is opened.host.view("Green").node, "none shows the axis"
    opened.host.view("Yellow").node.SetOrientation("Coronal")
    assert opened.presenter.slice_node() is opened.host.view("Yellow").node


@pytest.mark.parametrize("order", range(2))
def test_a_view_that_is_not_shown_is_never_acted_on(opened, order):
    opened.host.layout_manager.view_order = order
    opened.red.click(CENTRE)
    opened.settle()
    layout(opened, "SlicerLayoutOneUpYellowSliceView")
    assert opened.presenter.slice_node() is opened.host.view("Yellow").node
    opened.panel.ui.predictSliceButton.click()
    opened.settle()
    assert opened.presenter._slice_node is opened.host.view("Yellow").node


def test_without_a_slice_view_it_says_so(opened):
    layout(opened, "SlicerLayoutOneUp3DView")
    opened.effect.self().run()
    assert "choose a layout with slices" in opened.effect.self().options.statusLabel.text


# Parameters


def leave_and_come_back(bench, how):
    editor = bench.editor
    if how == "other effect":
        editor.setActiveEffect(None)
    elif how == "segment editor":
        bench.host.open_module("SegmentEditor")
        bench.widget = bench.host.open_module("MultiverSegSlicer")
    elif how == "our effect there":
        theirs = bench.host.open_module("SegmentEditor").editor
        theirs.setSegmentationNode(editor.segmentationNode() or bench.panel_segmentation)
        theirs.setSourceVolumeNode(bench.ct)
        theirs.setActiveEffectByName("MultiverSegPrompt")
        bench.host.process_events()
        bench.widget = bench.host.open_module("MultiverSegSlicer")
    bench.editor.setActiveEffectByName("MultiverSegPrompt")
    bench.host.process_events(0.02)


@pytest.mark.parametrize("how", ["other effect", "segment editor", "our effect there"])
def test_the_structure_chosen_in_the_panel_survives(opened, how):
    opened.panel_segmentation = opened.segmentation
    opened.panel.parameters.structure = "liver"
    leave_and_come_back(opened, how)
    assert opened.panel.parameters.structure == "liver" and opened.presenter.structure() == "liver"
    assert opened.effect.self().options.structureComboBox.currentText == "liver"


def test_each_option_changes_itself_and_nothing_else(opened):
    opened.panel.parameters.structure = "liver"
    options, node = opened.effect.self().options, opened.editor.mrmlSegmentEditorNode()
    before = {name: node.GetAttribute(name) for name in node.GetAttributeNames()}
    options.thresholdSlider.value = 0.7
    options.capSpinBox.value = 3
    options.liveCheckBox.checked = False
    after = {name: node.GetAttribute(name) for name in node.GetAttributeNames()}
    changed = {name.rsplit(".", 1)[1]: after[name] for name in after if before.get(name) != after[name]}
    assert changed == {"Threshold": "0.7", "Cap": "3", "LiveUpdate": "0"}
    assert opened.panel.parameters.structure == "liver"


def test_working_in_the_segment_editor_module_reads_nothing_undefined(bench):
    """The host fails a test in which Slicer would have logged an error."""
    volume = bench.volume()
    editor = bench.host.open_module("SegmentEditor").editor
    segmentation = bench.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segmentation.GetSegmentation().AddEmptySegment("blob", "blob")
    editor.setSegmentationNode(segmentation)
    editor.setSourceVolumeNode(volume)
    editor.setActiveEffectByName("MultiverSegPrompt")
    presenter, red = editor.activeEffect().self().presenter, bench.host.view("Red")
    red.jump_to(CENTRE)
    red.click(CENTRE)
    bench.host.wait_until(lambda: not presenter.busy, 60)
    assert not editor.activeEffect().parameterDefined("Structure") and presenter.structure() == "blob"
    assert bench.mask(volume, "blob", segmentation).any()
    assert bench.host.criticals == []


def test_a_cleaned_up_effect_listens_no_more(opened):
    effect = opened.effect.self()
    slider, node = effect.options.thresholdSlider, opened.editor.mrmlSegmentEditorNode()
    before = node.GetAttribute("MultiverSegPrompt.Threshold")
    effect.cleanup()
    slider.value = 0.9
    assert node.GetAttribute("MultiverSegPrompt.Threshold") == before


def test_a_key_that_is_held_counts_once(opened):
    opened.red.key("T", held=4)
    assert opened.effect.self().option("Sign") == "-"


def test_ctrl_enter_that_is_held_accepts_one_case(study):  # noqa: F811
    panel = open_study(study)
    click_structure(study)
    study.red.key("Ctrl+Return", held=2)
    assert panel.desk.case_id == "p1" and panel.desk.cohort.case("p0").status == "accepted"


# Start and end


def test_as_the_start_up_module_it_has_its_effect(slicer_host, installed_module):
    sys.modules.pop("MultiverSegPrompt", None)
    slicer_host.load_module(installed_module, home=True)
    panel = slicer_host.modules["MultiverSegSlicer"].widgetRepresentation().self().panel
    assert panel.editor.effectByName("MultiverSegPrompt") is not None


def test_starting_slicer_imports_nothing_heavy(slicer_host, installed_module):
    sys.modules.pop("MultiverSegPrompt", None)
    slicer_host.load_module(installed_module)
    loaded = [
        m for n, m in sys.modules.items() if n.split(".")[0] in ("MultiverSegLib", "MultiverSegPrompt") and getattr(m, "__file__", "")
    ]
    assert any(module.__name__ == "MultiverSegPrompt" for module in loaded)
    for module in loaded:
        found = imported_at_top(Path(module.__file__))
        assert not found & {"numpy", "torch", "scipy", "SimpleITK", "skimage", "monai", "pydicom"}, module.__name__


def imported_at_top(path):
    """First names of what a file imports when it is imported."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


def test_a_reload_warns_of_nothing(opened):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        reload_module(opened)
    assert [str(w.message) for w in caught if "observer" in str(w.message)] == []


def test_quitting_in_the_middle_of_a_prediction_leaves_no_thread(opened):
    def slow(*_arguments, **_options):
        time.sleep(1.0)

    opened.predictor.predict_batch = slow
    opened.red.click(CENTRE)
    opened.host.process_events(0.1)
    names = {thread.name for thread in threading.enumerate()}
    assert "MultiverSeg inference" in names
    opened.host.quit()
    assert "MultiverSeg inference" not in {thread.name for thread in threading.enumerate()}


def test_quitting_while_proposals_are_made_leaves_no_thread(study):  # noqa: F811
    open_study(study)
    click_structure(study)
    works = study.predictor.predict_batch

    def slow(*arguments, **options):
        time.sleep(0.7)
        return works(*arguments, **options)

    study.predictor.predict_batch = slow
    study.cohort.accept_button.click()
    study.host.wait_until(lambda: study.cohort.ahead.background.busy, 20)
    study.host.quit()
    assert "MultiverSeg inference" not in {thread.name for thread in threading.enumerate()}


# The lock


def spin(seconds):
    """Pure Python work: this much time of the processor, all of it with the lock."""
    start = time.thread_time()
    while time.thread_time() - start < seconds:
        pass


def outside(work):
    """How long some work takes in a thread that the main thread waits for."""
    thread, start = threading.Thread(target=work), time.perf_counter()
    thread.start()
    thread.join()
    return time.perf_counter() - start


def test_a_prediction_takes_no_longer_than_outside(opened):
    """Importing PyTorch in the first prediction is Python work of seconds."""
    works = opened.predictor.predict_batch

    def slow(*arguments, **options):
        spin(0.5)
        return works(*arguments, **options)

    opened.predictor.predict_batch = slow
    expected = outside(lambda: spin(0.5))
    start = time.perf_counter()
    opened.red.click(CENTRE)
    opened.host.wait_until(lambda: not opened.presenter.busy, 60, step=0.1)
    taken = time.perf_counter() - start
    assert opened.holds(opened.ct, CENTRE)
    assert taken < 1.6 * expected + 0.3


def test_proposals_go_on_while_another_module_is_shown(study):  # noqa: F811
    panel = open_study(study)
    click_structure(study)
    works = study.predictor.predict_batch

    def slow(*arguments, **options):
        spin(0.3)
        return works(*arguments, **options)

    study.predictor.predict_batch = slow
    expected = 2 * outside(lambda: spin(0.3))
    panel.accept_button.click()
    study.host.open_module("SegmentEditor")
    study.editor.setActiveEffect(None)
    start, cohort = time.perf_counter(), panel.desk.cohort
    study.host.wait_until(lambda: all(cohort.case(case).work("blob").proposal for case in ("p1", "p2")), 60, step=0.25)
    assert time.perf_counter() - start < 2.0 * expected + 1.0


def test_nothing_ticks_when_nothing_runs(opened):
    opened.red.click(CENTRE)
    opened.settle()
    opened.host.process_events(0.05)
    assert not opened.service.pulse.timer.isActive()
    opened.predictor.hold()
    opened.red.click(off(5))
    assert opened.service.pulse.timer.isActive()
    opened.predictor.go()
    opened.settle()
    opened.host.process_events(0.05)
    assert not opened.service.pulse.timer.isActive()

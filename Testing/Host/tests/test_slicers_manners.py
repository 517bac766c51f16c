"""Manners of Slicer, CTK and PythonQt that a kinder host would hide faults behind; Testing/Host/README.md says where each was read."""

from pathlib import Path

import numpy as np
import pytest

SOURCE = Path(__file__).parent / "effect_files" / "ClickEffects" / "ClickEffect.py"


@pytest.fixture
def editor(slicer_host):
    """The Segment Editor's widget with the Click effect, a volume and a segmentation with one segment."""
    import slicer

    register()
    volume = slicer.util.addVolumeFromArray(np.zeros((4, 16, 16), np.int16), name="CT")
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segmentation")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segmentation.GetSegmentation().AddEmptySegment("liver", "liver")
    editor = slicer_host.open_module("SegmentEditor").editor
    editor.setSegmentationNode(segmentation)
    return editor


def register():
    import qSlicerSegmentationsEditorEffectsPythonQt as effects

    effect = effects.qSlicerSegmentEditorScriptedEffect(None)
    effect.setPythonSource(str(SOURCE))
    effect.self().register()


# PythonQt


@pytest.mark.parametrize(
    "make",
    [
        lambda qt: qt.QVBoxLayout(), lambda qt: qt.QFormLayout(), lambda qt: qt.QGridLayout(), lambda qt: qt.QIcon(),
        lambda qt: qt.QPixmap(), lambda qt: qt.QImage(), lambda qt: qt.QColor(), lambda qt: qt.QByteArray(), lambda qt: qt.QSize(0, 0),
        lambda qt: qt.QPoint(0, 0), lambda qt: qt.QRect(), lambda qt: qt.QKeySequence(), lambda qt: qt.QUrl(), lambda qt: qt.QTextCursor(),
        lambda qt: qt.QModelIndex(), lambda qt: qt.QMenu(), lambda qt: qt.QDate(), lambda qt: qt.QVector3D(),
    ],
)  # fmt: skip
def test_empty_null_and_invalid_values_are_false(slicer_host, make):
    import qt

    assert not make(qt)


@pytest.mark.parametrize(
    "make",
    [
        lambda qt: qt.QWidget(), lambda qt: qt.QLabel(""), lambda qt: qt.QComboBox(), lambda qt: qt.QListWidget(),
        lambda qt: qt.QTableWidget(), lambda qt: qt.QListWidgetItem(""), lambda qt: qt.QTimer(), lambda qt: qt.QColor("red"),
        lambda qt: qt.QSize(1, 1), lambda qt: qt.QPoint(0, 1), lambda qt: qt.QKeySequence("B"), lambda qt: qt.QUrl("file:///"),
    ],
)  # fmt: skip
def test_widgets_items_and_values_are_true(slicer_host, make):
    import qt

    assert make(qt)


# The lock


def counting(host, wait):
    """How far a Python thread counts while ``wait`` runs."""
    import threading

    counted, stop = [0], threading.Event()

    def count():
        while not stop.is_set():
            counted[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    host.process_events()
    before = counted[0]
    wait()
    after = counted[0]
    stop.set()
    thread.join()
    return after - before


def test_threads_stand_still_while_the_event_loop_runs(slicer_host):
    import time

    from Host import eventloop

    free = counting(slicer_host, lambda: time.sleep(0.3))
    assert eventloop.HOLDS_THE_LOCK
    assert counting(slicer_host, lambda: slicer_host.process_events(0.3)) < 0.1 * free
    assert counting(slicer_host, lambda: eventloop.sleep(0.3)) < 0.1 * free


def test_timers_fire_while_the_lock_is_held(slicer_host):
    import qt

    fired, timer = [], qt.QTimer()
    timer.setInterval(5)
    timer.connect("timeout()", lambda: fired.append(1))
    timer.start()
    slicer_host.process_events(0.2)
    timer.stop()
    assert len(fired) > 10


# Views and keys


def test_views_are_listed_in_any_order_also_those_that_are_not_shown(slicer_host):
    import slicer

    manager = slicer.app.layoutManager()
    orders = set()
    for order in range(20):
        slicer_host.layout_manager.view_order = order
        orders.add(tuple(manager.sliceViewNames()))
    assert len(orders) == 6, "of three views"
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpYellowSliceView)
    assert sorted(manager.sliceViewNames()) == ["Green", "Red", "Yellow"]
    shown = [name for name in manager.sliceViewNames() if manager.sliceWidget(name).mrmlSliceNode().IsMappedInLayout()]
    assert shown == ["Yellow"]


def test_a_key_that_is_held_repeats_its_shortcut_unless_that_is_switched_off(slicer_host):
    import qt
    import slicer

    pressed = []
    shortcut = qt.QShortcut(qt.QKeySequence("F"), slicer.util.mainWindow())
    shortcut.connect("activated()", lambda: pressed.append("F"))
    slicer_host.view("Red").key("F", held=3)
    assert len(pressed) == 4
    shortcut.autoRepeat = False
    slicer_host.view("Red").key("F", held=3)
    assert len(pressed) == 5
    shortcut.delete()


# Effects


def test_an_empty_parameter_is_not_defined_and_reading_it_is_an_error(editor, slicer_host):
    effect = editor.effectByName("Click")
    effect.setParameterDefault("Name", "")
    effect.setParameter("Name", "")
    assert not effect.parameterDefined("Name") and effect.parameter("Name") == ""
    assert "Parameter named Name cannot be found" in slicer_host.criticals.pop()
    effect.setParameter("Name", "liver")
    effect.setParameter("Name", "")
    assert effect.parameter("Name") == "" and not effect.parameterDefined("Name"), "empty now, and no error to read"
    assert effect.integerParameter("Name") == 0
    assert "cannot be converted to integer" in slicer_host.criticals.pop()


def test_numbers_keep_six_digits(editor):
    effect = editor.effectByName("Click")
    effect.setParameter("Share", 0.1 + 0.2)
    assert effect.parameter("Share") == "0.3"


def test_an_effect_registered_later_is_not_in_an_editor_before_its_list_is_updated(slicer_host):
    editor = slicer_host.open_module("SegmentEditor").editor
    register()
    assert editor.effectByName("Click") is None
    editor.updateEffectList()
    assert editor.effectByName("Click") is not None


def test_only_the_active_effect_is_told_to_show_its_parameters(editor):
    effect, calls = editor.effectByName("Click"), []
    effect.self().updateGUIFromMRML = lambda: calls.append(1)
    effect.setParameter("Size", 7)
    assert calls == []
    editor.setActiveEffectByName("Click")
    assert calls == [1], "once, when it is activated"
    effect.setParameter("Size", 8)
    assert calls == [1, 1]


def test_a_node_reference_tells_the_effect(editor):
    import slicer

    editor.setActiveEffectByName("Click")
    effect, calls = editor.activeEffect(), []
    effect.self().updateGUIFromMRML = lambda: calls.append(1)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    effect.setNodeReference("ROI", node)
    effect.setNodeReference("ROI", node)
    assert calls == [1] and effect.nodeReference("ROI") is node


def test_another_segmentation_is_there_before_the_effect_is_deactivated(editor):
    import slicer

    editor.setActiveEffectByName("Click")
    python, seen = editor.activeEffect().self(), []
    python.deactivate = lambda: seen.append(editor.mrmlSegmentEditorNode().GetSegmentationNode().GetName())
    editor.setSegmentationNode(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "other"))
    assert seen == ["other"]


@pytest.mark.parametrize("answer", ["Yes", "No", "Cancel"])
def test_a_hidden_segment_is_asked_about(editor, slicer_host, answer):
    import qt

    effect, display = editor.effectByName("Click"), editor.segmentationNode().GetDisplayNode()
    display.SetVisibility(False)
    slicer_host.dialogs.answers.append(getattr(qt.QMessageBox, answer))
    confirmed = effect.confirmCurrentSegmentVisible()
    assert confirmed == (effect.NotConfirmed if answer == "Cancel" else effect.ConfirmedWithDialog)
    assert bool(display.GetVisibility()) is (answer == "Yes")
    slicer_host.dialogs.answers.append(qt.QMessageBox.Cancel)
    again = effect.confirmCurrentSegmentVisible()
    assert again == (effect.NotConfirmed if answer == "Cancel" else effect.ConfirmedWithoutDialog)


def test_the_end_of_a_batch_puts_the_selectors_choice_into_the_node(editor):
    import slicer

    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "other")
    before = editor.segmentationNode()
    slicer.mrmlScene.StartState(slicer.mrmlScene.BatchProcessState)
    editor.setSegmentationNode(other)
    assert editor.segmentationNode() is before, "the selector stands still in a batch"
    slicer.mrmlScene.EndState(slicer.mrmlScene.BatchProcessState)
    assert editor.mrmlSegmentEditorNode().GetSegmentationNode() is before


# CTK


def test_what_lies_in_a_collapsed_button_is_hidden(slicer_host):
    import ctk
    import qt

    window = qt.QWidget()
    outer = qt.QVBoxLayout(window)
    button = ctk.ctkCollapsibleButton()
    outer.addWidget(button)
    layout = qt.QVBoxLayout(button)
    first = qt.QLabel("a")
    layout.addWidget(first)
    button.collapsed = True
    window.show()
    later = qt.QLabel("b")
    layout.addWidget(later)
    slicer_host.process_events()
    later.show()
    assert not first.isVisibleTo(window) and not later.isVisibleTo(window)
    button.collapsed = False
    assert first.isVisibleTo(window) and later.isVisibleTo(window)
    window.delete()


def test_a_path_line_tells_every_text_while_it_is_typed(slicer_host, tmp_path):
    import ctk
    import slicer

    line, seen, valid = ctk.ctkPathLineEdit(), [], []
    line.filters = ctk.ctkPathLineEdit.Dirs | ctk.ctkPathLineEdit.Writable
    line.connect("currentPathChanged(QString)", seen.append)
    line.connect("validInputChanged(bool)", valid.append)
    (field,) = slicer.util.findChildren(line, className="QLineEdit")
    line.currentPath = "/nowhere"
    assert not field.modified
    for end in range(8, 12):
        slicer_host.press_key("abc"[end - 9] if end > 8 else "x", field)
    assert field.modified
    line.currentPath = ""
    assert seen == ["/nowhere", "/nowherex", "/nowherexa", "/nowherexab", "/nowherexabc"] and valid == [True, False]

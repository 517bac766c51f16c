"""Interactor events reach a scripted effect through the Segment Editor, and what it writes is in the segment."""

from pathlib import Path

import numpy as np
import pytest

SOURCE = Path(__file__).parent / "effect_files" / "ClickEffects" / "ClickEffect.py"
TO_RAS = np.array([[-2, 0, 0, 60], [0, -2, 0, 60], [0, 0, 3, -30], [0, 0, 0, 1.0]])


@pytest.fixture
def scene(slicer_host):
    """(editor, segmentation, volume) with the effect registered and the volume shown."""
    import qSlicerSegmentationsEditorEffectsPythonQt as effects
    import slicer

    effect = effects.qSlicerSegmentEditorScriptedEffect(None)
    effect.setPythonSource(str(SOURCE))
    effect.self().register()
    volume = slicer.util.addVolumeFromArray(np.zeros((20, 64, 64), np.int16), TO_RAS, name="CT")
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segmentation")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segmentation.GetSegmentation().AddEmptySegment("liver", "liver")
    editor = slicer_host.open_module("SegmentEditor").editor
    editor.setSegmentationNode(segmentation)
    editor.setSourceVolumeNode(volume)
    return editor, segmentation, volume


def voxels(segmentation, volume):
    import slicer

    return np.argwhere(slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, "liver", volume)).tolist()


def ijk(ras):
    return np.rint(np.linalg.inv(TO_RAS) @ [*ras, 1])[:3].astype(int)


def test_a_second_effect_of_the_same_name_is_refused(scene):
    import qSlicerSegmentationsEditorEffectsPythonQt as effects
    import slicer

    other = effects.qSlicerSegmentEditorScriptedEffect(None)
    other.setPythonSource(str(SOURCE))
    assert slicer.qSlicerSegmentEditorEffectFactory.instance().registerEffect(other) is False


def test_a_click_reaches_the_active_effect_only(scene, slicer_host):
    editor, segmentation, volume = scene
    view = slicer_host.view("Red")
    view.click(ras=(10, -8, 0))
    assert voxels(segmentation, volume) == []
    editor.setActiveEffectByName("Click")
    view.click(ras=(10, -8, 0))
    assert voxels(segmentation, volume) == [ijk((10, -8, 0))[::-1].tolist()]


@pytest.mark.parametrize("name", ["Red", "Green", "Yellow"])
def test_every_view_and_a_tilted_one_hits_the_voxel_below_the_mouse(scene, slicer_host, name):
    editor, segmentation, volume = scene
    editor.setActiveEffectByName("Click")
    view = slicer_host.view(name)
    to_ras = view.node.GetSliceToRAS()
    for row, column, value in ((0, 0, 0.9), (1, 0, 0.3), (2, 0, 0.2)):
        to_ras.SetElement(row, column, value)
    view.node.UpdateMatrices()
    view.jump_to((4, 6, -9))
    xy = view.to_xy((4, 6, -9))
    view.click(xy=xy)
    assert voxels(segmentation, volume) == [ijk(view.to_ras(xy))[::-1].tolist()]


def test_undo_and_redo_by_the_segment_editors_keys(scene, slicer_host):
    editor, segmentation, volume = scene
    editor.setActiveEffectByName("Click")
    view = slicer_host.view("Red")
    view.click(ras=(10, -8, 0))
    view.key("Ctrl+Z")
    assert voxels(segmentation, volume) == []
    view.key("Ctrl+Y")
    assert voxels(segmentation, volume) == [], "redo on Windows only"
    view.key("Y")
    assert len(voxels(segmentation, volume)) == 1


def test_shortcuts_come_before_the_view(scene, slicer_host):
    editor, _, _ = scene
    editor.setActiveEffectByName("Click")
    effect, view = editor.activeEffect().self(), slicer_host.view("Red")
    view.key("b")
    view.key("x")
    assert effect.log == ["b", "view x"]
    editor.setActiveEffect(None)
    view.key("b")
    view.key("x")
    assert effect.log == ["b", "view x"]


def test_two_shortcuts_on_one_key_are_found(scene, slicer_host):
    import qt
    import slicer

    editor, _, _ = scene
    editor.setActiveEffectByName("Click")
    other = qt.QShortcut(qt.QKeySequence("b"), slicer.util.mainWindow())
    slicer_host.view("Red").key("b")
    other.delete()
    assert "2 shortcuts claim b" in str(slicer_host.exceptions.pop())


def test_an_exception_in_the_effect_is_collected_and_the_event_goes_on(scene, slicer_host):
    editor, segmentation, volume = scene
    editor.setActiveEffectByName("Click")
    slicer_host.view("Red").click(ras=(10, -8, 0), ctrl=True)
    assert str(slicer_host.exceptions.pop()) == "no control clicks"
    assert voxels(segmentation, volume) == []


def test_parameters_live_in_the_editor_node_and_reach_the_options(scene):
    editor, _, _ = scene
    editor.setActiveEffectByName("Click")
    effect = editor.activeEffect()
    assert (effect.integerParameter("Size"), effect.doubleParameter("Strength")) == (3, 0.25)
    effect.setParameter("Size", 7)
    assert effect.self().spinBox.value == 7
    effect.self().spinBox.value = 9
    assert editor.mrmlSegmentEditorNode().GetAttribute("Click.Size") == "9"


def test_escape_and_another_segmentation_deactivate_the_effect(scene, slicer_host):
    import slicer

    editor, _, _ = scene
    for leave in (lambda: slicer_host.view("Red").key("Escape"), lambda: editor.setSegmentationNode(None)):
        editor.setActiveEffectByName("Click")
        assert editor.activeEffect() is not None
        leave()
        assert editor.activeEffect() is None
    assert slicer.util.mainWindow() is not None


def test_masking_is_respected(scene, slicer_host):
    import slicer

    editor, segmentation, volume = scene
    node = editor.mrmlSegmentEditorNode()
    node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedInsideAllSegments)
    editor.setActiveEffectByName("Click")
    slicer_host.view("Red").click(ras=(10, -8, 0))
    assert voxels(segmentation, volume) == []


def test_a_new_layout_is_observed_too(scene, slicer_host):
    import slicer

    editor, segmentation, volume = scene
    editor.setActiveEffectByName("Click")
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutThreeByThreeSliceView)
    slicer_host.process_events()
    assert len(slicer.app.layoutManager().sliceViewNames()) == 9
    view = slicer_host.view("Slice9")
    view.click(xy=view.to_xy((10, -8, -20)))
    assert len(voxels(segmentation, volume)) == 1


def test_closing_the_scene_with_an_active_effect(scene, slicer_host):
    import slicer

    editor, _, _ = scene
    editor.setActiveEffectByName("Click")
    slicer.mrmlScene.Clear()
    slicer_host.process_events()
    slicer_host.view("Red").click(xy=(50, 50))
    assert slicer_host.errors() == []


def test_the_view_shows_what_was_written(scene, slicer_host):
    editor, _, _ = scene
    view = slicer_host.view("Red")
    before = view.pixels().astype(int)
    editor.setActiveEffectByName("Click")
    view.click(ras=(10, -8, 0))
    changed = np.argwhere(np.abs(view.pixels().astype(int) - before).sum(axis=2) > 30)
    x, y = view.to_xy((10, -8, 0))
    assert np.abs(changed.mean(axis=0) - [before.shape[0] - 1 - y, x]).max() < 6


def test_a_segmentation_brings_its_reference_volume(scene):
    import slicer

    editor, segmentation, volume = scene
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "other")
    editor.setSegmentationNode(other)
    assert editor.sourceVolumeNode() is None
    editor.setSegmentationNode(segmentation)
    assert editor.sourceVolumeNode() is volume


def test_a_volume_before_the_segmentation_is_complained_about(scene, slicer_host):
    editor, _, volume = scene
    editor.setSegmentationNode(None)
    editor.setSourceVolumeNode(volume)
    assert "need to set segment editor and segmentation nodes first" in slicer_host.criticals.pop()


def test_an_effect_that_changes_the_node_while_it_is_activated_is_activated_once(scene):
    editor, _, _ = scene
    effect = next(editor.effectByIndex(i) for i in range(editor.effectCount()))
    python, calls = effect.self(), []
    activate = python.activate

    def change_the_node():
        calls.append("activate")
        activate()
        editor.mrmlSegmentEditorNode().SetOverwriteMode(2)
        effect.setParameter("Size", 11)

    python.activate = change_the_node
    editor.setActiveEffectByName("Click")
    assert calls == ["activate"]
    assert python.spinBox.value == 11
    assert editor._object._panel._overwrite.currentIndex() == 2


def test_the_effects_cursor_is_shown_while_it_is_active(scene, slicer_host):
    import qt

    editor, _, _ = scene
    python = editor.effectByName("Click").self()
    python.createCursor = lambda view: qt.QCursor(qt.Qt.CrossCursor)
    editor.setActiveEffectByName("Click")
    assert slicer_host.view("Red").cursor_shape() == qt.Qt.CrossCursor
    editor.setActiveEffect(None)
    assert slicer_host.view("Red").cursor_shape() == qt.Qt.ArrowCursor


def test_removing_the_nodes_under_an_active_effect(scene, slicer_host):
    import slicer

    editor, segmentation, volume = scene
    editor.setActiveEffectByName("Click")
    slicer.mrmlScene.RemoveNode(volume)
    slicer.mrmlScene.RemoveNode(segmentation)
    slicer_host.process_events()
    assert editor.segmentationNode() is None
    assert slicer_host.messages == []


def test_keys_of_the_editor(scene, slicer_host):
    editor, segmentation, _ = scene
    segmentation.GetSegmentation().AddEmptySegment("spleen", "spleen")
    view = slicer_host.view("Red")
    view.key("1")
    assert editor.activeEffect().name == "Click"
    view.key("W")
    assert editor.currentSegmentID() == "spleen"
    view.key("Q")
    assert editor.currentSegmentID() == "liver"
    view.key("Space")
    assert editor.activeEffect() is None
    view.key("Space")
    assert editor.activeEffect().name == "Click"

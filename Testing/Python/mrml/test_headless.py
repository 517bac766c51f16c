"""The headless host: what logic code and slicer.util find there."""

from __future__ import annotations

import gc

import numpy as np
import slicer
import slicer.util
import vtk
from MultiverSegLib.mrml.headless import HeadlessScene, in_slicer, start
from volume_cases import VolumeCase

CASE = VolumeCase(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.diag([1.0, 2, 3, 1]))


def test_it_looks_like_the_application_to_logic_code(host):
    assert not in_slicer()
    assert isinstance(host, HeadlessScene)
    assert start() is host
    assert slicer.mrmlScene is host.scene
    assert slicer.app.mrmlScene() is host.scene
    assert slicer.modules.segmentations.logic().IsA("vtkSlicerSegmentationsModuleLogic")
    assert slicer.util.getModuleLogic("Markups").IsA("vtkSlicerMarkupsLogic")
    assert slicer.app.layoutManager() is None


def test_slicer_util_reads_and_writes_nodes(host, tmp_path):
    volume = CASE.node("image")
    for name in ("image.nrrd", "image.nii.gz"):
        assert slicer.util.saveNode(volume, str(tmp_path / name))
        assert np.array_equal(slicer.util.arrayFromVolume(slicer.util.loadVolume(str(tmp_path / name), {})), CASE.array)
    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points")
    points.AddControlPoint([1, 2, 3])
    assert slicer.util.saveNode(points, str(tmp_path / "points.mrk.json"))
    assert slicer.util.loadMarkups(str(tmp_path / "points.mrk.json")).GetNumberOfControlPoints() == 1
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "seg")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segment_id = segmentation.GetSegmentation().AddEmptySegment("", "a")
    slicer.util.updateSegmentBinaryLabelmapFromArray((CASE.array > 20).astype(np.uint8), segmentation, segment_id, volume)
    assert slicer.util.saveNode(segmentation, str(tmp_path / "seg.seg.nrrd"))
    assert slicer.util.loadSegmentation(str(tmp_path / "seg.seg.nrrd")).GetSegmentation().GetNumberOfSegments() == 1
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "t")
    assert slicer.util.saveNode(transform, str(tmp_path / "t.tfm"))
    assert slicer.util.loadTransform(str(tmp_path / "t.tfm"))


def test_a_scene_survives_its_file(host, tmp_path):
    CASE.node("kept")
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    assert not slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    assert np.array_equal(slicer.util.arrayFromVolume(slicer.util.getNode("kept")), CASE.array)


def test_nodes_have_subject_hierarchy_items_as_in_the_application(host):
    items = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(host.scene)
    volume = CASE.node()
    assert items.GetItemByDataNode(volume)
    host.scene.RemoveNode(volume)
    assert not items.GetItemByDataNode(volume)


def test_messages_of_vtk_are_collected(host):
    reader = vtk.vtkPNGReader()
    reader.SetFileName("/no/such/file.png")
    reader.Update()
    assert any("file.png" in text for _, text in host.messages)
    host.messages.clear()


def test_it_starts_again_after_it_was_closed(host):
    first = host.scene
    array = slicer.util.arrayFromVolume(CASE.node())
    host.close()
    host.close()
    assert not hasattr(slicer, "mrmlScene")
    assert array.sum() == CASE.array.sum()
    again = start()
    assert again is not host
    assert again.scene is not first
    assert not slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    again.close()
    gc.collect()

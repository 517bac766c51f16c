"""Small labelmaps through Slicer's own editor give the same voxels as writing in place, whatever the masking."""

from __future__ import annotations

import numpy as np
import pytest
from MultiverSegLib.mrml import segments
from MultiverSegLib.mrml.slice_plane import SlicePlane
from MultiverSegLib.mrml.writing import write_plane
from MultiverSegLib.ui.effect.writer import EffectWriter


class LogicEditor:
    """What the effect gives the writer, on Slicer's Qt-free editor logic."""

    def __init__(self, host, volume, segmentation):
        import slicer

        self.logic = slicer.vtkSlicerSegmentEditorLogic()
        self.logic.SetMRMLScene(slicer.mrmlScene)
        self.logic.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        self.node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        self.logic.SetSegmentEditorNode(self.node)
        self.node.SetAndObserveSegmentationNode(segmentation)
        self.node.SetAndObserveSourceVolumeNode(volume)
        self.logic.SetSourceRepresentationToBinaryLabelMap()
        self.logic.UpdateReferenceGeometryImage()
        self.saved = 0

    def editorNode(self):
        return self.node

    def save(self):
        self.saved += 1

    def modify(self, segmentation, segment_id, labelmap, remove):
        mode = self.logic.ModificationModeRemove if remove else self.logic.ModificationModeAdd
        if self.node.GetSourceVolumeIntensityMask():
            self.logic.UpdateAlignedSourceVolume()
        self.logic.UpdateMaskLabelmap()
        self.logic.ModifySegmentByLabelmap(segmentation, segment_id, labelmap, mode, list(labelmap.GetExtent()), True, False)


def make(seed):
    """A volume with a skewed grid, a segmentation with three segments, and a prediction."""
    import slicer

    random = np.random.default_rng(seed)
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", f"v{seed}")
    slicer.util.updateVolumeFromArray(volume, random.integers(0, 200, (12, 30, 26)).astype(np.int16))
    matrix = np.eye(4)
    matrix[:3, :3] = np.linalg.qr(random.normal(size=(3, 3)))[0] * (0.8, 1.1, 2.5)
    matrix[:3, 3] = random.normal(size=3) * 20
    volume.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    node = segments.new_segmentation(volume, f"s{seed}")
    ids = [segments.add_segment(node, name) for name in "abc"]
    for number, segment_id in enumerate(ids[:2]):
        mask = np.zeros((12, 30, 26), np.uint8)
        mask[3:8, 5 + 8 * number : 18 + 8 * number, 4:20] = random.random((5, 13, 16)) > 0.4
        if number:
            mask &= 1 - segments.get_segment(node, ids[0], volume)
        segments.set_segment(node, segment_id, volume, mask)
    probability = np.clip(random.normal(0.5, 0.4, (16, 16)).repeat(8, 0).repeat(8, 1), 0, 1).astype(np.float32)
    return volume, node, ids, probability


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("masking", ["none", "overwrite all", "overwrite none", "intensity", "inside b"])
@pytest.mark.parametrize("mode", ["replace", "add", "remove"])
def test_equal_to_writing_in_place(host, seed, masking, mode):
    import slicer

    found = []
    for through_editor in (True, False):
        volume, node, ids, probability = make(seed)
        editor = LogicEditor(host, volume, node)
        editor.node.SetSelectedSegmentID(ids[0])
        editor.node.SetOverwriteMode(editor.node.OverwriteAllSegments if masking == "overwrite all" else editor.node.OverwriteNone)
        if masking == "intensity":
            editor.node.SourceVolumeIntensityMaskOn()
            editor.node.SetSourceVolumeIntensityMaskRange(50, 150)
        if masking == "inside b":
            editor.node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment)
            editor.node.SetMaskSegmentID(ids[1])
        plane = SlicePlane.from_volume(volume, "k", 5) if seed % 2 else SlicePlane.from_volume(volume, "i", 12)
        pasted = plane.paste(probability, volume)
        if through_editor:
            EffectWriter(editor, editor.save).write(node, ids[0], volume, pasted, mode)
            assert editor.saved == 1
        else:
            write_plane(node, ids[0], volume, pasted, mode, editor.node)
        found.append([segments.get_segment(node, segment_id, volume) for segment_id in ids])
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)


def test_a_tilted_plane_through_a_large_volume_is_written_in_place(host, monkeypatch):
    from MultiverSegLib.ui.effect import writer as effect_writer

    volume, node, ids, _probability = make(1)
    editor = LogicEditor(host, volume, node)
    plane = SlicePlane.through(volume, np.array(_centre(volume)), (1, 1, 1))
    pasted = plane.paste(np.ones((128, 128), np.float32), volume)
    monkeypatch.setattr(effect_writer, "LARGEST_BOX", 10)
    monkeypatch.setattr(editor, "modify", None)
    EffectWriter(editor, editor.save).write(node, ids[2], volume, pasted)
    assert segments.get_segment(node, ids[2], volume).sum() > 20


def _centre(volume):
    bounds = [0.0] * 6
    volume.GetRASBounds(bounds)
    return [(bounds[i] + bounds[i + 1]) / 2 for i in (0, 2, 4)]

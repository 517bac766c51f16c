"""One-plane writing against Slicer's own editor logic, undo, leaks."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from MultiverSegLib.core.errors import SegmentationError
from MultiverSegLib.mrml.labelmaps import is_shared
from MultiverSegLib.mrml.segments import SegmentWriter, add_segment, get_segment, new_segmentation, set_segment, set_slice, write_plane
from MultiverSegLib.mrml.slice_plane import SlicePlane
from volume_cases import VolumeCase, volume_cases

MASK_MODES = (
    "EditAllowedEverywhere",
    "EditAllowedInsideAllSegments",
    "EditAllowedInsideVisibleSegments",
    "EditAllowedOutsideAllSegments",
    "EditAllowedOutsideVisibleSegments",
    "EditAllowedInsideSingleSegment",
)
OVERWRITE_MODES = ("OverwriteNone", "OverwriteAllSegments", "OverwriteVisibleSegments")
OBLIQUE = VolumeCase(
    np.random.default_rng(1).integers(-100, 900, (9, 12, 11)).astype(np.int16),
    np.array([[0.6, 0.1, 0.0, -20], [-0.1, 0.8, 0.3, 10], [0.05, -0.3, 2.4, 5], [0, 0, 0, 1.0]]),
)


def editor_logic(host, segmentation, volume):
    """Slicer's editor, as the Segment Editor widget holds it, with its node."""
    logic = slicer.vtkSlicerSegmentEditorLogic()
    logic.SetMRMLScene(host.scene)
    logic.SetMRMLApplicationLogic(host.application_logic)
    editor = host.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    logic.SetSegmentEditorNode(editor)
    editor.SetAndObserveSegmentationNode(segmentation)
    editor.SetAndObserveSourceVolumeNode(volume)
    logic.SetSourceRepresentationToBinaryLabelMap()
    logic.UpdateReferenceGeometryImage()
    logic.ResetModifierLabelmapToDefault()
    return logic, editor


def reference_write(logic, editor, segmentation, segment_id, region, mask, mode):
    """What the Segment Editor does for a "replace" of the voxels in ``region`` by ``mask`` (both [k, j, i]): remove the rest, then add."""
    from vtk.util.numpy_support import vtk_to_numpy

    editor.SetSelectedSegmentID(segment_id)
    k, j, i = (np.nonzero(region.any(axis=axes))[0] for axes in ((1, 2), (0, 2), (0, 1)))
    extent = [int(v) for part in (i, j, k) for v in (part.min(), part.max())]
    steps = {"replace": (("Remove", region & ~mask), ("Add", mask)), "add": (("Add", mask),), "remove": (("Remove", mask),)}[mode]
    for name, voxels in steps:
        logic.ResetModifierLabelmapToDefault()
        modifier = logic.GetModifierLabelmap()
        vtk_to_numpy(modifier.GetPointData().GetScalars())[:] = voxels.ravel()
        modifier.Modified()
        if editor.GetMaskMode() != segmentation.EditAllowedEverywhere:
            logic.UpdateMaskLabelmap()
        if editor.GetSourceVolumeIntensityMask():
            logic.UpdateAlignedSourceVolume()
        logic.ModifySegmentByLabelmap(segmentation, segment_id, modifier, getattr(logic, f"ModificationMode{name}"), extent, True, False)


def segmentation_of(volume, masks, visible):
    segmentation = new_segmentation(volume)
    ids = []
    for number, (mask, shown) in enumerate(zip(masks, visible, strict=True)):
        ids.append(add_segment(segmentation, f"segment {number}"))
        set_segment(segmentation, ids[-1], volume, mask)
        segmentation.GetDisplayNode().SetSegmentVisibility(ids[-1], shown)
    return segmentation, ids


@settings(max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(
    case=volume_cases(with_transform=False, size=(4, 8)),
    axis=st.sampled_from("ijk"),
    where=st.floats(0, 1),
    mode=st.sampled_from(["replace", "add", "remove"]),
    mask_mode=st.sampled_from(MASK_MODES),
    overwrite=st.sampled_from(OVERWRITE_MODES),
    intensities=st.none() | st.tuples(st.integers(-900, 0), st.integers(1, 1900)),
    visible=st.tuples(*[st.booleans()] * 4),
    mask_segment=st.integers(0, 3),
    shared=st.booleans(),
    seed=st.integers(0, 999),
)
def test_writing_equals_slicers_editor(
    host, case, axis, where, mode, mask_mode, overwrite, intensities, visible, mask_segment, shared, seed
):
    host.scene.Clear(0)
    random = np.random.default_rng(seed)
    volume = case.node()
    shape = case.array.shape
    labels = random.integers(0, 6, shape)
    masks = [labels == number for number in range(4)]
    if not shared:
        masks[2] = random.random(shape) < 0.4  # overlaps the others
    number = "ijk".index(axis)
    index = min(int(where * shape[2 - number]), shape[2 - number] - 1)
    plane = SlicePlane.from_volume(volume, axis, index)
    pasted = plane.paste(random.random((128, 128)), volume)
    region = np.zeros(shape, bool)
    region[tuple(index if n == 2 - number else slice(None) for n in range(3))] = True

    # Slicer itself leaves some visible segments unerased where hidden ones share their layer: its separate layers are the reference there
    dependable = overwrite != "OverwriteVisibleSegments" or all(visible[1:])
    results = []
    for ours in (True, False):
        segmentation, ids = segmentation_of(volume, masks, visible)
        if shared and (ours or dependable):
            segmentation.GetSegmentation().CollapseBinaryLabelmaps(False)
            assert is_shared(segmentation, ids[0])
        logic, editor = editor_logic(host, segmentation, volume)
        editor.SetMaskMode(getattr(segmentation, mask_mode))
        editor.SetMaskSegmentID(ids[mask_segment])
        editor.SetOverwriteMode(getattr(editor, overwrite))
        if intensities is not None:
            editor.SourceVolumeIntensityMaskOn()
            editor.SetSourceVolumeIntensityMaskRange(*intensities)
        if ours:
            edit = write_plane(segmentation, ids[0], volume, pasted, mode, editor)
        else:
            reference_write(logic, editor, segmentation, ids[0], region, pasted.to_array().astype(bool), mode)
        results.append([get_segment(segmentation, segment_id, volume) for segment_id in ids])
        if ours:
            edit.undo()
            for segment_id, mask in zip(ids, masks, strict=True):
                assert np.array_equal(get_segment(segmentation, segment_id, volume), mask)
        logic.SetMRMLScene(None)
    for got, expected in zip(*results, strict=True):
        assert np.array_equal(got, expected)


def test_without_an_editor_segments_may_overlap_and_other_segments_keep_their_voxels(host):
    volume = OBLIQUE.node()
    everything = np.ones(OBLIQUE.array.shape, bool)
    segmentation, ids = segmentation_of(volume, [everything, ~everything], (True, True))
    write_plane(segmentation, ids[1], volume, SlicePlane.from_volume(volume, "k", 4).paste(np.ones((128, 128)), volume))
    assert get_segment(segmentation, ids[0], volume).all()
    assert np.array_equal(np.nonzero(get_segment(segmentation, ids[1], volume).any(axis=(1, 2)))[0], [4])


def test_replacing_a_slice_keeps_the_other_slices(host):
    volume = OBLIQUE.node()
    before = np.random.default_rng(2).random(OBLIQUE.array.shape) < 0.5
    segmentation, (segment_id,) = segmentation_of(volume, [before], (True,))
    write_plane(segmentation, segment_id, volume, SlicePlane.from_volume(volume, "j", 3).paste(np.zeros((128, 128)), volume))
    expected = before.copy()
    expected[:, 3] = False
    assert np.array_equal(get_segment(segmentation, segment_id, volume), expected)


def test_only_the_field_of_view_is_replaced(host):
    from MultiverSegLib.core.imaging import ImageSettings

    volume = VolumeCase(np.zeros((3, 40, 40), np.int16), np.eye(4)).node()
    segmentation, (segment_id,) = segmentation_of(volume, [np.ones((3, 40, 40), bool)], (True,))
    view = ImageSettings(field_of_view="roi", roi=((10.0, 10.0, 1.0), (8.0, 8.0, 8.0)))
    plane = SlicePlane.from_volume(volume, "k", 1, view)
    write_plane(segmentation, segment_id, volume, plane.paste(np.zeros((128, 128)), volume))
    gone = np.argwhere(get_segment(segmentation, segment_id, volume) == 0)
    assert gone.min(axis=0).tolist() == [1, 6, 6]
    assert gone.max(axis=0).tolist() == [1, 14, 14]


def test_undo_survives_edits_of_slicer_in_between(host):
    """Slicer's own edits shrink and replace the labelmap object."""
    volume = OBLIQUE.node()
    segmentation, (segment_id,) = segmentation_of(volume, [np.zeros(OBLIQUE.array.shape, bool)], (True,))
    logic, editor = editor_logic(host, segmentation, volume)
    writer = SegmentWriter(editor=editor)
    writer.write(segmentation, segment_id, volume, SlicePlane.from_volume(volume, "k", 2).paste(np.ones((128, 128)), volume))
    native = np.zeros(OBLIQUE.array.shape, bool)
    native[7, 2:5, 3:6] = True
    reference_write(logic, editor, segmentation, segment_id, native, native, "add")
    writer.write(segmentation, segment_id, volume, SlicePlane.from_volume(volume, "k", 5).paste(np.ones((128, 128)), volume))
    assert get_segment(segmentation, segment_id, volume).any(axis=(1, 2)).nonzero()[0].tolist() == [2, 5, 7]
    writer.history.undo()
    writer.history.undo()
    assert np.array_equal(get_segment(segmentation, segment_id, volume), native)
    assert not writer.history.can_undo
    writer.history.redo()
    assert get_segment(segmentation, segment_id, volume)[2].all()
    logic.SetMRMLScene(None)


def test_the_editors_own_undo_takes_a_write_back(host):
    volume = OBLIQUE.node()
    before = np.random.default_rng(3).random(OBLIQUE.array.shape) < 0.3
    segmentation, (segment_id,) = segmentation_of(volume, [before], (True,))
    logic, editor = editor_logic(host, segmentation, volume)
    editor.SetSelectedSegmentID(segment_id)
    writer = SegmentWriter(logic.SaveStateForUndo, editor)
    writer.write(segmentation, segment_id, volume, SlicePlane.from_volume(volume, "i", 4).paste(np.ones((128, 128)), volume))
    after = get_segment(segmentation, segment_id, volume)
    assert not np.array_equal(after, before)
    logic.Undo()
    assert np.array_equal(get_segment(segmentation, segment_id, volume), before)
    logic.Redo()
    assert np.array_equal(get_segment(segmentation, segment_id, volume), after)
    logic.SetMRMLScene(None)


def test_a_hundred_writes_leave_no_node_behind(host):
    volume = OBLIQUE.node()
    segmentation, (segment_id, _) = segmentation_of(volume, [OBLIQUE.array > 0, OBLIQUE.array > 500], (True, True))
    plane = SlicePlane.from_volume(volume, "k", 2)
    count = host.scene.GetNumberOfNodes()
    for _ in range(100):
        plane.sample(volume)
        plane.sample_segment(segmentation, segment_id)
        write_plane(segmentation, segment_id, volume, plane.paste(np.ones((128, 128)), volume))
        get_segment(segmentation, segment_id, volume)
    assert host.scene.GetNumberOfNodes() == count


def test_a_finer_segmentation_keeps_its_voxels_and_gets_the_whole_thickness(host):
    """A segmentation may be finer than the image (Slicer's oversampling): a slice is then several of its sheets thick."""
    volume = VolumeCase(np.zeros((6, 10, 10), np.int16), np.diag([1.0, 1.0, 2.0, 1.0])).node()
    fine = VolumeCase(
        np.zeros((24, 20, 20), np.uint8), np.array([[0.5, 0, 0, -0.25], [0, 0.5, 0, -0.25], [0, 0, 0.5, -0.75], [0, 0, 0, 1]])
    )
    fine_volume = fine.node("fine")
    segmentation, (segment_id,) = segmentation_of(fine_volume, [fine.array > 0], (True,))
    plane = SlicePlane.from_volume(volume, "k", 3)
    write_plane(segmentation, segment_id, volume, plane.paste(np.ones((128, 128)), volume))
    written = get_segment(segmentation, segment_id, fine_volume)
    assert written.any(axis=(1, 2)).nonzero()[0].tolist() == [12, 13, 14, 15]
    assert written.sum() == 4 * 20 * 20
    assert plane.sample_segment(segmentation, segment_id).min() == 1
    assert SlicePlane.from_volume(volume, "k", 2).sample_segment(segmentation, segment_id).max() == 0
    with pytest.raises(SegmentationError, match="voxel grid"):
        set_slice(segmentation, segment_id, volume, np.ones((10, 10)), "k", 3)


def test_a_moved_segmentation_is_written_where_it_is_seen(host):
    """The volume and the segmentation under different transforms: world positions count."""
    volume = OBLIQUE.node()
    moved = VolumeCase(
        OBLIQUE.array,
        np.linalg.inv(np.diag([1.0, 1, 1, 1])) @ OBLIQUE.ijk_to_ras,
        np.array([[0, -1.0, 0, 7], [1, 0, 0, 3], [0, 0, 1, 2], [0, 0, 0, 1]]),
    )
    twin = moved.node("moved")
    segmentation, (segment_id,) = segmentation_of(twin, [np.zeros(OBLIQUE.array.shape, bool)], (True,))
    plane = SlicePlane.from_volume(twin, "k", 4)
    write_plane(segmentation, segment_id, volume, plane.paste(np.ones((128, 128)), volume))
    there = np.argwhere(get_segment(segmentation, segment_id, twin))
    assert set(there[:, 0]) == {4}
    assert len(there)


def test_unknown_segments_and_modes_are_refused(host):
    volume = OBLIQUE.node()
    segmentation, (segment_id,) = segmentation_of(volume, [OBLIQUE.array > 0], (True,))
    pasted = SlicePlane.from_volume(volume, "k", 2).paste(np.ones((128, 128)), volume)
    with pytest.raises(SegmentationError, match="no segment 'gone'"):
        write_plane(segmentation, "gone", volume, pasted)
    with pytest.raises(SegmentationError, match="No segmentation"):
        write_plane(None, segment_id, volume, pasted)
    with pytest.raises(SegmentationError, match="writing mode"):
        write_plane(segmentation, segment_id, volume, pasted, "set")

"""Segments: voxels in and out, files, the largest slice, the pictures other programs see."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import slicer.util
import vtk
from MultiverSegLib.core.errors import SegmentationError
from MultiverSegLib.mrml.labelmaps import is_shared
from MultiverSegLib.mrml.segments import (
    add_segment,
    get_segment,
    load_segmentation,
    max_slice,
    new_segmentation,
    save_segmentation,
    segment_ids,
    set_segment,
    set_slice,
    write_plane,
)
from MultiverSegLib.mrml.slice_plane import SlicePlane
from MultiverSegLib.mrml.volume_files import load_volume, save_volume
from MultiverSegLib.mrml.volumes import ijk_to_ras
from volume_cases import ORDERS, VolumeCase, reordered, rotation

MATRIX = np.eye(4)
MATRIX[:3, :3], MATRIX[:3, 3] = rotation([0.3, 1, 0.2], 25) * [0.7, 0.9, 3.3], [-12, 30, 4]
CASE = VolumeCase(np.random.default_rng(0).integers(-1000, 2000, (8, 9, 10)).astype(np.int16), MATRIX)
MASKS = [np.random.default_rng(n).random(CASE.array.shape) < 0.3 for n in range(3)]


def filled(volume, masks=MASKS):
    segmentation = new_segmentation(volume)
    ids = [add_segment(segmentation, f"part {n}", (0.1 * n, 0.5, 0.9)) for n in range(len(masks))]
    for segment_id, mask in zip(ids, masks, strict=True):
        set_segment(segmentation, segment_id, volume, mask)
    return segmentation, ids


def test_overlapping_segments_keep_their_own_voxels(host):
    volume = CASE.node()
    segmentation, ids = filled(volume)
    for segment_id, mask in zip(ids, MASKS, strict=True):
        assert np.array_equal(get_segment(segmentation, segment_id, volume), mask)
        assert np.array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume) > 0, mask)


def test_slicers_own_arrays_are_read_back(host):
    volume = CASE.node()
    segmentation = new_segmentation(volume)
    ids = [add_segment(segmentation, str(n)) for n in range(2)]
    apart = [MASKS[0], MASKS[1] & ~MASKS[0]]
    for segment_id, mask in zip(ids, apart, strict=True):
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), segmentation, segment_id, volume)
    segmentation.GetSegmentation().CollapseBinaryLabelmaps(False)
    assert is_shared(segmentation, ids[0])
    for segment_id, mask in zip(ids, apart, strict=True):
        assert np.array_equal(get_segment(segmentation, segment_id, volume), mask)


def test_a_relative_path_is_relative_to_the_current_folder(host, tmp_path, monkeypatch):
    segmentation, _ids = filled(CASE.node())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    save_segmentation(segmentation, "results/case.seg.nrrd")
    assert [p.name for p in (tmp_path / "results").iterdir()] == ["case.seg.nrrd"]


def test_one_slice_of_a_shared_layer_is_written_without_harm_to_the_neighbour(host):
    volume = CASE.node()
    apart = [MASKS[0], MASKS[1] & ~MASKS[0]]
    segmentation, ids = filled(volume, apart)
    segmentation.GetSegmentation().CollapseBinaryLabelmaps(False)
    for axis, name in ((2, "i"), (1, "j"), (0, "k")):
        new = np.random.default_rng(9).random(np.delete(CASE.array.shape, axis)) < 0.5
        set_slice(segmentation, ids[0], volume, new, name, 3)
        apart[0][(slice(None),) * axis + (3,)] = new
        assert np.array_equal(get_segment(segmentation, ids[0], volume), apart[0])
        assert np.array_equal(get_segment(segmentation, ids[1], volume), apart[1])


def test_writing_in_place_drops_surfaces_and_tells_observers(host):
    volume = CASE.node()
    segmentation, ids = filled(volume)
    segmentation.CreateClosedSurfaceRepresentation()
    seen = []
    tag = segmentation.GetSegmentation().AddObserver(slicer.vtkSegmentation.SegmentModified, lambda *_: seen.append(1))
    set_slice(segmentation, ids[0], volume, np.ones((9, 10)), "k", 2)
    segmentation.GetSegmentation().RemoveObserver(tag)
    assert seen
    assert not segmentation.GetSegmentation().GetSegment(ids[0]).GetRepresentation("Closed surface")


@pytest.mark.parametrize("order, flips", ORDERS[::5])
def test_a_result_opens_beside_its_image_in_another_program(host, tmp_path, order, flips):
    """SimpleITK sees the mask at the physical points where it sees the image's bright voxels, and both have one shape, left-handed or not."""
    stored = reordered(VolumeCase((MASKS[0] * 1000).astype(np.int16), MATRIX), order, flips)
    save_volume(stored.node(), tmp_path / "image.nii.gz")
    volume = load_volume(tmp_path / "image.nii.gz")
    segmentation, _ = filled(volume, [stored.array > 0])
    save_segmentation(segmentation, tmp_path / "result.seg.nrrd")
    image, result = sitk.ReadImage(str(tmp_path / "image.nii.gz")), sitk.ReadImage(str(tmp_path / "result.seg.nrrd"))
    assert result.GetSize() == image.GetSize()
    assert np.array_equal(sitk.GetArrayFromImage(result) > 0, sitk.GetArrayFromImage(image) > 0)
    size = np.array(image.GetSize()) - 1
    for corner in np.ndindex(2, 2, 2):
        index = [int(v) for v in np.array(corner) * size]
        assert np.allclose(image.TransformIndexToPhysicalPoint(index), result.TransformIndexToPhysicalPoint(index), atol=1e-3)


def test_a_predicted_slice_opens_beside_its_image_too(host, tmp_path):
    """The whole way: prediction on the grid, one slice written, file; the labelmap starts empty."""
    save_volume(reordered(CASE, (1, 0, 2), (True, False, False)).node(), tmp_path / "image.nrrd")
    volume = load_volume(tmp_path / "image.nrrd")
    segmentation = new_segmentation(volume)
    segment_id = add_segment(segmentation, "liver")
    pasted = SlicePlane.from_volume(volume, "k", 5).paste(np.ones((128, 128)), volume)
    write_plane(segmentation, segment_id, volume, pasted)
    save_segmentation(segmentation, tmp_path / "result.seg.nrrd")
    result = sitk.ReadImage(str(tmp_path / "result.seg.nrrd"))
    assert np.array_equal(sitk.GetArrayFromImage(result), pasted.to_array())
    assert pasted.to_array()[5].all()


def test_names_colours_terminology_and_overlaps_survive_the_file(host, tmp_path):
    volume = CASE.node()
    segmentation, ids = filled(volume)
    entry = "Segmentation category and type - 3D Slicer General Anatomy list~SCT^123037004^Anatomical Structure~SCT^10200004^Liver~^^~Anatomic codes - DICOM master list~^^~^^"
    segmentation.GetSegmentation().GetSegment(ids[1]).SetTerminology(entry)
    segmentation.GetSegmentation().GetSegment(ids[1]).SetName("Größe 肝")
    save_segmentation(segmentation, tmp_path / "a b.seg.nrrd")
    loaded = load_segmentation(tmp_path / "a b.seg.nrrd", volume)
    assert loaded.GetName() == "a b"
    assert segment_ids(loaded) == ids
    assert segment_ids(loaded, "Größe 肝") == [ids[1]]
    read = loaded.GetSegmentation().GetSegment(ids[1])
    assert read.GetTerminology() == entry
    assert np.allclose(read.GetColor(), (0.1, 0.5, 0.9), atol=1e-5)
    for segment_id, mask in zip(ids, MASKS, strict=True):
        assert np.array_equal(get_segment(loaded, segment_id, volume), mask)


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha"])
@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32])
def test_labelmaps_of_other_programs_become_segments(host, tmp_path, ending, kind):
    labels = np.zeros(CASE.array.shape, kind)
    labels[1:3, 2:5, 3:6], labels[5:7, 2:5, 3:6] = 1, 5
    save_volume(CASE.node(), tmp_path / "image.nii.gz")
    image = sitk.ReadImage(str(tmp_path / "image.nii.gz"))
    mask = sitk.GetImageFromArray(labels)
    mask.CopyInformation(image)
    sitk.WriteImage(mask, str(tmp_path / f"labels.{ending}"))
    volume = load_volume(tmp_path / "image.nii.gz")
    nodes = host.scene.GetNumberOfNodesByClass("vtkMRMLVolumeNode")
    loaded = load_segmentation(tmp_path / f"labels.{ending}", volume)
    assert host.scene.GetNumberOfNodesByClass("vtkMRMLVolumeNode") == nodes
    found = [get_segment(loaded, segment_id, volume) for segment_id in segment_ids(loaded)]
    assert len(found) == 2
    for got, value in zip(found, (1, 5), strict=True):
        assert np.array_equal(got, labels == value)


def test_files_that_are_no_segmentation(host, tmp_path):
    (tmp_path / "text.seg.nrrd").write_text("hello")
    sitk.WriteImage(sitk.Image([4, 4, 4], sitk.sitkUInt8), str(tmp_path / "empty.nii.gz"))
    nodes = host.scene.GetNumberOfNodes()
    for name, told in (("none.seg.nrrd", "does not exist"), ("text.seg.nrrd", "can't be read"), ("empty.nii.gz", "holds no segment")):
        with pytest.raises(SegmentationError, match=told) as caught:
            load_segmentation(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert host.scene.GetNumberOfNodes() == nodes
    segmentation, _ = filled(CASE.node())
    for path in (tmp_path / "x.nii.gz", tmp_path / "none" / "x.seg.nrrd"):
        with pytest.raises(SegmentationError, match="can't be written"):
            save_segmentation(segmentation, path)


@pytest.mark.parametrize("axis", ["i", "j", "k"])
def test_the_max_slice_is_the_largest(host, axis):
    volume = CASE.node()
    mask = np.zeros(CASE.array.shape, bool)
    mask[2:6, 3:7, 4:8] = True
    place = [slice(2, 7), slice(2, 8), slice(3, 9)]
    place[2 - "ijk".index(axis)] = 5
    mask[tuple(place)] = True
    segmentation, (segment_id,) = filled(volume, [mask])
    assert max_slice(segmentation, segment_id, volume, axis) == 5


def test_an_empty_or_missing_segment_has_no_max_slice(host):
    volume = CASE.node()
    segmentation, _ = filled(volume, [])
    segment_id = add_segment(segmentation, "nothing")
    assert get_segment(segmentation, segment_id, volume).sum() == 0
    assert SlicePlane.from_volume(volume, "k", 2).sample_segment(segmentation, segment_id).max() == 0
    assert SlicePlane.from_volume(volume, "k", 2).rasterize_segment(segmentation, segment_id).max() == 0
    with pytest.raises(SegmentationError, match="nothing is empty"):
        max_slice(segmentation, segment_id, volume, "k")
    with pytest.raises(SegmentationError, match="no segment 'gone'"):
        max_slice(segmentation, "gone", volume, "k")


def test_a_segment_on_another_grid_is_resampled(host):
    """Against nearest-voxel lookup, written out."""
    volume = CASE.node()
    other_matrix = MATRIX.copy()
    other_matrix[:3, :3] = rotation([1, 0, 0.5], 10) @ MATRIX[:3, :3] * 0.8
    other = VolumeCase(np.zeros((12, 13, 14), np.int16), other_matrix)
    blob = np.zeros((12, 13, 14), bool)
    blob[3:9, 3:10, 4:11] = True
    segmentation, (segment_id,) = filled(other.node("other"), [blob])
    got = get_segment(segmentation, segment_id, volume)
    index = CASE.centers() @ np.linalg.inv(other_matrix)[:3, :3].T + np.linalg.inv(other_matrix)[:3, 3]
    i, j, k = np.floor(index + 0.5).astype(int).transpose(3, 0, 1, 2)
    inside = (i >= 0) & (j >= 0) & (k >= 0) & (i < 14) & (j < 13) & (k < 12)
    expected = inside & blob[np.clip(k, 0, 11), np.clip(j, 0, 12), np.clip(i, 0, 13)]
    clear = (np.abs(index - np.floor(index) - 0.5) > 1e-3).all(axis=-1)
    assert np.array_equal(got[clear], expected[clear])


def test_a_segment_drawn_as_a_surface_can_be_read_and_edited(host):
    volume = VolumeCase(np.zeros((20, 20, 20), np.int16), np.eye(4)).node()
    ball = vtk.vtkSphereSource()
    ball.SetCenter(10, 10, 10)
    ball.SetRadius(6)
    ball.SetThetaResolution(40)
    ball.SetPhiResolution(40)
    ball.Update()
    segmentation = new_segmentation(volume)
    segment_id = segmentation.AddSegmentFromClosedSurfaceRepresentation(ball.GetOutput(), "ball", [1, 0, 0], "ball")
    voxels = get_segment(segmentation, segment_id, volume)
    assert abs(voxels.sum() / (4 / 3 * np.pi * 6**3) - 1) < 0.1
    write_plane(segmentation, segment_id, volume, SlicePlane.from_volume(volume, "k", 10).paste(np.zeros((128, 128)), volume))
    voxels[10] = 0
    assert np.array_equal(get_segment(segmentation, segment_id, volume), voxels)


def test_segments_follow_a_parent_transform(host):
    above = np.array([[0, -1.0, 0, 5], [1, 0, 0, 6], [0, 0, 1, 7], [0, 0, 0, 1]])
    volume = VolumeCase(CASE.array, CASE.ijk_to_ras, above).node()
    segmentation, (segment_id,) = filled(volume, MASKS[:1])
    assert segmentation.GetTransformNodeID() == volume.GetTransformNodeID()
    assert np.array_equal(get_segment(segmentation, segment_id, volume), MASKS[0])
    assert np.allclose(ijk_to_ras(volume), above @ MATRIX)


def test_filling_an_empty_segment_is_like_setting_it(host):
    from MultiverSegLib.mrml.labelmaps import fill_empty
    from MultiverSegLib.mrml.volumes import new_volume

    volume = new_volume(np.zeros((6, 7, 8), np.int16), np.array([[-1, 0.1, 0, 3], [0, 2, 0.1, 4], [0, 0, 3, 5], [0, 0, 0, 1.0]]), "v")
    node = new_segmentation(volume)
    first, second = add_segment(node, "a"), add_segment(node, "b")
    mask = np.zeros((6, 7, 8), np.uint8)
    mask[2:4, 3:7, 1:6] = np.random.default_rng(0).integers(0, 2, (2, 4, 5))
    assert fill_empty(node, first, volume, (2, 3, 1), mask[2:4, 3:7, 1:6])
    set_segment(node, second, volume, mask)
    for segment_id in (first, second):
        assert np.array_equal(get_segment(node, segment_id, volume), mask)
    assert not fill_empty(node, first, volume, (0, 0, 0), mask), "it is not empty any more"
    set_slice(node, first, volume, np.ones((7, 8), np.uint8), "k", 0)
    mask[0] = 1
    assert np.array_equal(get_segment(node, first, volume), mask), "and can be edited everywhere"

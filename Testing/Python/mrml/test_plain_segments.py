"""Segmentations read without a node are what MRML reads of the same files, and what can't be is refused with the same words."""

import numpy as np
import pytest
import SimpleITK as sitk
from MultiverSegLib.core.errors import SegmentationError
from MultiverSegLib.mrml import prompt_tags
from MultiverSegLib.mrml.masks import EVERY_LABEL, load_mask, plain_mask
from MultiverSegLib.mrml.plain_segments import read_plain_segments, reads_plain
from MultiverSegLib.mrml.plain_volume import PlainVolume
from MultiverSegLib.mrml.segments import add_segment, new_segmentation, save_segmentation, set_segment
from MultiverSegLib.mrml.volumes import array_of, ijk_to_ras

from .test_segments import CASE, MASKS, filled

ENTRY = "Segmentation category and type - 3D Slicer General Anatomy list~SCT^123037004^Anatomical Structure~SCT^10200004^Liver~^^~Anatomic codes - DICOM master list~^^~^^"


def plain(node):
    return PlainVolume(array_of(node), ijk_to_ras(node), node.GetName())


def disjoint():
    """Two masks that share a layer."""
    first, second = np.zeros(CASE.array.shape, bool), np.zeros(CASE.array.shape, bool)
    first[2:5, 2:5, 2:5], second[4:7, 6:8, 5:9] = True, True
    return [first, second]


@pytest.mark.parametrize("masks", [MASKS, disjoint(), [np.zeros(CASE.array.shape, bool), MASKS[0]]], ids=["layers", "shared", "one empty"])
def test_segments_names_and_voxels_are_those_of_the_node(host, tmp_path, masks):
    volume = CASE.node()
    segmentation, ids = filled(volume, masks)
    prompt_tags.mark_structure(segmentation.GetSegmentation().GetSegment(ids[0]), "left: part|0")
    segmentation.GetSegmentation().GetSegment(ids[1]).SetTerminology(ENTRY)
    path = tmp_path / "a.seg.nrrd"
    save_segmentation(segmentation, path)
    found = read_plain_segments(path, plain(volume))
    assert [s.name for s in found] == [f"part {n}" for n in range(len(masks))]
    assert found[0].structure == "left: part|0" and found[1].terminology == ENTRY
    for segment, mask in zip(found, masks, strict=True):
        assert np.array_equal(segment.on(plain(volume)), mask) and segment.empty == (not mask.any())
    for name in (s.name for s in found):
        assert np.array_equal(plain_mask(plain(volume), path, name), load_mask(volume, path, name))


def test_all_empty_and_another_grid(host, tmp_path):
    volume = CASE.node()
    segmentation, _ = filled(volume, [np.zeros(CASE.array.shape, bool)])
    save_segmentation(segmentation, tmp_path / "empty.seg.nrrd")
    assert not plain_mask(plain(volume), tmp_path / "empty.seg.nrrd", structure="part 0").any()
    finer = ijk_to_ras(volume) @ np.diag([0.6, 0.7, 0.45, 1])
    finer[:3, 3] += (0.21, -0.13, 0.4)
    other = PlainVolume(np.zeros((17, 12, 16), np.int16), finer, "other")
    block = np.zeros(CASE.array.shape, bool)
    block[1:7, 1:8, 1:9] = True
    segmentation, _ = filled(volume, [block])
    save_segmentation(segmentation, tmp_path / "block.seg.nrrd")
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "other")
    slicer.util.updateVolumeFromArray(node, other.array)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(finer))
    ours, theirs = plain_mask(other, tmp_path / "block.seg.nrrd"), load_mask(node, tmp_path / "block.seg.nrrd")
    assert theirs.any() and np.mean(ours != theirs) < 0.003, "nearest voxel; those exactly between two may differ"


@pytest.mark.parametrize("kind", [sitk.sitkUInt8, sitk.sitkInt16, sitk.sitkFloat32])
def test_label_maps_of_other_programs(host, tmp_path, kind):
    volume = CASE.node()
    labels = np.zeros(CASE.array.shape)
    for number, mask in zip((1, 7), disjoint(), strict=True):
        labels[mask] = number
    image = sitk.GetImageFromArray(labels.astype(np.float32))
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ ijk_to_ras(volume)
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    path = tmp_path / "labels.nii.gz"
    sitk.WriteImage(sitk.Cast(image, kind), str(path))
    for value in (1, 7, EVERY_LABEL):
        assert np.array_equal(plain_mask(plain(volume), path, value), load_mask(volume, path, value))
    for value, structure in ((3, ""), (None, "liver"), ("spleen", "")):
        with pytest.raises(SegmentationError) as ours:
            plain_mask(plain(volume), path, value, structure)
        with pytest.raises(SegmentationError) as theirs:
            load_mask(volume, path, value, structure)
        assert str(ours.value) == str(theirs.value)


def test_what_is_no_segmentation_of_this_volume_is_refused_alike(host, tmp_path):
    volume = CASE.node()
    segmentation, _ = filled(volume, disjoint())
    path = tmp_path / "a.seg.nrrd"
    save_segmentation(segmentation, path)
    far = ijk_to_ras(volume).copy()
    far[:3, 3] += 500
    cut = tmp_path / "cut.seg.nrrd"
    cut.write_bytes(path.read_bytes()[:-40])
    for place, target, message in (
        (path, PlainVolume(array_of(volume), far, "far"), "None of the labelled voxels"),
        (tmp_path / "no.seg.nrrd", plain(volume), "does not exist"),
        (cut, plain(volume), "cut.seg.nrrd"),
    ):
        with pytest.raises(SegmentationError, match=message):
            plain_mask(target, place, structure="part 0")
    assert reads_plain(path) and not reads_plain("a.seg.vtm")


def test_a_dicom_seg(host, tmp_path):
    pytest.importorskip("highdicom")
    from file_cases import ball, dicom_seg, series
    from MultiverSegLib.mrml.dicom import load_dicom

    image = ball((6, 16, 16), (1.0, 1.0, 3.0), 5.0)[0]
    inside = np.zeros((6, 16, 16), bool)
    inside[1:4, 3:9, 4:12] = True
    folder = series(tmp_path / "ct", image)
    path = dicom_seg(tmp_path / "seg.dcm", folder, {"ball": inside, "box": np.roll(inside, 2, 2)})
    volume = load_dicom(folder)
    for value in ("ball", 2):
        ours = plain_mask(plain(volume), path, value)
        assert ours.any() and np.array_equal(ours, load_mask(volume, path, value))
    assert [s.number for s in read_plain_segments(path)] == [1, 2]


def test_a_file_from_a_thread_of_ours(host, tmp_path):
    """The content that ``segment_file`` makes."""
    from MultiverSegLib.mrml.segment_files import segment_file

    volume = CASE.node()
    (tmp_path / "p.seg.nrrd").write_bytes(segment_file(MASKS[0], ijk_to_ras(volume), "blob", terminology=ENTRY))
    (segment,) = read_plain_segments(tmp_path / "p.seg.nrrd", plain(volume))
    assert segment.terminology == ENTRY and np.array_equal(segment.on(plain(volume)), MASKS[0])
    node = new_segmentation(volume)
    set_segment(node, add_segment(node, "blob"), volume, MASKS[0])
    assert np.array_equal(load_mask(volume, tmp_path / "p.seg.nrrd"), MASKS[0])

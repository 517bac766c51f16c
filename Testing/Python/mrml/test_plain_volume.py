"""Volumes read without a node are the same as those read by MRML, and what threads write is read by MRML."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import slicer
from MultiverSegLib.cohort.store.records import Source
from MultiverSegLib.cohort.work.case_nodes import load_source_files, read_source
from MultiverSegLib.core.errors import CohortError, VolumeError
from MultiverSegLib.mrml import segments
from MultiverSegLib.mrml.plain_volume import PlainVolume
from MultiverSegLib.mrml.segment_files import segment_file
from MultiverSegLib.mrml.slice_plane import SlicePlane
from MultiverSegLib.mrml.volume_files import load_volume, read_plain
from MultiverSegLib.mrml.volumes import array_of, dimensions_of, ijk_to_ras, node_of
from volume_cases import ORDERS, VolumeCase, reordered

from .test_dicom import write_series
from .test_volumes import CASE, write_sitk


def elsewhere(function):
    """What a function gives in another thread."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def same(plain, node) -> bool:
    return (
        plain.GetName() == node.GetName()
        and array_of(plain).dtype == array_of(node).dtype
        and np.array_equal(array_of(plain), array_of(node))
        and dimensions_of(plain) == dimensions_of(node)
        and np.allclose(ijk_to_ras(plain), ijk_to_ras(node), atol=1e-9)
    )


@pytest.mark.parametrize("ending", ["nrrd", "nii.gz", "mha"])
@pytest.mark.parametrize("order, flips", ORDERS[::9])
def test_the_same_voxels_in_the_same_place(host, tmp_path, ending, order, flips):
    write_sitk(reordered(CASE, order, flips), tmp_path / f"a.{ending}")
    assert same(elsewhere(lambda: read_plain(tmp_path / f"a.{ending}")), load_volume(tmp_path / f"a.{ending}"))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int64, np.float32, np.float64])
def test_every_number_type(host, tmp_path, kind):
    write_sitk(VolumeCase(CASE.array.astype(kind), CASE.ijk_to_ras), tmp_path / "a.nrrd")
    assert same(read_plain(tmp_path / "a.nrrd"), load_volume(tmp_path / "a.nrrd"))


def test_a_dicom_series(host, tmp_path):
    write_series(tmp_path / "series")
    plain, node = elsewhere(lambda: read_plain(tmp_path / "series")), load_volume(tmp_path / "series")
    assert same(plain, node) and plain.attributes["DICOM.instanceUIDs"] == node.GetAttribute("DICOM.instanceUIDs")


def test_the_frames_of_a_sequence(host, tmp_path):
    sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "beat")
    for n in range(3):
        sequence.SetDataNodeAtValue(VolumeCase(CASE.array + n, CASE.ijk_to_ras).node(), str(n))
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVolumeSequenceStorageNode")
    storage.SetFileName(str(tmp_path / "beat.seq.nrrd"))
    assert storage.WriteData(sequence)
    for n in (0, 2):
        source = Source("sequence", "", n)
        assert same(read_source(source, tmp_path / "beat.seq.nrrd", "b"), load_source_files(source, tmp_path / "beat.seq.nrrd", "b"))
    with pytest.raises(CohortError, match="frame 3"):
        read_source(Source("sequence", "", 3), tmp_path / "beat.seq.nrrd", "b")


def test_what_cannot_be_read_is_said_in_the_same_words(host, tmp_path):
    (tmp_path / "bad.nrrd").write_bytes(b"broken")
    for path in (tmp_path / "bad.nrrd", tmp_path / "none.nrrd", tmp_path):
        said = []
        for read in (read_plain, load_volume):
            with pytest.raises(VolumeError) as caught:
                read(path)
            said.append(str(caught.value))
        assert said[0] == said[1]
    with pytest.raises(CohortError, match="only in a scene"):
        read_source(Source("scene", "x"), tmp_path, "a")
    with pytest.raises(VolumeError, match="degenerate"):
        PlainVolume(CASE.array, np.zeros((4, 4)), "flat")


def test_planes_sample_it_like_a_node(host, tmp_path):
    node = CASE.node("n")
    plain = PlainVolume(CASE.array, CASE.ijk_to_ras, "n")
    for axis, index in (("k", 2), ("i", 0)):
        plane = SlicePlane.from_volume(plain, axis, index)
        assert plane == SlicePlane.from_volume(node, axis, index)
        assert np.array_equal(plane.sample(plain), plane.sample(node))


def test_a_node_made_of_it_shares_the_voxels_and_has_its_window(host):
    plain = PlainVolume(np.arange(20**3, dtype=np.int16).reshape(20, 20, 20), CASE.ijk_to_ras, "n", {"DICOM.instanceUIDs": "1 2"})
    node = node_of(plain, plain.window_level())
    assert same(plain, node) and node.GetAttribute("DICOM.instanceUIDs") == "1 2"
    assert np.shares_memory(array_of(node), plain.array)
    display = node.GetDisplayNode()
    assert not display.GetAutoWindowLevel() and (display.GetWindow(), display.GetLevel()) == plain.window_level()
    automatic = VolumeCase(plain.array.copy(), CASE.ijk_to_ras).node("m")
    assert display.GetWindow() == pytest.approx(automatic.GetDisplayNode().GetWindow(), rel=0.01)
    assert display.GetLevel() == pytest.approx(automatic.GetDisplayNode().GetLevel(), rel=0.01)


def test_a_segment_file_is_read_by_mrml(host, tmp_path):
    mask = np.zeros(CASE.array.shape, np.uint8)
    mask[1:3, 2:4, 1:5] = 1
    entry = "Segmentation category and type - 3D Slicer General Anatomy list~SCT^123037004^Anatomical Structure~SCT^10200004^Liver~^^"
    content = elsewhere(lambda: segment_file(mask, CASE.ijk_to_ras, "Leber ü", (0.25, 0.5, 0.75), entry, "own"))
    assert content == segment_file(mask, CASE.ijk_to_ras, "Leber ü", (0.25, 0.5, 0.75), entry, "own")
    (tmp_path / "a.seg.nrrd").write_bytes(content)
    volume = CASE.node()
    node = segments.load_segmentation(tmp_path / "a.seg.nrrd", volume)
    segment = node.GetSegmentation().GetSegment("own")
    assert segment.GetName() == "Leber ü" and segment.GetColor() == (0.25, 0.5, 0.75) and segment.GetTerminology().startswith(entry[:60])
    assert np.array_equal(segments.get_segment(node, "own", volume), mask)

"""Opening a case: the right volume, what was done to it, and nothing left in the scene."""

import numpy as np
import pytest
import SimpleITK as sitk
from MultiverSegLib.cohort.sources.scene import cases_from_scene, cases_from_sequence, cases_from_subject_hierarchy, cases_from_volumes
from MultiverSegLib.cohort.store.cohort import Cohort
from MultiverSegLib.cohort.store.mask_delta import change_between
from MultiverSegLib.cohort.store.records import Structure
from MultiverSegLib.cohort.work.case_nodes import CaseNodes, reference_mask
from MultiverSegLib.core.errors import CohortError, SegmentationError, VolumeError
from MultiverSegLib.mrml import segments, volume_files, volumes
from MultiverSegLib.mrml.axes import voxel_axis
from MultiverSegLib.mrml.masks import EVERY_LABEL, load_mask

from ..volumes import SHAPE, ellipsoid, real_cohort, write


def nodes_in(host):
    return [host.scene.GetNthNode(n).GetID() for n in range(host.scene.GetNumberOfNodes())]


def test_a_case_opens_and_leaves_nothing(host, tmp_path):
    with real_cohort(tmp_path) as cohort:
        CaseNodes(cohort, "p1").close()
        before = nodes_in(host)
        for _ in range(3):
            nodes = CaseNodes(cohort, "p1")
            assert np.array_equal(volumes.array_of(nodes.volume), ellipsoid(1)[0])
            assert not nodes.mask("blob").any() and nodes.axis("blob") == "k"
            nodes.close()
        assert nodes_in(host) == before


def test_results_are_saved_and_come_back(host, tmp_path):
    _, mask = ellipsoid(0)
    with real_cohort(tmp_path) as cohort:
        nodes = CaseNodes(cohort, "p0")
        segments.set_segment(nodes.segmentation, nodes.segment_id("blob"), nodes.volume, mask)
        path = nodes.save()
        assert nodes.segmentation.GetStorageNode().GetFileName() == str(path)
        nodes.close()
        cohort.record("accepted", case="p0", structure="blob", example="")
        again = CaseNodes(cohort, "p0")
        assert np.array_equal(again.mask("blob"), mask)
        again.close()
        stored = sitk.ReadImage(str(path))
        reference = sitk.ReadImage(str(tmp_path / "data" / "images" / "p0.nrrd"))
        assert stored.GetSize() == reference.GetSize()
        assert np.allclose(stored.GetDirection(), reference.GetDirection()) and np.allclose(stored.GetOrigin(), reference.GetOrigin())
        assert np.array_equal(sitk.GetArrayFromImage(stored), mask)


def test_an_interrupted_case_is_restored_from_the_journal(host, tmp_path):
    _, mask = ellipsoid(0)
    with real_cohort(tmp_path) as cohort:
        first, second = mask.copy(), mask.copy()
        first[6:] = 0
        cohort.record(
            "predicted", case="p0", structure="blob", examples=[], model="m", confidence=1.0, change=change_between(0 * mask, first)
        )
        cohort.record("edited", case="p0", structure="blob", change=change_between(first, second))
    with Cohort.open(tmp_path / "cohort") as cohort:
        nodes = CaseNodes(cohort, "p0")
        assert np.array_equal(nodes.mask("blob"), mask)
        nodes.close()


def test_existing_labels(host, tmp_path):
    with real_cohort(tmp_path) as cohort:
        nodes = CaseNodes(cohort, "p2")
        assert np.array_equal(reference_mask(cohort, cohort.case("p2"), "blob", nodes.volume), ellipsoid(2)[1])
        two = ellipsoid(2)[1] * 2
        two[0, 0, 0] = 7
        write(tmp_path / "two.nrrd", two)
        assert load_mask(nodes.volume, tmp_path / "two.nrrd", 7).sum() == 1
        assert load_mask(nodes.volume, tmp_path / "two.nrrd", EVERY_LABEL).sum() == (two > 0).sum()
        with pytest.raises(SegmentationError, match="segments 2, 7, none called blob: say which"):
            load_mask(nodes.volume, tmp_path / "two.nrrd", structure="blob")
        with pytest.raises(SegmentationError, match="no label 5: it has 2, 7"):
            load_mask(nodes.volume, tmp_path / "two.nrrd", 5)
        nodes.close()


def test_a_missing_volume_is_one_clear_line(host, tmp_path):
    with real_cohort(tmp_path) as cohort:
        (tmp_path / "data" / "images" / "p0.nrrd").unlink()
        with pytest.raises(VolumeError, match=r"p0\.nrrd"):
            CaseNodes(cohort, "p0")


def test_the_anatomical_axis_follows_the_patient(host):
    import slicer

    array = np.zeros((4, 5, 6), np.int16)
    permuted = np.array([[0, 0, 2.0, 0], [-1, 0.1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    volume = slicer.util.addVolumeFromArray(array, permuted)
    assert [voxel_axis(volume, a) for a in ("axial", "coronal", "sagittal", "j")] == ["j", "i", "k", "j"]


def test_volumes_of_the_scene(host, tmp_path):
    import slicer

    write(tmp_path / "ä b.nrrd", ellipsoid(0)[0])
    filed = volume_files.load_volume(tmp_path / "ä b.nrrd")
    made = slicer.util.addVolumeFromArray(np.ones(SHAPE, np.int16), name="made")
    slicer.util.addVolumeFromArray(np.ones(SHAPE, np.int16), name="labels", nodeClassName="vtkMRMLLabelMapVolumeNode")
    cases = cases_from_scene(tmp_path / "cohort")
    assert [(c.id, c.volume.kind, c.volume.path) for c in cases] == [("ä_b", "file", "../ä b.nrrd"), ("made", "scene", made.GetID())]
    with Cohort.create(tmp_path / "cohort", cases, [Structure("x")]) as cohort:
        nodes = CaseNodes(cohort, "made")
        assert nodes.volume is made
        nodes.close()
        assert slicer.mrmlScene.GetNodeByID(made.GetID()) is made, "the user's own node must stay"
        segments.remove_node(made)
        with pytest.raises(CohortError, match="not in this scene"):
            CaseNodes(cohort, "made")
    assert cases_from_volumes([filed], tmp_path)[0].volume.path == "ä b.nrrd"
    with pytest.raises(CohortError, match="no scalar volume"):
        cases_from_volumes([None], tmp_path)


def test_volumes_of_a_folder_in_the_subject_hierarchy(host, tmp_path):
    import slicer

    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "patients")
    inner = hierarchy.CreateFolderItem(folder, "one")
    for name, parent in (("a", folder), ("b", inner), ("c", hierarchy.GetSceneItemID())):
        node = slicer.util.addVolumeFromArray(np.ones(SHAPE, np.int16), name=name)
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node), parent)
    assert sorted(c.id for c in cases_from_subject_hierarchy(folder, tmp_path)) == ["a", "b"]


def test_frames_of_a_sequence(host, tmp_path):
    import slicer

    sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "beat")
    for n in range(3):
        volume = slicer.util.addVolumeFromArray(ellipsoid(n)[0], np.diag([2, 2, 3, 1.0]), name=f"f{n}")
        sequence.SetDataNodeAtValue(volume, str(n))
        segments.remove_node(volume)
    with pytest.raises(CohortError, match="Save the sequence"):
        cases_from_sequence(sequence, tmp_path)
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVolumeSequenceStorageNode")
    storage.SetFileName(str(tmp_path / "beat.seq.nrrd"))
    assert storage.WriteData(sequence)
    sequence.SetAndObserveStorageNodeID(storage.GetID())
    cases = cases_from_sequence(sequence, tmp_path / "cohort")
    assert [(c.id, c.volume.frame, c.volume.path) for c in cases] == [(f"beat_{n:03d}", n, "../beat.seq.nrrd") for n in range(3)]
    with Cohort.create(tmp_path / "cohort", cases, [Structure("x")]) as cohort:
        before = len(nodes_in(host))
        nodes = CaseNodes(cohort, "beat_002")
        assert np.array_equal(volumes.array_of(nodes.volume), ellipsoid(2)[0])
        nodes.close()
        assert len(nodes_in(host)) == before

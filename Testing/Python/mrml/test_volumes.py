"""Reading and writing volumes: the file's own grid, and one clear line for what can't be used."""

from __future__ import annotations

import gc

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from MultiverSegLib.core.errors import VolumeError
from MultiverSegLib.mrml.volume_files import load_volume, save_volume
from MultiverSegLib.mrml.volumes import array_of, ijk_to_ras, remove_node
from volume_cases import ORDERS, VolumeCase, reordered, rotation, vtk_matrix

TURN = rotation([0.3, 1, 0.2], 25)
CASE = VolumeCase(
    np.random.default_rng(0).integers(-1000, 2000, (4, 5, 6)).astype(np.int16),
    np.block([[TURN * [0.7, 0.9, 3.3], np.array([[-12.0], [30], [4]])], [np.zeros((1, 3)), np.ones((1, 1))]]),
)


def write_sitk(case: VolumeCase, path) -> None:
    lps = np.diag([-1.0, -1, 1, 1]) @ case.ijk_to_ras
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = sitk.GetImageFromArray(case.array)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    sitk.WriteImage(image, str(path))


def error_of(function, *arguments) -> str:
    with pytest.raises(VolumeError) as caught:
        function(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("ending", ["nrrd", "nii.gz", "nii", "mha"])
@pytest.mark.parametrize("order, flips", ORDERS[::7])
def test_the_files_own_voxel_grid_is_kept(host, tmp_path, ending, order, flips):
    """Right- and left-handed files; geometry against the matrix the file was written from and against nibabel."""
    case = reordered(CASE, order, flips)
    write_sitk(case, tmp_path / f"case 1.{ending}")
    volume = load_volume(tmp_path / f"case 1.{ending}")
    assert volume.GetName() == "case 1"
    assert np.array_equal(array_of(volume), case.array)
    assert np.allclose(ijk_to_ras(volume), case.ijk_to_ras, atol=1e-4)
    if ending.startswith("nii"):
        image = nibabel.load(tmp_path / f"case 1.{ending}")
        assert np.allclose(image.affine, ijk_to_ras(volume), atol=1e-4)
        assert np.array_equal(np.asarray(image.dataobj).T, array_of(volume))


@pytest.mark.parametrize("ending", ["nrrd", "nii.gz", "mha"])
@pytest.mark.parametrize("order, flips", [ORDERS[0], ORDERS[1], ORDERS[21]])
def test_a_saved_volume_opens_elsewhere_with_the_same_voxels_in_the_same_place(host, tmp_path, ending, order, flips):
    case = reordered(CASE, order, flips)
    save_volume(case.node(), tmp_path / f"out.{ending}")
    image = sitk.ReadImage(str(tmp_path / f"out.{ending}"))
    assert np.array_equal(sitk.GetArrayFromImage(image), case.array)
    for index in ((0, 0, 0), (case.array.shape[2] - 1, 2, 1)):
        lps = image.TransformIndexToPhysicalPoint(index)
        assert np.allclose(np.array(lps) * [-1, -1, 1], (case.ijk_to_ras @ [*index, 1])[:3], atol=1e-3)


def test_files_with_numbered_names_stay_apart(host, tmp_path):
    for number in range(3):
        write_sitk(VolumeCase(CASE.array + number, CASE.ijk_to_ras), tmp_path / f"image_{number}.nrrd")
    assert np.array_equal(array_of(load_volume(tmp_path / "image_1.nrrd")), CASE.array + 1)


def test_parent_transforms_count(host):
    above = np.array([[0, -1.0, 0, 5], [1, 0, 0, 6], [0, 0, 1, 7], [0, 0, 0, 1]])
    volume = VolumeCase(CASE.array, CASE.ijk_to_ras, above).node()
    assert np.allclose(ijk_to_ras(volume), above @ CASE.ijk_to_ras)


def test_a_non_linear_transform_is_refused_with_the_way_out(host):
    volume = CASE.node("bent")
    grid = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode")
    volume.SetAndObserveTransformNodeID(grid.GetID())
    assert "harden" in error_of(ijk_to_ras, volume)


def test_missing_unreadable_and_foreign_files(host, tmp_path):
    assert "does not exist" in error_of(load_volume, tmp_path / "none.nrrd")
    for name, content in (("text.nrrd", b"hello"), ("empty.nii.gz", b""), ("strange.xyz", b"\0" * 100)):
        (tmp_path / name).write_bytes(content)
        message = error_of(load_volume, tmp_path / name)
        assert name in message
        assert "can't be read" in message


@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "mha"])
@pytest.mark.parametrize("part", [0.4, 0.99])
def test_a_file_that_was_cut_short_is_refused(host, tmp_path, ending, part):
    write_sitk(
        VolumeCase(np.random.default_rng(0).integers(0, 999, (20, 21, 22)).astype(np.int16), np.eye(4)), tmp_path / f"whole.{ending}"
    )
    content = (tmp_path / f"whole.{ending}").read_bytes()
    (tmp_path / f"cut.{ending}").write_bytes(content[: int(len(content) * part)])
    load_volume(tmp_path / f"whole.{ending}")
    count = host.scene.GetNumberOfNodes()
    assert f"cut.{ending}" in error_of(load_volume, tmp_path / f"cut.{ending}")
    assert host.scene.GetNumberOfNodes() == count
    host.messages.clear()  # some readers report it too


def test_a_nifti_packed_in_several_parts_is_whole(host, tmp_path):
    """pigz and bgzip write several gzip members."""
    import gzip

    write_sitk(CASE, tmp_path / "one.nii")
    content = (tmp_path / "one.nii").read_bytes()
    (tmp_path / "parts.nii.gz").write_bytes(gzip.compress(content[:400]) + gzip.compress(content[400:]))
    assert np.array_equal(array_of(load_volume(tmp_path / "parts.nii.gz")), CASE.array)


def test_4d_and_colour_images_are_refused(host, tmp_path):
    sitk.WriteImage(sitk.Image([4, 5, 6, 3], sitk.sitkInt16), str(tmp_path / "series.nii.gz"))
    assert "4 dimensions" in error_of(load_volume, tmp_path / "series.nii.gz")
    sitk.WriteImage(sitk.Image([4, 5, 6], sitk.sitkVectorUInt8, 3), str(tmp_path / "colour.nrrd"))
    assert "3 values per voxel" in error_of(load_volume, tmp_path / "colour.nrrd")
    colour = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "colour")
    assert "no voxels" in error_of(array_of, colour)
    assert "No volume" in error_of(array_of, None)


def test_a_4d_file_with_one_time_point_is_a_volume(host, tmp_path):
    nibabel.save(nibabel.Nifti1Image(CASE.array.T[..., None], CASE.ijk_to_ras), tmp_path / "one.nii.gz")
    volume = load_volume(tmp_path / "one.nii.gz")
    assert np.array_equal(array_of(volume), CASE.array)


def test_nan_and_huge_values_are_kept(host, tmp_path):
    array = CASE.array.astype(np.float32)
    array[0, 0, 0], array[1, 1, 1], array[2, 2, 2] = np.nan, np.inf, 1e30
    write_sitk(VolumeCase(array, CASE.ijk_to_ras), tmp_path / "nan.nrrd")
    assert np.array_equal(array_of(load_volume(tmp_path / "nan.nrrd")), array, equal_nan=True)


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd"])
@pytest.mark.parametrize("kind, largest", [(np.int64, 7), (np.uint64, 2**24 + 1), (np.int64, 2**40)])
def test_64_bit_integers_are_read_without_loss(host, tmp_path, ending, kind, largest):
    """What numpy writes by default; Slicer's own reader hangs on it in NIfTI and rounds it to float32 in NRRD."""
    array = np.abs(CASE.array).astype(kind)
    array[0, 0, 0] = largest
    write_sitk(VolumeCase(array, CASE.ijk_to_ras), tmp_path / f"wide.{ending}")
    volume = load_volume(tmp_path / f"wide.{ending}")
    assert np.array_equal(array_of(volume), array)
    assert np.allclose(ijk_to_ras(volume), CASE.ijk_to_ras, atol=1e-4)


def test_writing_where_one_may_not_says_so(host, tmp_path):
    volume = CASE.node()
    assert "does not exist" in error_of(save_volume, volume, tmp_path / "none" / "out.nrrd")
    (tmp_path / "taken.nrrd").mkdir()
    assert "can't be written" in error_of(save_volume, volume, tmp_path / "taken.nrrd")


@pytest.mark.parametrize("ending", ["nrrd", "nii", "nii.gz", "mha"])
def test_a_full_disk_is_reported_and_the_older_file_stays(host, tmp_path, ending):
    import resource
    import signal

    path = tmp_path / f"out.{ending}"
    save_volume(CASE.node(), path)
    content = path.read_bytes()
    big = VolumeCase(np.random.default_rng(0).integers(0, 9999, (30, 60, 60)).astype(np.int16), np.eye(4)).node()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))  # like a full disk: writing more than this fails
    try:
        message = error_of(save_volume, big, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert f"out.{ending} can't be written" in message
    assert path.read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    host.messages.clear()  # the writer reports it too


def test_removing_leaves_no_node_and_no_memory_behind(host, tmp_path):
    write_sitk(CASE, tmp_path / "image.nrrd")
    nodes = host.scene.GetNumberOfNodes()
    for _ in range(5):
        remove_node(load_volume(tmp_path / "image.nrrd"))
        gc.collect()
    assert host.scene.GetNumberOfNodes() == nodes


def test_the_array_is_a_view_of_the_node(host):
    volume = CASE.node()
    array_of(volume)[1, 2, 3] = 77
    assert volume.GetImageData().GetScalarComponentAsDouble(3, 2, 1, 0) == 77


def test_a_degenerate_grid_is_refused(host):
    volume = VolumeCase(CASE.array, CASE.ijk_to_ras, np.diag([1.0, 1, 1, 1])).node()
    volume.GetParentTransformNode().SetMatrixTransformToParent(vtk_matrix(np.diag([1.0, 1, 1e-14, 1])))
    assert "degenerate" in error_of(ijk_to_ras, volume)

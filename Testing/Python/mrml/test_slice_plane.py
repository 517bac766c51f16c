"""Slice planes: views, intensities against an analytic field, fields of view, errors."""

from __future__ import annotations

import json

import numpy as np
import pytest
import slicer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from MultiverSegLib.core.errors import PromptError, VolumeError
from MultiverSegLib.core.imaging import ImageSettings
from MultiverSegLib.core.prompts import POSITIVE, Point
from MultiverSegLib.mrml.segments import add_segment, get_segment, new_segmentation, write_plane
from MultiverSegLib.mrml.slice_plane import SlicePlane
from volume_cases import VolumeCase, planes_through, rotation, volume_cases, vtk_matrix

MATRIX = np.eye(4)
MATRIX[:3, :3], MATRIX[:3, 3] = rotation([0.3, 1, 0.2], 25) * [0.7, 0.9, 3.3], [-12, 30, 4]
CASE = VolumeCase(np.random.default_rng(0).integers(-1000, 2000, (14, 20, 22)).astype(np.int16), MATRIX)
STRAIGHT = VolumeCase(CASE.array, np.array([[-0.8, 0, 0, 40], [0, -0.8, 0, 30], [0, 0, 2.0, -10], [0, 0, 0, 1]]))


def ramp(case: VolumeCase, slope: np.ndarray, offset: float) -> VolumeCase:
    """The case with intensities that are a linear function of world RAS."""
    return VolumeCase((case.centers() @ slope + offset).astype(np.float64), case.ijk_to_ras, case.transform)


def check_against_ramp(case: VolumeCase, plane: SlicePlane, volume, slope: np.ndarray, offset: float) -> int:
    """Every grid pixel inside of the volume shows the field at its own RAS position. Returns their number.

    A tilted plane fades out over the last voxel before it leaves the volume.
    """
    how = ImageSettings(scaling="window", window=(-1e5, 1e5))
    image = plane.sample(volume, how).astype(np.float64) * 2e5 - 1e5
    row, col = np.indices((128, 128))
    points = np.stack([col, row, 0 * row, 1 + 0 * row], axis=-1) @ plane.grid_to_ras.T
    index = points @ np.linalg.inv(case.to_world)[:3].T
    size = np.abs(np.linalg.inv(case.to_world)[:3, :3] @ plane.grid_to_ras[:3, :2]).sum(axis=1)
    margin = size if plane.axis else size + 1
    inner = ((index >= margin) & (index <= np.array(case.array.shape[::-1]) - 1 - margin)).all(axis=-1)
    assert np.allclose(image[inner], (points[..., :3] @ slope + offset)[inner], atol=0.05)  # float32 of the window
    return int(inner.sum())


@settings(max_examples=80, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), case=volume_cases(size=(5, 12)))
def test_every_pixel_shows_the_intensity_at_its_own_position(host, data, case):
    host.scene.Clear(0)
    slope = np.array([data.draw(st.floats(-3, 3)) for _ in range(3)])
    field = ramp(case, slope, 17.0)
    volume = field.node()
    plane = SlicePlane.through(volume, *data.draw(planes_through(case))[:2])
    check_against_ramp(field, plane, volume, slope, 17.0)


def test_a_sheared_volume_too(host):
    """A linear transform may shear; the grid stays square in patient space."""
    shear = np.array([[1, 0.4, 0.1, 3], [0, 1.2, 0.3, 4], [0, 0, 1, 5], [0, 0, 0, 1.0]])
    field = ramp(VolumeCase(CASE.array, MATRIX, shear), np.array([1.0, -2, 0.5]), 3.0)
    volume = field.node()
    for plane in [SlicePlane.from_volume(volume, axis, 7) for axis in "ijk"]:
        assert check_against_ramp(field, plane, volume, np.array([1.0, -2, 0.5]), 3.0) > 500
        steps = plane.grid_to_ras[:3, :2] / np.linalg.norm(plane.grid_to_ras[:3, :2], axis=0)
        assert np.allclose(steps.T @ steps, np.eye(2), atol=1e-9)


def view_of(volume_to_world: np.ndarray, at: tuple, orientation: np.ndarray, tilt: float):
    """A slice node as a slice view holds it: through the voxel position ``at``, tilted about its own x axis."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceNode")
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(orientation[:, 0], tilt) @ orientation
    matrix[:3, 3] = (volume_to_world @ [*at, 1])[:3]
    node.GetSliceToRAS().DeepCopy(vtk_matrix(matrix))
    node.UpdateMatrices()
    return node


AXIAL = np.array([[-1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
SAGITTAL = np.array([[0.0, 0, 1], [-1, 0, 0], [0, 1, 0]])
CORONAL = np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]])


@pytest.mark.parametrize("orientation, axis", [(AXIAL, "k"), (CORONAL, "j"), (SAGITTAL, "i")])
@pytest.mark.parametrize("tilt", [0, 0.05, 0.3, 1, 10])
def test_slice_views_at_any_tilt_read_and_write_what_they_show(host, orientation, axis, tilt):
    """Never another slice: what is written lies within half a voxel of the view, or the view is one slice and this slice is written."""
    volume = STRAIGHT.node()
    at = (11, 9, 6)
    view = view_of(STRAIGHT.to_world, at, orientation, tilt)
    plane = SlicePlane.from_slice_node(volume, view)
    normal = np.array([view.GetSliceToRAS().GetElement(row, 2) for row in range(3)])
    segmentation = new_segmentation(volume)
    segment_id = add_segment(segmentation, "s")
    write_plane(segmentation, segment_id, volume, plane.paste(np.ones((128, 128)), volume))
    voxels = get_segment(segmentation, segment_id, volume).astype(bool)
    offset = np.abs((STRAIGHT.centers() - STRAIGHT.centers()[at[::-1]]) @ normal)
    assert voxels[at[::-1]]
    assert offset[voxels].max() <= plane.thickness_mm / 2 + 1e-6
    if tilt <= 0.05:
        number = "ijk".index(axis)
        assert (plane.axis, plane.index) == (axis, at[number])
        assert voxels.sum() == voxels.take(at[number], axis=2 - number).size
    if tilt == 10:
        assert plane.axis is None
        assert abs(abs(normal @ plane.grid_to_ras[:3, 2]) - 1) < 1e-9
        assert voxels[offset < plane.thickness_mm / 2 - 1e-6].all()
    click = Point(tuple((STRAIGHT.to_world @ [*at, 1])[:3]))
    assert plane.rasterize([click], require=True)[POSITIVE].sum() == 1
    assert plane.holds(click)


def test_a_view_between_two_slices_takes_the_nearer(host):
    volume = STRAIGHT.node()
    for shift, index in ((0.4, 6), (-0.4, 6), (0.6, 7), (-6.4, 0), (7.4, 13)):
        assert SlicePlane.from_slice_node(volume, view_of(STRAIGHT.to_world, (11, 9, 6 + shift), AXIAL, 0)).index == index
    for outside in (-0.6, 13.6, 1000):
        with pytest.raises(VolumeError, match="does not meet the volume"):
            SlicePlane.from_slice_node(volume, view_of(STRAIGHT.to_world, (11, 9, outside), AXIAL, 0))


def test_the_index_belongs_to_the_volume_that_was_asked_for(host):
    """Two volumes of different geometry shown in one view."""
    first, second = STRAIGHT.node("first"), CASE.node("second")
    view = view_of(STRAIGHT.to_world, (11, 9, 6), AXIAL, 0)
    plane = SlicePlane.from_slice_node(first, view)
    assert (plane.axis, plane.index) == ("k", 6)
    point = (MATRIX @ [11, 10, 7, 1])[:3]
    along = np.linalg.inv(MATRIX)[2, :3]
    assert SlicePlane.through(second, point, along).index == 7
    assert SlicePlane.through(first, (STRAIGHT.to_world @ [5, 5, 5, 1])[:3], [0, 0, 1]).sample(first).max() == 1


def test_a_tilted_view_keeps_the_orientation_of_the_slices_beside_it(host):
    """Tilting a little must not turn the image, also where the volume itself is rotated in the plane."""
    turned = VolumeCase(
        CASE.array, np.block([[rotation([0, 0, 1], 30) * [1, 1, 3.0], np.zeros((3, 1))], [np.zeros((1, 3)), np.ones((1, 1))]])
    )
    volume = turned.node()
    middle = (turned.to_world @ [10.5, 9.5, 6.5, 1])[:3]
    straight = SlicePlane.through(volume, middle, [0, 0, 1])
    tilted = SlicePlane.through(volume, middle, [0, np.sin(0.05), np.cos(0.05)])
    assert straight.axis == "k"
    assert tilted.axis is None
    for column in (0, 1):
        a, b = straight.grid_to_ras[:3, column], tilted.grid_to_ras[:3, column]
        assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.998


def test_fields_of_view(host):
    volume = STRAIGHT.node()
    whole = SlicePlane.from_volume(volume, "k", 6)
    assert np.allclose(np.linalg.norm(whole.grid_to_ras[:3, :2], axis=0) * 128, 22 * 0.8)
    fixed = SlicePlane.from_volume(volume, "k", 6, ImageSettings(field_of_view="fixed", fov_mm=40.0))
    assert np.allclose(np.linalg.norm(fixed.grid_to_ras[:3, :2], axis=0) * 128, 40)
    assert np.allclose(fixed.to_ras(63.5, 63.5), whole.to_ras(63.5, 63.5))
    center = tuple((STRAIGHT.to_world @ [5, 6, 6, 1])[:3])
    how = ImageSettings(field_of_view="roi", roi=(center, (3.0, 5.0, 4.0)))
    roi = SlicePlane.from_volume(volume, "k", 6, how)
    assert np.allclose(np.linalg.norm(roi.grid_to_ras[:3, :2], axis=0) * 128, 5)
    assert np.allclose(roi.to_ras(63.5, 63.5), center)
    assert np.allclose(roi.to_grid(center), (63.5, 63.5, 0), atol=1e-9)
    assert roi.sample(volume, how).max() == 1
    with pytest.raises(PromptError):
        roi.rasterize([Point(tuple((STRAIGHT.to_world @ [20, 18, 6, 1])[:3]))], require=True)
    far = ImageSettings(field_of_view="roi", roi=((999.0, 0, 0), (3.0, 5.0, 4.0)))
    with pytest.raises(VolumeError, match="does not meet"):
        SlicePlane.from_volume(volume, "k", 6, far).sample(volume, far)


def test_what_goes_onto_the_grid_comes_back(host):
    """sample and paste are inverse up to interpolation: a volume read slice by slice and pasted again is the same mask."""
    mask = np.zeros(STRAIGHT.array.shape, np.float32)
    mask[3:9, 5:15, 4:17] = 1
    volume = VolumeCase(mask, STRAIGHT.ijk_to_ras).node()
    for axis, count in zip("ijk", mask.shape[::-1], strict=True):
        together = np.zeros(mask.shape, np.uint8)
        for index in range(count):
            plane = SlicePlane.from_volume(volume, axis, index)
            together |= plane.paste(plane.sample(volume, ImageSettings(scaling="window", window=(0, 1))), volume).to_array()
        assert np.array_equal(together, mask)


def test_planes_survive_json(host):
    volume = CASE.node()
    for plane in (SlicePlane.from_volume(volume, "j", 3), SlicePlane.through(volume, CASE.centers()[7, 10, 10], (1, 2, 3))):
        again = SlicePlane.from_json(json.loads(json.dumps(plane.to_json())))
        assert again == plane
        assert hash(again) == hash(plane)
        assert np.array_equal(again.sample(volume), plane.sample(volume))
    for broken in (None, {}, {"grid_to_ras": [[1]], "thickness_mm": 1}, {"grid_to_ras": np.eye(4).tolist(), "thickness_mm": 0}, []):
        with pytest.raises(VolumeError) as caught:
            SlicePlane.from_json(broken)
        assert "\n" not in str(caught.value)


def test_what_can_not_be_a_plane(host):
    volume = CASE.node("image")
    for axis, index, told in (("k", 14, "no slice 14 along k"), ("k", -1, "no slice -1"), ("x", 0, "slice axis 'x'")):
        with pytest.raises(VolumeError, match=told):
            SlicePlane.from_volume(volume, axis, index)
    for point, normal in (((0, 0), (0, 0, 1)), ((0, 0, 0), (0, 0, 0)), ((np.nan, 0, 0), (0, 0, 1))):
        with pytest.raises(VolumeError, match="three finite"):
            SlicePlane.through(volume, point, normal)
    with pytest.raises(VolumeError, match="128 x 128"):
        SlicePlane.from_volume(volume, "k", 3).paste(np.zeros((64, 64)), volume)
    with pytest.raises(VolumeError, match="No volume"):
        SlicePlane.from_volume(None, "k", 3)
    bent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode")
    volume.SetAndObserveTransformNodeID(bent.GetID())
    with pytest.raises(VolumeError, match="harden"):
        SlicePlane.from_volume(volume, "k", 3)


def test_a_volume_of_one_slice(host):
    flat = VolumeCase(CASE.array[:1], STRAIGHT.ijk_to_ras)
    volume = flat.node()
    plane = SlicePlane.from_volume(volume, "k", 0)
    assert plane.sample(volume).max() == 1
    assert plane.paste(np.ones((128, 128)), volume).to_array().all()
    across = SlicePlane.from_volume(volume, "i", 4)
    assert across.sample(volume).max() == 1

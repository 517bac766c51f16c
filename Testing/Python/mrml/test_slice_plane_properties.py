"""Random volumes and planes: what is true for every one of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from MultiverSegLib.core.errors import VolumeError
from MultiverSegLib.core.prompts import NEGATIVE, POSITIVE, Point
from MultiverSegLib.mrml.segments import add_segment, get_segment, new_segmentation, set_segment, write_plane
from MultiverSegLib.mrml.slice_plane import SlicePlane, planes_of
from volume_cases import ORDERS, VolumeCase, planes_through, reordered, volume_cases

EPS = 1e-5


def many(examples: int):
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


@pytest.fixture
def scene(host):
    return host.scene


def in_plane_position(plane: SlicePlane, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions in mm along columns and rows from the grid's centre [..., 2], and distances from the plane [...]; written out from the definition."""
    matrix = plane.grid_to_ras
    center = matrix[:3, 3] + 63.5 * (matrix[:3, 0] + matrix[:3, 1])
    col, row = (matrix[:3, n] / np.linalg.norm(matrix[:3, n]) for n in (0, 1))
    offset = points - center
    return np.stack([offset @ col, offset @ row], axis=-1), offset @ matrix[:3, 2]


def half_voxel(case: VolumeCase, plane: SlicePlane) -> float:
    """Half the diagonal, in mm, of a voxel's shadow on the plane."""
    steps = case.to_world[:3, :3].T
    flat = steps - np.outer(steps @ plane.grid_to_ras[:3, 2], plane.grid_to_ras[:3, 2])
    lengths = np.sort(np.linalg.norm(flat, axis=1))
    return float(np.hypot(lengths[1], lengths[2]) / 2)


def disc(plane: SlicePlane, center: np.ndarray, radius: float, softness: float) -> np.ndarray:
    """A probability on the grid that is 0.5 exactly on a circle of ``radius`` mm around ``center`` (mm from the grid's centre)."""
    step = np.linalg.norm(plane.grid_to_ras[:3, 0])
    col, row = np.meshgrid((np.arange(128) - 63.5) * step, (np.arange(128) - 63.5) * step)
    distance = np.hypot(col - center[0], row - center[1])
    return np.clip(0.5 + (radius - distance) / (2 * softness), 0, 1).astype(np.float32)


@many(150)
@given(data=st.data(), case=volume_cases())
def test_a_painted_shape_comes_back_where_it_was(scene, data, case):
    scene.Clear(0)
    volume = case.node()
    plane = SlicePlane.through(volume, *data.draw(planes_through(case))[:2])
    step = np.linalg.norm(plane.grid_to_ras[:3, 0])
    half = half_voxel(case, plane)
    radius = data.draw(st.floats(0.1, 0.45)) * 128 * step
    center = np.array([data.draw(st.floats(-0.3, 0.3)) * 128 * step for _ in range(2)])
    segmentation = new_segmentation(volume)
    segment_id = add_segment(segmentation, "shape")
    write_plane(segmentation, segment_id, volume, plane.paste(disc(plane, center, radius, max(half, step)), volume))
    mask = get_segment(segmentation, segment_id, volume).astype(bool)

    position, distance = in_plane_position(plane, case.centers())
    beyond = np.linalg.norm(position - center, axis=-1) - radius
    assert not mask[np.abs(distance) > plane.thickness_mm / 2 + EPS].any()
    assert not mask[beyond > half + EPS].any()
    on_plane = np.abs(distance) < plane.thickness_mm / 2 * (1 - EPS)
    view = np.abs(position).max(axis=-1) <= 64 * step - EPS
    assert mask[on_plane & view & (beyond < -half - EPS)].all()

    covered = plane.sample_segment(segmentation, segment_id) >= 0.5
    col, row = np.meshgrid((np.arange(128) - 63.5) * step, (np.arange(128) - 63.5) * step)
    grid_beyond = np.hypot(col - center[0], row - center[1]) - radius
    inside_volume = plane.sample_segment(*_full_segment(volume)) > 0.999
    back_tolerance = 2 * half + step  # there and back
    assert not covered[grid_beyond > back_tolerance].any()
    assert covered[inside_volume & (grid_beyond < -back_tolerance)].all()


def _full_segment(volume):
    segmentation = new_segmentation(volume)
    segment_id = add_segment(segmentation, "everything")
    set_segment(segmentation, segment_id, volume, np.ones(volume.GetImageData().GetDimensions()[::-1], np.uint8))
    return segmentation, segment_id


@many(80)
@given(data=st.data(), case=volume_cases())
def test_a_voxel_takes_the_probability_at_its_own_centre(scene, data, case):
    """Seen along the plane's normal; bilinear interpolation gives a linear probability exactly, so this has no tolerance."""
    scene.Clear(0)
    volume = case.node()
    plane = SlicePlane.through(volume, *data.draw(planes_through(case))[:2])
    slope = np.array([data.draw(st.floats(-1, 1)) for _ in range(2)])
    step = np.linalg.norm(plane.grid_to_ras[:3, 0])
    col, row = np.meshgrid((np.arange(128) - 63.5) * step, (np.arange(128) - 63.5) * step)
    offset = data.draw(st.floats(-0.3, 0.3)) * 64 * step
    got = plane.paste(0.5 + (slope[0] * col + slope[1] * row + offset) / (400 * step), volume).to_array().astype(bool)
    position, distance = in_plane_position(plane, case.centers())
    value = position @ slope + offset
    margin = half_voxel(case, plane) + step  # nearer to the grid's edge than this a voxel's average is cut off
    sure = (
        (np.abs(distance) < plane.thickness_mm / 2 - EPS)
        & (np.abs(position).max(axis=-1) < 64 * step - margin)
        & (np.abs(value) > 1e-3 * step)
    )
    assert np.array_equal(got[sure], value[sure] > 0)
    assert not got[np.abs(distance) > plane.thickness_mm / 2 + EPS].any()


@many(120)
@given(data=st.data(), case=volume_cases())
def test_a_single_voxel_survives_as_stroke_and_as_click(scene, data, case):
    scene.Clear(0)
    volume = case.node()
    plane = SlicePlane.through(volume, *data.draw(planes_through(case))[:2])
    pasted = plane.paste(np.ones((128, 128)), volume)
    rows, cols = np.nonzero(pasted.mask)
    chosen = data.draw(st.integers(0, len(rows) - 1))
    i, j, k = pasted.sheet.positions(rows[[chosen]], cols[[chosen]])[0]
    stroke = np.zeros(case.array.shape, np.uint8)
    stroke[k, j, i] = 1
    segmentation = new_segmentation(volume)
    segment_id = add_segment(segmentation, "stroke")
    set_segment(segmentation, segment_id, volume, stroke)
    painted = plane.rasterize_segment(segmentation, segment_id)
    assert painted.any()
    center = case.centers()[k, j, i]
    row, col, distance = plane.to_grid(center)
    assert abs(distance) <= plane.thickness_mm / 2 + EPS
    set_rows, set_cols = np.nonzero(painted)
    step = np.linalg.norm(plane.grid_to_ras[:3, 0])
    reach = half_voxel(case, plane) / step * (1 if plane.axis else 2) + 0.75
    assert np.hypot(set_rows - row, set_cols - col).max() <= reach
    if -0.5 < row < 127.5 and -0.5 < col < 127.5:
        for positive, channel in ((True, POSITIVE), (False, NEGATIVE)):
            channels = plane.rasterize([Point(tuple(center), positive)], require=True)
            assert channels[channel].sum() == channels.sum() == 1
            (set_row,), (set_col,) = np.nonzero(channels[channel])
            assert max(abs(set_row - row), abs(set_col - col)) <= 0.5 + EPS


@many(100)
@given(data=st.data(), case=volume_cases(), mode=st.sampled_from(["replace", "add", "remove"]))
def test_nothing_outside_of_the_plane_changes_and_undo_restores(scene, data, case, mode):
    scene.Clear(0)
    volume = case.node()
    plane = SlicePlane.through(volume, *data.draw(planes_through(case))[:2])
    before = (case.array > 500).astype(np.uint8)
    segmentation = new_segmentation(volume)
    segment_id = add_segment(segmentation, "segment")
    set_segment(segmentation, segment_id, volume, before)
    probability = np.random.default_rng(data.draw(st.integers(0, 999))).random((128, 128))
    edit = write_plane(segmentation, segment_id, volume, plane.paste(probability, volume), mode)
    after = get_segment(segmentation, segment_id, volume)
    _, distance = in_plane_position(plane, case.centers())
    assert np.array_equal(after[np.abs(distance) > plane.thickness_mm / 2 + EPS], before[np.abs(distance) > plane.thickness_mm / 2 + EPS])
    if mode == "add":
        assert (after >= before).all()
    if mode == "remove":
        assert (after <= before).all()
    edit.undo()
    assert np.array_equal(get_segment(segmentation, segment_id, volume), before)
    edit.redo()
    assert np.array_equal(get_segment(segmentation, segment_id, volume), after)


@many(60)
@given(data=st.data(), case=volume_cases())
def test_volume_and_slice_path_agree(scene, data, case):
    scene.Clear(0)
    volume = case.node()
    axis = data.draw(st.sampled_from("ijk"))
    planes = planes_of(volume, axis)
    assert len(planes) == case.array.shape[2 - "ijk".index(axis)]
    index = data.draw(st.integers(0, len(planes) - 1))
    middle = (np.array(case.array.shape[::-1]) - 1) / 2
    middle["ijk".index(axis)] = index + data.draw(st.floats(-0.45, 0.45))
    point = case.to_world[:3, :3] @ middle + case.to_world[:3, 3]
    normal = np.linalg.inv(case.to_world)["ijk".index(axis), :3] * data.draw(st.sampled_from([-1, 1]))
    viewed = SlicePlane.through(volume, point, normal)
    assert viewed == planes[index] == SlicePlane.from_volume(volume, axis, index)
    assert np.array_equal(viewed.sample(volume), planes[index].sample(volume))
    taken = case.array.take(index, axis=2 - "ijk".index(axis))
    image, inside = planes[index].sample(volume), planes[index].paste(np.ones((128, 128)), volume)
    assert inside.to_array().sum() == inside.to_array().take(index, axis=2 - "ijk".index(axis)).sum() == taken.size
    if taken.min() < taken.max():
        assert image.min() == 0 and image.max() > 0


@many(60)
@given(data=st.data(), case=volume_cases())
def test_planes_outside_of_the_volume_are_refused(scene, data, case):
    scene.Clear(0)
    volume = case.node()
    _, normal, _ = data.draw(planes_through(case))
    heights = case.centers() @ normal
    reach = np.abs(case.to_world[:3, :3].T @ normal).sum()
    outside = normal * (heights.max() + reach * data.draw(st.floats(0.55, 30)))
    with pytest.raises(VolumeError, match="does not meet the volume"):
        SlicePlane.through(volume, outside, normal)
    inside = SlicePlane.through(volume, normal * heights.mean(), normal)
    moved = SlicePlane(
        np.array(inside.grid_to_ras) + np.outer(np.append(normal, 0) * 2 * (heights.max() - heights.min() + reach), [0, 0, 0, 1]), 1.0
    )
    with pytest.raises(VolumeError, match="does not meet the volume"):
        moved.sample(volume)
    segmentation = new_segmentation(volume)
    segment_id = add_segment(segmentation, "segment")
    assert write_plane(segmentation, segment_id, volume, moved.paste(np.ones((128, 128)), volume)).changed == 0


@many(16)
@given(data=st.data(), case=volume_cases(with_transform=False, size=(3, 9)))
def test_all_48_ways_to_store_one_anatomy_give_one_grid_image(scene, data, case):
    """Tolerance 1e-4 of the intensity range: the sums run in another order."""
    point, normal, _ = data.draw(planes_through(case))
    assume(len(np.unique(case.array)) > 5)
    reference = reference_plane = None
    for order, flips in ORDERS:
        scene.Clear(0)
        stored = reordered(case, order, flips)
        volume = stored.node()
        plane = SlicePlane.through(volume, point, normal)
        image = plane.sample(volume)
        segmentation = new_segmentation(volume)
        segment_id = add_segment(segmentation, "bright")
        set_segment(segmentation, segment_id, volume, stored.array > 500)
        mask, painted = plane.sample_segment(segmentation, segment_id), plane.rasterize_segment(segmentation, segment_id)
        if reference is None:
            reference, reference_plane = (image, mask, painted), plane
        assert np.allclose(plane.grid_to_ras, reference_plane.grid_to_ras, atol=1e-6)
        assert np.allclose(image, reference[0], atol=1e-4)
        assert np.allclose(mask, reference[1], atol=1e-4)
        assert np.abs(painted - reference[2]).mean() < 1e-3  # a pixel centre on the border of two voxels may go to either


def test_rows_and_columns_follow_the_patient(scene):
    """A bright corner at left, posterior, inferior appears where a radiologist expects it, for every way to store the volume."""
    array = np.zeros((9, 10, 11), np.int16)  # i to R, j to A, k to S
    array[:3, :3, :3] = 1000
    base = VolumeCase(array, np.diag([2.0, 2.0, 2.0, 1.0]))
    for order, flips in ORDERS:
        scene.Clear(0)
        volume = reordered(base, order, flips).node()
        corner = np.array([2.0, 2.0, 2.0])
        axial, coronal, sagittal = (SlicePlane.through(volume, corner, normal).sample(volume) for normal in np.eye(3)[::-1])
        for image, (rows, cols) in ((axial, (slice(90, 110), slice(95, 120))), (coronal, (slice(90, 110), slice(95, 120)))):
            assert image[rows, cols].mean() > 0.9
            assert image[:60, :60].max() == 0
        assert sagittal[90:110, 95:110].mean() > 0.9  # columns to P, rows to I
        assert sagittal[:60, :60].max() == 0

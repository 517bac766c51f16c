"""Volume grids: what is true for every volume, and fields of view, prompts and errors."""

from __future__ import annotations

import json

import numpy as np
import pytest
from MultiverSegLib.core.errors import PromptError, VolumeError
from MultiverSegLib.core.imaging import ImageSettings
from MultiverSegLib.core.prompts import BOX, NEGATIVE, POSITIVE, Box, Point, Scribble
from MultiverSegLib.core.volume_encoding import soft_ball
from MultiverSegLib.mrml.plain_volume import PlainVolume
from MultiverSegLib.mrml.segments import add_segment, new_segmentation, set_segment
from MultiverSegLib.mrml.volume_grid import VolumeGrid, patient_axes
from volume_cases import ORDERS, VolumeCase, reordered, rotation

SIZE = 20
WINDOW = ImageSettings(scaling="window", window=(-1e5, 1e5))


def random_case(random: np.random.Generator) -> VolumeCase:
    """An oblique, anisotropic, left- or right-handed volume."""
    order, flips = ORDERS[random.integers(48)]
    turned = rotation(random.normal(size=3), random.uniform(-180, 180) if random.random() < 0.7 else random.choice([0, 3, 45, 90]))
    matrix = np.eye(4)
    matrix[:3, :3] = turned[:, list(order)] * np.where(flips, -1.0, 1.0) * random.choice([0.4, 0.7, 1.0, 2.5, 5.0], 3)
    matrix[:3, 3] = random.uniform(-200, 200, 3)
    return VolumeCase(random.integers(-1000, 2000, random.integers(3, 11, 3)).astype(np.int16), matrix)


#: Ten times fifty geometries.
many = pytest.mark.parametrize("seed", range(10))
EACH = 50


def plain(case: VolumeCase, array: np.ndarray | None = None) -> PlainVolume:
    return PlainVolume(case.array if array is None else array, case.to_world, "volume")


def centers(grid: VolumeGrid) -> np.ndarray:
    """World RAS of every cell centre [n, n, n, 3], written out from the definition."""
    return np.stack(np.indices(grid.shape), axis=-1) @ grid.grid_to_ras[:3, :3].T + grid.grid_to_ras[:3, 3]


def half_voxel(case: VolumeCase) -> float:
    """Half the diagonal of a voxel in mm."""
    return float(np.linalg.norm(np.linalg.norm(case.to_world[:3, :3], axis=0)) / 2)


@many
def test_a_cube_holds_the_whole_volume_along_its_own_axes(seed):
    random = np.random.default_rng(seed)
    for _ in range(EACH):
        case = random_case(random)
        grid = VolumeGrid.from_volume(plain(case), size=SIZE)
        steps = grid.grid_to_ras[:3, :3] / grid.cell_mm
        assert np.allclose(steps.T @ steps, np.eye(3), atol=1e-9) and np.linalg.det(steps) > 0
        own = case.to_world[:3, :3] / np.linalg.norm(case.to_world[:3, :3], axis=0)
        assert np.allclose(np.abs(own.T @ steps).max(axis=0), 1, atol=1e-9)
        inside = np.linalg.solve(grid.grid_to_ras, np.append(case.centers().reshape(-1, 3).T, np.ones((1, case.array.size)), axis=0))[:3]
        assert inside.min() >= -0.5 and inside.max() <= SIZE - 0.5
        assert np.allclose((grid.grid_to_ras @ np.append(np.full(3, (SIZE - 1) / 2), 1))[:3], case.centers().reshape(-1, 3).mean(axis=0))


@many
def test_cells_and_voxels_take_the_value_at_their_own_centre(seed):
    """Linear interpolation gives a linear field exactly, so there and back this has no tolerance but that of float32."""
    random = np.random.default_rng(100 + seed)
    for _ in range(EACH):
        case, slope = random_case(random), random.uniform(-3, 3, 3)
        volume = plain(case, case.centers() @ slope + 17)
        grid = VolumeGrid.from_volume(volume, size=SIZE)
        image = grid.sample(volume, WINDOW).astype(np.float64) * 2e5 - 1e5
        mapping = np.linalg.solve(case.to_world, grid.grid_to_ras)[:3]
        index = np.stack(np.indices(grid.shape), axis=-1) @ mapping[:, :3].T + mapping[:, 3]
        margin = np.abs(mapping[:, :3]).sum(axis=1)
        inner = ((index >= margin) & (index <= np.array(case.array.shape[::-1]) - 1 - margin)).all(axis=-1)
        assert np.allclose(image[inner], (centers(grid) @ slope + 17)[inner], atol=0.05)

        middle = centers(grid).reshape(-1, 3).mean(axis=0)
        offset = random.uniform(-0.3, 0.3) * SIZE / 2 * grid.cell_mm
        got = grid.paste(0.5 + ((centers(grid) - middle) @ slope + offset) / (400 * grid.cell_mm), volume).mask
        value = (case.centers() - middle) @ slope + offset
        where = np.abs((case.centers() - middle) @ (grid.grid_to_ras[:3, :3] / grid.cell_mm)).max(axis=-1)
        reach = np.linalg.norm(case.to_world[:3, :3], axis=0).max() / 2 + grid.cell_mm
        sure = (where < SIZE / 2 * grid.cell_mm - reach) & (np.abs(value) > 3e-3 * grid.cell_mm)
        assert np.array_equal(got[sure], value[sure] > 0)


@many
def test_a_painted_ball_comes_back_where_it_was(seed):
    """Within half a voxel, and what interpolation between cells rounds off."""
    random = np.random.default_rng(200 + seed)
    for _ in range(EACH):
        case = random_case(random)
        volume = plain(case)
        grid = VolumeGrid.from_volume(volume, size=SIZE)
        step, half = grid.cell_mm, half_voxel(case)
        radius = random.uniform(0.15, 0.4) * SIZE * step
        center = random.uniform(-0.25, 0.25, 3) * SIZE * step + centers(grid).reshape(-1, 3).mean(axis=0)
        beyond = np.linalg.norm(centers(grid) - center, axis=-1) - radius
        mask = grid.paste(np.clip(0.5 - beyond / (2 * max(half, step)), 0, 1), volume).mask
        there = np.linalg.norm(case.centers() - center, axis=-1) - radius
        assert not mask[there > half + step].any()
        assert mask[there < -half - step].all()
        back = grid.sample_mask(mask, case.to_world) >= 0.5
        covered = grid.sample_mask(np.ones(mask.shape, bool), case.to_world) > 0.999
        assert not back[beyond > 2 * half + 2 * step].any()
        assert back[covered & (beyond < -2 * half - 2 * step)].all()


@many
def test_a_single_voxel_survives_as_stroke_and_as_click(seed):
    random = np.random.default_rng(300 + seed)
    for _ in range(EACH // 5):
        case = random_case(random)
        grid = VolumeGrid.from_volume(plain(case), size=SIZE)
        k, j, i = (random.integers(0, n) for n in case.array.shape)
        stroke = np.zeros(case.array.shape, bool)
        stroke[k, j, i] = True
        painted, where = np.argwhere(grid.pool_mask(stroke, case.to_world)), np.array(grid.to_grid(case.centers()[k, j, i]))
        assert len(painted)
        assert np.linalg.norm(painted - where, axis=1).max() <= half_voxel(case) / grid.cell_mm + 0.9
        for positive, channel in ((True, POSITIVE), (False, NEGATIVE)):
            channels = grid.rasterize([Point(tuple(case.centers()[k, j, i]), positive)], require=True)
            (peak,) = np.argwhere(channels[channel] == 1)
            assert np.abs(peak - where).max() <= 0.5 + 1e-6
            assert not channels[BOX].any() and not channels[POSITIVE + NEGATIVE - channel].any()


def test_all_48_ways_to_store_one_anatomy_give_one_cube():
    """Tolerance 1e-5 of the intensity range: the sums run in another order."""
    random = np.random.default_rng(1)
    for degrees in (0, 8, 33):
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = rotation([1, 2, 3], degrees) * [0.8, 1.1, 3.0], [5, -7, 30]
        case = VolumeCase(random.integers(-1000, 2000, (5, 8, 9)).astype(np.int16), matrix)
        stored = [plain(reordered(case, order, flips)) for order, flips in ORDERS]
        grids = [VolumeGrid.from_volume(volume, size=SIZE) for volume in stored]
        images = [grid.sample(volume) for grid, volume in zip(grids, stored, strict=True)]
        masks = [grid.sample_mask(v.array > 500, v.ijk_to_ras) for grid, v in zip(grids, stored, strict=True)]
        pooled = [grid.pool_mask(v.array > 500, v.ijk_to_ras) for grid, v in zip(grids, stored, strict=True)]
        for n in range(48):
            assert np.allclose(grids[n].grid_to_ras, grids[0].grid_to_ras, atol=1e-6)
            assert np.allclose(images[n], images[0], atol=1e-5) and np.allclose(masks[n], masks[0], atol=1e-5)
            assert np.abs(pooled[n] - pooled[0]).mean() < 0.02  # a centre on the border of two voxels may go to either


def test_axes_follow_the_patient():
    for order, flips in ORDERS:
        directions = np.eye(3)[:, list(order)] * np.where(flips, -1.0, 1.0)
        assert np.allclose(patient_axes(directions), np.diag([-1, -1, 1]))
    turned = rotation([0.2, 1, 0.4], 20)
    assert np.allclose(patient_axes(turned), turned * [-1, -1, 1])


def test_nodes_and_segments_are_read_like_arrays(host):
    """A volume under a transform, and a segment of it, as MRML holds them."""
    random = np.random.default_rng(3)
    turn = np.eye(4)
    turn[:3, :3], turn[:3, 3] = rotation([1, 0, 0.3], 25), [3, 4, 5]
    case = VolumeCase(random.integers(0, 900, (6, 7, 8)).astype(np.int16), np.diag([-0.9, 0.9, 2.0, 1.0]), turn)
    volume = case.node()
    grid = VolumeGrid.from_volume(volume, size=SIZE)
    assert np.allclose(grid.grid_to_ras, VolumeGrid.from_volume(plain(case), size=SIZE).grid_to_ras)
    assert np.allclose(grid.sample(volume), grid.sample(plain(case)), atol=1e-6)
    mask = case.array > 600
    segmentation = new_segmentation(volume)
    segment_id = add_segment(segmentation, "bright")
    assert not grid.sample_segment(segmentation, segment_id).any() and not grid.rasterize_segment(segmentation, segment_id).any()
    set_segment(segmentation, segment_id, volume, mask.astype(np.uint8))
    assert np.allclose(grid.sample_segment(segmentation, segment_id), grid.sample_mask(mask, case.to_world), atol=1e-5)
    assert np.array_equal(grid.rasterize_segment(segmentation, segment_id), grid.pool_mask(mask, case.to_world))
    assert grid.paste(np.ones(grid.shape), volume).to_array().all()


STRAIGHT = PlainVolume(np.arange(4000, dtype=np.int16).reshape(10, 20, 20), np.diag([-1.0, -1.0, 2.0, 1.0]), "straight")


def test_fields_of_view():
    whole = VolumeGrid.from_volume(STRAIGHT, size=SIZE)
    assert np.isclose(whole.cell_mm, 1.0)
    fixed = VolumeGrid.from_volume(STRAIGHT, ImageSettings(field_of_view="fixed", fov_mm=40.0), SIZE)
    assert np.isclose(fixed.cell_mm, 2.0) and np.allclose(fixed.to_ras([9.5] * 3), whole.to_ras([9.5] * 3))
    image = fixed.sample(STRAIGHT)
    assert not image[:5].any() and image[5:15, 5:15, 5:15].any()  # padding is the darkest value
    center = tuple(np.diag([-1.0, -1.0, 2.0]) @ [4, 5, 6])
    how = ImageSettings(field_of_view="roi", roi=(center, (3.0, 5.0, 4.0)))
    roi = VolumeGrid.from_volume(STRAIGHT, how, SIZE)
    assert np.isclose(roi.cell_mm, 5 / SIZE) and np.allclose(roi.to_grid(center), [9.5] * 3)
    assert roi.sample(STRAIGHT, how).max() == 1 and roi.paste(np.ones(roi.shape), STRAIGHT).mask.sum() == 5 * 5 * 3
    far = ImageSettings(field_of_view="roi", roi=((999.0, 0, 0), (3.0, 5.0, 4.0)))
    with pytest.raises(VolumeError, match="does not meet"):
        VolumeGrid.from_volume(STRAIGHT, far, SIZE).sample(STRAIGHT, far)
    with pytest.raises(VolumeError, match="give the ROI a size"):
        VolumeGrid.from_volume(STRAIGHT, ImageSettings(field_of_view="roi", roi=((0, 0, 0), (0, 0, 0))), SIZE)


def at(*cell: float) -> tuple[float, float, float]:
    return VolumeGrid.from_volume(STRAIGHT, size=SIZE).to_ras(cell)


def test_prompts_on_the_grid():
    grid = VolumeGrid.from_volume(STRAIGHT, size=SIZE)
    ball = grid.rasterize([Point(at(10, 10, 10)), Point(at(10, 10, 10))])[POSITIVE]
    assert np.array_equal(ball[4:17, 4:17, 4:17], soft_ball()) and np.isclose(ball.sum(), soft_ball().sum())
    box = grid.rasterize([Box(at(8, 9, 10), (4.0, 6.0, 2.0))])[BOX]
    assert np.array_equal(np.argwhere(box).min(axis=0), [6, 6, 9]) and np.array_equal(np.argwhere(box).max(axis=0), [10, 12, 11])
    flat = grid.rasterize([Box(at(8, 9, 10), (4.0, 6.0, 0.0))])[BOX]
    assert np.array_equal(np.argwhere(flat).min(axis=0), [6, 6, 9]) and np.array_equal(np.argwhere(flat).max(axis=0), [10, 12, 11])
    turned = tuple(map(tuple, rotation([0, 0, 1], 45)))
    oblique = grid.rasterize([Box(at(10, 10, 10), (8.0, 8.0, 0.0), turned)])[BOX]
    assert oblique[10, 15, 10] and oblique[10, 10, [9, 10, 11]].all() and not oblique[13, 13, 10] and not oblique[10, 10, 12]
    line = grid.rasterize([Scribble((at(2, 3, 4), at(12, 3, 4)), False)])[NEGATIVE]
    assert line.sum() == 11 and line[2:13, 3, 4].all()
    thick = grid.rasterize([Scribble((at(5, 5, 5), at(12, 5, 5)), True, 4.0)])[POSITIVE]
    assert thick[8, 7, 5] and not thick[8, 8, 5] and thick[3, 5, 5] and not thick[2, 5, 5]
    ring = (at(5, 5, 7), at(12, 5, 7), at(12, 12, 7), at(5, 12, 7))
    filled = grid.rasterize([Scribble(ring, True, 0.0, True)])[POSITIVE]
    assert filled[5:13, 5:13, 7].all() and filled.sum() == 64
    assert grid.holds(Point(at(19, 0, 0))) and not grid.holds(Point(at(21, 0, 0)))
    with pytest.raises(PromptError, match="field of view"):
        grid.rasterize([Point(at(40, 0, 0)), Box(at(0, 0, 99), (1, 1, 1))], require=True)
    assert not grid.rasterize([]).any()


def test_values_that_are_not_finite_are_left_out():
    array = STRAIGHT.array.astype(float)
    array[0, 0, 0] = np.nan
    array[5] = np.inf
    image = VolumeGrid.from_volume(STRAIGHT, size=SIZE).sample(PlainVolume(array, STRAIGHT.ijk_to_ras, "x"))
    assert np.isfinite(image).all() and image.max() == 1
    nothing = PlainVolume(np.full((3, 3, 3), np.nan), np.eye(4), "x")
    assert not VolumeGrid.from_volume(nothing, size=4).sample(nothing).any()


def test_a_sheared_volume_too():
    shear = np.array([[1, 0.4, 0.1, 3], [0, 1.2, 0.3, 4], [0, 0, 1, 5], [0, 0, 0, 1.0]])
    case = VolumeCase(np.zeros((9, 10, 11)), shear)
    volume = plain(case, case.centers() @ [1.0, -2, 0.5])
    grid = VolumeGrid.from_volume(volume, size=SIZE)
    image = grid.sample(volume, WINDOW).astype(np.float64) * 2e5 - 1e5
    mapping = np.linalg.solve(case.to_world, grid.grid_to_ras)[:3]
    index = np.stack(np.indices(grid.shape), axis=-1) @ mapping[:, :3].T + mapping[:, 3]
    inner = ((index > 1) & (index < np.array([9, 8, 7]))).all(axis=-1)
    assert inner.sum() > 300 and np.allclose(image[inner], (centers(grid) @ [1.0, -2, 0.5])[inner], atol=0.05)
    assert grid.paste(np.ones(grid.shape), volume).mask.all()


def test_grids_survive_json_and_bad_input_is_refused():
    grid = VolumeGrid.from_volume(STRAIGHT, size=SIZE)
    again = VolumeGrid.from_json(json.loads(json.dumps(grid.to_json())))
    assert again == grid and hash(again) == hash(grid)
    for broken in (None, {}, {"grid_to_ras": [[1]], "size": 3}, {"grid_to_ras": np.eye(4).tolist(), "size": 0}, []):
        with pytest.raises(VolumeError) as caught:
            VolumeGrid.from_json(broken)
        assert "\n" not in str(caught.value)
    with pytest.raises(VolumeError, match="20 cells along each side"):
        grid.paste(np.zeros((8, 8, 8)), STRAIGHT)
    with pytest.raises(VolumeError, match="No volume"):
        VolumeGrid.from_volume(None)

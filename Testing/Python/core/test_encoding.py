"""Prompts on the grid against brute-force geometry, pixel by pixel."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from MultiverSegLib.core.encoding import average_mask, encode_prompts, pool_mask
from MultiverSegLib.core.errors import PromptError
from MultiverSegLib.core.prompts import BOX, NEGATIVE, POSITIVE, Box, Point, Prompts, Scribble

STEP = 2.0
# columns run to L, rows to P, as on an axial slice at S = 50
GRID = np.array([[-STEP, 0, 0, 100.0], [0, -STEP, 0, 120.0], [0, 0, 1, 50.0], [0, 0, 0, 1]])
THICK = 3.0


def ras(col: float, row: float, z: float = 0.0) -> tuple[float, float, float]:
    return (100 - STEP * col, 120 - STEP * row, 50 + z)


def encode(*prompts, **options) -> np.ndarray:
    return encode_prompts(Prompts(prompts), GRID, THICK, **options)


def test_a_click_is_one_pixel_in_the_channel_of_its_sign():
    channels = encode(Point(ras(30, 40)), Point(ras(10.4, 99.6), positive=False))
    assert channels.shape == (3, 128, 128)
    assert channels.dtype == np.float32
    assert np.argwhere(channels).tolist() == [[POSITIVE, 40, 30], [NEGATIVE, 100, 10]]


@pytest.mark.parametrize("z, seen", [(0, True), (1.5, True), (-1.5, True), (1.51, False), (-20, False)])
def test_only_prompts_within_half_the_thickness_count(z, seen):
    for prompt in (
        Point(ras(5, 6, z)),
        Scribble((ras(5, 6, z), ras(9, 6, z))),
        Scribble((ras(5, 6, z), ras(9, 6, z), ras(9, 9, z)), filled=True),
    ):
        assert encode(prompt).any() == seen


def test_prompts_outside_of_the_field_of_view_do_not_count_and_edges_do():
    assert not encode(Point(ras(-0.6, 5)), Point(ras(5, 127.6)), Scribble((ras(-20, -20), ras(-10, 150)), width=3.0)).any()
    assert np.argwhere(encode(Point(ras(-0.5, 127.5)))).tolist() == [[POSITIVE, 127, 0]]


def test_require_raises_one_line_if_nothing_is_there():
    with pytest.raises(PromptError, match="No prompt lies on this slice"):
        encode(Point(ras(5, 5, 20)), require=True)
    assert encode(Point(ras(5, 5)), require=True).any()
    assert not encode().any()


def test_a_line_leaves_no_gap():
    stroke = encode(Scribble((ras(3, 7), ras(90, 44), ras(20, 100))))[POSITIVE]
    rows, cols = np.nonzero(stroke)
    order = set(zip(rows.tolist(), cols.tolist(), strict=True))
    seen, front = set(), [(7, 3)]
    while front:  # flood fill over 8 neighbours
        row, col = front.pop()
        if (row, col) in order and (row, col) not in seen:
            seen.add((row, col))
            front += [(row + a, col + b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
    assert seen == order
    assert {(7, 3), (44, 90), (100, 20)} <= order


def distance_to_line(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Exact distance of ``points`` [..., 2] from a polyline."""
    best = np.full(points.shape[:-1], np.inf)
    for start, end in itertools.pairwise(corners):
        along = end - start
        part = np.clip(((points - start) @ along) / max(along @ along, 1e-12), 0, 1)
        best = np.minimum(best, np.linalg.norm(points - start - part[..., None] * along, axis=-1))
    return best


pixel = st.tuples(st.floats(-10, 140), st.floats(-10, 140))


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(corners=st.lists(pixel, min_size=2, max_size=5), width=st.sampled_from([0.0, 1.0, 5.0, 12.0, 60.0]))
def test_a_brush_paints_what_is_within_its_radius(corners, width):
    painted = encode(Scribble(tuple(ras(*corner) for corner in corners), positive=False, width=width))[NEGATIVE].astype(bool)
    row, col = np.indices((128, 128))
    distance = distance_to_line(np.stack([col, row], axis=-1).astype(float), np.array(corners))
    radius = width / 2 / STEP
    assert painted[distance <= radius - max(0.05, radius / 60)].all()
    assert not painted[distance > max(radius, np.sqrt(0.5)) + 1e-3].any()


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(corners=st.lists(pixel, min_size=3, max_size=7))
def test_an_outline_is_filled(corners):
    filled = encode(Scribble(tuple(ras(*corner) for corner in corners), filled=True))[POSITIVE].astype(bool)
    polygon = np.array(corners)
    row, col = np.indices((128, 128))
    away = distance_to_line(np.stack([col, row], axis=-1).astype(float), np.concatenate([polygon, polygon[:1]])) > 0.75
    crossings = np.zeros((128, 128), int)  # even-odd rule, ray to the right
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        spans = (y0 <= row) != (y1 <= row)
        at = x0 + (row - y0) / np.where(y1 == y0, 1, y1 - y0) * (x1 - x0)
        crossings += spans & (at > col)
    assert np.array_equal(filled[away], (crossings % 2 == 1)[away])


def test_a_stroke_that_crosses_the_plane_is_drawn_where_it_is_on_it():
    stroke = encode(Scribble((ras(10, 20, -15), ras(110, 20, 15))))[POSITIVE]
    rows, cols = np.nonzero(stroke)
    assert set(rows) == {20}
    assert (cols.min(), cols.max()) == (55, 65)


def test_a_box_is_filled_to_its_edges_and_sees_its_depth():
    box = Box(ras(40, 60), (STEP * 20, STEP * 10, 8.0))
    expected = np.zeros((128, 128))
    expected[55:66, 30:51] = 1
    assert np.array_equal(encode(box)[BOX], expected)
    assert np.array_equal(encode(Box(ras(40, 60, 5.4), box.size))[BOX], expected)
    assert not encode(Box(ras(40, 60, 5.6), box.size)).any()


@pytest.mark.parametrize("size", [(0, 0, 0), (0.1, 0.1, 0.1), (30, 0, 0), (0, 30, 5)])
def test_a_thin_box_never_vanishes(size):
    assert encode(Box(ras(40.5, 60.3), size))[BOX].any()


def test_a_turned_box_matches_its_inside_tested_point_by_point():
    angle = np.deg2rad(30)
    axes = ((np.cos(angle), np.sin(angle), 0), (-np.sin(angle), np.cos(angle), 0), (0, 0, 1))
    box = Box(ras(60, 70), (60.0, 24.0, 10.0), axes)
    row, col = np.indices((128, 128))
    points = np.stack([100 - STEP * col, 120 - STEP * row, np.full(row.shape, 50.0)], axis=-1) - np.array(box.center)
    inside = (np.abs(points @ np.array(axes).T) <= np.array(box.size) / 2 + 1e-6).all(axis=-1)
    assert np.array_equal(encode(box)[BOX], inside)


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("diagonal", [False, True])
def test_thin_strokes_and_single_clicks_survive_pooling(width, diagonal):
    mask = np.zeros((512, 512), np.uint8)
    for n in range(300):
        mask[100 + n, 100 + (n if diagonal else 0) : 100 + (n if diagonal else 0) + width] = 1
    pooled = pool_mask(mask)
    expected = mask.reshape(128, 4, 128, 4).max(axis=(1, 3))
    assert np.array_equal(pooled, expected)
    click = np.zeros((512, 512))
    click[511, 3] = 1
    assert np.argwhere(pool_mask(click)).tolist() == [[127, 0]]


def test_pooling_fills_the_voxels_of_a_coarse_image():
    mask = np.zeros((16, 16))
    mask[4, 9] = 1
    expected = np.zeros((128, 128))
    expected[32:40, 72:80] = 1
    assert np.array_equal(pool_mask(mask), expected)


def test_masks_are_averaged():
    mask = np.random.default_rng(0).random((256, 512)) < 0.5
    expected = np.zeros((128, 128))
    expected[32:96] = mask.reshape(64, 4, 128, 4).mean(axis=(1, 3))
    assert np.allclose(average_mask(mask), expected, atol=1e-6)
    assert average_mask(np.zeros((5, 7))).max() == 0

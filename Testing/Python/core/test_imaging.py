"""Scaling and resampling of slices, with the inputs that break naive versions."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from MultiverSegLib.core.errors import MultiverSegError, VolumeError
from MultiverSegLib.core.grid import GRID_SHAPE, place_grid
from MultiverSegLib.core.imaging import (
    CT_PRESETS,
    ImageSettings,
    image_to_grid,
    looks_like_ct,
    sample_image,
    scale_to_unit,
    suggest_settings,
)
from MultiverSegLib.core.resample import resample
from MultiverSegLib.core.sheet import Sheet

RANDOM = np.random.default_rng(0)


@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(
    hnp.arrays(
        st.sampled_from([np.float64, np.float32, np.int16, np.uint8, np.int64]),
        (5, 6),
    ),
    st.sampled_from([ImageSettings(), ImageSettings.ct("liver"), ImageSettings(scaling="percentiles", percentiles=(5, 90))]),
)
def test_whatever_comes_in_0_to_1_comes_out(array, how):
    with np.errstate(all="raise", under="ignore"):
        unit = scale_to_unit(array, how)
    assert unit.dtype == np.float32
    assert np.isfinite(unit).all()
    assert unit.min() >= 0
    assert unit.max() <= 1


def test_minmax_is_exact_and_large_values_do_not_overflow():
    array = np.array([[65_505.0, 1e6], [0.0, 5e5]])
    assert np.allclose(scale_to_unit(array), [[0.065505, 1], [0, 0.5]])
    huge = np.finfo(np.float64).max
    assert np.allclose(scale_to_unit(np.array([[-huge, 0.0, huge]])), [[0, 0.5, 1]])


def test_hounsfield_steps_stay_apart():
    array = np.arange(-1024, 3072, dtype=np.int16).reshape(64, 64)
    assert len(np.unique(scale_to_unit(array))) == 4096


def test_constant_empty_and_broken_slices_are_zeros():
    assert not scale_to_unit(np.full((4, 4), 7)).any()
    assert not scale_to_unit(np.full((4, 4), np.nan)).any()
    broken = np.array([[np.nan, 1.0], [3.0, np.inf], [-np.inf, 2.0]])
    assert np.allclose(scale_to_unit(broken), [[0, 0], [1, 0], [0, 0.5]])


def test_windows_and_percentiles_clip():
    array = np.array([[-1000.0, -45, 30, 105, 3000]])
    assert np.allclose(scale_to_unit(array, ImageSettings.ct("liver")), [[0, 0, 0.5, 1, 1]])
    outlier = np.append(np.linspace(0, 100, 999), 1e9)[None]
    unit = scale_to_unit(outlier, ImageSettings(scaling="percentiles", percentiles=(0, 99.5)))
    assert abs(unit[0, 500] - 0.5) < 0.02


def test_metal_does_not_brighten_its_neighbours_beyond_the_window():
    array = np.zeros((512, 512))
    array[101, 202] = 30_000  # one of the 16 voxels under a pixel
    image = image_to_grid(array, settings=ImageSettings(scaling="window", window=(0, 100)))
    assert image[25, 50] == pytest.approx(1 / 16)
    assert np.count_nonzero(image) == 1


def test_padding_is_dark_and_does_not_change_the_scaling():
    array = RANDOM.integers(-1000, -200, (64, 128)).astype(np.int16)
    image = image_to_grid(array)
    assert not image[:32].any()
    assert not image[96:].any()
    assert np.allclose(image[32:96], (array - array.min()) / float(np.ptp(array)), atol=1e-5)


def test_anti_aliasing_is_the_mean_of_the_voxels_under_a_pixel():
    array = RANDOM.random((512, 512))
    mean = array.reshape(128, 4, 128, 4).mean(axis=(1, 3))
    expected = (mean - mean.min()) / np.ptp(mean)
    assert np.allclose(image_to_grid(array), expected, atol=1e-5)


def test_a_stripe_pattern_too_fine_for_the_grid_becomes_grey():
    array = np.zeros((1024, 1024))
    array[:, ::2] = 1
    array[0, 0] = 9  # so that the scaling is not of a constant
    assert np.ptp(image_to_grid(array, settings=ImageSettings(scaling="window", window=(0, 1)))[5:]) < 1e-5


def test_physical_size_counts_not_voxels():
    array = RANDOM.random((64, 64))
    image = image_to_grid(array, spacing=(2.0, 1.0))
    assert not image[:, :31].any()
    assert not image[:, 97:].any()
    assert image[:, 40:90].any(axis=0).all()


def test_a_fixed_field_of_view_gives_one_scale():
    small, large = np.zeros((100, 100)), np.zeros((300, 300))
    for array in (small, large):
        middle = array.shape[0] // 2
        array[middle - 10 : middle + 10, middle - 10 : middle + 10] = 1
    how = ImageSettings(field_of_view="fixed", fov_mm=64.0)
    assert np.allclose(image_to_grid(small, settings=how), image_to_grid(large, settings=how))
    assert (image_to_grid(small, settings=how) > 0.5).sum() == 40 * 40


def test_nan_voxels_do_not_darken_their_neighbours():
    array = np.ones((256, 256)) * 5
    array[:, 128:] = 10
    array[10, 10] = np.nan
    array[100:104, 100:104] = np.inf
    image = image_to_grid(array)
    assert np.isfinite(image).all()
    assert image[50:52, 50:52].max() == 0  # wholly without data: padding
    clean = np.ones(GRID_SHAPE, bool)
    clean[50:52, 50:52] = clean[4:7, 4:7] = False
    assert np.allclose(image[:, :64][clean[:, :64]], 0)
    assert np.allclose(image[:, 64:], 1)


def test_an_image_without_any_number_is_zeros_and_a_missed_volume_an_error():
    assert not image_to_grid(np.full((9, 9), np.nan)).any()
    matrix = np.diag([-1.0, -1, 1, 1])
    grid = place_grid(matrix, (9, 9, 9), np.zeros(3), np.array([0, 0, 1.0]))
    grid[2, 3] = 100
    with pytest.raises(VolumeError, match="does not meet"):
        sample_image(np.zeros((9, 9, 9)), Sheet.of(matrix, (9, 9, 9), grid))


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(
    turn=st.sampled_from([0, 90, 180, 270]),
    scale=st.sampled_from([0.3, 1.0, 2.0, 3.7]),
    offset=st.tuples(st.floats(-5, 5), st.floats(-5, 5)),
)
def test_matrix_products_and_gathers_agree(turn, scale, offset):
    """The axis-aligned special case against the general one, which a rotation too small to matter selects."""
    values = RANDOM.random((19, 23))
    straight = np.round([[np.cos(np.deg2rad(turn)), -np.sin(np.deg2rad(turn))], [np.sin(np.deg2rad(turn)), np.cos(np.deg2rad(turn))]])
    corner = [11 if value < 0 else 0 for value in straight.sum(axis=1)]
    mapping = np.column_stack([straight * scale, np.add(corner, offset)])
    general = mapping + np.array([[1e-9, 1e-9, 0], [1e-9, 1e-9, 0]])
    shift = np.zeros((2, 1, 1))
    for valid in (None, RANDOM.random((19, 23)) < 0.8):
        fast, fast_coverage = resample(values, mapping, (12, 14), valid)
        slow, slow_coverage = resample(values, general, (12, 14), valid, shift)
        assert np.allclose(fast_coverage, slow_coverage, atol=1e-6)
        assert np.allclose(fast, slow, atol=1e-6)


def test_resampling_a_plane_of_intensity_is_exact():
    """Linear interpolation reproduces a linear function away from the edges, at any angle."""
    y, x = np.indices((60, 70)).astype(float)
    angle = np.deg2rad(33)
    mapping = np.array([[1.7 * np.cos(angle), -1.7 * np.sin(angle), 30.0], [1.7 * np.sin(angle), 1.7 * np.cos(angle), 12.0]])
    mean, coverage = resample(3 * x - 2 * y + 5, mapping, (15, 16))
    row, col = np.indices((15, 16))
    at = np.tensordot(mapping, np.stack([col, row, np.ones((15, 16))]), axes=1)
    inner = (at > 2).all(axis=0) & (at[0] < 67) & (at[1] < 57)
    assert inner.sum() > 50
    assert np.allclose(mean[inner], (3 * at[0] - 2 * at[1] + 5)[inner])
    assert np.allclose(coverage[inner], 1)


def test_settings_survive_json():
    for how in (
        ImageSettings(),
        ImageSettings.ct("lung"),
        ImageSettings(scaling="percentiles", percentiles=(1, 98), field_of_view="fixed", fov_mm=200.0),
        ImageSettings(field_of_view="roi", roi=((1, 2, 3), (40, 50, 60))),
    ):
        assert ImageSettings.from_json(json.loads(json.dumps(how.to_json()))) == how
    assert set(CT_PRESETS) >= {"abdomen", "lung", "bone"}


@pytest.mark.parametrize(
    "fields",
    [
        {"scaling": "magic"},
        {"scaling": "window"},
        {"scaling": "window", "window": (5, 5)},
        {"scaling": "window", "window": "abc"},
        {"percentiles": (90, 10)},
        {"percentiles": (-1, 50)},
        {"field_of_view": "half"},
        {"field_of_view": "fixed"},
        {"field_of_view": "fixed", "fov_mm": -3},
        {"field_of_view": "roi"},
        {"field_of_view": "roi", "roi": ((0, 0, 0), (1, -1, 1))},
        {"unknown": 1},
    ],
)
def test_bad_settings_are_refused_in_one_line(fields):
    with pytest.raises(MultiverSegError) as caught:
        ImageSettings.from_json(fields)
    assert "\n" not in str(caught.value)


def test_a_ct_is_suggested_a_window_that_holds_its_body():
    ct = np.full((20, 30, 30), -1000, np.int16)
    ct[2:18, 5:25, 5:25] = np.random.default_rng(0).normal(40, 30, (16, 20, 20))
    ct[5:15, 8:22, 8:14] = -850  # lung
    ct[10, 12, 15:20] = 900  # little bone
    settings = suggest_settings(ct)
    assert settings.scaling == "window" and -120 <= settings.window[0] <= -30 and 100 <= settings.window[1] <= 200
    assert looks_like_ct(ct) and ImageSettings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize("array", [np.arange(27, dtype=np.uint8).reshape(3, 3, 3), np.zeros((2, 2, 2)), np.full((2, 2, 2), np.nan)])
def test_other_volumes_are_shown_between_percentiles(array):
    assert not looks_like_ct(array) and suggest_settings(array).scaling == "percentiles"

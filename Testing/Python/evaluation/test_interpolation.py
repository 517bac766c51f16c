"""Filling between slices, on shapes whose fill is known."""

import numpy as np
import pytest
from MultiverSegLib.evaluation.interpolation import fill_by_distance, fill_by_morphology

ROW, COL = np.mgrid[:40, :40]


def disk(radius, row=20, col=20):
    return np.hypot(ROW - row, COL - col) <= radius


def _morphology(slices, count):
    pytest.importorskip("itk", reason="morphological interpolation is an optional package")
    return fill_by_morphology(slices, count)


@pytest.mark.parametrize("fill", [fill_by_distance, pytest.param(_morphology, marks=pytest.mark.slow)])
def test_a_cone_between_two_disks(fill):
    volume = fill({2: disk(12), 10: disk(4)}, 13)
    areas = volume.sum((1, 2))
    assert not areas[:2].any() and not areas[11:].any()
    assert np.all(np.diff(areas[2:11]) <= 0) and np.array_equal(volume[2], disk(12))
    assert 2 * (volume[6] & disk(8)).sum() / (volume[6].sum() + disk(8).sum()) > 0.85


def test_spacing_counts():
    slices = {0: disk(9, row=14, col=14), 2: disk(5, row=22, col=18)}
    assert not np.array_equal(fill_by_distance(slices, 3, (0.2, 2.0)), fill_by_distance(slices, 3, (2.0, 0.2)))


def test_an_empty_slice_is_an_end():
    volume = fill_by_distance({0: disk(10), 8: np.zeros((40, 40))}, 9)
    assert volume[1].any() and not volume[7].any()

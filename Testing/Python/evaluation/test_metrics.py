import numpy as np
import pytest
from MultiverSegLib.evaluation.metrics import bootstrap, dice, hd95
from MultiverSegLib.evaluation.simulate import fast_dice


def square(row, col, size, shape=(32, 32)):
    mask = np.zeros(shape, bool)
    mask[row : row + size, col : col + size] = True
    return mask


def test_dice_of_known_overlaps():
    a, b = square(4, 4, 10), square(4, 9, 10)
    assert dice(a, a) == 1
    assert dice(a, b) == pytest.approx(0.5)
    assert dice(a, square(20, 20, 4)) == 0
    assert dice(a, np.zeros_like(a)) == 0
    assert dice(np.zeros_like(a), np.zeros_like(a)) == 1


def test_the_plain_dice_equals_monais():
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.random((2, 16, 16)) > rng.random()
        assert fast_dice(a, b) == pytest.approx(dice(a, b), abs=1e-6)


def test_hd95_of_a_shifted_square_scales_with_the_spacing():
    a, b = square(8, 8, 10), square(8, 11, 10)
    assert hd95(a, b) == pytest.approx(3.0)
    assert hd95(a, b, spacing=0.5) == pytest.approx(1.5)
    assert hd95(a, a) == 0
    assert np.isnan(hd95(a, np.zeros_like(a)))
    assert hd95(np.zeros_like(a), np.zeros_like(a)) == 0


def test_bootstrap_brackets_the_mean_and_ignores_nan():
    mean, low, high = bootstrap([1.0, 2.0, 3.0, float("nan")], seed=1)
    assert mean == 2 and 1 <= low < 2 < high <= 3
    assert bootstrap([5.0] * 4) == (5, 5, 5)
    assert all(np.isnan(bootstrap([])))

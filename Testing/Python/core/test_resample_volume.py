"""Resampling of volumes: averages, coverage, and the same numbers by matrix products and by gathering."""

from __future__ import annotations

import numpy as np
import pytest
from MultiverSegLib.core import resample_volume as module
from MultiverSegLib.core.resample_volume import resample_volume

RANDOM = np.random.default_rng(0)


def mapping_of(order, steps, first):
    mapping = np.zeros((3, 4))
    mapping[range(3), order] = steps
    mapping[:, 3] = first
    return mapping


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("steps", [(0.5, 1, 2.5), (-1.5, 0.7, -3)])
def test_both_ways_give_the_same(monkeypatch, order, steps):
    values, shape = RANDOM.random((6, 7, 9)), (4, 5, 6)
    valid = RANDOM.random(values.shape) > 0.2
    mapping = mapping_of(order, steps, [5 if s < 0 else -0.4 for s in steps])
    for given in (None, valid):
        mean, coverage = resample_volume(values, mapping, shape, given)
        with monkeypatch.context() as patch:
            patch.setattr(module, "_along_axes", lambda *args: None)
            expected = resample_volume(values, mapping, shape, given)
        assert np.allclose(mean, expected[0]) and np.allclose(coverage, expected[1])
        assert 0 < coverage.mean() < 1


def test_a_linear_field_stays_linear_and_the_outside_is_uncovered():
    values = np.add.outer(np.add.outer(2.0 * np.arange(8), -1.0 * np.arange(9)), 3.0 * np.arange(10))
    turn = np.array([[0.8, 0.3, 0.1], [-0.2, 0.9, 0.2], [0.05, -0.3, 0.7]])
    mapping = np.column_stack([turn, [1.0, 2.0, 3.0]])
    mean, coverage = resample_volume(values, mapping, (9, 9, 9))
    where = np.stack(np.indices((9, 9, 9)), axis=-1) @ turn.T + mapping[:, 3]
    inner = ((where >= 1) & (where <= np.array(values.shape) - 2)).all(axis=-1)
    assert inner.sum() > 100 and np.allclose(mean[inner], (where @ [2, -1, 3])[inner])
    outside = ((where < -1.5) | (where > np.array(values.shape) + 0.5)).any(axis=-1)
    assert outside.any() and not coverage[outside].any()


def test_small_numbers_stay_small():
    """Integers are averaged without overflow, and what isn't valid doesn't count."""
    values = np.full((4, 4, 40), 30000, np.int16)
    valid = np.ones(values.shape, bool)
    valid[:2] = False
    mean, coverage = resample_volume(values, mapping_of((0, 1, 2), (4, 4, 4), (1.5, 1.5, 1.5)), (1, 1, 10), valid)
    assert np.allclose(mean, 30000) and np.allclose(coverage, 0.5)

"""Resampling of mappings that no image has: bounded in time and memory."""

import time

import numpy as np
import pytest
from MultiverSegLib.core.resample import resample


@pytest.mark.parametrize("mapping", [[[1e9, 0, 0], [0, 1e9, 0]], [[6e4, 3e4, 0], [-3e4, 6e4, 0]]])
def test_absurd_steps_end_soon(mapping):
    start = time.perf_counter()
    mean, coverage = resample(np.ones((64, 64)), np.array(mapping, float), (16, 16))
    assert time.perf_counter() - start < 10
    assert np.isfinite(mean).all() and coverage.max() <= 1

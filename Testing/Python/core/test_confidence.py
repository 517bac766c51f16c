"""Confidence against hand-made cases whose answers follow from the definitions."""

import numpy as np
import pytest
from MultiverSegLib.core.confidence import agreement, entropy_confidence, entropy_map, reliability, subset_agreement


def test_entropy():
    assert entropy_map(np.array([0.5, 0.0, 1.0, 0.25])) == pytest.approx([1, 0, 0, 0.8112781], abs=1e-4)
    sure, unsure = np.zeros((8, 8)), np.zeros((8, 8))
    sure[2:5, 2:5], unsure[2:5, 2:5] = 0.99, 0.6
    assert entropy_confidence(sure) > 0.9 > 0.1 > entropy_confidence(unsure)
    assert entropy_confidence(np.zeros((8, 8))) == 1.0, "the empty background must not make up for a doubtful structure"
    assert entropy_confidence(np.pad(unsure, 50)) == entropy_confidence(unsure)


def test_agreement():
    a, b = np.zeros((4, 4)), np.zeros((4, 4))
    a[0], b[0, :2] = 1, 1
    assert agreement([a, a]) == 1.0 and agreement([a]) == 1.0
    assert agreement([a, b, a]) == pytest.approx((2 / 3 + 1 + 2 / 3) / 3)


def test_subsets_are_disjoint_and_use_every_example():
    parts = []
    subset_agreement(lambda part: parts.append(part) or np.ones((2, 2)), list(range(7)))
    assert sorted(x for part in parts for x in part) == list(range(7)) and len(parts) == 3
    assert subset_agreement(lambda part: pytest.fail("asked"), [1]) == 1.0


def test_reliability_of_a_calibrated_and_of_an_overconfident_model():
    rng = np.random.default_rng(0)
    p = rng.random(200_000)
    true = reliability(p, rng.random(p.size) < p)
    assert true.error < 0.01 and sum(true.counts) == p.size and len(true.predicted) == 10
    boastful = reliability(p, rng.random(p.size) < 0.5)
    assert boastful.error == pytest.approx(0.25, abs=0.01)
    assert reliability(np.array([0.0, 1.0]), np.array([0, 1])).error == 0.0

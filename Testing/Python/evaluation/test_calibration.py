"""Calibration fitted on made-up predictions whose truth is known."""

import numpy as np
import pytest
from fakes import FakePredictor
from MultiverSegLib.core.calibration import Calibration
from MultiverSegLib.core.context.example import Example
from MultiverSegLib.evaluation.calibration import Sample, fit, gather
from MultiverSegLib.evaluation.quick import EvaluationTask


def samples(curve, prompted, count=400):
    rng = np.random.default_rng(0)
    return [Sample(e, float(np.clip(curve(e, prompted) + rng.normal(0, 0.02), 0, 1)), prompted) for e in rng.uniform(0.4, 0.95, count)]


def test_the_fit_finds_the_curve_that_made_the_data_for_each_kind():
    true = Calibration((0.8, -1.0), (1.5, -2.0))
    empty = [Sample(0.0, 0.9, True)] * 300
    found = fit(samples(true, True) + samples(true, False) + empty)
    assert found.with_prompts == pytest.approx((0.8, -1.0), abs=0.05), "empty predictions play no part"
    assert found.without_prompts == pytest.approx((1.5, -2.0), abs=0.1)


def test_a_confidence_that_means_the_opposite_is_made_constant_not_turned_round():
    backwards = [Sample(e, 1 - e, False) for e in np.linspace(0.1, 0.9, 50)]
    slope, _ = fit(backwards).without_prompts
    assert slope == 0 and fit(backwards).with_prompts == (1.0, 0.0), "nothing known, nothing changed"


def test_what_is_gathered():
    """Targets get examples of other subjects only, and the clicks that were asked for."""
    labels = np.zeros((6, 128, 128), bool)
    labels[:, 40:60, 40:60] = True
    task = EvaluationTask("A", "A", "", labels.astype(np.float32), labels, np.array(["s0", "s0", "s1", "s1", "s2", "s2"]))
    asked = []

    ids = {Example(task.images[i], task.labels[i], case=f"{i}").id: f"{i}" for i in range(6)}

    class Half(FakePredictor):
        def answer(self, image, prompts, previous, examples):
            asked.append((0 if prompts is None else int(prompts.sum()), {ids[e.id] for e in examples}))
            logit = np.full((128, 128), -5.0, np.float32)
            logit[40:60, 40:50] = 5
            return logit

    found = gather(Half(), [task], targets=1)
    assert [s.prompted for s in found] == [False, True, True, True, True]
    assert [clicks for clicks, _ in asked] == [0, 1, 2, 3, 1, 2, 3]
    assert all(s.dice == pytest.approx(2 / 3) and s.expected > 0.6 for s in found)
    used = asked[0][1]
    assert used and all(cases in (used, set()) for _, cases in asked)
    assert any(not used & {a, b} for a, b in (("0", "1"), ("2", "3"), ("4", "5"))), "the target's subject is in no example"

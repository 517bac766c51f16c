"""From believed to found Dice."""

import numpy as np
import pytest
from MultiverSegLib.core.calibration import Calibration, expected_dice
from MultiverSegLib.core.errors import CheckpointError
from MultiverSegLib.evaluation.simulate import fast_dice


def test_expected_dice_is_the_mean_dice_of_draws():
    rng = np.random.default_rng(0)
    p = np.clip(rng.normal(0.5, 0.35, (24, 24)), 0.01, 0.99)
    drawn = np.mean([fast_dice(p > 0.5, rng.random(p.shape) < p) for _ in range(400)])
    assert expected_dice(p) == pytest.approx(drawn, abs=0.01)
    assert expected_dice(np.full((4, 4), 0.4)) == 0.0


def test_a_curve_keeps_the_order_and_what_is_empty():
    curve = Calibration((0.9, -1.0), (1.4, -1.5))
    values = [curve(e, prompted=False) for e in (0.0, 0.3, 0.7, 0.9, 1.0)]
    assert values[0] == 0 and values == sorted(values) and values[-1] <= 1
    assert curve(0.8, prompted=True) == pytest.approx(1 / (1 + (0.8 / 0.2) ** -0.9 * np.e))
    assert Calibration()(0.37, prompted=True) == pytest.approx(0.37), "without a calibration it says what the model believes"


def test_json_goes_both_ways_and_refuses_what_is_malformed():
    curve = Calibration((0.9, -1.0), (1.4, -1.5))
    assert Calibration.from_json({**curve.to_json(), "sha256": "f", "data": "x"}) == curve
    for wrong in (
        {},
        {"with_prompts": [1, 2]},
        {"with_prompts": [1], "without_prompts": [1, 2]},
        {"with_prompts": [1, "a"], "without_prompts": [1, 2]},
    ):
        with pytest.raises(CheckpointError, match="calibration"):
            Calibration.from_json(wrong)

"""The slice to begin with is found among many by a few predictions."""

from types import SimpleNamespace

import numpy as np
import pytest
from MultiverSegLib.cohort.candidates import find_slice, score
from MultiverSegLib.core.errors import Cancelled

ROW, COL = np.mgrid[:128, :128]


class Bright:
    """Predicts brightness, and counts."""

    def __init__(self):
        self.count = 0

    def predict_batch(self, images, prompts, logits, examples):
        self.count += len(images)
        return [SimpleNamespace(probability=np.asarray(image), logits=image) for image in images]


def ball(k, center=137, height=60):
    radius = np.sqrt(max(0.0, 1 - ((k - center) / height) ** 2)) * 48
    return np.where(np.hypot(ROW - 64, COL - 64) <= radius, 0.95, 0.01).astype(np.float32)


def test_the_widest_slice_of_a_ball_is_found_with_few_predictions():
    model = Bright()
    found = find_slice(ball, 300, model, ["example"])
    assert abs(found.index - 137) <= 6, "the areas of neighbouring slices are equal on the grid"
    assert found.area >= 0.98 * (ball(137) > 0.5).sum() and model.count <= 30


@pytest.mark.parametrize("count", [1, 2, 7])
def test_short_volumes(count):
    assert 0 <= find_slice(lambda k: ball(k, 3, 4), count, Bright(), []).index < count


def test_a_sure_structure_beats_a_larger_smear():
    smear = np.full((128, 128), 0.55)
    assert score(ball(137)) > score(np.where(ROW < 48, smear, 0.0))
    assert score(np.zeros((32, 32))) == 0


def test_cancel():
    with pytest.raises(Cancelled):
        find_slice(ball, 300, Bright(), [], cancel=lambda: True)

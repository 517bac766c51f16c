"""The simulated cohort with models whose behaviour is known by construction."""

import numpy as np
import pytest
from fakes import FakePredictor
from MultiverSegLib.evaluation.protocols import POSITIVE, CenterClicks
from MultiverSegLib.evaluation.simulate import segment_image, simulate_cohort


def disk(row, col, radius, shape=(64, 64)):
    r, c = np.indices(shape)
    return (r - row) ** 2 + (c - col) ** 2 <= radius**2


class ClickPainter(FakePredictor):
    """Paints a disk around every positive click: needs a click per blob. Ignores the context."""

    size = 64

    def __init__(self, radius=9):
        super().__init__()
        self.radius = radius

    def answer(self, image, prompts, previous, examples):
        mask = np.zeros(image.shape, bool)
        if prompts is not None:
            for row, col in np.argwhere(prompts[POSITIVE] > 0):
                mask |= disk(row, col, self.radius, image.shape)
        return np.where(mask, 5.0, -5.0)


class ContextCopier(ClickPainter):
    """Repeats the context's last mask, else paints a disk."""

    def answer(self, image, prompts, previous, examples):
        return np.where(examples[-1].mask, 5.0, -5.0) if examples else super().answer(image, prompts, previous, examples)


def test_steps_count_the_clicks_needed():
    label = disk(16, 16, 9) | disk(44, 44, 9)
    result = segment_image(ClickPainter(9), np.zeros((64, 64), np.float32), label, CenterClicks(0))
    assert result.steps == 2 and not result.failed and result.dice == pytest.approx(1.0)
    assert np.isnan(result.dices[0]) and result.dices[1] == pytest.approx(2 / 3, abs=0.01)


def test_a_hopeless_image_stops_at_the_cap_and_counts_as_failed():
    result = segment_image(ClickPainter(1), np.zeros((64, 64), np.float32), disk(32, 32, 25), CenterClicks(0))
    assert result.steps == 20 and result.failed and result.dice < 0.9


def test_context_saves_every_click_after_the_seed_image():
    labels = [disk(30, 30, 9)] * 5
    images = [np.zeros((64, 64), np.float32)] * 5
    without = simulate_cohort(ContextCopier(), images, labels, CenterClicks(0), use_context=False)
    with_context = simulate_cohort(ContextCopier(), images, labels, CenterClicks(0))
    assert without.total_steps == 4 and len(without.images) == 4
    assert with_context.total_steps == 0 and with_context.failures == 0 and with_context.mean_dice == pytest.approx(1.0)


def test_the_context_holds_accepted_predictions_newest_last_up_to_the_cap():
    model = ClickPainter()
    images = [np.full((64, 64), float(i), np.float32) for i in range(5)]
    simulate_cohort(model, images, [disk(30, 30, 9)] * 5, CenterClicks(0), max_context=2)
    assert all(e.mask.dtype == np.uint8 for request in model.seen for e in request.examples)
    seen = [[float(e.image[0, 0]) for e in request.examples] for request in model.seen]
    assert seen[0] == [] and [2.0, 3.0] in seen and max(map(len, seen)) == 2


def test_simulation_is_repeatable():
    labels = [disk(20 + i, 30, 12) for i in range(4)]
    images = [np.zeros((64, 64), np.float32)] * 4
    runs = [[r.dices for r in simulate_cohort(ClickPainter(6), images, labels, CenterClicks(3)).images] for _ in range(2)]
    assert str(runs[0]) == str(runs[1])

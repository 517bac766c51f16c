"""Propagation through a volume, with a small model whose right answers are known: it grows the neighbour's region over bright pixels."""

from dataclasses import replace

import numpy as np
import pytest
from fakes import FakePredictor
from MultiverSegLib.core.errors import Cancelled, PromptError
from MultiverSegLib.core.predicting import ShownExample
from MultiverSegLib.engine.volume_propagation import Confirmed, Limits, VolumePropagation

SIZE = 32
ROW, COL = np.mgrid[:SIZE, :SIZE]


class Grower(FakePredictor):
    """Segments what is bright and touches the neighbour's result (previous logits) or a positive prompt. Keeps what it was asked."""

    size = SIZE

    def __init__(self):
        super().__init__()
        self.asked = []

    def predict_batch(self, requests, cancel=None, progress=None):
        self.asked.append((len(requests), [int(e.id) for e in requests[0].examples]))
        return super().predict_batch(requests, cancel, progress)

    def answer(self, image, prompts, previous, examples):
        near = np.asarray(previous) > 0
        for _ in range(2):
            near = near | np.roll(near, 1, 0) | np.roll(near, -1, 0) | np.roll(near, 1, 1) | np.roll(near, -1, 1)
        seeds = near if prompts is None else near | (prompts[1] > 0)
        return np.where((image > 0.5) & seeds, 6.0, -6.0)


def cone(count=21, first=4, last=16):
    """A spindle, widest in the middle, and a second bright thing that must not be segmented."""
    volume = np.zeros((count, SIZE, SIZE), np.float32)
    for k in range(first, last + 1):
        radius = 7.0 - abs(k - 10)
        volume[k][np.hypot(ROW - 10, COL - 10) <= radius] = 1.0
    truth = volume > 0
    volume[:, 24:28, 24:28] = 1.0
    return volume, truth


def propagation(volume, model=None, **limits):
    return VolumePropagation(
        lambda k: volume[k], len(volume), model or Grower(), (), lambda image, mask, k: ShownExample(str(k), image, mask), Limits(**limits)
    )


class Knowing(Grower):
    """Says besides that the structure is not on slices whose corner is dark."""

    def predicted(self, request):
        return replace(super().predicted(request), presence=float(request.image[0, 0]))


def test_it_stops_where_the_model_says_that_the_structure_is_not_there():
    """The bright column goes on, but not the structure: only the model knows."""
    volume = np.zeros((16, SIZE, SIZE), np.float32)
    volume[:, 8:16, 8:16] = 1
    volume[3:12, 0, 0] = 1
    mask = np.zeros((SIZE, SIZE), bool)
    mask[8:16, 8:16] = True
    results = propagation(volume, Knowing(), beyond=None).run({7: Confirmed(mask)})
    assert sorted(results) == list(range(3, 12))
    assert len(propagation(volume, beyond=None).run({7: Confirmed(mask)})) == 16
    between = propagation(volume, Knowing(), beyond=None).run({1: Confirmed(mask), 7: Confirmed(mask)})
    assert set(range(1, 8)) <= set(between), "between two confirmed slices the person's word counts"


def masks(results, count):
    out = np.zeros((count, SIZE, SIZE), bool)
    for index, result in results.items():
        out[index] = result.probability > 0.5
    return out


def test_from_one_slice_to_both_ends_and_no_further():
    volume, truth = cone()
    results = propagation(volume).run({10: Confirmed(truth[10])})
    found = masks(results, len(volume))
    assert np.array_equal(found[5:16], truth[5:16]), "every slice of more than a pixel"
    assert not found[:4].any() and not found[17:].any()
    assert results[10].confirmed and not results[9].confirmed and results[9].came_from == (10,)


def test_the_range_limits_it():
    volume, truth = cone()
    results = propagation(volume, first=8, last=11).run({10: Confirmed(truth[10])})
    assert sorted(results) == [8, 9, 10, 11]


def test_both_directions_go_in_one_batch():
    volume, truth = cone()
    model = Grower()
    propagation(volume, model).run({10: Confirmed(truth[10])})
    assert model.asked[0] == (2, [10])


def test_a_gap_between_two_confirmed_slices_is_walked_through():
    """The structure is invisible in some slices; from one side that would be its end, between two confirmed slices it is not."""
    volume, truth = cone()
    volume[12:15] = 0
    one_side = propagation(volume).run({10: Confirmed(truth[10])})
    assert max(one_side) == 11
    both = propagation(volume).run({10: Confirmed(truth[10]), 15: Confirmed(truth[15])})
    assert set(range(10, 16)) <= set(both) and both[12].came_from == (10, 15)


def test_an_empty_confirmed_slice_ends_the_structure():
    volume, truth = cone()
    results = propagation(volume).run({10: Confirmed(truth[10]), 13: Confirmed(np.zeros((SIZE, SIZE)))})
    assert not masks(results, len(volume))[13:].any() and masks(results, len(volume))[12].any()


def test_a_correction_makes_only_its_neighbours_anew():
    volume, truth = cone()
    model = Grower()
    work = propagation(volume, model, beyond=None)
    confirmed = {7: Confirmed(truth[7]), 13: Confirmed(truth[13])}
    first = work.run(confirmed)
    before = work.predicted
    corrected = {**confirmed, 15: Confirmed(truth[15])}
    second = work.run(corrected)
    assert {i for i in second if second[i] is not first.get(i) and not second[i].confirmed} <= {14, 16, 17, 18}
    assert all(second[i] is first[i] for i in (4, 5, 6, 8, 9, 10, 11, 12))
    assert work.predicted - before < before
    fresh = propagation(volume, beyond=None).run(corrected)
    assert np.array_equal(masks(second, len(volume)), masks(fresh, len(volume)))
    unchanged = work.predicted
    work.run(corrected)
    assert work.predicted == unchanged, "nothing has changed, so nothing is predicted"


def test_slices_that_span_more_than_the_width_show_the_length():
    """A bright rod of 4 pixels' width through all slices: one slice goes on to the ends, far apart slices say where it ends."""
    volume = np.zeros((40, SIZE, SIZE), np.float32)
    volume[:, 10:14, 10:14] = 1
    rod = Confirmed(volume[0])
    assert len(propagation(volume).run({20: rod})) == 40
    assert len(propagation(volume).run({20: rod, 23: rod})) == 40, "hardly longer than wide"
    assert sorted(propagation(volume).run({10: rod, 30: rod})) == list(range(8, 33)), "a tenth of 20 slices"
    assert sorted(propagation(volume).run({10: rod, 15: rod})) == list(range(9, 17)), "one at least"
    assert len(propagation(volume, beyond=None).run({10: rod, 30: rod})) == 40
    assert sorted(propagation(volume, last=38).run({10: rod, 30: rod})) == list(range(8, 39)), "a limit given by the person holds"
    thin = VolumePropagation(lambda k: volume[k], 40, Grower(), step=0.2)
    assert len(thin.run({10: rod, 30: rod})) == 40, "20 thin slices are no longer than wide"


def test_prompts_on_a_slice_in_between_count_and_are_part_of_what_a_run_depends_on():
    volume, truth = cone()
    work = propagation(volume, last=10)
    without = work.run({7: Confirmed(truth[7])})
    click = np.zeros((3, SIZE, SIZE), np.float32)
    click[1, 24:28, 24:28] = 1
    with_click = work.run({7: Confirmed(truth[7])}, prompts={9: click})
    assert not without[9].probability[25, 25] > 0.5 and with_click[9].probability[25, 25] > 0.5


def test_blending_leans_to_the_nearer_slice():
    """Two confirmed slices contradict each other; in between each rules its own half."""
    volume = np.ones((11, SIZE, SIZE), np.float32)

    class Copier(Grower):
        def answer(self, image, prompts, previous, examples):
            return previous

    left, right = COL < 16, COL >= 16
    results = propagation(volume, Copier()).run({0: Confirmed(left), 10: Confirmed(right)})
    assert np.array_equal(results[2].probability > 0.5, left) and np.array_equal(results[8].probability > 0.5, right)


def test_drift_is_held_back_by_the_reach():
    """All is bright and sure, so the model would spread further with every slice; from slice to slice it may by so many pixels only."""
    volume = np.ones((9, SIZE, SIZE), np.float32)

    class Everything(Grower):
        def answer(self, image, prompts, previous, examples):
            return np.full((SIZE, SIZE), 6.0)

    start = np.hypot(ROW - 16, COL - 16) <= 3
    for reach in (0, 1, 2, 3):
        found = propagation(volume, Everything(), reach=reach).run({0: Confirmed(start)})
        distance = np.hypot(ROW - 16, COL - 16)
        farthest = [distance[found[k].probability > 0.5].max() for k in (1, 2)]
        assert 3 + reach <= farthest[0] <= 3 + 1.5 * reach and 3 + 2 * reach <= farthest[1] <= 3 + 3 * reach
    assert propagation(volume, Everything(), reach=None).run({0: Confirmed(start)})[1].area == SIZE * SIZE
    click = np.zeros((3, SIZE, SIZE), np.float32)
    click[1, 30, 30] = 1
    prompted = propagation(volume, Everything()).run({0: Confirmed(start)}, prompts={2: click})
    assert prompted[2].area == SIZE * SIZE and prompted[1].area < 200, "prompts may say otherwise"


def test_cancel_keeps_nothing_of_an_unfinished_run_and_can_be_repeated():
    volume, truth = cone()
    work, asked = propagation(volume), []
    with pytest.raises(Cancelled):
        work.run({10: Confirmed(truth[10])}, cancel=lambda: asked.append(1) or len(asked) > 3)
    again = work.run({10: Confirmed(truth[10])})
    assert np.array_equal(masks(again, 21), masks(propagation(volume).run({10: Confirmed(truth[10])}), 21))


def test_progress_counts_slices():
    volume, truth = cone()
    seen = []
    work = propagation(volume)
    work.run({10: Confirmed(truth[10])}, progress=seen.append)
    assert seen == sorted(seen) and seen[-1] == work.predicted


@pytest.mark.parametrize(
    "confirmed", [{}, {3: Confirmed(np.zeros((SIZE, SIZE)))}, {30: Confirmed(np.ones((SIZE, SIZE)))}, {-1: Confirmed(np.ones((4, 4)))}]
)
def test_nothing_to_start_from(confirmed):
    with pytest.raises(PromptError):
        propagation(cone()[0]).run(confirmed)


def test_the_predictions_own_logits_go_to_the_neighbour():
    _, truth = cone()
    logits = np.where(truth[10], 1.5, -0.5).astype(np.float32)
    assert np.array_equal(Confirmed(truth[10], logits).previous, logits)
    assert set(np.unique(Confirmed(truth[10]).previous)) == {-8.0, 8.0}

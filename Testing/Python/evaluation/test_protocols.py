"""The simulated users keep their promises on any label: inside, outside, at the centre, repeatable."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from MultiverSegLib.core.errors import PromptError
from MultiverSegLib.evaluation.protocols import NEGATIVE, POSITIVE, CenterClicks, CenterlineScribbles, trace
from scipy import ndimage


def blobs(seed, fraction, shape=(48, 40)):
    """Smooth random regions with some one-pixel specks."""
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), 3)
    region = noise > np.quantile(noise, 1 - fraction)
    region[tuple(rng.integers(0, shape))] = True
    return region


labels = st.builds(blobs, st.integers(0, 10_000), st.floats(0.001, 0.9))
seeds = st.integers(0, 1000)
users = st.sampled_from([CenterClicks, CenterlineScribbles])


def drawn(prompts, channel):
    return prompts[channel] > 0


@settings(max_examples=60, deadline=None)
@given(labels, seeds, users)
def test_first_prompts_respect_the_label(label, seed, user_class):
    user = user_class(seed)
    prompts = user.first(label)
    assert prompts.shape == (3, *label.shape) and prompts.dtype == np.float32
    assert drawn(prompts, POSITIVE).any() and not (drawn(prompts, POSITIVE) & ~label).any()
    assert not (drawn(prompts, NEGATIVE) & label).any()
    assert not prompts[0].any()


@settings(max_examples=60, deadline=None)
@given(labels, labels, seeds, users)
def test_corrections_lie_in_the_error_region_and_add_to_the_prompts(label, prediction, seed, user_class):
    user = user_class(seed)
    before = user.first(label)
    after = user.correct(label, prediction, before)
    new = (after > 0) & ~(before > 0)
    assert (after >= before).all()
    assert not (new[POSITIVE] & ~(label & ~prediction)).any()
    assert not (new[NEGATIVE] & ~(prediction & ~label)).any()
    assert len({i.positive for i in user.last}) == (1 if (label ^ prediction).any() else 0)


@settings(max_examples=40, deadline=None)
@given(labels, seeds)
def test_a_center_click_is_at_the_deepest_point_of_the_largest_component(label, seed):
    user = CenterClicks(seed)
    prompts = user.first(label)
    components, count = ndimage.label(label, np.ones((3, 3)))
    largest = max(range(1, count + 1), key=lambda c: (components == c).sum())
    sizes = [(components == c).sum() for c in range(1, count + 1)]
    inside = np.pad(components, 1) == largest
    distance = ndimage.distance_transform_edt(inside)[1:-1, 1:-1]
    row, col = user.last[0].points[0]
    assert prompts[POSITIVE].sum() == 1 and prompts[POSITIVE, row, col] == 1
    if sizes.count(max(sizes)) == 1:
        assert distance[row, col] == distance.max()


@pytest.mark.parametrize("user_class", [CenterClicks, CenterlineScribbles])
def test_the_same_seed_draws_the_same_and_another_seed_does_not(user_class):
    label, prediction = blobs(1, 0.3), blobs(2, 0.3)

    def run(seed):
        user = user_class(seed)
        return user.correct(label, prediction, user.first(label))

    assert (run(5) == run(5)).all()
    if user_class is CenterlineScribbles:
        assert any((run(5) != run(s)).any() for s in range(6, 12))


@pytest.mark.parametrize("user_class", [CenterClicks, CenterlineScribbles])
def test_nothing_to_correct_and_nothing_to_click_on(user_class):
    label = blobs(3, 0.2)
    user = user_class(0)
    prompts = user.first(label)
    assert (user.correct(label, label, prompts) == prompts).all() and user.last == []
    with pytest.raises(PromptError, match="empty"):
        user.first(np.zeros((8, 8), bool))
    full = user.first(np.ones((8, 8), bool))
    assert full[POSITIVE].any() and not full[NEGATIVE].any()


def test_the_frame_counts_as_outside_so_clicks_stay_off_it():
    label = np.zeros((32, 32), bool)
    label[:9, 10:21] = True
    CenterClicks(0).first(label)
    row, _ = (user := CenterClicks(0), user.first(label))[0].last[0].points[0]
    assert row == 4


def test_a_center_correction_takes_the_larger_error_and_its_sign():
    label, prediction = np.zeros((32, 32), bool), np.zeros((32, 32), bool)
    label[2:5, 2:5] = True
    prediction[20:27, 20:27] = True
    user = CenterClicks(0)
    prompts = user.correct(label, prediction, user.first(label))
    assert user.last[0].positive is False and user.last[0].points.tolist() == [[23, 23]]
    assert prompts[NEGATIVE, 23, 23] == 1


@settings(max_examples=40, deadline=None)
@given(labels, seeds)
def test_interactions_tell_exactly_what_was_drawn(label, seed):
    user = CenterlineScribbles(seed)
    prompts = user.first(label)
    again = np.zeros_like(prompts)
    for interaction in user.interactions:
        steps = np.abs(np.diff(interaction.points, axis=0))
        assert (steps.max(axis=1) <= 1).all() if len(steps) else True
        again[POSITIVE if interaction.positive else NEGATIVE][tuple(interaction.points.T)] = 1
    assert (again == prompts).all()


def test_trace_covers_a_branching_line():
    line = np.zeros((9, 9), bool)
    line[4, :] = line[:, 4] = True
    strokes = trace(line)
    covered = np.zeros_like(line)
    for stroke in strokes:
        covered[tuple(stroke.T)] = True
    assert (covered == line).all() and len(strokes) <= 4

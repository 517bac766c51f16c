"""Simulated prompts for training: where they lie, how many there are, that a seed repeats them."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from MultiverSegLib.training import prompts as P
from scipy import ndimage


def regions(seed, fraction, n=4, size=32):
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.standard_normal((n, size, size)), (0, 2.5, 2.5))
    return torch.from_numpy(noise > np.quantile(noise, 1 - fraction, axis=(1, 2), keepdims=True)).float()[:, None]


labels = st.builds(regions, st.integers(0, 5000), st.floats(0.003, 0.9))
seeds = st.integers(0, 5000)


@settings(max_examples=40, deadline=None)
@given(labels, seeds, st.integers(0, 5))
def test_every_kind_stays_in_its_region_and_is_never_empty(region, seed, kind):
    torch.manual_seed(seed)
    drawn = P.draw(region, torch.tensor([1, 2, 3, 0]), kind)
    assert not (drawn * (1 - region)).any()
    assert set(drawn.unique().tolist()) <= {0.0, 1.0}
    assert drawn[:3].flatten(1).any(1).all() and not drawn[3].any()


@settings(max_examples=40, deadline=None)
@given(labels, seeds)
def test_initial_prompts_positive_inside_negative_outside(label, seed):
    torch.manual_seed(seed)
    absent = torch.tensor([False, False, True, False])
    prompts = P.initial_prompts(label, absent, box_share=0.4)
    box, positive, negative = prompts[:, :1], prompts[:, 1:2], prompts[:, 2:]
    assert not (positive * (1 - label)).any() and not (negative * label).any()
    assert not prompts[2].any()
    for row in (0, 1, 3):
        assert box[row].any() or positive[row].any()


@settings(max_examples=40, deadline=None)
@given(labels, labels, seeds)
def test_corrections_are_added_in_the_error_region_with_its_sign(label, prediction, seed):
    torch.manual_seed(seed)
    before = P.initial_prompts(label, torch.zeros(4, dtype=torch.bool))
    after = P.corrections(label, prediction, before)
    new = (after - before).clamp_min(0)
    assert (after >= before).all() and not new[:, 0].any()
    assert not (new[:, 1:2] * (1 - label * (1 - prediction))).any()
    assert not (new[:, 2:] * (1 - prediction * (1 - label))).any()
    perfect = P.corrections(label, label, before)
    assert torch.equal(perfect, before)


@settings(max_examples=30, deadline=None)
@given(labels)
def test_center_clicks_are_at_the_deepest_point_of_the_largest_component(region):
    clicks = P.center_clicks(region)
    for mask, click in zip(region[:, 0].numpy() > 0, clicks[:, 0].numpy(), strict=True):
        components, _ = ndimage.label(mask, np.ones((3, 3)))
        sizes = np.bincount(components.ravel())[1:]
        ((row, col),) = np.argwhere(click)
        assert sizes[components[row, col] - 1] == sizes.max()
        depth = ndimage.distance_transform_edt(np.pad(components == components[row, col], 1))[1:-1, 1:-1]
        assert depth[row, col] == depth.max()


@given(labels, seeds)
@settings(max_examples=30, deadline=None)
def test_clicks_are_as_many_as_asked_or_as_fit(region, seed):
    torch.manual_seed(seed)
    region[3] = 0
    region[3, 0, 5, 5:7] = 1
    clicks = P.random_clicks(region, torch.tensor([1, 3, 5, 5]))
    room = region.flatten(1).sum(1)
    assert torch.equal(clicks.flatten(1).sum(1), torch.minimum(torch.tensor([1.0, 3, 5, 5]), room))


def test_boxes_are_the_bounding_box_within_the_jitter():
    label = torch.zeros(64, 1, 64, 64)
    label[:, :, 20:40, 10:50] = 1
    torch.manual_seed(0)
    jittered = P.boxes(label, 0.1)
    assert jittered.flatten(1).any(1).all() and len({float(b.sum()) for b in jittered}) > 10
    assert not jittered[:, :, :18].any() and not jittered[:, :, 42:].any()
    assert not jittered[..., :6].any() and not jittered[..., 54:].any()
    for box in jittered[:, 0]:
        rows, cols = torch.nonzero(box.amax(1))[:, 0], torch.nonzero(box.amax(0))[:, 0]
        assert box.sum() == len(rows) * len(cols), "filled"
    assert not P.boxes(torch.zeros(2, 1, 8, 8)).any()


def test_scribbles_are_lines_not_areas():
    label = torch.zeros(20, 1, 64, 64)
    label[:, :, 12:52, 12:52] = 1
    torch.manual_seed(0)
    for kind in (3, 4, 5):
        drawn = P.draw(label, torch.ones(20), kind).flatten(1).sum(1)
        assert drawn.mean() > 5 and drawn.mean() < 0.25 * 1600


def test_contours_run_inside_along_the_border():
    label = torch.zeros(50, 1, 64, 64)
    label[:, :, 12:52, 12:52] = 1
    torch.manual_seed(0)
    core = torch.zeros_like(label)
    core[:, :, 24:40, 24:40] = 1
    drawn = P.contour_scribbles(label)
    assert (drawn * core).sum() / drawn.sum() < 0.02


def test_a_seed_repeats_everything():
    label, prediction = regions(1, 0.3), regions(2, 0.3)

    def run(seed):
        torch.manual_seed(seed)
        first = P.initial_prompts(label, torch.zeros(4, dtype=torch.bool))
        return torch.stack([first, P.corrections(label, prediction, first), P.weak_prompts(label)])

    assert torch.equal(run(3), run(3)) and not torch.equal(run(3), run(4))


@settings(max_examples=30, deadline=None)
@given(labels, seeds)
@example(regions(1, 1 / 256), 0)  # a few pixels in a corner
def test_weak_prompts_are_one_kind_each_and_touch_the_label(label, seed):
    torch.manual_seed(seed)
    weak = P.weak_prompts(label)
    assert not weak[:, 2].any() and not (weak[:, 1:2] * (1 - label)).any()
    kinds = weak[:, :2].flatten(2).any(2).sum(1)
    assert (kinds == 1).all()
    assert (weak[:, 0].flatten(1).sum(1) == 0).logical_or((weak[:, :1] * label).flatten(1).any(1)).all()


def test_empty_regions_give_nothing_and_do_not_fail():
    empty = torch.zeros(4, 1, 32, 32)
    for kind in range(6):
        assert not P.draw(empty, torch.tensor([1, 2, 3, 0]), kind).any()
    prompts = P.initial_prompts(empty, torch.zeros(4, dtype=torch.bool))
    assert not prompts[:, :2].any()


def test_noisy_masks_stay_near_the_border_and_are_never_lost():
    label = regions(7, 0.3, n=30, size=64)
    torch.manual_seed(0)
    noisy = P.noisy_masks(label)
    assert (noisy != label).any() and noisy.flatten(1).any(1).all()
    core, far = P.erode(P.erode(label)), 1 - P.dilate(P.dilate(label))
    assert (noisy * core).sum() == core.sum() and not (noisy * far).any()
    tiny = torch.zeros(1, 1, 32, 32)
    tiny[..., 4, 4] = 1
    assert P.noisy_masks(tiny).any()


def test_wrong_masks_are_wrong_but_about_the_structure():
    label = torch.zeros(60, 1, 64, 64)
    label[..., 20:40, 24:44] = 1
    torch.manual_seed(0)
    wrong = P.wrong_masks(label)
    assert set(wrong.unique().tolist()) == {0.0, 1.0} and wrong.flatten(1).any(1).all()
    dice = 2 * (wrong * label).flatten(1).sum(1) / (wrong + label).flatten(1).sum(1)
    assert 0.4 < dice.mean() < 0.8 and dice.min() < 0.5
    assert ((label - wrong) > 0).any() and ((wrong - label) > 0).any()
    far = torch.ones(64, 64)
    far[12:48, 16:52] = 0
    assert not (wrong * far).any()
    assert torch.equal(P.wrong_masks(torch.zeros(1, 1, 32, 32)), torch.zeros(1, 1, 32, 32))


def test_the_shares_of_manners_are_kept():
    torch.manual_seed(0)
    manners = P.draw_manners(4000, 0.5, 0.2)
    for manner, share in ((P.CLICKS_ONLY, 0.5), (P.SCRIBBLES_ONLY, 0.2), (P.MIXED, 0.3)):
        assert abs((manners == manner).float().mean() - share) < 0.03


def test_in_the_manner_of_clicks_every_step_is_one_centre_click():
    label, prediction = regions(5, 0.3, n=50), regions(6, 0.3, n=50)
    torch.manual_seed(0)
    clicks, nothing = torch.full((50,), P.CLICKS_ONLY), torch.zeros(50, 3, 32, 32)
    first = P.initial_prompts(label, torch.zeros(50, dtype=torch.bool), 0.0, clicks)
    assert torch.equal(first[:, 1:2], P.center_clicks(label)) and not first[:, ::2].any()
    added = P.corrections(label, prediction, nothing, clicks)
    missed, excess = P.center_clicks(label * (1 - prediction)), P.center_clicks(prediction * (1 - label))
    for row in range(50):
        assert torch.equal(added[row, 1], missed[row, 0]) != torch.equal(added[row, 2], excess[row, 0])
    assert (added.flatten(1).sum(1) == 1).all()


def test_in_the_manner_of_scribbles_the_first_step_marks_both_sides_and_every_other_one():
    label, prediction = regions(5, 0.3, n=50, size=64), regions(6, 0.3, n=50, size=64)
    torch.manual_seed(0)
    lines, nothing = torch.full((50,), P.SCRIBBLES_ONLY), torch.zeros(50, 3, 64, 64)
    first = P.initial_prompts(label, torch.zeros(50, dtype=torch.bool), 0.0, lines)
    assert first[:, 1].flatten(1).any(1).all() and first[:, 2].flatten(1).any(1).all()
    added = P.corrections(label, prediction, nothing, lines)
    sides = added[:, 1:].flatten(2).any(2).sum(1)
    assert (sides == 1).all() and added.flatten(1).sum(1).mean() > 5


def test_a_mixed_manner_draws_single_clicks_and_more():
    label, prediction = regions(5, 0.3, n=200), regions(6, 0.3, n=200)
    torch.manual_seed(0)
    count = P.corrections(label, prediction, torch.zeros(200, 3, 32, 32)).flatten(1).sum(1)
    assert 0.4 < (count == 1).float().mean() < 0.75 and count.max() > 8


def test_a_box_may_come_later_and_takes_an_earlier_ones_place():
    label, prediction = regions(5, 0.1, n=100), regions(6, 0.3, n=100)
    prediction[0] = label[0]
    before = torch.zeros(100, 3, 32, 32)
    before[:, 0, :4, :4] = 1
    torch.manual_seed(0)
    after = P.corrections(label, prediction, before, box_share=0.5)
    boxed = (after[:, 0] != before[:, 0]).flatten(1).any(1)
    assert 0.35 < boxed.float().mean() < 0.65 and not boxed[0]
    assert not after[boxed, 1:].any(), "in place of marks"
    assert (after[boxed, :1] * label[boxed]).flatten(1).any(1).all()
    assert not after[boxed, 0, 0, 0].all(), "the earlier box is gone"


@pytest.mark.parametrize("size", [32, 48])
def test_any_grid_size(size):
    label = regions(3, 0.2, size=size)
    assert P.initial_prompts(label, torch.zeros(4, dtype=torch.bool)).shape == (4, 3, size, size)

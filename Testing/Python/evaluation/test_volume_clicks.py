"""The simulated person in a volume, by hand: boxes, clicks, scores, shifts; and what needs no model."""

import numpy as np
import pytest
from MultiverSegLib.evaluation.metrics import nsd
from MultiverSegLib.evaluation.volume_baselines import ExtrudedEllipse, MeanOfOthers, ellipse
from MultiverSegLib.evaluation.volume_clicks import VolumeBox, VolumeClick, auc, draw_box, next_click, shifted, work_through


def block(shape, *spans):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(a, b) for a, b in spans)] = True
    return mask


def test_the_area_under_five_equal_steps_is_four_of_them():
    assert auc([0.5] * 5) == 2.0 and auc([1.0] * 5) == 4.0
    assert auc([0.0, 0.4, 0.6, 0.8, 1.0]) == pytest.approx(0.2 + 0.5 + 0.7 + 0.9)
    assert np.isnan(auc([0.3]))


class Still:
    """A generator that draws the same widening for each side."""

    def __init__(self, value):
        self.value = value

    def integers(self, low, high, size):
        assert low <= self.value < high
        return np.full(size, self.value)


def test_a_box_has_the_first_and_last_slice_and_the_middle_slices_sides():
    label = block((10, 64, 128), (2, 7), (10, 20), (30, 50))
    label[4, 8, 30] = True
    assert draw_box(label, 0, Still(0)) == VolumeBox(0, 2, 6, 4, (8, 30), (19, 49))
    # 4/256 of 64 rows is a voxel, of 128 columns two
    assert draw_box(label, 0, Still(4)) == VolumeBox(0, 2, 6, 4, (7, 28), (20, 51))
    assert draw_box(label, 2, Still(0)) == VolumeBox(2, 30, 49, 39, (2, 10), (6, 19))
    assert draw_box(block((10, 64, 128), (0, 10), (0, 64), (0, 128)), 0, Still(5)).high == (63, 127), "inside the volume"


def test_the_middle_slice_of_a_label_with_a_hole_is_the_nearest_that_shows_it():
    label = block((11, 8, 8), (0, 3), (2, 4), (2, 4)) | block((11, 8, 8), (8, 11), (5, 6), (5, 6))
    assert draw_box(label, 0, Still(0)).middle == 2
    with pytest.raises(ValueError, match="empty"):
        draw_box(np.zeros((3, 3, 3), bool), 0, Still(0))


def test_a_click_lies_farthest_inside_the_largest_error():
    label = block((9, 12, 30), (2, 7), (3, 8), (2, 7))  # a cube of five
    assert next_click(label, np.zeros_like(label)) == VolumeClick((4, 5, 4), True)
    excess = block(label.shape, (1, 8), (2, 9), (12, 19))  # a cube of seven, wrongly marked
    assert next_click(label, excess) == VolumeClick((4, 5, 15), False)
    assert next_click(label, label | excess) == VolumeClick((4, 5, 15), False)
    assert next_click(label, label) is None


def test_errors_that_touch_at_a_corner_are_one():
    label = np.zeros((8, 8, 8), bool)
    chain = [(1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4), (5, 5, 5)]
    for voxel in chain:
        label[voxel] = True
    label[0, 6:8, 6:8] = True  # four voxels, fewer than the chain's five
    assert next_click(label, np.zeros_like(label)) == VolumeClick((1, 1, 1), True)


def test_the_border_of_the_volume_counts_as_outside():
    assert next_click(np.ones((5, 5, 5), bool), np.zeros((5, 5, 5), bool)).index == (2, 2, 2)


class Scripted:
    """Gives its masks in order."""

    def __init__(self, *masks):
        self.masks, self.asked = list(masks), []

    def start(self, box):
        self.asked.append(box)
        return self.masks.pop(0)

    def click(self, click):
        self.asked.append(click)
        return self.masks.pop(0) if len(self.masks) > 1 else self.masks[0]


def test_a_course_by_hand():
    label = block((6, 6, 8), (1, 3), (1, 3), (0, 8))  # 32 voxels
    half, all_but_two = label & block(label.shape, (0, 6), (0, 6), (0, 4)), label.copy()
    all_but_two[1, 1, :2] = False
    method = Scripted(np.zeros_like(label), half, all_but_two, label)
    course = work_through(method, label, (1, 1, 1), 1.0, None)
    expected = [0, 2 * 16 / 48, 2 * 30 / 62, 1, 1, 1]
    assert course.dice == pytest.approx(expected)
    assert course.dice_auc == pytest.approx((expected[1] + expected[2]) / 2 + (expected[2] + 1) / 2 + 2)
    assert [c.positive for c in course.clicks] == [True, True, True], "nothing is clicked on once nothing is wrong"
    assert method.asked[0] is None and course.nsd[0] == 0 and course.nsd[-1] == 1


def test_surface_dice_by_hand():
    a = block((9, 9, 9), (2, 7), (2, 7), (2, 7))
    b = block((9, 9, 9), (2, 7), (2, 7), (4, 9))  # moved by two voxels along i
    # Each has 98 surface voxels. Of the 16 lines along i on the sides 3 are in both; the 9 inner lines have none in common.
    assert nsd(a, b, (1, 1, 1), 0.5) == pytest.approx(48 / 98)
    # Within one voxel: one more on each of the 16, and 8 of the 9 inner ones, whose neighbour is on the other's side.
    assert nsd(a, b, (1, 1, 1), 1.0) == pytest.approx(72 / 98)
    assert nsd(a, b, (1, 1, 1), 2.0) == pytest.approx(1.0)
    assert nsd(a, b, (1, 1, 3), 2.0) < 0.9, "distances are in mm"
    assert nsd(a, a, (1, 1, 1), 0.1) == 1 and nsd(a, np.zeros_like(a), (1, 1, 1), 1) == 0
    assert nsd(np.zeros_like(a), np.zeros_like(a), (1, 1, 1), 1) == 1


def test_a_shift_moves_image_and_labels_alike_and_cuts_no_label():
    image = np.arange(8 * 10 * 12, dtype=np.int16).reshape(8, 10, 12)
    label = block(image.shape, (0, 4), (4, 6), (5, 12))
    found = set()
    for seed in range(20):
        moved, labels = shifted(image, {"a": label}, np.random.default_rng(seed))
        assert labels["a"].sum() == label.sum()
        assert sorted(moved[labels["a"]]) == sorted(image[label]), "the same voxels are marked"
        place = np.argwhere(labels["a"]).min(0) - np.argwhere(label).min(0)
        assert (abs(place) <= (2, 2, 3)).all() and place[0] >= 0 and place[2] <= 0
        found.add(tuple(place.tolist()))
        assert moved.min() == image.min()
    assert len(found) > 8


def test_the_ellipse_touches_the_sides_of_its_box():
    mask = ellipse((20, 30), (4, 6), (12, 20))
    rows, cols = np.nonzero(mask)
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (4, 12, 6, 20)
    assert mask.sum() == pytest.approx(np.pi / 4 * 9 * 15, rel=0.03)
    method = ExtrudedEllipse((5, 20, 30))
    assert not method.start(None).any()
    filled = method.start(VolumeBox(0, 1, 3, 2, (4, 6), (12, 20)))
    assert (filled.any((1, 2)) == [False, True, True, True, False]).all() and (filled[2] == mask).all()


def test_the_mean_of_others_is_stretched_and_needs_half_of_them():
    a = block((4, 4, 4), (0, 2), (0, 4), (0, 4))
    b = block((8, 8, 8), (0, 4), (0, 8), (0, 8))
    c = np.zeros((4, 4, 4), bool)
    mask = MeanOfOthers([a, b, c], (8, 4, 4)).start(None)
    assert mask[:3].all() and not mask[5:].any()
    assert not MeanOfOthers([], (3, 3, 3)).start(None).any()

"""The realistic user: the deviations that were asked for, measured."""

import numpy as np
from MultiverSegLib.evaluation.protocols import NEGATIVE, POSITIVE, CenterClicks
from MultiverSegLib.evaluation.users import RealisticClicks, RealisticScribbles, moved_border, trembling

from .made_up import disk

LABEL = disk(64, 64, 30, (128, 128))


def test_clicks_stray_by_three_pixels_and_one_in_twenty_has_the_wrong_sign():
    offsets, wrong = [], 0
    for seed in range(250):
        user = RealisticClicks(seed)
        exact = CenterClicks(0)
        exact.first(user.seen(LABEL))
        prompts = user.first(LABEL)
        offsets.append(user.interactions[0].points[0] - exact.interactions[0].points[0])
        wrong += bool(prompts[NEGATIVE].any())
        assert prompts[POSITIVE].sum() + prompts[NEGATIVE].sum() == 1
    assert 2.6 < np.std(offsets) < 3.5 and 4 <= wrong <= 24


def test_the_border_moves_by_a_pixel_or_two_and_stays_put_for_one_person():
    user = RealisticClicks(3)
    seen = user.seen(LABEL)
    assert seen is user.seen(LABEL) and not np.array_equal(seen, RealisticClicks(4).seen(LABEL))
    radii = []
    for seed in range(40):
        moved = moved_border(LABEL, 1.5, np.random.default_rng(seed))
        radii.append(moved[64, 64:].sum() - LABEL[64, 64:].sum())
    assert 0.9 < np.std(radii) < 2.2
    speck = np.zeros((128, 128), bool)
    speck[5, 5] = True
    assert moved_border(speck, 1.5, np.random.default_rng(0)).any()


def test_strokes_tremble_without_gaps_inside_the_grid():
    stroke = np.stack([np.full(100, 64), np.arange(10, 110)], 1)
    strayed = []
    for seed in range(60):
        path = trembling(stroke, 1.5, np.random.default_rng(seed), (128, 128))
        assert (np.abs(np.diff(path, axis=0)).max(1) == 1).all()
        strayed += (path[:, 0] - 64).tolist()
    assert 1.2 < np.std(strayed) < 1.9
    edge = trembling(np.array([[0, 0], [0, 1]]), 5, np.random.default_rng(1), (128, 128))
    assert edge.min() >= 0


def test_scribbles_are_drawn_and_repeat_with_their_seed():
    first, again = (RealisticScribbles(9).first(LABEL) for _ in range(2))
    assert np.array_equal(first, again) and first[POSITIVE].any() and first[NEGATIVE].any()

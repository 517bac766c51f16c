"""RadioActive's rounds on volumes whose errors are known."""

import numpy as np
import pytest
from MultiverSegLib.evaluation.protocols import NEGATIVE, POSITIVE
from MultiverSegLib.evaluation.radioactive import Stack, contour_scribble, correct, points_on_each_slice, segment_stack

from .made_up import Painter, disk


def labels(depth=6):
    volume = np.zeros((depth, 64, 64), bool)
    volume[1:5] = disk(30, 30, 9)
    return volume


def test_a_missed_component_gets_a_point_on_each_of_its_slices():
    truth = labels()
    truth[0, 60:62, 60:62] = True  # a smaller one that is missed too
    prompts = np.zeros((6, 3, 64, 64), np.float32)
    touched = correct(truth, np.zeros_like(truth), prompts, np.random.default_rng(0))
    assert touched == [1, 2, 3, 4]
    assert np.argwhere(prompts).tolist() == [[k, POSITIVE, 30, 30] for k in touched]


def test_a_point_stays_inside_of_a_ring():
    ring = (disk(30, 30, 12) & ~disk(30, 30, 8))[None]
    prompts = np.zeros((1, 3, 64, 64), np.float32)
    points_on_each_slice(ring, prompts)
    ((_, _, row, col),) = np.argwhere(prompts)
    assert ring[0, row, col]


def test_excess_gets_a_scribble_along_the_contour_on_the_worst_slice():
    truth, mask = labels(), labels()
    mask[2] = disk(30, 30, 12)
    mask[3] = disk(30, 30, 16)
    prompts = np.zeros((6, 3, 64, 64), np.float32)
    assert correct(truth, mask, prompts, np.random.default_rng(0)) == [3]
    line = prompts[3, NEGATIVE] > 0
    assert line.any() and not (line & truth[3]).any() and (line & mask[3] == line).all()
    distance = np.sqrt(((np.argwhere(line) - 30) ** 2).sum(1))
    assert distance.min() > 9 and distance.max() < 13.5


def test_excess_far_from_the_structure_gets_its_middle_line():
    far = disk(50, 50, 5)
    line = contour_scribble(disk(10, 10, 4), far)
    assert line.any() and (line & far == line).all()


def test_the_sign_is_drawn_by_the_share_of_the_error():
    truth, mask = labels(), labels()
    truth[1, 50:53, 50:60] = True  # 30 missed
    mask[4, 50:53, 50:53] = True  # 9 too many
    signs = [
        bool(correct(truth, mask, p := np.zeros((6, 3, 64, 64), np.float32), np.random.default_rng(s)) and p[:, POSITIVE].any())
        for s in range(300)
    ]
    assert np.mean(signs) == pytest.approx(30 / 39, abs=0.08)


def test_rounds_are_counted_and_a_perfect_volume_is_repeated():
    stack = Stack("v", np.zeros((6, 64, 64), np.float32), labels())
    rows = segment_stack(Painter(), stack)
    assert [(r["round"], r["prompts"], r["dice"]) for r in rows] == [(n, 4, 1.0) for n in range(6)]
    large = Stack("v", stack.images, np.repeat(disk(30, 30, 15)[None], 2, 0))
    rows = segment_stack(Painter(), large, seed=1)
    assert len(rows) == 6 and rows[-1]["dice"] > rows[0]["dice"] and rows[1]["prompts"] == 4

"""Experiment 1 with a method whose steps can be counted by hand."""

import numpy as np
import pytest
from MultiverSegLib.evaluation.protocols import CenterClicks
from MultiverSegLib.evaluation.sequence import Block, Setting, Walk, draw_walks, pack, unpack, walk_all
from MultiverSegLib.evaluation.together import Sitting, work_together

from .made_up import Painter, disk, task


def block(setting=None, same=False, walks=None):
    a = task(same=same)
    walks = walks or draw_walks(0, a.subjects, 3, 4, seed=5)
    return Block(walks, {0: a.images}, {0: a.labels}, setting or Setting())


def steps(rows):
    return [row["step"] for row in rows if row["last"]]


def test_without_context_every_disk_takes_one_click():
    rows = walk_all(block(Setting(context="none")), Painter(), Painter())
    assert steps(rows) == [1] * 12 and all(row["context_size"] == 0 for row in rows)
    assert all(row["dice"] == 1 and row["hd95"] == 0 for row in rows if row["last"])


def test_equal_images_cost_nothing_once_the_seed_image_is_in_the_context():
    rows = walk_all(block(same=True), Painter(), Painter())
    assert steps(rows) == [0] * 12 and [r["context_size"] for r in rows] == [n for n in (1, 2, 3, 4) for _ in range(3)]


def test_a_method_that_cannot_be_corrected_predicts_once_and_carries_its_error_on():
    method = Painter()
    walk = Walk(0, 0, 0, (0, 1, 2))
    rows = walk_all(block(Setting(cap=0, truth_seed=True), walks=[walk]), method, method)
    overlap = [2 * (disk(16, 32, 9) & disk(16 + 4 * i, 32, 9)).sum() / (2 * disk(16, 32, 9).sum()) for i in (1, 2)]
    assert [row["dice"] for row in rows] == pytest.approx(overlap, abs=1e-4), "both are the seed image's reference, copied on"


def test_the_true_context_mends_it():
    walk = Walk(0, 0, 0, (0, 1, 2))
    rows = walk_all(block(Setting(cap=0, truth_seed=True, context="truth"), walks=[walk]), Painter(), Painter())
    overlap = 2 * (disk(20, 32, 9) & disk(24, 32, 9)).sum() / (2 * disk(20, 32, 9).sum())
    assert rows[1]["dice"] == pytest.approx(overlap, abs=1e-4)


def test_soft_context_holds_probabilities():
    method = Painter()
    walk_all(block(Setting(context="soft")), method, Painter())
    masks = [e.mask for q in method.asked for e in q.context]
    assert {round(float(v), 4) for m in masks for v in np.unique(m)} == {round(1 / (1 + np.exp(5)), 4), round(1 / (1 + np.exp(-5)), 4)}


def test_a_hopeless_image_stops_at_the_cap():
    small = Sitting(np.zeros((64, 64), np.float32), disk(32, 32, 28), CenterClicks(0))
    method = Painter()
    method._one = lambda query: np.full((64, 64), -5, np.float32)
    work_together(method, [small], 20)
    assert small.steps == 20 and small.dices[1:] == [0] * 20


@pytest.mark.parametrize("after", [1, 3])
def test_taken_up_again_it_gives_the_same_rows(after):
    whole = walk_all(block(Setting(user="scribbles", cap=3)), Painter(), Painter())
    states = []
    walk_all(block(Setting(user="scribbles", cap=3)), Painter(), Painter(), stored=lambda b: states.append(pack(b)))
    again = unpack(block(Setting(user="scribbles", cap=3)), states[after])
    assert again.done == after + 1
    assert str(walk_all(again, Painter(), Painter())) == str(whole)
    with pytest.raises(ValueError, match="damaged"):
        unpack(block(), states[after][:50])


def test_draws_differ_orders_do_not_and_the_seed_image_is_of_another_subject():
    subjects = np.array([f"s{i // 2}" for i in range(12)])
    walks = draw_walks(0, subjects, 4, 5, seed=1, orders=3)
    assert len(walks) == 12 and walks == draw_walks(0, subjects, 4, 5, seed=1, orders=3)
    for walk in walks:
        assert len(set(walk.images)) == 6 and subjects[walk.images[0]] not in subjects[list(walk.images[1:])]
    sets = [{frozenset(w.images[1:]) for w in walks if w.draw == d} for d in range(4)]
    assert all(len(s) == 1 for s in sets) and len(set.union(*sets)) > 1
    with pytest.raises(ValueError, match="images are needed"):
        draw_walks(0, subjects[:5], 1, 5, seed=1)

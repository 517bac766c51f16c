"""The study of weak examples: annotations, their price, and its tables, on methods whose answers are known by construction."""

import numpy as np
import pytest
from MultiverSegLib.core.errors import MultiverSegError
from MultiverSegLib.evaluation.protocols import BOX, POSITIVE
from MultiverSegLib.evaluation.simulate import fast_dice
from MultiverSegLib.evaluation.weak import COLUMNS, WeakJob, boxes_on, points_on, study
from MultiverSegLib.evaluation.weak_pages import save_weak

from .made_up import SPEC, Painter, disk, task


def rows_of(method, **options):
    return study(method, WeakJob(0, task(same=True), SPEC, **{"targets": 2, "sizes": (1, 2), "counts": (1, 3), **options}))


def test_points_lie_on_the_structure_the_first_in_its_middle():
    label = disk(20, 20, 7) | disk(50, 50, 3)
    for count in (1, 2, 5):
        prompts = points_on(label, count, np.random.default_rng(3))
        assert prompts[POSITIVE].sum() == count and not prompts[BOX].any()
        assert label[prompts[POSITIVE] > 0].all() and prompts[POSITIVE, 20, 20] == 1
    fewer, more = (points_on(label, n, np.random.default_rng(3))[POSITIVE] > 0 for n in (2, 5))
    assert (fewer <= more).all()
    assert points_on(np.eye(2, dtype=bool), 9, np.random.default_rng(0))[POSITIVE].sum() == 2


def test_boxes_hold_the_largest_components_and_halves_are_tighter():
    label = disk(20, 20, 7) | disk(50, 50, 3)
    one, two, three = (boxes_on(label, n)[BOX] > 0 for n in (1, 2, 3))
    assert one.sum() == 15 * 15 and one[13:28, 13:28].all()
    assert two.sum() == 15 * 15 + 7 * 7
    assert (label <= three).all() and three.sum() < two.sum()
    assert boxes_on(np.zeros((8, 8), bool), 2).sum() == 0
    single = np.zeros((8, 8), bool)
    single[3, 4] = True
    assert np.array_equal(boxes_on(single, 5)[BOX] > 0, single)


def test_masks_points_boxes_and_clicks_are_measured_with_their_price():
    rows = rows_of(Painter())
    kinds = {(r["kind"], r["prompts"], r["context_size"]) for r in rows}
    assert {("mask", 1, 2), ("points", 3, 1), ("boxes", 1, 2), ("interaction", 8, 0), ("interaction", 1, 2)} <= kinds
    price = {(r["kind"], r["prompts"], r["context_size"]): r["seconds"] for r in rows}
    assert price["mask", 1, 2] == 160 and price["points", 3, 1] == 15 and price["boxes", 3, 2] == 60
    assert price["interaction", 4, 0] == 20 and price["interaction", 4, 2] == 180
    # The painter repeats its last example: the same disk everywhere, so masks are perfect, and a box is the square around it.
    square = np.zeros((64, 64), bool)
    square[21:40, 23:42] = True
    assert all(r["dice"] == 1 for r in rows if r["kind"] == "mask")
    assert {r["dice"] for r in rows if (r["kind"], r["prompts"]) == ("boxes", 1)} == {round(fast_dice(square, disk(30, 32, 9)), 5)}


def test_methods_are_measured_by_what_they_read():
    assert {r["kind"] for r in rows_of(Painter(reads_weak_examples=False))} == {"mask", "interaction"}
    assert {r["kind"] for r in rows_of(Painter(in_context=False))} == {"interaction"}


def test_tables_say_what_an_hour_buys(tmp_path):
    rows = rows_of(Painter())
    text = save_weak(tmp_path, rows, [SPEC], {"seed": 0})
    assert (tmp_path / "weak.csv").read_text().splitlines()[0] == ",".join(COLUMNS)
    assert {p.name for p in (tmp_path / "figures").iterdir()} >= {"weak-size-made-up.svg", "weak-seconds-made-up.png"}
    assert "| made up | a mask | 1.000" in text
    # 500 images at 8 clicks of 5 s are 333 minutes: within the hour there is one click an image, 42 minutes.
    lines = [line for line in text.splitlines() if line.startswith("| made up | 500 | interaction")]
    assert len(lines) == 1 and lines[0].endswith("| 42 |")  # 500 clicks of 5 s
    with pytest.raises(MultiverSegError, match="Nothing was measured"):
        save_weak(tmp_path, [], [SPEC], {})

"""Clicks on other slices, or during a propagation, before the first is answered: each is answered, one after the other."""

import numpy as np
import pytest

from .steps import CENTRE, hold_click, off, status_line

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def click_at(bench, s):
    bench.red.jump_to(off(0, 0, s))
    bench.red.click(off(0, 0, s))


def test_both_slices_are_predicted(opened):
    hold_click(opened, CENTRE)
    click_at(opened, 6)
    opened.host.wait_until(lambda: "1 more" in status_line(opened))
    opened.predictor.go()
    opened.settle()
    assert len(opened.prompts()) == 2 and len(opened.slices(opened.ct)) == 2


def test_undo_takes_them_back_one_by_one(opened):
    hold_click(opened, CENTRE)
    click_at(opened, 6)
    click_at(opened, 12)
    opened.predictor.go()
    opened.settle()
    counts = [(len(opened.prompts()), len(opened.slices(opened.ct)))]
    for _ in range(3):
        opened.editor.undo()
        opened.host.process_events(0.05)
        counts.append((len(opened.prompts()), len(opened.slices(opened.ct))))
    assert counts == [(3, 3), (2, 2), (1, 1), (0, 0)]


def test_a_prompt_on_the_slice_in_flight_is_asked_for_with_it(opened):
    hold_click(opened, CENTRE)
    click_at(opened, 6)
    opened.red.jump_to(CENTRE)
    opened.red.click(off(12))
    opened.predictor.go()
    opened.settle()
    assert len(opened.prompts()) == 3 and len(opened.slices(opened.ct)) == 2
    assert opened.holds(opened.ct, off(12)) and opened.holds(opened.ct, CENTRE)


def test_escape_drops_all_of_them(opened):
    hold_click(opened, CENTRE)
    click_at(opened, 6)
    assert opened.effect.self().cancel()
    opened.predictor.go()
    opened.settle()
    opened.host.process_events(0.1)
    assert not opened.mask(opened.ct).any() and not opened.presenter.busy and status_line(opened) == "Cancelled."


def test_a_click_during_propagation_waits_for_it(opened):
    opened.red.click(CENTRE)
    opened.settle()
    before = len(opened.predictor.calls)
    opened.predictor.hold()
    opened.panel.predict.propagate()
    opened.host.wait_until(lambda: len(opened.predictor.calls) > before, 60)
    opened.red.click(off(12))
    assert opened.panel.predict.busy and opened.presenter.busy
    opened.predictor.go()
    opened.host.wait_until(lambda: not opened.panel.predict.busy, 60)
    opened.settle()
    assert opened.holds(opened.ct, off(12)) and len(opened.slices(opened.ct)) > 3
    propagated = opened.mask(opened.ct).copy()
    opened.editor.undo()
    opened.host.process_events(0.05)
    assert not np.array_equal(opened.mask(opened.ct), propagated) and len(opened.slices(opened.ct)) > 3, "the click alone is taken back"


@pytest.mark.parametrize("what", ["moved", "another frame"])
def test_nothing_is_written_onto_what_is_no_longer_shown(opened, what):
    """The volume is moved, or shows another frame of a sequence, while its slice is being predicted."""
    hold_click(opened, CENTRE)
    if what == "moved":
        matrix = np.eye(4)
        matrix[0, 3] = 20
        transform = opened.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "t")
        transform.SetMatrixTransformToParent(opened.slicer.util.vtkMatrixFromArray(matrix))
        for node in (opened.ct, opened.segmentation):
            node.SetAndObserveTransformNodeID(transform.GetID())
    else:
        opened.slicer.util.updateVolumeFromArray(opened.ct, np.roll(opened.slicer.util.arrayFromVolume(opened.ct), 9, axis=2))
    opened.predictor.go()
    opened.settle()
    assert not opened.mask(opened.ct).any() and "nothing was written" in status_line(opened)

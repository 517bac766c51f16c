"""Prompts anywhere in a volume, with the small model of the propagation's tests: it segments what is bright and touches result or prompt."""

import numpy as np
import pytest
from MultiverSegLib.core.errors import Cancelled, ContextError
from MultiverSegLib.core.predicting import ShownExample
from MultiverSegLib.engine.volume_prompting import VolumePrompting, within
from MultiverSegLib.engine.volume_propagation import Limits

from .test_volume_propagation import Grower, cone, masks


class Prompted(Grower):
    """Negative prompts take their neighbourhood away; without a previous result the prompts alone count."""

    def answer(self, image, prompts, previous, examples):
        found = super().answer(image, prompts, np.full(image.shape, -6.0) if previous is None else previous, examples)
        for _ in range(12):  # everything bright that is connected
            found = super().answer(image, None, found, examples)
        if prompts is not None:
            for row, col in np.argwhere(prompts[2] > 0):
                found[row - 3 : row + 4, col - 3 : col + 4] = -6
        return found


def prompting(volume, model=None, **limits):
    return VolumePrompting(
        lambda k: volume[k],
        len(volume),
        model or Prompted(),
        (),
        lambda image, mask, k: ShownExample(str(k), image, mask),
        Limits(beyond=None, min_area=0.01, **limits),
    )


def click(channel, row=10, col=10):
    channels = np.zeros((3, 32, 32), np.float32)
    channels[channel, row, col] = 1
    return channels


def test_a_click_on_one_slice_gives_the_whole_structure():
    volume, truth = cone()
    found = masks(prompting(volume).run({10: click(1)}), len(volume))
    assert (found == truth).all()


def test_a_click_on_another_slice_changes_what_lies_between_and_beyond():
    volume, truth = cone()
    volume[14:17, 10, 10] = 1
    volume[13][truth[13]] = 0.2  # a gap that propagation does not cross
    work = prompting(volume, patience=1)
    first = masks(work.run({10: click(1)}), len(volume))
    assert not first[14:].any()
    second = masks(work.run({10: click(1), 14: click(1)}), len(volume))
    assert (second[14:17] == truth[14:17]).all() and (second[:11] == truth[:11]).all()


def test_a_slice_is_predicted_again_only_when_its_prompts_change():
    volume, _ = cone()
    model = Prompted()
    work = prompting(volume, model)
    first = work.run({10: click(1)})
    asked = len(model.asked)
    again = work.run({10: click(1)})
    assert len(model.asked) == asked and again.keys() == first.keys()
    work.run({10: np.maximum(click(1), click(2, 2, 2))})
    assert len(model.asked) > asked


def test_a_negative_click_that_leaves_nothing_says_that_it_ends_there():
    volume, truth = cone()
    work = prompting(volume)
    work.run({10: click(1)})
    found = masks(work.run({10: click(1), 14: click(2)}), len(volume))
    assert not found[14].any() and not found[15:].any()
    assert (found[:11] == truth[:11]).all()


def test_prompts_that_are_taken_back_are_forgotten():
    volume, truth = cone()
    work = prompting(volume)
    work.run({10: click(1), 14: click(2)})
    assert (masks(work.run({10: click(1)}), len(volume)) == truth).all()


def test_a_box_in_3d_bounds_the_slices():
    volume, _ = cone()
    work = VolumePrompting(lambda k: volume[k], len(volume), Prompted(), limits=within(Limits(), 8, 12))
    assert sorted(work.run({10: click(1)})) == [8, 9, 10, 11, 12]


def test_without_prompts_and_examples_there_is_nothing_to_go_by():
    volume, _ = cone()
    with pytest.raises(ContextError, match="nothing to go by"):
        prompting(volume).run({})


def test_what_was_there_stays_when_it_is_cancelled():
    volume, _ = cone()
    work = prompting(volume)
    before = work.run({10: click(1)})
    with pytest.raises(Cancelled):
        work.run({10: click(1), 14: click(1)}, cancel=lambda: True)
    assert work.results is before and work.run({10: click(1)}).keys() == before.keys()


def test_a_box_marks_its_middle_slice_and_bounds_the_others():
    from MultiverSegLib.core.prompts import Box, Point, Prompts
    from MultiverSegLib.engine.volume_from_prompts import prompts_by_slice
    from MultiverSegLib.mrml.plain_volume import PlainVolume
    from MultiverSegLib.mrml.slice_plane import planes_of

    volume = PlainVolume(np.zeros((20, 30, 40), np.float32), np.diag([1.0, 1.0, 2.0, 1.0]), "box")
    planes = planes_of(volume, "k")
    box, point = Box((20.0, 15.0, 18.0), (10.0, 8.0, 12.0)), Point((5.0, 5.0, 30.0))
    given, bounds = prompts_by_slice(planes, Prompts((box, point)))
    assert bounds == (6, 12) and sorted(given) == [9, 15]
    assert given[9][0].any() and not given[9][1:].any()
    assert given[15][1].sum() == 1 and not given[15][0].any()
    assert prompts_by_slice(planes, Prompts((point,)))[1] is None

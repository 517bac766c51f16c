"""Propagation through a real volume node: right place, one undo step, nothing on cancel, corrections keep the rest."""

import numpy as np
import pytest
from fakes import FakePredictor
from MultiverSegLib.cohort.work.case_nodes import CaseNodes
from MultiverSegLib.core.confidence import mask_dice
from MultiverSegLib.core.errors import Cancelled
from MultiverSegLib.core.imaging import ImageSettings
from MultiverSegLib.core.prompts import Point, Prompts
from MultiverSegLib.engine.volume_propagation import Limits
from MultiverSegLib.engine.volume_session import SliceStack, VolumeWork
from MultiverSegLib.mrml import segments

from ..cohort.volumes import ellipsoid, real_cohort


class Threshold(FakePredictor):
    """Segments what is bright on the grid where the neighbour's result or a positive prompt is near; nothing else."""

    def answer(self, image, prompts, previous, examples):
        allowed = np.zeros(image.shape, bool)
        for row, col in np.argwhere((np.asarray(previous) > 0) | (prompts is not None and prompts[1] > 0)):
            allowed[max(0, row - 6) : row + 7, max(0, col - 6) : col + 7] = True
        return np.where(allowed, (image - 0.5) * 40, -20)


@pytest.fixture
def case(host, tmp_path):
    with real_cohort(tmp_path) as cohort:
        nodes = CaseNodes(cohort, "p0")
        yield nodes
        nodes.close()


def start(case, slices=(5,), axis="k", **limits):
    mask = ellipsoid(0)[1]
    for index in slices:
        segments.set_slice(
            case.segmentation, case.segment_id("blob"), case.volume, np.moveaxis(mask, 2 - "ijk".index(axis), 0)[index], axis, index
        )
    # no slice is all noise to a window, as it would be to its own minimum and maximum
    settings = ImageSettings(scaling="window", window=(100, 400))
    return VolumeWork(
        case.volume, case.segmentation, case.segment_id("blob"), axis, settings, Threshold(), limits=Limits(min_confidence=0.1, **limits)
    )


@pytest.mark.parametrize(("axis", "slices"), [("k", (5,)), ("j", (20,)), ("i", (18,))])
def test_the_whole_structure_from_one_slice_along_each_axis(case, axis, slices):
    work = start(case, slices, axis)
    work.prepare()
    assert work.confirmed == list(slices)
    work.commit(work.compute())
    assert mask_dice(case.mask("blob"), ellipsoid(0)[1]) > 0.95


def test_one_undo_step_takes_it_all_back(case):
    work, writer = start(case), segments.SegmentWriter()
    before = case.mask("blob")
    work.prepare()
    work.commit(work.compute(), writer)
    after = case.mask("blob")
    writer.history.undo()
    assert np.array_equal(case.mask("blob"), before) and not writer.history.can_undo
    writer.history.redo()
    assert np.array_equal(case.mask("blob"), after) and after.sum() > before.sum()


def test_cancel_changes_nothing(case):
    work, before = start(case), case.mask("blob")
    work.prepare()
    with pytest.raises(Cancelled):
        work.compute(cancel=lambda: work.predicted > 2)
    assert np.array_equal(case.mask("blob"), before)


def test_a_correction_is_seen_and_only_its_neighbourhood_is_made_anew(case):
    work = start(case, (3, 7))
    work.prepare()
    work.commit(work.compute())
    first, count = case.mask("blob"), work.predicted
    corrected = first[5].copy()
    corrected[:, :17] = 0
    segments.set_slice(case.segmentation, case.segment_id("blob"), case.volume, corrected, "k", 5)
    work.prepare()
    assert work.confirmed == [3, 5, 7]
    work.commit(work.compute())
    second = case.mask("blob")
    assert np.array_equal(second[5], corrected), "what the person did stays"
    assert np.array_equal(second[:4], first[:4]) and np.array_equal(second[7:], first[7:])
    assert 0 < work.predicted - count <= 4


def test_an_end_that_is_corrected_to_empty_is_cleared_beyond(case):
    work = start(case)
    work.prepare()
    work.commit(work.compute())
    assert case.mask("blob")[8].any()
    segments.set_slice(case.segmentation, case.segment_id("blob"), case.volume, np.zeros_like(ellipsoid(0)[1][0]), "k", 7)
    work.prepare()
    work.commit(work.compute())
    assert not case.mask("blob")[7:].any() and case.mask("blob")[6].any()


def test_prompts_on_other_slices_guide(case):
    work = start(case, last=8)
    far = work.stack.planes[7].to_ras(5, 5)
    work.prepare(Prompts((Point(far),)))
    results = work.compute()
    assert results[7].probability[5, 5] < 0.5, "a prompt on dark background is not obeyed by this model, but it is given to it"
    assert 7 in work._prompts and 6 not in work._prompts


def test_the_range_is_kept(case):
    work = start(case, first=4, last=6)
    work.prepare()
    work.commit(work.compute())
    assert set(np.flatnonzero(case.mask("blob").any((1, 2)))) == {4, 5, 6}


@pytest.mark.parametrize(("axis", "spacing"), [("k", 2.5), ("j", 0.8), ("i", 0.9)])
def test_the_step_is_measured_in_grid_pixels(case, axis, spacing):
    stack = SliceStack(case.volume, axis, ImageSettings())
    pixel = np.linalg.norm(stack.planes[3].grid_to_ras[:3, 0])
    assert stack.step == pytest.approx(spacing / pixel)

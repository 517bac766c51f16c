"""The session: prompts in, voxels out; undo exact, late results dropped, manual edits minded. Real MRML, a predictor that is easy to foresee."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from fakes import FakePredictor
from MultiverSegLib.core.errors import PromptError, SegmentationError
from MultiverSegLib.core.prompts import Point, Prompts
from MultiverSegLib.engine.session_history import EDIT_LOGIT
from MultiverSegLib.engine.slice_session import SliceSession, Strokes
from scipy import ndimage

SIZE = (40, 36, 12)  # i, j, k
SPACING = (1.0, 1.0, 3.0)


class DiscPredictor(FakePredictor):
    """A disc of 15 grid pixels around each positive pixel, cut by discs around negative ones, on top of the previous result."""

    name = "disc"

    def answer(self, image, prompts, previous, examples):
        result = np.full(image.shape, -4.0, np.float32) if previous is None else previous.copy()
        for channel, value in ((1, 4.0), (2, -4.0)):
            if prompts is not None and prompts[channel].any():
                result[ndimage.distance_transform_edt(prompts[channel] == 0) <= 15] = value
        return result


@pytest.fixture
def volume(host):
    import slicer

    array = np.random.default_rng(0).integers(0, 900, SIZE[::-1]).astype(np.int16)
    matrix = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    matrix[:3, 3] = (20, 18, -10)
    node = slicer.util.addVolumeFromArray(array, matrix, name="volume")
    return node


@pytest.fixture
def scene(volume):
    from MultiverSegLib.mrml.segments import add_segment, new_segmentation

    segmentation = new_segmentation(volume)
    return volume, segmentation, add_segment(segmentation, "liver")


def make(scene, predictor=None, axis="k", index=6, **options) -> SliceSession:
    from MultiverSegLib.mrml.slice_plane import SlicePlane

    volume, segmentation, segment_id = scene
    plane = SlicePlane.from_volume(volume, axis, index)
    return SliceSession(volume, segmentation, segment_id, plane, None, predictor or DiscPredictor(), **options)


def ras(volume, i, j, k) -> tuple[float, float, float]:
    from MultiverSegLib.mrml.volumes import ijk_to_ras

    return tuple(float(v) for v in (ijk_to_ras(volume) @ [i, j, k, 1])[:3])


def voxels(scene) -> np.ndarray:
    from MultiverSegLib.mrml.segments import get_segment

    volume, segmentation, segment_id = scene
    return get_segment(segmentation, segment_id, volume)


def paint(scene, i, j, k, value=1) -> None:
    """What Paint and Erase do: change voxels behind the session's back."""
    from MultiverSegLib.mrml.segments import get_segment, set_slice

    volume, segmentation, segment_id = scene
    mask = get_segment(segmentation, segment_id, volume)[k]
    mask[j, i] = value
    set_slice(segmentation, segment_id, volume, mask, "k", k)


# --- the way of the data


@pytest.mark.parametrize("axis, index, click", [("k", 6, (10, 20, 6)), ("j", 15, (30, 15, 4)), ("i", 22, (22, 12, 9))])
def test_a_click_in_patient_space_marks_the_voxels_around_it_on_its_slice_only(scene, axis, index, click):
    session = make(scene, axis=axis, index=index)
    session.add(Point(ras(scene[0], *click)))
    session.predict()
    found = np.argwhere(voxels(scene))[:, ::-1]  # i, j, k
    number = "ijk".index(axis)
    assert set(found[:, number]) == {index}
    side = {"k": 40, "j": 40, "i": 36}[axis]
    reach = 15 * side / 128
    distance = np.linalg.norm((found - click) * SPACING, axis=1)
    assert distance.max() <= reach + 0.5 * max(SPACING[n] for n in range(3) if n != number)
    assert tuple(click) in {tuple(f) for f in found.tolist()}


def test_a_tilted_plane_works_alike(scene):
    from MultiverSegLib.mrml.slice_plane import SlicePlane

    volume, segmentation, segment_id = scene
    point = ras(volume, 20, 18, 6)
    plane = SlicePlane.through(volume, point, (0.0, 0.5, 1.0))
    session = SliceSession(volume, segmentation, segment_id, plane, None, DiscPredictor())
    session.add(Point(point))
    session.predict()
    mask = voxels(scene)
    assert mask[6, 18, 20] and len(np.unique(np.argwhere(mask)[:, 0])) > 1
    session.undo()
    assert not voxels(scene).any()


def test_corrections_see_the_previous_prediction_as_logits(scene):
    predictor = DiscPredictor()
    session = make(scene, predictor)
    session.add(Point(ras(scene[0], 10, 20, 6)))
    first = session.predict()
    session.add(Point(ras(scene[0], 14, 20, 6), positive=False))
    session.predict()
    assert predictor.seen[0].previous is None
    assert np.array_equal(predictor.seen[1].previous, first.logits)
    assert predictor.seen[1].prompts[1].sum() == 1 and predictor.seen[1].prompts[2].sum() == 1


def test_asking_twice_gives_the_same_answer(scene):
    predictor = DiscPredictor()
    session = make(scene, predictor)
    session.add(Point(ras(scene[0], 10, 20, 6)))
    session.predict()
    before = voxels(scene)
    session.predict()
    assert predictor.seen[1].previous is None and np.array_equal(voxels(scene), before)


def test_the_image_is_sampled_again_when_the_volume_changes(scene):
    import slicer

    session = make(scene)
    before = session.image()
    assert session.image() is before
    slicer.util.arrayFromVolume(scene[0])[6, :5] = 5000
    slicer.util.arrayFromVolumeModified(scene[0])
    assert not np.array_equal(session.image(), before)


def test_painted_strokes_are_prompts_too(scene):
    from MultiverSegLib.mrml.segments import add_segment, set_slice

    volume, segmentation, _ = scene
    mask = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    mask[20, 10] = 1
    helpers = [add_segment(segmentation, name) for name in ("positive", "negative")]
    set_slice(segmentation, helpers[0], volume, mask, "k", 6)
    set_slice(segmentation, helpers[1], volume, np.roll(mask, 20, 1), "k", 6)
    predictor = DiscPredictor()
    session = make(scene, predictor, strokes=[Strokes(segmentation, helpers[0]), Strokes(segmentation, helpers[1], positive=False)])
    session.predict()
    assert voxels(scene)[6, 20, 10] and not voxels(scene)[6, 20, 30]
    assert predictor.seen[0].prompts[0].sum() == 0


def test_with_nothing_to_go_by_the_person_is_told(scene):
    with pytest.raises(PromptError, match="prompt on this slice"):
        make(scene).request()
    session = make(scene)
    session.add(Point(ras(scene[0], 10, 20, 9)))  # another slice
    with pytest.raises(PromptError, match="prompt on this slice"):
        session.request()


# --- undo


def test_undo_and_redo_move_prompts_and_voxels_together_and_exactly(scene):
    session = make(scene)
    states = [(session.prompts, voxels(scene))]
    for i, j, positive in ((10, 20, True), (30, 12, True), (12, 20, False)):
        session.add(Point(ras(scene[0], i, j, 6), positive))
        session.predict()
        states.append((session.prompts, voxels(scene)))
    for prompts, mask in reversed(states[:-1]):
        assert session.undo()
        assert session.prompts == prompts and np.array_equal(voxels(scene), mask)
    assert not session.undo()
    for prompts, mask in states[1:]:
        assert session.redo()
        assert session.prompts == prompts and np.array_equal(voxels(scene), mask)
    assert not session.redo()


def test_after_undo_the_network_sees_the_older_logits(scene):
    predictor = DiscPredictor()
    session = make(scene, predictor)
    session.add(Point(ras(scene[0], 10, 20, 6)))
    first = session.predict()
    session.add(Point(ras(scene[0], 30, 20, 6)))
    session.predict()
    session.undo()
    session.add(Point(ras(scene[0], 20, 5, 6)))
    session.predict()
    assert np.array_equal(predictor.seen[-1].previous, first.logits)
    assert not session.can_redo


def test_clear_takes_everything_away_and_is_undone_in_one_step(scene):
    session = make(scene)
    paint(scene, 3, 3, 2)  # another slice stays out of it
    start = voxels(scene)
    for i in (10, 30):
        session.add(Point(ras(scene[0], i, 20, 6)))
        session.predict()
    full, prompts = voxels(scene), session.prompts
    assert session.clear()
    assert len(session.prompts) == 0 and np.array_equal(voxels(scene), start)
    session.undo()
    assert session.prompts == prompts and np.array_equal(voxels(scene), full)
    session.redo()
    assert np.array_equal(voxels(scene), start)
    session.add(Point(ras(scene[0], 10, 20, 6)))
    session.predict()
    assert session.clear() and np.array_equal(voxels(scene), start)


def test_a_new_threshold_needs_no_network_and_undoes_with_its_step(scene):
    predictor = DiscPredictor()
    session = make(scene, predictor)
    session.add(Point(ras(scene[0], 10, 20, 6)))
    session.predict()
    before = voxels(scene)
    assert session.rethreshold(0.99) and not voxels(scene).any()
    assert session.rethreshold(0.5) and np.array_equal(voxels(scene), before)
    assert len(predictor.seen) == 1
    session.undo()
    assert not voxels(scene).any()


# --- manual edits


def test_what_is_on_the_slice_already_counts_as_the_previous_prediction(scene):
    for i in range(10, 20):
        for j in range(10, 20):
            paint(scene, i, j, 6)
    predictor = DiscPredictor()
    session = make(scene, predictor)
    session.add(Point(ras(scene[0], 30, 30, 6)))
    session.predict()
    logits = predictor.seen[0].previous
    assert set(np.unique(logits)) == {-EDIT_LOGIT, EDIT_LOGIT}
    assert voxels(scene)[6, 15, 15] and voxels(scene)[6, 30, 30]


def test_paint_and_erase_between_predictions_are_minded(scene):
    predictor = DiscPredictor()
    session = make(scene, predictor)
    session.add(Point(ras(scene[0], 10, 20, 6)))
    first = session.predict()
    paint(scene, 10, 21, 6, 0)
    paint(scene, 30, 30, 6, 1)
    session.add(Point(ras(scene[0], 25, 5, 6)))
    session.predict()
    logits = predictor.seen[1].previous
    row, col, _ = session.plane.to_grid(ras(scene[0], 10, 21, 6))
    assert logits[round(row), round(col)] == -EDIT_LOGIT
    row, col, _ = session.plane.to_grid(ras(scene[0], 30, 30, 6))
    assert logits[round(row), round(col)] == EDIT_LOGIT
    changed = logits != first.logits
    assert 5 < changed.sum() < 60  # two voxels of about 3 x 3 grid pixels each; their surroundings keep the network's own logits
    assert voxels(scene)[6, 30, 30]


# --- late results


def test_only_the_newest_request_is_written(scene):
    session = make(scene)
    session.add(Point(ras(scene[0], 10, 20, 6)))
    old = session.request()
    late = session.run(old)
    session.add(Point(ras(scene[0], 30, 20, 6)))
    new = session.request()
    assert old.cancel.is_set() and not session.apply(old, late)
    assert not voxels(scene).any()
    assert session.apply(new, session.run(new))
    assert not session.apply(new, late), "a request is written once"


@pytest.mark.parametrize("event", ["undo", "prompts", "clear", "close", "cancel", "segment", "segmentation", "volume", "scene"])
def test_whatever_happens_meanwhile_a_late_result_changes_nothing(scene, host, event):
    from MultiverSegLib.mrml.volumes import remove_node

    volume, segmentation, segment_id = scene
    session = make(scene)
    session.add(Point(ras(volume, 10, 20, 6)))
    request = session.request()
    prediction = session.run(request)
    {
        "undo": session.undo,
        "prompts": lambda: session.add(Point(ras(volume, 30, 20, 6))),
        "clear": session.clear,
        "close": session.close,
        "cancel": session.cancel,
        "segment": lambda: segmentation.GetSegmentation().RemoveSegment(segment_id),
        "segmentation": lambda: remove_node(segmentation),
        "volume": lambda: remove_node(volume),
        "scene": lambda: host.scene.Clear(0),
    }[event]()
    assert session.apply(request, prediction) is False
    if event in ("undo", "prompts", "clear", "close", "cancel"):
        assert not voxels(scene).any()


def test_run_works_in_another_thread_on_arrays_alone(scene):
    session = make(scene)
    session.add(Point(ras(scene[0], 10, 20, 6)))
    request = session.request()
    results: list = []
    thread = threading.Thread(target=lambda: results.append(session.run(request)))
    thread.start()
    thread.join()
    assert session.apply(request, results[0]) and voxels(scene)[6, 20, 10]


# --- accepting


def test_accept_takes_the_segment_as_it_is_with_manual_changes(scene):
    session = make(scene)
    session.add(Point(ras(scene[0], 10, 20, 6)))
    session.predict()
    paint(scene, 30, 30, 6)
    example = session.accept("case 1", "liver")
    row, col, _ = session.plane.to_grid(ras(scene[0], 30, 30, 6))
    assert example.mask[round(row), round(col)] == 1
    assert np.array_equal(example.image, session.image())
    assert (example.case, example.structure, example.axis) == ("case 1", "liver", "k")
    assert np.array_equal(example.mask, session.plane.sample_segment(scene[1], scene[2]) >= 0.5)


def test_accept_may_take_the_max_slice(scene):
    session = make(scene)
    for i in range(8, 30):
        for j in range(8, 30):
            paint(scene, i, j, 3)
    paint(scene, 10, 10, 6)
    example = session.accept("case 1", max_slice_only=True)
    assert example.mask.sum() > 22 * 22 * 8
    assert np.allclose(np.asarray(example.grid_to_ras)[2, 3], ras(scene[0], 0, 0, 3)[2])


def test_an_empty_segment_is_not_accepted(scene):
    with pytest.raises(SegmentationError, match="liver is empty"):
        make(scene).accept("case 1")


def test_setting_equal_prompts_is_no_step(scene):
    session = make(scene)
    session.prompts = Prompts()
    assert not session.can_undo


def test_the_image_is_made_as_the_contexts_were(scene):
    from MultiverSegLib.core.context.context_set import ContextSet, Example
    from MultiverSegLib.core.imaging import ImageSettings

    settings = ImageSettings(scaling="window", window=(100.0, 200.0))
    context = ContextSet()
    context.add(Example(np.zeros((128, 128)), np.eye(128), settings=settings))
    assert make(scene, context=context).settings == settings
    assert make(scene).settings == ImageSettings()

"""Things that happen in the middle of a prediction: no exception, no wrong write. The host fails a test in which a slot raised."""

from __future__ import annotations

import numpy as np
import pytest

from .conftest import CENTRE

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def off(right=0.0, anterior=0.0, superior=0.0):
    return (CENTRE[0] + right, CENTRE[1] + anterior, CENTRE[2] + superior)


@pytest.fixture
def predicting(opened):
    """A prediction is held in the worker."""
    opened.predictor.hold()
    opened.red.click(CENTRE)
    opened.host.wait_until(lambda: opened.predictor.calls, 120)
    opened.running = opened.effect.self()
    return opened


def untouched(segmentation):
    """Nothing was written into the first segment of a node, which need not be in a scene."""
    from MultiverSegLib.mrml.labelmaps import image_array

    labelmap = segmentation.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap")
    voxels = None if labelmap is None else image_array(labelmap)
    return voxels is None or not voxels.any()


def finish(bench):
    """Let the worker finish and everything that follows happen."""
    bench.predictor.go()
    bench.host.wait_until(lambda: not bench.service.busy and bench.service.idle(0), 60)
    bench.host.process_events(0.05)


def test_escape_cancels_and_nothing_is_written(predicting):
    assert predicting.running.cancel()
    finish(predicting)
    assert predicting.mask(predicting.ct).sum() == 0
    assert len(predicting.prompts()) == 1, "the prompt stays; undo takes it back"
    assert not predicting.running.cancel(), "nothing left to cancel: Escape may leave the effect"


def test_the_busy_mark_is_shown_and_goes(predicting):
    options = predicting.running.options
    predicting.host.wait_until(lambda: options.busyBar.isVisibleTo(options.widget), 60)
    assert options.cancelButton.enabled and "Predicting" in options.statusLabel.text
    finish(predicting)
    predicting.settle()
    assert not options.busyBar.isVisibleTo(options.widget) and not options.cancelButton.enabled
    assert predicting.holds(predicting.ct, CENTRE)


def test_a_prediction_that_ends_soon_shows_no_busy_mark(opened):
    options = opened.effect.self().options
    options._patience.setInterval(100_000)
    before = options.statusLabel.pos.y()
    opened.predictor.hold()
    opened.red.click(CENTRE)
    opened.host.wait_until(lambda: opened.predictor.calls, 120)
    opened.host.process_events(0.05)
    assert not options.busyBar.isVisibleTo(options.widget) and not options.cancelButton.enabled
    finish(opened)
    opened.settle()
    assert not options.busyBar.isVisibleTo(options.widget) and "examples" in options.statusLabel.text
    assert options.statusLabel.pos.y() == before, "its place is kept: nothing moves when it comes and goes"


def test_segment_switched_during_prediction(predicting):
    segments = predicting.segmentation.GetSegmentation()
    first = predicting.editor.currentSegmentID()
    second = segments.AddEmptySegment("", "spleen")
    predicting.editor.setCurrentSegmentID(second)
    finish(predicting)
    assert predicting.mask(predicting.ct, segment_id=first).sum() == 0
    assert predicting.mask(predicting.ct, segment_id=second).sum() == 0


def test_segment_removed_during_prediction(predicting):
    segments = predicting.segmentation.GetSegmentation()
    other = segments.AddEmptySegment("", "other")
    segments.RemoveSegment(predicting.editor.currentSegmentID())
    finish(predicting)
    assert predicting.mask(predicting.ct, segment_id=other).sum() == 0
    assert predicting.markups() == []


def test_source_volume_switched_during_prediction(predicting):
    second = predicting.volume("CT2")
    predicting.panel.parameters.sourceVolume = second
    finish(predicting)
    assert predicting.mask(predicting.ct).sum() == 0


@pytest.mark.parametrize("which", ["volume", "segmentation"])
def test_node_deleted_during_prediction(predicting, which):
    node = predicting.ct if which == "volume" else predicting.segmentation
    predicting.slicer.mrmlScene.RemoveNode(node)
    finish(predicting)
    for left in predicting.slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        assert untouched(left)
    assert predicting.markups() == []


def test_scene_closed_during_prediction(predicting):
    segmentation = predicting.segmentation
    predicting.slicer.mrmlScene.Clear(0)
    finish(predicting)
    assert untouched(segmentation)
    assert predicting.slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []
    assert predicting.markups() == []


def test_module_left_during_prediction(predicting):
    segmentation, segment = predicting.segmentation, predicting.editor.currentSegmentID()
    predicting.host.open_module("SegmentEditor")
    finish(predicting)
    assert predicting.mask(predicting.ct, segment_id=segment, segmentation=segmentation).sum() == 0
    assert predicting.markups() == []


def test_module_reloaded_during_prediction(predicting):
    segmentation, segment = predicting.segmentation, predicting.editor.currentSegmentID()
    reload_module(predicting)
    finish(predicting)
    assert predicting.mask(predicting.ct, segment_id=segment, segmentation=segmentation).sum() == 0
    predicting.widget = predicting.host.open_module("MultiverSegSlicer")
    predicting.red.click(off(3))
    predicting.settle()
    assert predicting.holds(predicting.ct, off(3)), "and the module works again"


def reload_module(bench):
    """What the Reload button of the developer section does."""
    bench.widget.onReload()
    bench.host.process_events(0.05)


def test_effect_left_during_prediction(predicting):
    predicting.editor.setActiveEffect(None)
    finish(predicting)
    assert predicting.mask(predicting.ct).sum() == 0


def test_undo_during_prediction(predicting):
    predicting.editor.undo()
    finish(predicting)
    assert predicting.mask(predicting.ct).sum() == 0 and len(predicting.prompts()) == 0


def test_paint_during_prediction_is_kept(predicting):
    from MultiverSegLib.mrml import segments

    i, j, k = predicting.ijk(predicting.ct, off(0, 15))
    painted = np.zeros(predicting.mask(predicting.ct)[k].shape, np.uint8)
    painted[j - 2 : j + 3, i - 2 : i + 3] = 1
    segments.set_slice(predicting.segmentation, predicting.editor.currentSegmentID(), predicting.ct, painted, "k", k)
    finish(predicting)
    predicting.settle()
    assert predicting.holds(predicting.ct, off(0, 15)) and predicting.holds(predicting.ct, CENTRE)


def test_slice_moved_during_a_stroke_discards_the_stroke(opened):
    opened.red.press(off(-5))
    opened.red.move(off(0))
    opened.red.set_offset(CENTRE[2] + 6)
    opened.red.move(off(5, 0, 6))
    opened.red.release(off(6, 0, 6))
    opened.settle()
    assert len(opened.prompts()) == 0 and opened.mask(opened.ct).sum() == 0 and opened.markups() == []


def test_a_scene_saved_and_loaded_in_the_middle_goes_on(opened, tmp_path):
    slicer = opened.slicer
    opened.red.click(CENTRE)
    opened.red.click(off(6), ctrl=True)
    opened.settle()
    before = opened.mask(opened.ct)
    slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    opened.ct = slicer.util.getNode("CT")
    opened.host.wait_until(lambda: opened.panel.parameters.sourceVolume is opened.ct and opened.effect is not None)
    assert opened.segmentation is opened.panel.parameters.segmentation and opened.effect is not None, "the panel keeps its editor"
    assert np.array_equal(opened.mask(opened.ct), before)
    assert [p.positive for p in opened.prompts()] == [True, False]
    assert len(opened.markups()) == 2, "drawn again, and none came out of the file"
    opened.red.jump_to(CENTRE)
    opened.red.click(off(-9))
    opened.settle()
    assert opened.holds(opened.ct, off(-9)) and len(opened.prompts()) == 3


def test_broken_prediction_is_told_and_the_next_one_works(opened):
    def fails(*_arguments, **_options):
        raise RuntimeError("the network exploded")

    works, opened.predictor.predict_batch = opened.predictor.predict_batch, fails
    opened.red.click(CENTRE)
    opened.settle()
    assert "exploded" in opened.effect.self().options.statusLabel.text
    opened.predictor.predict_batch = works
    opened.red.click(off(4))
    opened.settle()
    assert opened.holds(opened.ct, off(4))

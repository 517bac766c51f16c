"""The effect, driven by events on the slice views: one gesture, one result."""

from __future__ import annotations

import numpy as np
import pytest

from ..conftest import CENTRE

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def kinds(prompts):
    return [(type(p).__name__, getattr(p, "positive", True)) for p in prompts]


def off(right=0.0, anterior=0.0, superior=0.0):
    return (CENTRE[0] + right, CENTRE[1] + anterior, CENTRE[2] + superior)


def test_a_click_segments_its_slice_and_no_other(opened):
    opened.red.click(CENTRE)
    opened.settle()
    assert kinds(opened.prompts()) == [("Point", True)]
    assert opened.holds(opened.ct, CENTRE)
    assert opened.slices(opened.ct) == [opened.ijk(opened.ct, CENTRE)[2]]
    area = opened.mask(opened.ct).sum()
    assert 80 < area * 4 < 160, "a disc of 6 grid pixels of half a millimetre"


def test_the_prompt_lies_where_the_pointer_was(opened):
    spot = off(7, -5)
    opened.red.click(spot)
    opened.settle()
    (point,) = opened.prompts()
    assert np.allclose(point.position, spot, atol=0.6)
    assert opened.holds(opened.ct, spot) and not opened.holds(opened.ct, CENTRE)


def test_ctrl_click_is_negative_and_takes_away(opened):
    opened.red.drag([off(-8), off(8)])
    opened.settle()
    assert opened.holds(opened.ct, off(6)) and opened.holds(opened.ct, off(-6))
    opened.red.click(off(7), ctrl=True)
    opened.settle()
    assert kinds(opened.prompts()) == [("Scribble", True), ("Point", False)]
    assert not opened.holds(opened.ct, off(7)) and opened.holds(opened.ct, off(-6))


def test_a_drag_is_one_scribble(opened):
    opened.red.drag([off(-8), off(0, 6), off(8)], ctrl=True)
    opened.settle()
    (stroke,) = opened.prompts()
    assert type(stroke).__name__ == "Scribble" and not stroke.positive and len(stroke.points) > 5
    assert np.allclose(stroke.points[0], off(-8), atol=0.6) and np.allclose(stroke.points[-1], off(8), atol=0.6)


def test_b_then_drag_is_a_box_and_the_tool_goes_back(opened):
    opened.host.press_key("B") if hasattr(opened.host, "press_key") else opened.effect.self().setTool("box")
    assert opened.effect.parameter("Tool") == "box"
    opened.red.drag([off(-5, -4), off(5, 4)])
    opened.settle()
    (box,) = opened.prompts()
    assert type(box).__name__ == "Box"
    assert np.allclose(box.center, CENTRE, atol=0.6) and np.allclose(sorted(box.size), (0, 8, 10), atol=1.2)
    assert opened.effect.parameter("Tool") == "point"
    assert opened.holds(opened.ct, off(4, 3)) and not opened.holds(opened.ct, off(0, 8))


def test_the_scribble_tool_draws_with_a_short_press_too(opened):
    opened.effect.self().setTool("scribble")
    opened.red.click(CENTRE)
    opened.settle()
    assert kinds(opened.prompts()) == [("Scribble", True)]


def test_the_sign_toggles(opened):
    opened.effect.self().toggleSign()
    opened.red.click(CENTRE)
    opened.red.click(off(5), ctrl=True)
    opened.settle()
    assert kinds(opened.prompts()) == [("Point", False), ("Point", True)]


def test_undo_and_redo_take_prompt_and_result_together(opened):
    opened.red.click(CENTRE)
    opened.settle()
    first = opened.mask(opened.ct)
    opened.red.click(off(9))
    opened.settle()
    second = opened.mask(opened.ct)
    assert second.sum() > first.sum()
    opened.editor.undo()
    opened.host.process_events(0.05)
    assert np.array_equal(opened.mask(opened.ct), first) and kinds(opened.prompts()) == [("Point", True)]
    opened.editor.undo()
    opened.host.process_events(0.05)
    assert opened.mask(opened.ct).sum() == 0 and len(opened.prompts()) == 0 and opened.markups() == []
    opened.editor.redo()
    opened.editor.redo()
    opened.host.process_events(0.05)
    assert np.array_equal(opened.mask(opened.ct), second) and len(opened.prompts()) == 2


def test_after_undo_the_next_prompt_starts_from_what_is_there(opened):
    opened.red.click(CENTRE)
    opened.settle()
    opened.red.click(off(9))
    opened.settle()
    opened.editor.undo()
    opened.host.process_events(0.05)
    opened.red.click(off(-9))
    opened.settle()
    assert opened.holds(opened.ct, off(-9)) and opened.holds(opened.ct, CENTRE) and not opened.holds(opened.ct, off(9))


def test_clicks_faster_than_the_network_are_one_undo_step(opened):
    opened.predictor.hold()
    opened.red.click(CENTRE)
    opened.red.click(off(9))
    opened.predictor.go()
    opened.settle()
    assert len(opened.prompts()) == 2 and opened.holds(opened.ct, off(9))
    opened.editor.undo()
    opened.host.process_events(0.05)
    assert len(opened.prompts()) == 0 and opened.mask(opened.ct).sum() == 0


def test_prompts_are_drawn_hidden_from_lists_and_gone_with_the_effect(opened):
    opened.red.click(CENTRE)
    opened.red.click(off(5), ctrl=True)
    opened.red.drag([off(-8), off(-3)])
    opened.settle()
    nodes = opened.markups()
    assert len(nodes) == 3
    assert all(n.GetHideFromEditors() and not n.GetSaveWithScene() and n.GetLocked() for n in nodes)
    assert all(not n.GetNthDisplayNode(0).GetSaveWithScene() for n in nodes)
    names = opened.segmentation.GetSegmentation().GetSegmentIDs()
    assert len(names) == 1, "prompts never become segments"
    opened.editor.setActiveEffect(None)
    assert opened.markups() == []
    opened.editor.setActiveEffectByName("MultiverSegPrompt")
    assert len(opened.markups()) == 3, "they come back with the effect: the segment kept them"


def test_the_selected_segment_gets_the_result(opened):
    segments = opened.segmentation.GetSegmentation()
    first = opened.editor.currentSegmentID()
    second = segments.AddEmptySegment("", "spleen")
    opened.red.click(CENTRE)
    opened.settle()
    opened.editor.setCurrentSegmentID(second)
    opened.host.process_events(0.02)
    assert len(opened.prompts()) == 0 and opened.markups() == []
    opened.red.click(off(9))
    opened.settle()
    assert opened.mask(opened.ct, segment_id=second).sum() > 0
    assert opened.mask(opened.ct, segment_id=first)[opened.ijk(opened.ct, off(9))[::-1]] == 0


def test_painted_corrections_count_as_the_previous_prediction(opened):
    opened.red.click(CENTRE)
    opened.settle()
    from MultiverSegLib.mrml import segments

    i, j, k = opened.ijk(opened.ct, off(0, 15))
    painted = opened.mask(opened.ct)[k].copy()
    painted[j - 2 : j + 3, i - 2 : i + 3] = 1
    segments.set_slice(opened.segmentation, opened.editor.currentSegmentID(), opened.ct, painted, "k", k)
    opened.red.click(off(9))
    opened.settle()
    logits = opened.predictor.calls[-1].previous
    assert logits is not None and logits.max() > 0
    assert opened.holds(opened.ct, off(0, 15)), "the paint is part of the next prediction"


def test_live_update_off_waits_for_run(opened):
    opened.set_option("LiveUpdate", 0)
    opened.red.click(CENTRE)
    opened.settle()
    assert len(opened.predictor.calls) == 0 and len(opened.prompts()) == 1
    opened.effect.self().run()
    opened.settle()
    assert opened.holds(opened.ct, CENTRE)


def test_clear_removes_the_prompts_of_the_slice_only(opened):
    opened.red.click(CENTRE)
    opened.settle()
    opened.red.jump_to(off(0, 0, 8))
    opened.red.click(off(0, 0, 8))
    opened.settle()
    assert len(opened.prompts()) == 2
    before = opened.mask(opened.ct)
    opened.effect.self().clear()
    assert [p.position[2] for p in opened.prompts()] == pytest.approx([CENTRE[2]], abs=1.1)
    assert np.array_equal(opened.mask(opened.ct), before)


def test_accept_makes_an_example_of_the_largest_slice_and_ends_the_prompts(opened):
    opened.red.drag([off(-8), off(8)])
    opened.settle()
    opened.red.jump_to(off(0, 0, 4))
    opened.red.click(off(0, 0, 4))
    opened.settle()
    opened.effect.self().accept()
    context = opened.presenter.contexts.provider.context(opened.presenter.structure())
    (example,) = list(context)
    assert example.case == "CT" and np.asarray(example.mask).sum() > 300
    assert "has 1 example now" in opened.effect.self().options.statusLabel.text
    assert len(opened.prompts()) == 0 and opened.markups() == []
    assert opened.panel.ui.contextListWidget.count in (0, 1)


def test_next_volume_is_segmented_with_context_and_no_prompt(opened):
    opened.red.drag([off(-8), off(8)])
    opened.settle()
    opened.effect.self().accept()
    structure = opened.presenter.structure()
    second = opened.volume("CT2")
    segmentation = opened.widget.logic.tasks.new_segmentation(second, structure)
    opened.panel.parameters.sourceVolume = second
    opened.panel.parameters.segmentation = segmentation
    opened.host.process_events(0.05)
    opened.red.jump_to(CENTRE)
    opened.panel.predict.predict_slice()
    opened.settle()
    assert len(opened.predictor.calls[-1].examples) == 1
    assert opened.mask(second).sum() > 50 and len(opened.prompts()) == 0
    opened.editor.undo()
    opened.host.process_events(0.05)
    assert opened.mask(second).sum() == 0


def test_nothing_to_go_by_is_said(opened):
    opened.effect.self().run()
    text = opened.effect.self().options.statusLabel.text
    assert "prompt" in text and opened.mask(opened.ct).sum() == 0


def test_masking_of_the_editor_is_respected(opened):
    node = opened.editor.mrmlSegmentEditorNode()
    node.SourceVolumeIntensityMaskOn()
    node.SetSourceVolumeIntensityMaskRange(100, 300)
    opened.red.drag([off(-20), off(0)])
    opened.settle()
    mask = opened.mask(opened.ct) > 0
    array = opened.slicer.util.arrayFromVolume(opened.ct)
    assert mask.sum() > 20 and (array[mask] == 200).all()


def test_overwrite_mode_of_the_editor_is_respected(opened):
    segments = opened.segmentation.GetSegmentation()
    first = opened.editor.currentSegmentID()
    second = segments.AddEmptySegment("", "other")
    opened.red.click(CENTRE)
    opened.settle()
    area = opened.mask(opened.ct, segment_id=first).sum()
    opened.editor.setCurrentSegmentID(second)
    node = opened.editor.mrmlSegmentEditorNode()
    node.SetOverwriteMode(node.OverwriteNone)
    opened.red.click(CENTRE)
    opened.settle()
    assert opened.mask(opened.ct, segment_id=first).sum() == area == opened.mask(opened.ct, segment_id=second).sum()
    opened.editor.undo()
    node.SetOverwriteMode(node.OverwriteAllSegments)
    opened.red.click(CENTRE)
    opened.settle()
    assert opened.mask(opened.ct, segment_id=first).sum() == 0 and opened.mask(opened.ct, segment_id=second).sum() == area


@pytest.mark.parametrize("view", ["Green", "Yellow"])
def test_other_views_work_the_same(opened, view):
    hands = opened.host.view(view)
    hands.jump_to(CENTRE)
    hands.click(CENTRE)
    opened.settle()
    assert opened.holds(opened.ct, CENTRE)
    mask = opened.mask(opened.ct)
    extent = [np.ptp(where) for where in np.nonzero(mask)]
    assert sorted(extent)[0] == 0, "one slice of the view's orientation"


@pytest.mark.parametrize("degrees", [0.05, 0.3, 1.0, 10.0])
def test_a_tilted_view_writes_where_it_shows(opened, degrees):
    node = opened.red.node
    matrix = node.GetSliceToRAS()
    angle = np.radians(degrees)
    rotation = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    axes = rotation @ np.array([[matrix.GetElement(r, c) for c in range(3)] for r in range(3)])
    for r in range(3):
        for c in range(3):
            matrix.SetElement(r, c, axes[r, c])
        matrix.SetElement(r, 3, CENTRE[r])
    node.UpdateMatrices()
    far = 20 * axes[:, 1]
    opened.red.drag([tuple(CENTRE - far), tuple(CENTRE + far)])
    opened.settle()
    mask = opened.mask(opened.ct)
    k, j, i = np.nonzero(mask)
    ras = np.asarray(CENTRE) + (np.stack([i, j, k], 1) - (np.array(mask.shape[::-1]) - 1) / 2) * (-1, -1, 2)
    assert opened.holds(opened.ct, CENTRE) and len(k) > 15
    assert np.abs((ras - CENTRE) @ axes[:, 2]).max() <= 1.3, "within the plane's thickness"
    assert np.ptp(k) == (4 if degrees == 10 else 0), "over 40 mm ten degrees cross slices of 2 mm, one degree does not"


def test_a_transformed_volume_is_segmented_where_it_is_seen(opened):
    transform = opened.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "moved")
    matrix = opened.slicer.util.vtkMatrixFromArray(np.array([[1, 0, 0, 25.0], [0, 1, 0, -10], [0, 0, 1, 6], [0, 0, 0, 1]]))
    transform.SetMatrixTransformToParent(matrix)
    for node in (opened.ct, opened.segmentation):
        node.SetAndObserveTransformNodeID(transform.GetID())
    moved = (CENTRE[0] + 25, CENTRE[1] - 10, CENTRE[2] + 6)
    opened.host.show(opened.ct)
    opened.red.jump_to(moved)
    opened.red.click(moved)
    opened.settle()
    assert opened.holds(opened.ct, CENTRE), "the voxel that lies at the moved point"


def test_with_two_volumes_in_the_view_the_source_volume_counts(opened):
    other = opened.volume("PET", shape=(10, 20, 20), spacing=(4, 4, 5))
    opened.slicer.util.setSliceViewerLayers(background=other, foreground=opened.ct)
    opened.red.jump_to(CENTRE)
    opened.red.click(CENTRE)
    opened.settle()
    assert opened.holds(opened.ct, CENTRE)
    assert opened.slices(opened.ct) == [opened.ijk(opened.ct, CENTRE)[2]]
    expected = opened.predictor.calls[-1].image
    assert expected.max() == 1.0 and len(np.unique(expected.round(3))) > 2


def test_outside_of_the_volume_nothing_is_written(opened):
    opened.red.set_offset(CENTRE[2] + 200)
    opened.red.click(xy=(50, 50))
    opened.settle()
    assert opened.mask(opened.ct).sum() == 0
    assert opened.effect.self().options.statusLabel.text


def test_shortcuts_live_only_while_the_effect_is_active(opened):
    shortcuts = opened.effect.self().shortcuts
    keys = set(opened.effect.self().commands())
    assert keys == set("PSBTMER")
    assert len(shortcuts._shortcuts) == len(keys)
    effect = opened.effect.self()
    opened.editor.setActiveEffect(None)
    assert effect.shortcuts is None


def test_the_main_thread_never_predicts(opened):
    import threading

    opened.red.click(CENTRE)
    opened.settle()
    assert threading.get_ident() not in opened.predictor.threads and len(opened.predictor.threads) == 1


def test_the_prediction_is_asked_for_before_the_prompt_is_drawn(opened):
    opened.predictor.hold()
    shown, show = [], opened.presenter.display.show
    opened.presenter.display.show = lambda prompts: (shown.append(opened.presenter.busy), show(prompts))
    opened.red.click(CENTRE)
    opened.host.wait_until(lambda: shown, 60)
    opened.presenter.display.show = show
    opened.predictor.go()
    opened.settle()
    assert all(shown) and len(opened.markups()) == 1


def test_the_prompt_is_drawn_with_its_result_when_that_comes_soon(opened, monkeypatch):
    from MultiverSegLib.ui.effect import held_views

    monkeypatch.setattr(held_views, "AT_MOST_MS", 100_000)
    opened.predictor.hold()
    opened.red.click(CENTRE)
    opened.host.wait_until(lambda: opened.predictor.calls, 60)
    opened.host.process_events(0.05)
    assert opened.markups() == [] and opened.presenter.busy, "no view renders while the network computes"
    opened.predictor.go()
    opened.settle()
    assert len(opened.markups()) == 1


class Pauses:
    """``depth``: pauses of rendering that have not ended, ours and those of Slicer's views and scene."""

    depth = 0

    def told(self, on):
        self.depth += 1 if on else -1


@pytest.fixture
def paused(opened):
    pauses = Pauses()
    opened.slicer.app.connect("renderPaused(bool)", pauses.told)
    return pauses


def test_the_views_render_once_with_the_result_and_its_prompt(opened, paused, monkeypatch):
    from MultiverSegLib.ui.effect import held_views

    monkeypatch.setattr(held_views, "AT_MOST_MS", 100_000)
    shown, show = [], opened.presenter.display.show
    opened.presenter.display.show = lambda prompts: (shown.append((paused.depth, opened.mask(opened.ct).any())), show(prompts))
    opened.red.click(CENTRE)
    opened.settle()
    opened.presenter.display.show = show
    pauses, written = shown[0]
    assert pauses and written and paused.depth == 0, "written and drawn before the views go on"


def test_the_views_do_not_wait_long_for_a_result(opened, paused):
    opened.predictor.hold()
    opened.red.click(CENTRE)
    opened.host.wait_until(lambda: len(opened.markups()) == 1, 60)
    assert opened.presenter.busy and paused.depth == 0
    opened.predictor.go()
    opened.settle()
    assert paused.depth == 0


@pytest.mark.parametrize("what", ["cancelled", "effect left", "scene closed"])
def test_the_views_go_on_whatever_happens(opened, paused, what):
    opened.predictor.hold()
    opened.red.click(CENTRE)
    if what == "cancelled":
        opened.effect.self().cancel()
    elif what == "effect left":
        opened.editor.setActiveEffect(None)
    else:
        opened.slicer.mrmlScene.Clear(0)
    opened.predictor.go()
    opened.host.wait_until(lambda: paused.depth == 0, 60)
    assert len(opened.markups()) == (what == "cancelled")


def test_a_stroke_is_seen_all_the_time_until_its_prompt_is_drawn(opened):
    opened.set_option("Tool", "scribble")
    opened.predictor.hold()
    opened.red.drag([off(-4), CENTRE, off(4)])
    (gesture,) = opened.markups()
    opened.host.wait_until(lambda: opened.markups() != [gesture], 60)
    assert len(opened.markups()) == 1 and opened.presenter.busy, "the prompt has taken its place"
    opened.predictor.go()
    opened.settle()
    assert len(opened.markups()) == 1


def test_the_next_stroke_does_not_go_on_with_the_one_before(opened, monkeypatch):
    from MultiverSegLib.ui.effect import held_views

    monkeypatch.setattr(held_views, "AT_MOST_MS", 100_000)
    opened.set_option("Tool", "scribble")
    opened.predictor.hold()
    opened.red.drag([off(-4), CENTRE, off(4)])
    opened.red.press(off(0, 8))
    opened.red.move(off(4, 8))
    (gesture,) = opened.markups()
    first = np.zeros(3)
    gesture.GetNthControlPointPositionWorld(0, first)
    assert np.allclose(first, off(0, 8), atol=1.0)
    opened.red.release(off(4, 8))
    opened.predictor.go()
    opened.settle()
    assert len(opened.prompts()) == len(opened.markups()) == 2


def test_drawn_prompts_do_not_become_the_list_that_the_user_places_points_in(opened):
    selection = opened.slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSelectionNode")
    before = selection.GetActivePlaceNodeID(), selection.GetActivePlaceNodeClassName()
    opened.red.click(CENTRE)
    opened.settle()
    assert opened.markups() and (selection.GetActivePlaceNodeID(), selection.GetActivePlaceNodeClassName()) == before
    mine = opened.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", "mine")
    assert selection.GetActivePlaceNodeID() == mine.GetID()
    opened.red.click(off(-10), ctrl=True)
    opened.red.drag([off(-4), off(4)])
    opened.settle()
    assert selection.GetActivePlaceNodeID() == mine.GetID()
    assert selection.GetActivePlaceNodeClassName() == "vtkMRMLMarkupsLineNode"


def test_one_more_prompt_draws_one_more_point(opened):
    for n in range(3):
        opened.red.click(off(4 * n))
        opened.settle()
    (node,) = opened.markups()
    removed = []
    node.AddObserver(opened.slicer.vtkMRMLMarkupsNode.PointRemovedEvent, lambda *_: removed.append(1))
    opened.red.click(off(-5))
    opened.settle()
    assert node.GetNumberOfControlPoints() == 4 and removed == []

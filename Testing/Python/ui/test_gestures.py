"""Gestures become prompts; prompts survive the tag of a segment."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from MultiverSegLib.core.errors import PromptError
from MultiverSegLib.core.prompts import Box, Point, Prompts, Scribble
from MultiverSegLib.ui import prompt_store
from MultiverSegLib.ui.gestures import Gesture

AXES = np.eye(3)


def drawn(tool, path, positive=True, axes=AXES):
    gesture = Gesture(tool, positive, np.asarray(axes, float))
    for x, y in path:
        gesture.add((x, y), tuple(float(v) for v in x * np.asarray(axes)[0] + y * np.asarray(axes)[1]))
    return gesture


def test_a_press_without_travel_is_a_point():
    assert drawn("point", [(10, 10), (11, 11), (12, 11)]).finish() == Point((10.0, 10.0, 0.0))


def test_a_drag_is_a_scribble_of_all_positions():
    stroke = drawn("point", [(0, 0), (5, 0), (10, 0)], positive=False).finish()
    assert stroke == Scribble(((0.0, 0.0, 0.0), (5.0, 0.0, 0.0), (10.0, 0.0, 0.0)), False)


def test_a_stroke_that_returns_to_its_start_is_no_click():
    assert isinstance(drawn("point", [(0, 0), (20, 0), (0, 0)]).finish(), Scribble)


def test_positions_on_top_of_each_other_are_one():
    assert len(drawn("scribble", [(0, 0), (0.5, 0), (1, 0), (3, 0)]).points) == 2


def test_a_box_without_travel_is_nothing():
    assert drawn("box", [(5, 5), (6, 6)]).finish() is None


@given(st.floats(0, np.pi), st.floats(-50, 50), st.floats(-50, 50))
def test_a_box_lies_in_its_view_whatever_the_tilt(angle, width, height):
    axes = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    box = drawn("box", [(0, 0), (width, height)], axes=axes).finish()
    if np.hypot(width, height) < 4:
        assert box is None
        return
    assert isinstance(box, Box)
    assert np.allclose(box.size, (abs(width), abs(height), 0), atol=1e-6)
    assert np.allclose(box.center, width / 2 * axes[0] + height / 2 * axes[1], atol=1e-6)


POINTS = st.tuples(*[st.floats(-500, 500)] * 3)
PROMPTS = st.one_of(
    st.builds(Point, POINTS, st.booleans()),
    st.builds(Scribble, st.lists(POINTS, min_size=1, max_size=20).map(tuple), st.booleans()),
    st.builds(Box, POINTS, st.tuples(*[st.floats(0, 100)] * 3)),
)


@given(st.lists(PROMPTS, max_size=6))
def test_prompts_survive_their_text(items):
    prompts = Prompts(tuple(items))
    text = prompt_store.encode(prompts)
    assert "|" not in text and "\n" not in text, "a tag is cut at a bar when it is written to a file"
    back = prompt_store.decode(text)
    assert back == prompt_store.normalized(prompts) == prompt_store.normalized(back)
    for before, after in zip(prompts, back, strict=True):
        if isinstance(before, Point):
            assert np.allclose(before.position, after.position, atol=1e-3)


@pytest.mark.parametrize("text", ["", "hello", "eJwDAAAAAAE=", "|", "AAAA"])
def test_damaged_text_is_refused_in_words(text):
    with pytest.raises(PromptError, match="damaged"):
        prompt_store.decode(text)


def test_a_damaged_tag_counts_as_no_prompts(host):
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    segment_id = node.GetSegmentation().AddEmptySegment()
    node.GetSegmentation().GetSegment(segment_id).SetTag(prompt_store.TAG, "nonsense")
    assert len(prompt_store.load(node, segment_id)) == 0
    prompt_store.save(node, segment_id, Prompts((Point((1, 2, 3)),)))
    assert prompt_store.load(node, segment_id) == Prompts((Point((1, 2, 3)),))
    prompt_store.save(node, segment_id, Prompts())
    assert not node.GetSegmentation().GetSegment(segment_id).HasTag(prompt_store.TAG)

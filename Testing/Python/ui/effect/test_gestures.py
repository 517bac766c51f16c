"""Gestures become prompts."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from MultiverSegLib.core.prompts import Box, Point, Scribble
from MultiverSegLib.ui.effect.gestures import Gesture

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
    assert np.allclose(box.size, (abs(width), abs(height), 0), atol=6e-4)
    assert np.allclose(box.center, width / 2 * axes[0] + height / 2 * axes[1], atol=6e-4)

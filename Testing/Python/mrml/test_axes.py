"""--axis auto and --slice auto do what a person at the screen would expect."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from MultiverSegLib.core.errors import PromptError
from MultiverSegLib.core.grid import AXES
from MultiverSegLib.core.prompts import Box, Point, Prompts, Scribble
from MultiverSegLib.mrml.axes import axis_of_prompts, named_axes, own_axis, slice_of_prompts, slices_of_prompts

ISOTROPIC = np.diag([-1.0, -1.0, 1.0, 1.0])
THICK_J = np.diag([0.8, 4.0, 0.8, 1.0])
SIZE = (60, 60, 60)


def at(i, j, k, matrix=ISOTROPIC):
    return tuple((matrix @ [i, j, k, 1])[:3])


@pytest.mark.parametrize("matrix, axis", [(ISOTROPIC, "k"), (THICK_J, "j"), (np.diag([3.0, 1, 1, 1]), "i")])
def test_one_click_is_on_the_volumes_own_slices(matrix, axis):
    assert own_axis(matrix) == axis
    assert axis_of_prompts(Prompts((Point(at(9, 8, 7, matrix)),)), matrix) == axis
    assert axis_of_prompts(Prompts(), matrix) == axis


def test_axial_means_along_the_body_however_the_file_is_stored():
    permuted = np.array([[0, 0, -1.0, 0], [1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])  # j runs along S
    assert own_axis(permuted) == "j"


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("matrix", [ISOTROPIC, THICK_J])
def test_strokes_and_clicks_on_one_slice_name_their_axis(axis, matrix):
    rng = np.random.default_rng(axis)
    points = rng.uniform(5, 50, (6, 3))
    points[:, axis] = 20
    stroke = Scribble(tuple(at(*p, matrix) for p in points[:4]))
    prompts = Prompts((stroke, Point(at(*points[4], matrix), positive=False), Point(at(*points[5], matrix))))
    assert axis_of_prompts(prompts, matrix) == AXES[axis]
    assert slice_of_prompts(prompts, matrix, SIZE, AXES[axis]) == 20


def test_a_flat_box_names_its_axis_and_a_thick_one_does_not():
    flat = Box(at(20, 20, 20), (0.0, 10.0, 10.0))
    thick = Box(at(20, 20, 20), (8.0, 10.0, 10.0))
    assert axis_of_prompts(Prompts((flat,)), ISOTROPIC) == "i"
    assert axis_of_prompts(Prompts((thick,)), ISOTROPIC) == "k"


def test_strokes_on_several_slices_of_one_axis():
    strokes = [Scribble((at(i, 5, 5), at(i, 9, 12))) for i in (10, 10, 30)]
    prompts = Prompts(tuple(strokes))
    assert axis_of_prompts(prompts, ISOTROPIC) == "i"
    assert slice_of_prompts(prompts, ISOTROPIC, SIZE, "i") == 10


def test_one_positive_prompt_outweighs_negative_ones_elsewhere():
    prompts = Prompts((Point(at(5, 5, 8)), *(Point(at(n, 5, 30), positive=False) for n in range(4))))
    assert slice_of_prompts(prompts, ISOTROPIC, SIZE, "k") == 8


@given(index=st.integers(0, 59), offset=st.floats(-0.49, 0.49))
def test_a_click_anywhere_in_a_voxel_means_its_slice(index, offset):
    assert slice_of_prompts(Prompts((Point(at(5, 5, index + offset)),)), ISOTROPIC, SIZE, "k") == index


def test_prompts_outside_of_the_volume_are_named():
    with pytest.raises(PromptError, match="outside of the volume"):
        slice_of_prompts(Prompts((Point(at(5, 5, 77)),)), ISOTROPIC, SIZE, "k")


def test_without_prompts_there_is_no_slice():
    assert slice_of_prompts(Prompts(), ISOTROPIC, SIZE, "k") is None


@pytest.mark.parametrize("axis", AXES)
def test_a_box_and_a_stroke_mean_their_middle_and_a_negative_prompt_does_not_decide(axis):
    number = AXES.index(axis)

    def along(index):
        place = [30, 30, 30]
        place[number] = index
        return at(*place)

    box = Prompts((Box(tuple((np.array(along(10)) + along(20)) / 2), tuple(np.where(np.arange(3) == number, 10.0, 8.0))),))
    stroke = Scribble(tuple(along(index) for index in (6, 8, 10)))
    assert slice_of_prompts(box, ISOTROPIC, SIZE, axis) == 15
    assert slice_of_prompts(Prompts((Point(along(5)), Point(along(5)), stroke)), ISOTROPIC, SIZE, axis) == 5
    assert slice_of_prompts(Prompts((Point(along(5)), Scribble((along(8), along(8)), positive=False))), ISOTROPIC, SIZE, axis) == 5
    assert slices_of_prompts(box, ISOTROPIC, SIZE, axis) == [15]
    assert slices_of_prompts(Prompts((stroke, Point(along(2)), Point(along(99)))), ISOTROPIC, SIZE, axis) == [2, 6, 8, 10]


def test_a_prompt_outside_does_not_take_the_others_along():
    prompts = Prompts((Point(at(5, 5, 99)), Point(at(5, 5, 99)), Point(at(5, 5, 3))))
    assert slice_of_prompts(prompts, ISOTROPIC, SIZE, "k") == 3


@given(st.lists(st.floats(-1, 1), min_size=9, max_size=9))
def test_each_anatomical_name_has_an_axis_of_its_own(values):
    linear = np.reshape(values, (3, 3)) + 2 * np.eye(3)
    if abs(np.linalg.det(linear)) < 0.05:
        return
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    assert sorted(named_axes(matrix).values()) == ["i", "j", "k"]

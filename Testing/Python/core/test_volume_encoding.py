"""Points, boxes and intensities of volumes: bit by bit what the published code of WS-ICL makes of them."""

from __future__ import annotations

import numpy as np
import pytest
from core.networks.reference_rule import normal, reference
from MultiverSegLib.core.errors import PromptError
from MultiverSegLib.core.volume_encoding import draw_box, draw_points, scale_volume, soft_ball

SHAPE = (128, 128, 128)


@pytest.mark.parametrize("number", range(4))
def test_boxes_as_published(number):
    file = reference("neuroverse3d")
    volume = np.zeros(SHAPE, np.uint8)
    draw_box(volume, file["boxes"][number])
    assert np.array_equal(np.packbits(volume), file["box_volumes"][number])


@pytest.mark.parametrize("number", range(4))
def test_points_as_published(number):
    file = reference("neuroverse3d")
    points = file["points"][number]
    volume = np.zeros(SHAPE, np.float32)
    draw_points(volume, points[(points >= 0).all(axis=1)])
    assert np.array_equal(volume, file["point_volumes"][number])


def test_scaling_as_published():
    file = reference("neuroverse3d")
    volumes = 7 * normal("neuroverse3d.normalise", (4, 4, 4), file.seed), np.full((4, 4, 4), 2, np.float32)
    for volume, expected in zip(volumes, file["normalised"], strict=True):
        assert np.array_equal(scale_volume(volume), expected)


def test_the_ball_is_what_the_description_says():
    ball = soft_ball()
    assert ball.shape == (13, 13, 13) and np.count_nonzero(ball) == 925
    assert np.allclose(ball[6, 6, 6:], [1, 0.8383, 0.6778, 0.5199, 0.3676, 0.2325, 0.1644], atol=1e-4)


def test_values_that_are_not_finite_do_not_spoil_the_others():
    volume = np.array([[[0, 1, np.nan, np.inf, 2]]])
    assert np.array_equal(scale_volume(volume), [[[0, 0.5, 0, 0, 1]]])
    assert not scale_volume(np.full((2, 2, 2), np.nan)).any()


@pytest.mark.parametrize(
    "act",
    [
        lambda volume: draw_points(volume, np.array([[0, 0, 8]])),
        lambda volume: draw_points(volume, np.array([[-1, 0, 0]])),
        lambda volume: draw_box(volume, np.array([[0, 9], [0, 1], [0, 1]])),
        lambda volume: draw_box(volume, np.array([[3, 3], [0, 1], [0, 1]])),
        lambda volume: draw_box(volume, np.zeros((2, 3))),
    ],
)
def test_prompts_outside_are_refused_and_change_nothing(act):
    volume = np.zeros((8, 8, 8), np.float32)
    with pytest.raises(PromptError, match="8 x 8 x 8 cells"):
        act(volume)
    assert not volume.any()


def test_a_thin_volume_takes_a_box_of_one_cell():
    volume = np.zeros((2, 8, 8), np.float32)
    draw_box(volume, np.array([[1, 2], [7, 8], [3, 4]]))
    assert volume.sum() == 2 * 3 * 3

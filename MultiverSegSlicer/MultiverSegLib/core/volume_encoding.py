"""Prompts and intensities of a volume on a grid of cells, as the published 3D networks were given them; arrays [n, n, n] or of any other sides.

A point becomes a soft ball, so that something of it is left after the network has halved the grid; a box is filled, and is never thinner than
three cells. Positions are array indices along axes 0, 1 and 2; there are no millimetres here.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from .errors import PromptError

#: Cells from the centre of a point's ball to its pole.
BALL_RADIUS = 6
#: Cells that a box has at least along each axis.
LEAST_BOX = 3


@cache
def soft_ball(radius: int = BALL_RADIUS) -> np.ndarray:
    """float32 [2r+1, 2r+1, 2r+1]: each cell's distance to the nearest cell outside of the ball, within this block, as a part of the largest."""
    offsets = np.stack(np.meshgrid(*[np.arange(-radius, radius + 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    inside = (offsets**2).sum(axis=1) <= radius**2
    outside = offsets[~inside]
    squared = np.zeros(len(offsets), np.int64)
    squared[inside] = [((outside - offset) ** 2).sum(axis=1).min() for offset in offsets[inside]]
    distance = np.sqrt(squared.astype(np.float64)).reshape((2 * radius + 1,) * 3)
    ball = (distance / distance.max()).astype(np.float32)
    ball.setflags(write=False)
    return ball


def draw_points(volume: np.ndarray, points: np.ndarray) -> None:
    """Lay a soft ball on each of ``points`` ([n, 3] cells) in ``volume`` (float32, changed in place): the larger value stays, what leaves the
    volume is cut off.

    Raises:
        PromptError: a point outside of the volume.
    """
    ball, radius = soft_ball(), BALL_RADIUS
    for point in np.asarray(points, int).reshape(-1, 3):
        if (point < 0).any() or (point >= volume.shape).any():
            raise PromptError(f"The point {tuple(int(v) for v in point)} is outside of the {_times(volume.shape)} cells: place it inside.")
        low, high = np.maximum(point - radius, 0), np.minimum(point + radius + 1, volume.shape)
        there = tuple(map(slice, low, high))
        part = ball[tuple(map(slice, low - point + radius, high - point + radius))]
        np.maximum(volume[there], part, out=volume[there])


def draw_box(volume: np.ndarray, box: np.ndarray) -> None:
    """Fill ``box`` ([3, 2], half-open ranges of cells) in ``volume`` with 1 (changed in place). An axis of one cell becomes three around it, or the
    outermost three at the edge.

    Raises:
        PromptError: an empty box, or one that leaves the volume.
    """
    box = np.asarray(box, int)
    if box.shape != (3, 2) or (box[:, 0] < 0).any() or (box[:, 1] > volume.shape).any() or (box[:, 0] >= box[:, 1]).any():
        raise PromptError(f"The box {box.tolist()} does not lie within the {_times(volume.shape)} cells: give low and high for each axis.")
    ranges = []
    for (low, high), side in zip(box, volume.shape, strict=True):
        if high - low == 1:
            low = min(max(low - 1, 0), max(side - LEAST_BOX, 0))
            high = min(low + LEAST_BOX, side)
        ranges.append(slice(low, high))
    volume[tuple(ranges)] = 1


def scale_volume(volume: np.ndarray) -> np.ndarray:
    """Intensities of a whole volume, float32, to 0..1 by their minimum and maximum; zeros if it is constant.

    Values that are not finite become 0 and do not influence the others.
    """
    values = np.asarray(volume, np.float32)
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros(values.shape, np.float32)
    low, high = values[finite].min(), values[finite].max()
    scaled = (values - low) / max(high - low, np.float32(1e-8))
    return np.where(finite, scaled, np.float32(0))


def _times(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))

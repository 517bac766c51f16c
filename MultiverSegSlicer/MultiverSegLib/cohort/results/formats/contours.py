"""Closed contours of a mask on one slice; a hole is part of the contour around it, joined to it by a channel without width ("keyhole")."""

from __future__ import annotations

import numpy as np


def contours_of(mask: np.ndarray) -> list[np.ndarray]:
    """The contours around everything in a mask.

    They run midway between the centres of pixels inside and outside, so that the centres inside a contour are those of the mask. Pixels that
    touch at a corner only are apart. Channels run between the rows of pixel centres, where no centre lies on them.

    Args:
        mask: bool [rows, columns].

    Returns:
        One array [points, 2] per contour, (row, column) in pixels from the centre of the first one; the first point is not repeated at the end.
    """
    from skimage.measure import find_contours, points_in_poly

    padded = np.pad(np.asarray(mask, float), 1)
    loops = [loop[:-1] - 1 for loop in find_contours(padded, 0.5, fully_connected="low", positive_orientation="high")]
    outer = [loop for loop in loops if _area(loop) > 0]
    holes: list[list[np.ndarray]] = [[] for _ in outer]
    for hole in (loop for loop in loops if _area(loop) < 0):
        around = [n for n, loop in enumerate(outer) if points_in_poly(hole[:1], loop)[0]]
        holes[min(around, key=lambda n: _area(outer[n]))].append(hole)
    return [_joined(loop, inside) for loop, inside in zip(outer, holes, strict=True)]


def _area(loop: np.ndarray) -> float:
    """Signed: positive where the mask is inside of the loop, negative around a hole."""
    rows, columns = loop.T
    return float(np.sum(rows * np.roll(columns, -1) - columns * np.roll(rows, -1))) / 2


def _joined(loop: np.ndarray, holes: list[np.ndarray]) -> np.ndarray:
    """The loop with its holes, each joined to what lies to its right: the rightmost first, so that no other hole lies in between."""
    for hole in sorted(holes, key=lambda points: -points[:, 1].max()):
        rightmost = np.flatnonzero(hole[:, 1] == hole[:, 1].max())
        turn = rightmost[np.argmin(hole[rightmost, 0])]  # above it the border goes on diagonally, and in its middle no centre is near
        above = (turn + 1) % len(hole) if hole[(turn + 1) % len(hole), 0] < hole[turn, 0] else turn - 1
        start = (hole[turn] + hole[above]) / 2
        ring = np.roll(hole, -(turn + 1), axis=0) if above != turn - 1 else np.roll(hole, -turn, axis=0)
        place, meets = _first_to_the_right(loop, start)
        loop = np.concatenate([loop[: place + 1], [meets, start], ring, [start, meets], loop[place + 1 :]])
    return loop


def _first_to_the_right(loop: np.ndarray, start: np.ndarray) -> tuple[int, np.ndarray]:
    """The edge (number of its first point) that a line from ``start`` to the right meets first, and where."""
    ends = np.roll(loop, -1, axis=0)
    crossing = np.flatnonzero((loop[:, 0] > start[0]) != (ends[:, 0] > start[0]))
    first, second = loop[crossing], ends[crossing]
    columns = first[:, 1] + (start[0] - first[:, 0]) / (second[:, 0] - first[:, 0]) * (second[:, 1] - first[:, 1])
    nearest = np.argmin(np.where(columns > start[1], columns, np.inf))
    return int(crossing[nearest]), np.array([start[0], columns[nearest]])

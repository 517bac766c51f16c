"""Points, lines, brushes and outlines on the pixels of a grid [n, n], changed in place; positions are (col, row) in pixels, z in mm."""

from __future__ import annotations

import itertools

import numpy as np

#: mm and pixels: rounding errors don't decide.
NEAR = 1e-6
_STEP = 0.25  # pixels between the samples of a drawn line


def set_pixels(channel: np.ndarray, located: np.ndarray) -> None:
    """Set the pixels that hold ``located`` [n, >=2] (col, row); positions outside of the field of view are left out."""
    seen = ((located[:, :2] >= -0.5 - NEAR) & (located[:, :2] <= len(channel) - 0.5 + NEAR)).all(axis=1)
    cols, rows = np.clip(np.floor(located[seen, :2].T + 0.5).astype(int), 0, len(channel) - 1)
    channel[rows, cols] = 1


def trace(located: np.ndarray, half: float) -> list[np.ndarray]:
    """Dense (col, row) samples [n, 2] of each piece of a polyline ``located`` [n, 3] (col, row, z mm) within ``half`` mm of the plane."""
    if len(located) == 1:
        return [located[:, :2]] if abs(located[0, 2]) <= half else []
    parts = []
    for start, end in itertools.pairwise(located):
        change = end - start
        low, high = 0.0, 1.0
        if abs(change[2]) > NEAR:
            crossings = sorted(((-half - start[2]) / change[2], (half - start[2]) / change[2]))
            low, high = max(low, crossings[0]), min(high, crossings[1])
        elif abs(start[2]) > half:
            continue
        if low > high:
            continue
        count = int(np.ceil(np.abs(change[:2]).max() * (high - low) / _STEP)) + 1
        parts.append(start[:2] + np.linspace(low, high, count)[:, None] * change[:2])
    return parts


def brush(channel: np.ndarray, parts: list[np.ndarray], radius: float) -> None:
    """Set the pixels whose centre is within ``radius`` pixels of the traced ``parts`` ([n, 2] each, (col, row))."""
    every = max(1, int(radius / 8 / _STEP))  # samples an eighth of the radius apart leave no visible scallops
    drawn = np.concatenate([sample for part in parts for sample in (part[::every], part[-1:])])
    reach = np.arange(-int(np.ceil(radius)), int(np.ceil(radius)) + 1)
    offsets = np.stack(np.meshgrid(reach, reach), axis=-1).reshape(-1, 2)
    drawn = drawn[((drawn > -1 - radius) & (drawn < len(channel) + radius)).all(axis=1)]
    chunk = 1 + 1_000_000 // len(offsets)
    for start in range(0, len(drawn), chunk):
        points = drawn[start : start + chunk, None]
        pixels = np.floor(points + 0.5) + offsets
        near = ((pixels - points) ** 2).sum(axis=-1) <= radius**2 + NEAR
        near &= ((pixels >= 0) & (pixels < len(channel))).all(axis=-1)
        cols, rows = pixels[near].astype(int).T
        channel[rows, cols] = 1


def fill_outline(channel: np.ndarray, outline: np.ndarray) -> None:
    """Fill the polygon ``outline`` [n, 2] (col, row) by the even-odd rule at pixel centres."""
    start, end = outline, np.roll(outline, -1, axis=0)
    size = len(channel)
    rows = np.arange(size)
    crosses = (start[:, 1, None] <= rows) != (end[:, 1, None] <= rows)
    edge, row = np.nonzero(crosses)
    part = (row - start[edge, 1]) / (end[edge, 1] - start[edge, 1])
    col = start[edge, 0] + part * (end[edge, 0] - start[edge, 0])
    toggles = np.zeros((size, size + 1), int)
    np.add.at(toggles, (row, np.clip(np.ceil(col), 0, size).astype(int)), 1)
    channel[np.cumsum(toggles, axis=1)[:, :size] % 2 == 1] = 1

"""Lines, brushes and outlines on the cells of a cube [n, n, n], changed in place; positions are in cells. Balls and boxes: ``volume_encoding``."""

from __future__ import annotations

import itertools

import numpy as np

#: Cells: rounding errors don't decide.
NEAR = 1e-6
_STEP = 0.25  # cells between the samples of a drawn line


def cells_seen(where: np.ndarray, size: int) -> np.ndarray:
    """The cells [n, 3] that hold ``where``; positions outside of the cube are left out."""
    inside = ((where >= -0.5 - NEAR) & (where <= size - 0.5 + NEAR)).all(axis=1)
    return np.clip(np.floor(where[inside] + 0.5).astype(int), 0, size - 1)


def set_cells(channel: np.ndarray, where: np.ndarray) -> None:
    channel[tuple(cells_seen(where, channel.shape[0]).T)] = 1


def trace(points: np.ndarray) -> np.ndarray:
    """Dense positions [n, 3] along a polyline."""
    parts = [points[:1]]
    for start, end in itertools.pairwise(points):
        count = int(np.ceil(np.abs(end - start).max() / _STEP)) + 1
        parts.append(start + np.linspace(0, 1, count)[:, None] * (end - start))
    return np.concatenate(parts)


def brush(channel: np.ndarray, drawn: np.ndarray, radius: float) -> None:
    """Set the cells whose centre is within ``radius`` cells of the drawn positions."""
    reach = np.arange(-int(np.ceil(radius)), int(np.ceil(radius)) + 1)
    offsets = np.stack(np.meshgrid(reach, reach, reach, indexing="ij"), axis=-1).reshape(-1, 3)
    drawn = drawn[:: max(1, int(radius / 8 / _STEP))]
    size = channel.shape[0]
    chunk = 1 + 500_000 // len(offsets)
    for start in range(0, len(drawn), chunk):
        points = drawn[start : start + chunk, None]
        cells = np.floor(points + 0.5) + offsets
        near = ((cells - points) ** 2).sum(axis=-1) <= radius**2 + NEAR
        near &= ((cells >= 0) & (cells < size)).all(axis=-1)
        channel[tuple(cells[near].astype(int).T)] = 1


def fill_outline(channel: np.ndarray, outline: np.ndarray, half: float) -> None:
    """Fill a closed outline [n, 3] in cells, drawn on a plane: cells within ``half`` cells of that plane and inside of it by the even-odd rule."""
    middle = outline.mean(axis=0)
    _, spread, (first, second, normal) = np.linalg.svd(outline - middle)
    if spread[1] < NEAR:  # a line has no inside
        return
    flat = (outline - middle) @ np.stack([first, second], axis=1)
    reach = np.abs(outline - middle).max(axis=0) + half
    low = np.maximum(np.ceil(middle - reach), 0).astype(int)
    high = np.minimum(np.floor(middle + reach) + 1, channel.shape[0]).astype(int)
    if (low >= high).any():
        return
    index = np.stack(np.meshgrid(*map(np.arange, low, high), indexing="ij"), axis=-1) - middle
    u, v = index @ first, index @ second
    inside = np.zeros(u.shape, bool)
    for (x0, y0), (x1, y1) in zip(flat, np.roll(flat, -1, axis=0), strict=True):
        crosses = (y0 <= v) != (y1 <= v)
        if y0 != y1:
            inside ^= crosses & (u < x0 + (v - y0) * (x1 - x0) / (y1 - y0))
    channel[tuple(map(slice, low, high))][inside & (np.abs(index @ normal) <= half + NEAR)] = 1

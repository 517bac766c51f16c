"""Prompts in patient space (mm) on the cells of a volume grid, as ``encoding`` puts them on the pixels of a slice."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np

from .encoding import BOX, NEGATIVE, POSITIVE
from .errors import PromptError
from .prompts import Box, Point, Prompt, Scribble
from .volume_encoding import LEAST_BOX, draw_box, draw_points

_NEAR = 1e-6  # cells: rounding errors don't decide
_STEP = 0.25  # cells between the samples of a drawn line
_STRAIGHT = 1e-3  # how far a box may be turned against the grid and still be aligned


def encode_volume_prompts(prompts: Iterable[Prompt], grid_to_ras: np.ndarray, size: int, require: bool = False) -> np.ndarray:
    """Prompts on a cube of cells.

    A point becomes a soft ball, a box is filled and at least three cells thick where it holds only one, a scribble is painted with its brush and
    at least one cell wide.

    Args:
        prompts: in patient space (RAS, mm).
        grid_to_ras: 4x4, homogeneous cell indices (a, b, c, 1) to RAS.
        size: cells along each side.
        require: raise if no prompt is within the cube.

    Returns:
        float32 [3, size, size, size] in 0..1: box, positive, negative.

    Raises:
        PromptError: ``require`` and nothing was set.
    """
    channels = np.zeros((3, size, size, size), np.float32)
    grid_to_ras = np.asarray(grid_to_ras, float)
    for prompt in prompts:
        if isinstance(prompt, Box):
            _box(channels[BOX], prompt, grid_to_ras)
            continue
        channel = channels[POSITIVE if prompt.positive else NEGATIVE]
        if isinstance(prompt, Point):
            draw_points(channel, _seen(_cells([prompt.position], grid_to_ras), size))
        else:
            _scribble(channel, prompt, grid_to_ras)
    if require and not channels.any():
        raise PromptError("No prompt lies within the field of view of the volume: place prompts inside, or choose another field of view.")
    return channels


def _cells(points: object, grid_to_ras: np.ndarray) -> np.ndarray:
    """[n, 3] positions in cells of [n, 3] RAS positions."""
    inverse = np.linalg.inv(grid_to_ras)
    return np.asarray(points, float) @ inverse[:3, :3].T + inverse[:3, 3]


def _seen(where: np.ndarray, size: int) -> np.ndarray:
    """The cells [n, 3] that hold ``where``; positions outside of the cube are left out."""
    inside = ((where >= -0.5 - _NEAR) & (where <= size - 0.5 + _NEAR)).all(axis=1)
    return np.clip(np.floor(where[inside] + 0.5).astype(int), 0, size - 1)


def _box(channel: np.ndarray, box: Box, grid_to_ras: np.ndarray) -> None:
    steps = np.linalg.norm(grid_to_ras[:3, :3], axis=0)
    turned = np.asarray(box.axes, float) @ (grid_to_ras[:3, :3] / steps)  # box axis, grid axis: cosines
    half, size = np.asarray(box.size, float) / 2, channel.shape[0]
    center = _cells([box.center], grid_to_ras)[0]
    if np.abs(np.abs(turned).max(axis=1) - 1).max() < _STRAIGHT**2:
        reach = np.abs(turned.round()).T @ half / steps
        low, high = np.ceil(center - reach - _NEAR), np.floor(center + reach + _NEAR) + 1
        thin = low >= high  # no cell's centre is inside: the cell that the box lies in
        low, high = np.where(thin, np.floor(center + 0.5), low), np.where(thin, np.floor(center + 0.5) + 1, high)
        ranges = np.stack([np.maximum(low, 0), np.minimum(high, size)], axis=1).astype(int)
        if (ranges[:, 0] < ranges[:, 1]).all():
            draw_box(channel, ranges)
        return
    reach = np.where(half < steps.min(), LEAST_BOX / 2 * steps.min(), half) + _NEAR
    extent = np.abs(turned).T @ reach / steps
    low, high = np.maximum(np.ceil(center - extent), 0).astype(int), np.minimum(np.floor(center + extent) + 1, size).astype(int)
    if (low >= high).any():
        return
    index = np.stack(np.meshgrid(*map(np.arange, low, high), indexing="ij"), axis=-1)
    inside = (np.abs(((index - center) * steps) @ turned.T) <= reach).all(axis=-1)
    channel[tuple(map(slice, low, high))][inside] = 1


def _scribble(channel: np.ndarray, scribble: Scribble, grid_to_ras: np.ndarray) -> None:
    points = _cells(scribble.points, grid_to_ras)
    outline = np.concatenate([points, points[:1]]) if scribble.filled else points
    drawn = _trace(outline)
    _set(channel, drawn)
    radius = scribble.width / 2 / float(np.linalg.norm(grid_to_ras[:3, 0]))
    if radius > 0:
        _brush(channel, drawn, radius)
    if scribble.filled and len(points) > 2:
        _fill(channel, points, max(radius, 0.5))


def _set(channel: np.ndarray, where: np.ndarray) -> None:
    channel[tuple(_seen(where, channel.shape[0]).T)] = 1


def _trace(points: np.ndarray) -> np.ndarray:
    """Dense positions [n, 3] along a polyline."""
    parts = [points[:1]]
    for start, end in itertools.pairwise(points):
        count = int(np.ceil(np.abs(end - start).max() / _STEP)) + 1
        parts.append(start + np.linspace(0, 1, count)[:, None] * (end - start))
    return np.concatenate(parts)


def _brush(channel: np.ndarray, drawn: np.ndarray, radius: float) -> None:
    """Set the cells whose centre is within ``radius`` cells of the drawn positions."""
    reach = np.arange(-int(np.ceil(radius)), int(np.ceil(radius)) + 1)
    offsets = np.stack(np.meshgrid(reach, reach, reach, indexing="ij"), axis=-1).reshape(-1, 3)
    drawn = drawn[:: max(1, int(radius / 8 / _STEP))]
    size = channel.shape[0]
    chunk = 1 + 500_000 // len(offsets)
    for start in range(0, len(drawn), chunk):
        points = drawn[start : start + chunk, None]
        cells = np.floor(points + 0.5) + offsets
        near = ((cells - points) ** 2).sum(axis=-1) <= radius**2 + _NEAR
        near &= ((cells >= 0) & (cells < size)).all(axis=-1)
        channel[tuple(cells[near].astype(int).T)] = 1


def _fill(channel: np.ndarray, outline: np.ndarray, half: float) -> None:
    """Fill a closed outline [n, 3] in cells, drawn on a plane: cells within ``half`` cells of that plane and inside of it by the even-odd rule."""
    middle = outline.mean(axis=0)
    _, spread, (first, second, normal) = np.linalg.svd(outline - middle)
    if spread[1] < _NEAR:  # a line has no inside
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
    channel[tuple(map(slice, low, high))][inside & (np.abs(index @ normal) <= half + _NEAR)] = 1

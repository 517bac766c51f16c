"""Prompts and masks on the grid.

Channels as the published networks were trained with (papers: ScribblePrompt section 3, MultiverSeg section 4.1): a click is one pixel set to 1, a
box is filled with 1, scribbles are painted. Whatever a person drew in view sets at least one pixel: nothing is interpolated away.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np

from .errors import PromptError
from .grid import GRID_SIZE
from .imaging import slice_sheet
from .prompts import Box, Point, Prompt, Scribble

#: Order of the channels that ``encode_prompts`` returns.
BOX, POSITIVE, NEGATIVE = 0, 1, 2
_NEAR = 1e-6  # mm and pixels: rounding errors don't decide
_STEP = 0.25  # pixels between the samples of a drawn line


def encode_prompts(
    prompts: Iterable[Prompt], grid_to_ras: np.ndarray, thickness_mm: float, require: bool = False, size: int = GRID_SIZE
) -> np.ndarray:
    """Rasterize prompts onto a grid.

    Args:
        prompts: in patient space (RAS, mm).
        grid_to_ras: 4x4, homogeneous (col, row, z in mm, 1) to RAS.
        thickness_mm: prompts (or parts of them) farther than half of this from the plane don't count.
        require: raise if there is no prompt on the plane within the field of view.
        size: rows and columns n of the grid.

    Returns:
        float32 [3, n, n]: box, positive, negative; 0 or 1.

    Raises:
        PromptError: ``require`` and nothing was set.
    """
    channels = np.zeros((3, size, size), np.float32)
    grid_to_ras = np.asarray(grid_to_ras, float)
    ras_to_grid = np.linalg.inv(grid_to_ras)
    for prompt in prompts:
        if isinstance(prompt, Box):
            _fill_box(channels[BOX], prompt, grid_to_ras, thickness_mm)
            continue
        channel = channels[POSITIVE if prompt.positive else NEGATIVE]
        points = [prompt.position] if isinstance(prompt, Point) else prompt.points
        located = np.asarray(points, float) @ ras_to_grid[:3, :3].T + ras_to_grid[:3, 3]
        if isinstance(prompt, Scribble):
            _draw_scribble(channel, prompt, located, float(np.linalg.norm(grid_to_ras[:3, 0])), thickness_mm)
        else:
            _set_pixels(channel, located[np.abs(located[:, 2]) <= thickness_mm / 2 + _NEAR])
    if require and not channels.any():
        raise PromptError("No prompt lies on this slice within the field of view: choose its slice, or place prompts on this one.")
    return channels


def _set_pixels(channel: np.ndarray, located: np.ndarray) -> None:
    """Set the pixels that hold ``located`` [n, >=2] (col, row); positions outside of the field of view are left out."""
    seen = ((located[:, :2] >= -0.5 - _NEAR) & (located[:, :2] <= len(channel) - 0.5 + _NEAR)).all(axis=1)
    cols, rows = np.clip(np.floor(located[seen, :2].T + 0.5).astype(int), 0, len(channel) - 1)
    channel[rows, cols] = 1


def _draw_scribble(channel: np.ndarray, scribble: Scribble, located: np.ndarray, pixel_mm: float, thickness_mm: float) -> None:
    if scribble.filled:
        located = np.concatenate([located, located[:1]])
    parts = _trace(located, thickness_mm / 2 + _NEAR)
    if not parts:
        return
    drawn = np.concatenate(parts)
    _set_pixels(channel, drawn)
    radius = scribble.width / 2 / pixel_mm
    if radius > 0:
        _brush(channel, parts, radius)
    if scribble.filled:
        _fill_outline(channel, drawn)


def _trace(located: np.ndarray, half: float) -> list[np.ndarray]:
    """Dense (col, row) samples [n, 2] of each piece of a polyline ``located`` [n, 3] (col, row, z mm) within ``half`` mm of the plane."""
    if len(located) == 1:
        return [located[:, :2]] if abs(located[0, 2]) <= half else []
    parts = []
    for start, end in itertools.pairwise(located):
        change = end - start
        low, high = 0.0, 1.0
        if abs(change[2]) > _NEAR:
            crossings = sorted(((-half - start[2]) / change[2], (half - start[2]) / change[2]))
            low, high = max(low, crossings[0]), min(high, crossings[1])
        elif abs(start[2]) > half:
            continue
        if low > high:
            continue
        count = int(np.ceil(np.abs(change[:2]).max() * (high - low) / _STEP)) + 1
        parts.append(start[:2] + np.linspace(low, high, count)[:, None] * change[:2])
    return parts


def _brush(channel: np.ndarray, parts: list[np.ndarray], radius: float) -> None:
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
        near = ((pixels - points) ** 2).sum(axis=-1) <= radius**2 + _NEAR
        near &= ((pixels >= 0) & (pixels < len(channel))).all(axis=-1)
        cols, rows = pixels[near].astype(int).T
        channel[rows, cols] = 1


def _fill_outline(channel: np.ndarray, outline: np.ndarray) -> None:
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


def _fill_box(channel: np.ndarray, box: Box, grid_to_ras: np.ndarray, thickness_mm: float) -> None:
    """Set the pixels whose centre is in the box; if it is too thin to hold one, those whose area meets it."""
    axes, half = np.asarray(box.axes, float), np.asarray(box.size, float) / 2
    to_box = axes @ grid_to_ras[:3, :3]  # columns: box coordinates per column, per row, per mm of z
    origin = axes @ (grid_to_ras[:3, 3] - np.asarray(box.center, float))
    col, row = np.meshgrid(np.arange(len(channel)), np.arange(len(channel)))
    off = np.abs(np.stack([col, row], axis=-1) @ to_box[:, :2].T + origin)
    reach = half + np.abs(to_box[:, 2]) * thickness_mm / 2 + _NEAR
    inside = (off <= reach).all(axis=-1)
    if not inside.any():
        inside = (off <= reach + np.abs(to_box[:, :2]).sum(axis=1) / 2).all(axis=-1)
    channel[inside] = 1


def pool_mask(mask2d: np.ndarray, spacing: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """Max-pool painted strokes [row, col] to the grid, padded to a square: float32 [128, 128] of 0 and 1. One pixel is enough to survive.

    Args:
        spacing: (mm per row, mm per column).
    """
    mask2d = np.asarray(mask2d)
    sheet = slice_sheet(mask2d.shape, spacing)
    return sheet.pool(sheet.take(mask2d[None] > 0))


def average_mask(mask2d: np.ndarray, spacing: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """Average a label mask [row, col] over the grid's pixels, padded to a square: float32 [128, 128] in 0..1. Threshold at 0.5 for an example.

    Args:
        spacing: (mm per row, mm per column).
    """
    mask2d = np.asarray(mask2d)
    sheet = slice_sheet(mask2d.shape, spacing)
    mean, coverage = sheet.to_grid(sheet.take(mask2d[None] > 0))
    return (mean * coverage).astype(np.float32)

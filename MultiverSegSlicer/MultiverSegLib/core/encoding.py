"""Prompts and masks on the grid.

Channels as the published networks were trained with (papers: ScribblePrompt section 3, MultiverSeg section 4.1): a click is one pixel set to 1, a
box is filled with 1, scribbles are painted. Whatever a person drew in view sets at least one pixel: nothing is interpolated away.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .errors import PromptError
from .grid import GRID_SIZE
from .imaging import slice_sheet
from .prompts import Prompt


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
    for prompt in prompts:
        prompt.draw(channels[prompt.channel], grid_to_ras, thickness_mm)
    if require and not channels.any():
        raise PromptError("No prompt lies on this slice within the field of view: choose its slice, or place prompts on this one.")
    return channels


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

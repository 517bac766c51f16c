"""Prompts in patient space (mm) on the cells of a volume grid, as ``encoding`` puts them on the pixels of a slice."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .errors import PromptError
from .prompts import Prompt


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
        prompt.draw_volume(channels[prompt.channel], grid_to_ras)
    if require and not channels.any():
        raise PromptError("No prompt lies within the field of view of the volume: place prompts inside, or choose another field of view.")
    return channels

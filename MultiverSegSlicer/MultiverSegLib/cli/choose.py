"""Which axis and which slice does the person mean? Answers for ``--axis auto`` and ``--slice auto``, from prompts in patient space.

Works on numbers only: voxel indices (i, j, k) come from RAS through the inverse of the volume's ``ijk_to_ras``.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from ..core.errors import PromptError
from ..core.prompts import Box, Point, Prompt, Prompts

AXES = ("i", "j", "k")
_THICK = 1.5  # slices this much thicker than the pixels were acquired one by one: people draw on them


def reference_points(prompt: Prompt) -> np.ndarray:
    """Points in RAS mm, [n, 3], that stand for a prompt: a click, the points of a stroke, the eight corners of a box."""
    if isinstance(prompt, Point):
        return np.array([prompt.position])
    if isinstance(prompt, Box):
        signs = np.array([[a, b, c] for a in (-0.5, 0.5) for b in (-0.5, 0.5) for c in (-0.5, 0.5)])
        return np.array(prompt.center) + (signs * prompt.size) @ np.array(prompt.axes)
    return np.array(prompt.points)


def to_ijk(points: np.ndarray, ijk_to_ras: np.ndarray) -> np.ndarray:
    """RAS mm [n, 3] -> voxel indices (i, j, k) [n, 3], not rounded."""
    return np.linalg.solve(ijk_to_ras, np.c_[points, np.ones(len(points))].T)[:3].T


def choose_axis(prompts: Prompts, ijk_to_ras: np.ndarray) -> str:
    """The axis ("i", "j" or "k") along which the prompts are flat; where that leaves a choice, the volume's own slice axis.

    A stroke, a flat box, or several clicks on one slice name their axis. One click does not.
    """
    own = slice_axis(ijk_to_ras)
    if not len(prompts):
        return own
    flat = [_is_flat(to_ijk(np.concatenate([reference_points(p) for p in prompts]), ijk_to_ras), axis) for axis in range(3)]
    if not any(flat):  # prompts on several slices: each stroke may still lie in one
        flat = [all(_is_flat(to_ijk(reference_points(p), ijk_to_ras), axis) for p in prompts) for axis in range(3)]
    candidates = [AXES[axis] for axis in range(3) if flat[axis]]
    return own if own in candidates or not candidates else candidates[0]


def slice_axis(ijk_to_ras: np.ndarray) -> str:
    """The axis of thick slices, or for nearly isotropic voxels the axis nearest to the body's length (axial slices)."""
    spacing = np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
    thickest = int(np.argmax(spacing))
    if spacing[thickest] > _THICK * np.sort(spacing)[1]:
        return AXES[thickest]
    return AXES[int(np.argmax(np.abs(ijk_to_ras[2, :3]) / spacing))]


def choose_slice(prompts: Prompts, ijk_to_ras: np.ndarray, dimensions: tuple[int, int, int], axis: str) -> int | None:
    """Index along ``axis`` of the slice with the most prompts (positive ones first); None without prompts.

    Raises:
        PromptError: that slice lies outside of the volume.
    """
    if not len(prompts):
        return None
    number = AXES.index(axis)
    votes: Counter[int] = Counter()
    for prompt in prompts:
        weight = len(prompts) + 1 if getattr(prompt, "positive", True) else 1
        index = to_ijk(reference_points(prompt), ijk_to_ras)[:, number].mean()
        votes[int(np.floor(index + 0.5))] += weight
    middle = np.median(list(votes))
    index = min(votes, key=lambda i: (-votes[i], abs(i - middle), i))
    if not 0 <= index < dimensions[number]:
        raise PromptError(
            f"The prompts lie outside of the volume (slice {axis}={index}, the volume has 0 to {dimensions[number] - 1}): "
            "check that they were made on this volume."
        )
    return index


def _is_flat(ijk: np.ndarray, axis: int) -> bool:
    return float(np.ptp(ijk[:, axis])) < 0.5

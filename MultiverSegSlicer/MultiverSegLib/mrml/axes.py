"""The one rule for axes: what a plane's axis is called, which voxel axis it means in a volume, and which slice a set of prompts means.

A volume's array is [k, j, i]; its axes are called "i", "j" and "k", numbered 0, 1, 2 as in (i, j, k). A structure's axis may also be an anatomical
name: axial slices follow each other from feet to head, coronal ones from back to front, sagittal ones from side to side. Prompts are in RAS mm.
"""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import PromptError
from ..core.grid import ANATOMICAL, AXES
from ..core.prompts import Prompts
from .volumes import ijk_to_ras

if TYPE_CHECKING:
    from .plain_volume import Volume

_NORMALS = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], float)  # of axial, coronal, sagittal slices
_THICK = 1.5  # slices this much thicker than the pixels were acquired one by one: people draw on them
_FLAT = 0.5  # voxels: prompts within it lie on one slice


def axis_number(axis: str) -> int:
    """Number of a voxel axis in (i, j, k), as in a volume's dimensions and matrix."""
    return AXES.index(axis)


def array_axis(axis: str) -> int:
    """Number of a voxel axis in the array [k, j, i]."""
    return 2 - AXES.index(axis)


def on_slice(axis: str, index: int) -> tuple:
    """Index of slice ``index`` along ``axis`` into an array [k, j, i].

    Example:
        >>> array = np.arange(24).reshape(2, 3, 4)
        >>> array[on_slice("k", 1)].shape, array[on_slice("i", 3)].shape
        ((3, 4), (2, 3))
    """
    place: list[Any] = [slice(None)] * 3
    place[array_axis(axis)] = index
    return tuple(place)


def voxel_axis(volume: Volume, axis: str) -> str:
    """The voxel axis ("i", "j" or "k") of ``volume`` that ``axis`` means; see ``named_axes``."""
    return axis if axis in AXES else named_axes(ijk_to_ras(volume))[axis]


def named_axes(matrix: np.ndarray) -> dict[str, str]:
    """Anatomical name -> voxel axis. Each name has an axis of its own: of the six possible assignments, the one whose slices together are nearest
    to what the names say (the slices' normals count, so that a sheared volume is seen as it is cut).

    Args:
        matrix: 4x4, (i, j, k) to RAS.

    Example:
        >>> named_axes(np.diag([-1.0, -1.0, 3.0, 1.0]))
        {'axial': 'k', 'coronal': 'j', 'sagittal': 'i'}
    """
    normals = np.linalg.inv(matrix[:3, :3])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    likeness = np.abs(_NORMALS @ normals.T)  # [name, voxel axis]
    best = max(permutations(range(3)), key=lambda order: round(sum(likeness[n, axis] for n, axis in enumerate(order)), 9))
    return {name: AXES[axis] for name, axis in zip(ANATOMICAL, best, strict=True)}


def own_axis(matrix: np.ndarray) -> str:
    """The axis of a volume's thick slices; for nearly isotropic voxels the one of its axial slices.

    Args:
        matrix: 4x4, (i, j, k) to RAS.

    Example:
        >>> own_axis(np.diag([4.0, 0.9, 0.9, 1.0]))  # thick sagittal slices
        'i'
    """
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    thickest = int(np.argmax(spacing))
    if spacing[thickest] > _THICK * np.sort(spacing)[1]:
        return AXES[thickest]
    return named_axes(matrix)["axial"]


def axis_of_prompts(prompts: Prompts, matrix: np.ndarray) -> str:
    """The axis ("i", "j" or "k") along which the prompts are flat; where that leaves a choice, the volume's own slice axis.

    A stroke, a flat box, or several clicks on one slice name their axis. One click does not.
    """
    own = own_axis(matrix)
    if not len(prompts):
        return own
    places = [to_ijk(p.points_ras(), matrix) for p in prompts]
    flat = [_is_flat(np.concatenate(places), axis) for axis in range(3)]
    if not any(flat):  # prompts on several slices: each stroke may still lie in one
        flat = [all(_is_flat(place, axis) for place in places) for axis in range(3)]
    candidates = [AXES[axis] for axis in range(3) if flat[axis]]
    return own if own in candidates or not candidates else candidates[0]


def slice_of_prompts(prompts: Prompts, matrix: np.ndarray, dimensions: tuple[int, int, int], axis: str) -> int | None:
    """Index along ``axis`` of the slice that a set of prompts means; None without prompts.

    Each prompt means one slice: a click its own, a box its middle one, a stroke its mean. The slice that most prompts mean is taken; one positive
    prompt outweighs all negative ones, and of equals the one nearest to the middle of all, then the lower.

    Args:
        matrix: 4x4, (i, j, k) to RAS.
        dimensions: voxels along i, j, k.

    Raises:
        PromptError: none of these slices is in the volume.

    Example:
        >>> from MultiverSegLib.core.prompts import Point
        >>> clicks = Prompts((Point((0, 0, 6)), Point((5, 0, 6)), Point((0, 0, 9))))
        >>> slice_of_prompts(clicks, np.diag([1.0, 1.0, 3.0, 1.0]), (8, 8, 8), "k")
        2
    """
    if not len(prompts):
        return None
    number = axis_number(axis)
    votes: Counter[int] = Counter()
    for prompt in prompts:
        weight = len(prompts) + 1 if prompt.positive else 1
        votes[_nearest(to_ijk(prompt.points_ras(), matrix)[:, number].mean())] += weight
    inside = {index: weight for index, weight in votes.items() if 0 <= index < dimensions[number]}
    if not inside:
        missed = max(votes, key=lambda index: votes[index])
        raise PromptError(
            f"None of the prompts lies in the volume: they are on slice {axis}={missed}, outside of the volume's 0 to {dimensions[number] - 1}. "
            "Check that they were made on this volume."
        )
    middle = np.median(list(inside))
    return min(inside, key=lambda index: (-inside[index], abs(index - middle), index))


def slices_of_prompts(prompts: Prompts, matrix: np.ndarray, dimensions: tuple[int, int, int], axis: str) -> list[int]:
    """All slices along ``axis`` that the prompts lie on, in order: those of clicks and of a stroke's points, and the middle one of a box.

    Slices outside of the volume are left out.

    Example:
        >>> from MultiverSegLib.core.prompts import Point
        >>> clicks = Prompts((Point((0, 0, 9)), Point((0, 0, 6)), Point((0, 0, 900))))
        >>> slices_of_prompts(clicks, np.diag([1.0, 1.0, 3.0, 1.0]), (8, 8, 8), "k")
        [2, 3]
    """
    number, found = axis_number(axis), set()
    for prompt in prompts:
        along = to_ijk(prompt.points_ras(), matrix)[:, number]
        found |= {_nearest(along.mean())} if prompt.bounds else {_nearest(value) for value in along}
    return sorted(index for index in found if 0 <= index < dimensions[number])


def to_ijk(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """RAS mm [n, 3] -> voxel indices (i, j, k) [n, 3], not rounded.

    Example:
        >>> to_ijk(np.array([[10.0, 0.0, 7.5]]), np.diag([2.0, 2.0, 3.0, 1.0]))
        array([[5. , 0. , 2.5]])
    """
    return np.linalg.solve(matrix, np.c_[points, np.ones(len(points))].T)[:3].T


def _nearest(index: float) -> int:
    return int(np.floor(index + 0.5))


def _is_flat(ijk: np.ndarray, axis: int) -> bool:
    return float(np.ptp(ijk[:, axis])) < _FLAT

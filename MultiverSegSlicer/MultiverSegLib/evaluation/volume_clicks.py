"""A simulated person who segments a volume by a box and clicks, by the rules of the CVPR 2025 challenge for interactive 3D segmentation.

Volumes and masks are arrays [k, j, i]; clicks are voxels. Everything that is drawn follows from the generator that is handed in.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from .metrics import nsd
from .simulate import fast_dice

CLICKS = 5
#: A box is wider than the structure by up to this many 256ths of the slice on each side.
_WIDER = 5


@dataclass(frozen=True)
class VolumeBox:
    """The slices ``first`` to ``last`` along array axis ``axis``, and a box on the slice ``middle``: ``low`` and ``high`` are (row, col) voxels of
    that slice; all ends are inside."""

    axis: int
    first: int
    last: int
    middle: int
    low: tuple[int, int]
    high: tuple[int, int]


@dataclass(frozen=True)
class VolumeClick:
    """A click on the voxel ``index`` (k, j, i)."""

    index: tuple[int, int, int]
    positive: bool


class VolumeMethod(Protocol):
    """A way to segment a volume: what it makes of the prompts so far."""

    def start(self, box: VolumeBox | None) -> np.ndarray:
        """bool [k, j, i] before any click, from the box or, without one, from what else the method knows."""

    def click(self, click: VolumeClick) -> np.ndarray:
        """bool [k, j, i] after one click more."""


@dataclass(frozen=True)
class Course:
    """How a volume went: Dice and normalized surface Dice before any click and after each; the largest time of a step in seconds."""

    dice: list[float]
    nsd: list[float]
    clicks: list[VolumeClick] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def dice_auc(self) -> float:
        return auc(self.dice[1:])

    @property
    def nsd_auc(self) -> float:
        return auc(self.nsd[1:])


def auc(values: Sequence[float]) -> float:
    """The area under a score at steps one apart, by trapezoids: 4 at most for five clicks. NaN for fewer than two steps."""
    values = np.asarray(values, float)
    return float(((values[1:] + values[:-1]) / 2).sum()) if len(values) > 1 else float("nan")


def draw_box(label: np.ndarray, axis: int, rng: np.random.Generator) -> VolumeBox:
    """The box of ``label`` bool [k, j, i]: its first and last slice, and the box on its middle slice, each side moved outwards by U{0..5} 256ths
    of the slice. Where the label has a gap in the middle, the nearest slice that shows it counts.

    Raises:
        ValueError: the label is empty.
    """
    slices = np.moveaxis(label, axis, 0)
    shown = np.flatnonzero(slices.any((1, 2)))
    if not len(shown):
        raise ValueError("an empty label has no box")
    middle = int(shown[np.abs(shown - (shown[0] + shown[-1]) / 2).argmin()])
    ends = []
    for occupied in (slices[middle].any(1), slices[middle].any(0)):
        length, inside = len(occupied), np.flatnonzero(occupied)
        wider = rng.integers(0, _WIDER + 1, 2) * length / 256
        ends.append((max(0, round(inside[0] - wider[0])), min(length - 1, round(inside[-1] + wider[1]))))
    (top, bottom), (left, right) = ends
    return VolumeBox(axis, int(shown[0]), int(shown[-1]), middle, (top, left), (bottom, right))


def next_click(label: np.ndarray, prediction: np.ndarray) -> VolumeClick | None:
    """The voxel farthest inside the largest 26-connected component of the error, positive if it lies in the label; None if there is no error.

    Distances are in voxels, and the volume's border counts as outside. Of equal ones the first in the array's order is taken.
    """
    from scipy import ndimage

    label, prediction = np.asarray(label, bool), np.asarray(prediction, bool)
    components, count = ndimage.label(label ^ prediction, np.ones((3, 3, 3)))
    if not count:
        return None
    largest = components == np.bincount(components.ravel())[1:].argmax() + 1
    part = ndimage.find_objects(largest.astype(np.uint8))[0]
    distance = ndimage.distance_transform_edt(np.pad(largest[part], 1))[1:-1, 1:-1, 1:-1]
    place = np.unravel_index(int(distance.argmax()), distance.shape)
    index = tuple(int(p + s.start) for p, s in zip(place, part, strict=True))
    return VolumeClick(index, bool(label[index]))


def work_through(
    method: VolumeMethod,
    label: np.ndarray,
    spacing: tuple[float, float, float],
    tolerance: float,
    box: VolumeBox | None,
    clicks: int = CLICKS,
) -> Course:
    """Step 0 with the box or without one, then one click a step; where nothing is wrong any more the result stays.

    Args:
        spacing: mm per voxel along (k, j, i).
        tolerance: in mm, of the surface Dice.
    """
    began = time.perf_counter()
    mask, slowest, made = method.start(box), time.perf_counter() - began, []
    dice, surface = [fast_dice(mask, label)], [nsd(mask, label, spacing, tolerance)]
    for _ in range(clicks):
        click = next_click(label, mask)
        if click is not None:
            began = time.perf_counter()
            mask = method.click(click)
            slowest = max(slowest, time.perf_counter() - began)
            made.append(click)
        dice.append(fast_dice(mask, label))
        surface.append(nsd(mask, label, spacing, tolerance))
    return Course(dice, surface, made, slowest)


def shifted(
    image: np.ndarray, labels: Mapping[str, np.ndarray], rng: np.random.Generator, share: float = 0.25
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The volume and its labels moved along each axis by up to ``share`` of its size, so that nothing is known of a structure from its place in a
    crop. What leaves on one side is cut off, never a part of a label; what enters on the other is as dark as the darkest voxel."""
    occupied = np.zeros(image.shape, bool)
    for label in labels.values():
        occupied |= np.asarray(label, bool)
    moves = []
    for axis, length in enumerate(image.shape):
        inside = np.flatnonzero(occupied.any(tuple(a for a in range(3) if a != axis)))
        low, high = (inside[0], length - 1 - inside[-1]) if len(inside) else (length, length)
        most = int(length * share)
        moves.append(int(rng.integers(-min(most, low), min(most, high) + 1)))
    return _moved(image, moves, image.min()), {name: _moved(label, moves, 0) for name, label in labels.items()}


def _moved(array: np.ndarray, moves: Sequence[int], fill: float) -> np.ndarray:
    moved = np.full_like(array, fill)
    into = tuple(slice(max(m, 0), n + min(m, 0)) for m, n in zip(moves, array.shape, strict=True))
    out_of = tuple(slice(max(-m, 0), n - max(m, 0)) for m, n in zip(moves, array.shape, strict=True))
    moved[into] = array[out_of]
    return moved

"""The iterative protocol of the RadioActive benchmark for volumes (arXiv:2411.07885), slice by slice: an initial prompt, then rounds of corrections.

Each round is positive with the probability FN / (FN + FP), counted in voxels. Positive: a point in the middle of the largest missed component on each
of its slices. Negative: a scribble along the reference's contour where the prediction passes it, on the slice with the most excess. A point that
would lie outside of its component moves to the component's nearest pixel. A prediction without an error is repeated for the rounds that are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .protocols import NEGATIVE, POSITIVE
from .queries import Entry, Method, Query
from .simulate import fast_dice

ROUNDS = 5
#: The contour scribble runs this many pixels outside of the reference.
_OUTSIDE = 2


@dataclass(frozen=True, eq=False)
class Stack:
    """A volume as slices on the grid: ``images`` float32 [D, H, W] in 0..1, ``labels`` bool [D, H, W]."""

    name: str
    images: np.ndarray
    labels: np.ndarray


def segment_stack(method: Method, stack: Stack, context: Sequence[Entry] = (), rounds: int = ROUNDS, seed: int = 0) -> list[dict[str, Any]]:
    """A row per round, 0 for the initial prompt (a point on each slice of the structure): Dice of the volume and prompts so far.

    Only slices with prompts are predicted; the others stay as they were, empty at first.
    """
    rng = np.random.default_rng(seed)
    labels = np.asarray(stack.labels, bool)
    prompts = np.zeros((len(labels), 3, *labels.shape[1:]), np.float32)
    logits: list[np.ndarray | None] = [None] * len(labels)
    mask = np.zeros_like(labels)
    given = points_on_each_slice(labels, prompts)
    touched, count, rows = given, len(given), []
    for number in range(rounds + 1):
        if touched:
            queries = [Query(stack.images[k], prompts[k], logits[k], tuple(context)) for k in touched]
            for k, answer in zip(touched, method.predict(queries), strict=True):
                logits[k], mask[k] = answer, answer > 0
        rows.append({"volume": stack.name, "round": number, "prompts": count, "dice": round(fast_dice(mask, labels), 5)})
        touched = correct(labels, mask, prompts, rng) if number < rounds else []
        count += len(touched)
    return rows


def points_on_each_slice(component: np.ndarray, prompts: np.ndarray) -> list[int]:
    """Adds a positive point in the middle of ``component`` bool [D, H, W] on each of its slices; returns those."""
    slices = np.flatnonzero(component.any((1, 2))).tolist()
    for k in slices:
        pixels = np.argwhere(component[k])
        middle = pixels.mean(0)
        row, col = pixels[np.abs(pixels - middle).sum(1).argmin()]
        prompts[k, POSITIVE, row, col] = 1
    return slices


def correct(labels: np.ndarray, mask: np.ndarray, prompts: np.ndarray, rng: np.random.Generator) -> list[int]:
    """One round: adds prompts to ``prompts`` [D, 3, H, W] where ``mask`` and ``labels`` bool [D, H, W] differ; returns the slices."""
    missed, excess = labels & ~mask, mask & ~labels
    wrong = int(missed.sum()) + int(excess.sum())
    if not wrong:
        return []
    if rng.random() < missed.sum() / wrong:
        return points_on_each_slice(_largest(missed), prompts)
    k = int(excess.sum((1, 2)).argmax())
    prompts[k, NEGATIVE][contour_scribble(labels[k], excess[k])] = 1
    return [k]


def contour_scribble(label: np.ndarray, excess: np.ndarray) -> np.ndarray:
    """bool [H, W]: the contour a little outside of ``label`` as far as it lies in ``excess``; where it does not, the excess' own middle line."""
    from scipy import ndimage
    from skimage.morphology import skeletonize

    cross = ndimage.generate_binary_structure(2, 2)
    if label.any():
        outer = ndimage.binary_dilation(label, cross, _OUTSIDE)
        line = outer & ~ndimage.binary_dilation(label, cross, _OUTSIDE - 1) & excess
        if line.any():
            return line
    line = skeletonize(np.array(excess, bool)) & excess
    return line if line.any() else excess


def _largest(region: np.ndarray) -> np.ndarray:
    from scipy import ndimage

    components, _ = ndimage.label(region, np.ones((3, 3, 3)))
    return components == np.bincount(components.ravel())[1:].argmax() + 1

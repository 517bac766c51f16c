"""Which slice of a new volume to begin with: the one that looks most like the slices in the context. No MRML, no network here.

The examples are max slices, so what looks like them is near this volume's max slice.
What else was tried: Docs/decisions/finding-the-slice.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.context.example import Example, image_feature
from ..core.errors import Cancelled, ContextError
from ..core.predicting import ShownExample

_MOST = 64


@dataclass(frozen=True)
class Candidate:
    """A slice and its likeness: the mean correlation (-1..1) of its blurred image with the examples' images."""

    index: int
    score: float


def find_slice(
    image: Callable[[int], np.ndarray], count: int, examples: Sequence[Example | ShownExample], cancel: Callable[[], bool] = lambda: False
) -> Candidate:
    """The slice that looks most like the examples.

    Up to 64 slices are looked at, evenly spread; then the neighbourhood of the best one, halving the step.

    Args:
        image: image of a slice on its grid, by index.
        count: number of slices.
        examples: the context; those that show the structure's absence count only where there are no others.

    Raises:
        ContextError: no examples.
        Cancelled: ``cancel`` said so.
    """
    if not len(examples):
        raise ContextError("Without an example there is nothing to find a slice by: accept a case first.")
    shown = [example for example in examples if not example.empty] or examples
    features = np.stack([e.feature if isinstance(e, Example) else image_feature(e.image) for e in shown])

    def look(indices: Sequence[int]) -> list[float]:
        if cancel():
            raise Cancelled("The search for a slice was cancelled.")
        return [float((features @ image_feature(image(index))).mean()) for index in indices]

    return coarse_to_fine(count, _MOST, look)


def coarse_to_fine(count: int, most: int, look: Callable[[Sequence[int]], Sequence[float]], together: int = 1) -> Candidate:
    """The best of ``count`` slices, without a look at each: ``most`` evenly spread ones, then the neighbourhood of the best one, halving the step.

    Args:
        look: scores of slices, at most ``together`` at a time.
    """
    scores: dict[int, float] = {}

    def looked(indices: Sequence[int]) -> int:
        for start in range(0, len(indices), together):
            part = indices[start : start + together]
            scores.update(zip(part, look(part), strict=True))
        return max(scores, key=lambda index: scores[index])

    step = -(-count // most)
    best = looked(range(step // 2, count, step))
    while step > 1:
        step = -(-step // 2)
        best = looked([n for n in (best - step, best + step) if 0 <= n < count and n not in scores])
    return Candidate(best, scores[best])

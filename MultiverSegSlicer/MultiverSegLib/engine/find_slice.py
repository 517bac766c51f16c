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
    step = -(-count // _MOST)
    scores: dict[int, float] = {}

    def look(indices: Sequence[int]) -> None:
        for index in indices:
            if cancel():
                raise Cancelled("The search for a slice was cancelled.")
            scores[index] = float((features @ image_feature(image(index))).mean())

    look(range(step // 2, count, step))
    while step > 1:
        step = -(-step // 2)
        best = max(scores, key=lambda index: scores[index])
        look([i for i in (best - step, best + step) if 0 <= i < count and i not in scores])
    best = max(scores, key=lambda index: scores[index])
    return Candidate(best, scores[best])

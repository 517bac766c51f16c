"""Which slice of a new volume to begin with: candidates are predicted without prompts and scored. No MRML here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.errors import Cancelled
from .confidence import entropy_confidence, expected_dice
from .propagation import Predicts

_BATCH = 8


@dataclass(frozen=True)
class Candidate:
    """A slice predicted without prompts: ``score`` orders candidates, ``area`` is in grid pixels, ``confidence`` in 0..1."""

    index: int
    score: float
    area: int
    confidence: float
    prediction: Any


def score(probability: np.ndarray) -> float:
    """Expected Dice times the square root of the predicted area: large and sure. The root keeps a wide smear of doubtful pixels from winning."""
    return expected_dice(probability) * float(np.sqrt((np.asarray(probability) > 0.5).sum()))


def find_slice(
    image: Callable[[int], np.ndarray],
    count: int,
    predictor: Predicts,
    examples: Sequence[Any],
    coarse: int = 16,
    cancel: Callable[[], bool] = lambda: False,
) -> Candidate:
    """The slice on which the structure shows best, probably its max slice.

    About ``coarse`` slices are spread over the volume and predicted; then the neighbourhood of the best is searched, halving the step.

    Args:
        image: image of a slice on its grid, by index.
        count: number of slices.
        examples: the context; without any, nothing can be found.

    Raises:
        Cancelled: ``cancel`` said so.
    """
    step = max(1, count // coarse)
    scored = {c.index: c for c in _scored(image, range(step // 2, count, step), predictor, examples, cancel)}
    while step > 1:
        step = (step + 1) // 2 if step > 2 else 1
        best = _best(scored)
        near = [i for i in (best.index - step, best.index + step) if 0 <= i < count and i not in scored]
        scored.update({c.index: c for c in _scored(image, near, predictor, examples, cancel)})
    return _best(scored)


def _best(scored: dict[int, Candidate]) -> Candidate:
    return max(scored.values(), key=lambda c: (c.score, -c.index))


def _scored(
    image: Callable, indices: Sequence[int], predictor: Predicts, examples: Sequence, cancel: Callable[[], bool]
) -> list[Candidate]:
    found = []
    for start in range(0, len(indices), _BATCH):
        if cancel():
            raise Cancelled("The search for a slice was cancelled.")
        part = list(indices[start : start + _BATCH])
        for index, prediction in zip(part, predictor.predict_batch([image(i) for i in part], None, None, examples), strict=True):
            p = np.asarray(prediction.probability)
            found.append(Candidate(index, score(p), int((p > 0.5).sum()), entropy_confidence(p), prediction))
    return found

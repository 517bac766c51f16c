"""Finds the slice that shows a structure best which the model knows by its name: without prompts, without examples. Arrays only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..core.asking import ask_each
from ..core.errors import Cancelled, PromptError
from ..core.predicting import Predictor
from .find_slice import Candidate, coarse_to_fine

_MOST = 24  # slices that are predicted at first; a prediction costs seconds with the models that know structures
_TOGETHER = 4


def find_known(
    image: Callable[[int], np.ndarray], count: int, predictor: Predictor, cancel: Callable[[], bool] = lambda: False
) -> Candidate | None:
    """The slice on which most of the structure is found that ``predictor`` is asked for; None if it is found on none.

    Up to 24 slices are predicted, evenly spread; then the neighbourhood of the best one, halving the step.

    Args:
        image: image of a slice on the model's grid, by index.
        count: number of slices.
        predictor: one that ``asking.for_structure`` gave.

    Returns:
        The slice, with the part of its pixels that are likely to show the structure as its score.

    Raises:
        PromptError: the predictor isn't asked for a structure.
        Cancelled: ``cancel`` said so.
    """
    if predictor.capabilities.asked is None:
        raise PromptError(f"{predictor.capabilities.model} is not asked for a structure that it knows: give a prompt or an example.")

    def look(indices: Sequence[int]) -> list[float]:
        if cancel():
            raise Cancelled("The search for a slice was cancelled.")
        return [0.0 if found.absent else float(found.mask().mean()) for found in ask_each(predictor, [image(n) for n in indices])]

    best = coarse_to_fine(count, _MOST, look, _TOGETHER)
    return best if best.score else None

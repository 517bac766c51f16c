"""Similar to the target, but not to each other: maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..context.example import image_feature
from ..plugins import Plugin

if TYPE_CHECKING:
    from ..context.example import Example

#: Weight of the similarity to the target against the dissimilarity to what is chosen already.
RELEVANCE = 0.5


def select(
    target_image: np.ndarray, examples: Sequence[Example], cap: int, features: np.ndarray | None = None, **_hints: Any
) -> list[Example]:
    """``cap`` examples: first the most similar, then each time the one that is similar to the target and unlike those chosen before.

    Args:
        features: the examples' ``feature`` stacked, [n, 256], where they are at hand.
    """
    matrix = np.stack([e.feature for e in examples]) if features is None else features
    similarity = matrix @ image_feature(target_image)
    nearest = np.full(len(similarity), -1.0, np.float32)  # similarity to the nearest of those chosen
    score, chosen = similarity.copy(), []
    for _ in range(cap):
        chosen.append(len(score) - 1 - int(np.argmax(score[::-1])))  # of equals the one accepted last
        np.maximum(nearest, matrix @ matrix[chosen[-1]], out=nearest)
        score = RELEVANCE * similarity - (1 - RELEVANCE) * nearest
        score[chosen] = -np.inf
    return [examples[i] for i in chosen]


PLUGIN = Plugin("diverse", "Similar but diverse", "Examples like the slice, but unlike each other.", select, needs=("features",))

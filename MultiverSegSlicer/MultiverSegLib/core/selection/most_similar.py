"""The examples whose images look most like the target's: the highest correlation of the blurred images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..context.example import image_feature
from ..plugins import Plugin

if TYPE_CHECKING:
    from ..context.example import Example


def select(
    target_image: np.ndarray, examples: Sequence[Example], cap: int, features: np.ndarray | None = None, **_hints: Any
) -> list[Example]:
    """``cap`` examples, the most similar first; of equally similar ones the one accepted last.

    Args:
        features: the examples' ``feature`` stacked, [n, 256], where they are at hand.
    """
    matrix = np.stack([e.feature for e in examples]) if features is None else features
    similarity = matrix @ image_feature(target_image)
    order = np.lexsort((-np.arange(len(similarity)), -similarity))
    return [examples[i] for i in order[:cap]]


PLUGIN = Plugin("most_similar", "The most similar", "The examples whose images look most like the slice.", select, needs=("features",))

"""Half of the examples near the target, the other half spread over all the rest, from similar to unlike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..plugins import Plugin
from . import most_similar

if TYPE_CHECKING:
    from ..context.example import Example


def select(
    target_image: np.ndarray, examples: Sequence[Example], cap: int, features: np.ndarray | None = None, **_hints: Any
) -> list[Example]:
    """``cap`` examples, the most similar first.

    Args:
        features: the examples' ``feature`` stacked, [n, 256], where they are at hand.
    """
    ranked = most_similar.select(target_image, examples, len(examples), features=features)
    near = (cap + 1) // 2
    rest = ranked[near:]
    spread = np.linspace(0, len(rest) - 1, cap - near).round().astype(int) if cap > near else []
    return ranked[:near] + [rest[i] for i in spread]


PLUGIN = Plugin(
    "balanced",
    "Half similar, half spread",
    "Half of the examples are like the slice, the other half spread over all the rest.",
    select,
    needs=("features",),
)

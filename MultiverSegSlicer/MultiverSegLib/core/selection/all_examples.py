"""All examples or, if the cap doesn't allow that, as many as it does, spread evenly over the order of acceptance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..plugins import Plugin

if TYPE_CHECKING:
    from ..context.example import Example


def select(target_image: np.ndarray, examples: Sequence[Example], cap: int, **_hints: Any) -> list[Example]:
    """``cap`` examples in order of acceptance, the first and the last among them (for two or more)."""
    return [examples[i] for i in np.linspace(0, len(examples) - 1, cap).round().astype(int)]


PLUGIN = Plugin(
    "all",
    "Spread over the order",
    "All examples or, above the limit, as many as allowed, spread evenly over the order of acceptance.",
    select,
)

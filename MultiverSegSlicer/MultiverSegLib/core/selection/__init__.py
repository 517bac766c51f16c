"""Which examples a prediction gets: strategies behind one small interface, one file each.

A strategy is ``select(target_image, examples, cap, **hints) -> list[Example]``: at most ``cap`` of ``examples`` (in order of acceptance) for a target
image [128,128]. It must ignore hints that it doesn't know. A new one needs a file here and a line in ``_STRATEGIES``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ContextError
from . import all_examples, balanced, diverse, most_recent, most_similar

if TYPE_CHECKING:
    from ..context.example import Example

Strategy = Callable[..., "list[Example]"]

_STRATEGIES: dict[str, Strategy] = {
    "all": all_examples.select,
    "most_recent": most_recent.select,
    "most_similar": most_similar.select,
    "diverse": diverse.select,
    "balanced": balanced.select,
}
#: Strategies that take the hint ``features``.
BY_FEATURES = ("most_similar", "diverse", "balanced")


def strategies() -> dict[str, Strategy]:
    """The strategies by name."""
    return dict(_STRATEGIES)


def select(strategy: str, target_image: np.ndarray, examples: Sequence[Example], cap: int | None = None, **hints: Any) -> list[Example]:
    """At most ``cap`` (None: no limit) of ``examples`` by the strategy of this name.

    Raises:
        ContextError: unknown strategy or negative cap.
    """
    if strategy not in _STRATEGIES:
        raise ContextError(f"Unknown context selection {strategy!r}: use one of {', '.join(_STRATEGIES)}.")
    if cap is not None and cap < 0:
        raise ContextError(f"The number of examples must be zero or more, got {cap}.")
    cap = len(examples) if cap is None else min(cap, len(examples))
    return list(_STRATEGIES[strategy](target_image, examples, cap, **hints)) if cap else []

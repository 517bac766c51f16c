"""Which examples a prediction gets: strategies behind one small interface, one file each.

A strategy is a ``Plugin`` whose ``run`` is ``select(target_image, examples, cap, **hints) -> list[Example]``: at most ``cap`` of ``examples``
(in order of acceptance) for a target image [128,128]. It must ignore hints that it doesn't know. ``needs`` may name "features": it takes the
hint ``features``, the examples' features stacked. A new one needs a file here and its entry in ``STRATEGIES``; another package adds one by
the entry point ``multiverseg.selection``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ContextError
from ..plugins import Plugins
from . import all_examples, balanced, diverse, most_recent, most_similar

if TYPE_CHECKING:
    from ..context.example import Example

STRATEGIES = Plugins(
    "context selection",
    "multiverseg.selection",
    ContextError,
    (all_examples.PLUGIN, most_recent.PLUGIN, most_similar.PLUGIN, diverse.PLUGIN, balanced.PLUGIN),
)


def select(strategy: str, target_image: np.ndarray, examples: Sequence[Example], cap: int | None = None, **hints: Any) -> list[Example]:
    """At most ``cap`` (None: no limit) of ``examples`` by the strategy of this name.

    Raises:
        ContextError: unknown strategy or negative cap.
    """
    plugin = STRATEGIES.get(strategy)
    if cap is not None and cap < 0:
        raise ContextError(f"The number of examples must be zero or more, got {cap}.")
    cap = len(examples) if cap is None else min(cap, len(examples))
    return list(plugin.run(target_image, examples, cap, **hints)) if cap else []

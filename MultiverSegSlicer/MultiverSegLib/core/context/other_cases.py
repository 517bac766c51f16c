"""A context as one of its cases sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..selection import STRATEGIES, select

if TYPE_CHECKING:
    from .context_set import ContextSet, Example


class OtherCases:
    """A ContextSet without the examples of one case. What is added goes into the set."""

    def __init__(self, context: ContextSet, case: str) -> None:
        self._context, self.case = context, case

    @property
    def examples(self) -> tuple[Example, ...]:
        return tuple(example for example in self._context.examples if example.case != self.case)

    def __len__(self) -> int:
        return len(self.examples)

    def add(self, example: Example) -> object:
        """See ``ContextSet.add``."""
        return self._context.add(example)

    def selection(self, image: np.ndarray, strategy: str = "most_similar", cap: int | None = 8) -> list[Example]:
        """See ``ContextSet.selection``."""
        hints = {}
        if "features" in STRATEGIES.get(strategy).needs:
            hints["features"] = self._context.features()[[e.case != self.case for e in self._context.examples]]
        return select(strategy, image, self.examples, cap, **hints)

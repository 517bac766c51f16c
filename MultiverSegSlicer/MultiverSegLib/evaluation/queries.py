"""What is asked of a method of segmentation: a batch of queries in, logits out. Arrays only.

The queries of a batch are about different images of different tasks with different examples, so that many simulated people are served by one
pass of a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, eq=False)
class Entry:
    """A context entry on the grid: ``image`` float32 [H, W] in 0..1; ``mask`` float32 [H, W] in 0..1 (soft or binary), or None where ``prompts``
    float32 [3, H, W] (box, positive, negative) are all that is known of it."""

    image: np.ndarray
    mask: np.ndarray | None
    prompts: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Query:
    """One prediction to make: ``image`` float32 [H, W]; ``prompts`` float32 [3, H, W] (box, positive, negative) or None; ``logits`` [H, W] of the
    previous prediction or None; ``context``."""

    image: np.ndarray
    prompts: np.ndarray | None = None
    logits: np.ndarray | None = None
    context: tuple[Entry, ...] = ()


class Method(Protocol):
    """What a simulation needs. ``interactive``: prompts change its prediction; ``in_context``: examples do; ``reads_weak_examples``: examples
    that have prompts in place of a mask do too."""

    interactive: bool
    in_context: bool
    reads_weak_examples: bool

    def predict(self, queries: Sequence[Query]) -> list[np.ndarray]:
        """Logits float32 [H, W] of each query, in their order."""

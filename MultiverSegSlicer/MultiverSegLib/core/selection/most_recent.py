"""The examples accepted last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..plugins import Plugin

if TYPE_CHECKING:
    from ..context.example import Example


def select(target_image: np.ndarray, examples: Sequence[Example], cap: int, **_hints: Any) -> list[Example]:
    """The last ``cap`` examples, in order of acceptance."""
    return list(examples[len(examples) - cap :])


PLUGIN = Plugin("most_recent", "The most recent", "The examples accepted last.", select)

"""Prompts: what the user points at, in patient space (RAS, mm). Immutable, so that undo is keeping the older value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import PromptError
from .box import Box
from .point import Point
from .prompt import BOX, NEGATIVE, POSITIVE, Outline, Prompt
from .scribble import Scribble

__all__ = ["BOX", "NEGATIVE", "POSITIVE", "PROMPT_TYPES", "Box", "Outline", "Point", "Prompt", "Prompts", "Scribble"]

#: Every kind of prompt, by its name in files.
PROMPT_TYPES: dict[str, type[Prompt]] = {kind.kind: kind for kind in (Point, Scribble, Box)}


@dataclass(frozen=True)
class Prompts:
    """An ordered, immutable collection of prompts of one structure in one case."""

    items: tuple[Prompt, ...] = ()

    def __iter__(self) -> Iterator[Prompt]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def added(self, *prompts: Prompt) -> Prompts:
        """These and, behind them, ``prompts``."""
        return Prompts(self.items + prompts)

    def extended(self, prompts: Iterable[Prompt]) -> Prompts:
        """These and, behind them, all of ``prompts``."""
        return Prompts(self.items + tuple(prompts))

    def moved(self, matrix: np.ndarray) -> Prompts:
        """The prompts after a linear transform (4 x 4, RAS mm)."""
        if np.array_equal(matrix, np.eye(4)):
            return self
        return Prompts(tuple(prompt.moved(matrix) for prompt in self.items))

    def counts(self) -> dict[str, int]:
        """Numbers of prompts by kind and sign, e.g. ``{"positive point": 2, "box": 1}``."""
        return dict(Counter(prompt.title for prompt in self.items))

    def to_json(self) -> list[dict[str, Any]]:
        """Plain lists and numbers, readable by ``from_json``."""
        return [prompt.to_json() for prompt in self.items]

    @staticmethod
    def from_json(data: Any) -> Prompts:
        """Inverse of ``to_json``.

        Raises:
            PromptError: the data name an unknown kind or lack a field.
        """
        if not isinstance(data, list):
            raise PromptError("Prompts must be a list of objects with a 'kind'.")
        items = []
        for entry in data:
            fields = dict(entry) if isinstance(entry, dict) else {}
            name = fields.pop("kind", None)
            if not isinstance(name, str) or name not in PROMPT_TYPES:
                raise PromptError(f"Unknown prompt {entry!r}: 'kind' must be one of {', '.join(PROMPT_TYPES)}.")
            items.append(PROMPT_TYPES[name].from_json(fields))
        return Prompts(tuple(items))

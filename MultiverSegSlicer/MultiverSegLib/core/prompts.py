"""Prompts: what the user points at, in patient space (RAS, mm). Immutable, so that undo is keeping the older value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Union

import numpy as np

from .errors import PromptError


def _vector(value: Any, what: str) -> tuple[float, float, float]:
    array = np.asarray(value, dtype=float)
    if array.shape != (3,) or not np.isfinite(array).all():
        raise PromptError(f"{what} needs three finite coordinates (R, A, S in mm), got {value!r}.")
    return float(array[0]), float(array[1]), float(array[2])


@dataclass(frozen=True)
class Point:
    """A click. ``position`` is (R, A, S) in mm."""

    position: tuple[float, float, float]
    positive: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "position", _vector(self.position, "A point"))


@dataclass(frozen=True)
class Scribble:
    """A stroke through ``points`` ((R, A, S) in mm, at least one).

    ``width`` is the brush diameter in mm (0: one grid pixel). A ``filled`` scribble is a closed outline whose inside counts too.
    """

    points: tuple[tuple[float, float, float], ...]
    positive: bool = True
    width: float = 0.0
    filled: bool = False

    def __post_init__(self) -> None:
        points = tuple(_vector(p, "A scribble's point") for p in self.points)
        if not points:
            raise PromptError("A scribble needs at least one point.")
        if not (np.isfinite(self.width) and self.width >= 0):
            raise PromptError(f"A scribble's width must be zero or more millimetres, got {self.width!r}.")
        object.__setattr__(self, "points", points)


@dataclass(frozen=True)
class Box:
    """A positive box: ``center`` (R, A, S in mm), three orthonormal ``axes`` (each (R, A, S)) and the full ``size`` along each in mm."""

    center: tuple[float, float, float]
    size: tuple[float, float, float]
    axes: tuple[tuple[float, float, float], ...] = field(default=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))

    def __post_init__(self) -> None:
        object.__setattr__(self, "center", _vector(self.center, "A box's center"))
        object.__setattr__(self, "size", _vector(self.size, "A box's size"))
        axes = np.asarray(self.axes, dtype=float)
        if axes.shape != (3, 3) or not np.allclose(axes @ axes.T, np.eye(3), atol=1e-4):
            raise PromptError("A box needs three orthonormal axes.")
        if min(self.size) < 0:
            raise PromptError(f"A box needs a size of zero or more along each axis, got {self.size}.")
        object.__setattr__(self, "axes", tuple(_vector(a, "A box's axis") for a in axes))


Prompt = Union[Point, Scribble, Box]
_KINDS: dict[str, type] = {"point": Point, "scribble": Scribble, "box": Box}


@dataclass(frozen=True)
class Prompts:
    """An ordered, immutable collection of prompts of one structure in one case."""

    items: tuple[Prompt, ...] = ()

    def __iter__(self) -> Iterator[Prompt]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def added(self, *prompts: Prompt) -> Prompts:
        return Prompts(self.items + prompts)

    def extended(self, prompts: Iterable[Prompt]) -> Prompts:
        return Prompts(self.items + tuple(prompts))

    def counts(self) -> dict[str, int]:
        """Numbers of prompts by kind and sign, e.g. ``{"positive point": 2, "box": 1}``."""
        return dict(Counter(_describe(p) for p in self.items))

    def to_json(self) -> list[dict[str, Any]]:
        """Plain lists and numbers, readable by ``from_json``."""
        return [{"kind": _kind(p), **{k: _plain(v) for k, v in vars(p).items()}} for p in self.items]

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
            kind = _KINDS.get(fields.pop("kind", None))
            if kind is None:
                raise PromptError(f"Unknown prompt {entry!r}: 'kind' must be one of {', '.join(_KINDS)}.")
            try:
                items.append(kind(**fields))
            except (TypeError, ValueError) as error:
                raise PromptError(f"Malformed prompt {entry!r}: {error}.") from error
        return Prompts(tuple(items))


def _kind(prompt: Prompt) -> str:
    return type(prompt).__name__.lower()


def _describe(prompt: Prompt) -> str:
    if isinstance(prompt, Box):
        return "box"
    return f"{'positive' if prompt.positive else 'negative'} {_kind(prompt)}"


def _plain(value: Any) -> Any:
    return [_plain(v) for v in value] if isinstance(value, tuple) else value

"""What every kind of prompt can do: be drawn on a slice and on a volume's grid, be moved, be stored, and say how it is shown.

A kind is a frozen dataclass in a file of its own, entered in ``PROMPT_TYPES``; no other code asks which kind a prompt is. How markups of Slicer are
read as it and written from it, ``mrml.prompt_markups`` says.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..errors import PromptError

#: Order of the channels that prompts are drawn into (see ``core.predicting.PROMPTS``).
BOX, POSITIVE, NEGATIVE = 0, 1, 2

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Outline:
    """How a prompt looks in a view: ``points`` (R, A, S in mm), one after the other; a single one is a dot. ``closed``: the last meets the first."""

    points: tuple[Vector, ...]
    closed: bool = False


class Prompt(ABC):
    """One thing that the user pointed at. Immutable; coordinates are (R, A, S) in mm, rounded as they are kept (see ``rounded``).

    Attributes:
        kind: its name in files.
        positive: whether it lies on the structure.
        bounds: whether it bounds the structure in three dimensions: on slices it then means its middle one, and none beyond it.
    """

    kind: ClassVar[str]
    positive: ClassVar[bool] = True  # a field of kinds that may be negative
    bounds: ClassVar[bool] = False

    @property
    def channel(self) -> int:
        """The channel that it is drawn into."""
        return POSITIVE if self.positive else NEGATIVE

    @property
    def title(self) -> str:
        """Its kind and sign in words: "positive point"."""
        return f"{'positive' if self.positive else 'negative'} {self.kind}"

    @abstractmethod
    def points_ras(self) -> np.ndarray:
        """Points in RAS mm, [n, 3], that stand for it: a click, the points of a stroke, the corners of a box."""

    @abstractmethod
    def outline(self) -> Outline:
        """How it looks in a view."""

    @abstractmethod
    def moved(self, matrix: np.ndarray) -> Prompt:
        """It after a linear transform (4 x 4, RAS mm)."""

    @abstractmethod
    def draw(self, channel: np.ndarray, grid_to_ras: np.ndarray, thickness_mm: float) -> None:
        """Set its pixels in ``channel`` [n, n], changed in place.

        Args:
            grid_to_ras: 4x4, homogeneous (col, row, z in mm, 1) to RAS.
            thickness_mm: what is farther than half of this from the plane doesn't count.
        """

    @abstractmethod
    def draw_volume(self, channel: np.ndarray, grid_to_ras: np.ndarray) -> None:
        """Set its cells in ``channel`` [n, n, n], changed in place. ``grid_to_ras``: 4x4, homogeneous cell indices to RAS."""

    def to_json(self) -> dict[str, Any]:
        """Plain lists and numbers with its ``kind``, readable by ``Prompts.from_json``."""
        return {"kind": self.kind, **{name: _plain(value) for name, value in vars(self).items()}}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Prompt:
        """Inverse of ``to_json``, without the ``kind``.

        Raises:
            PromptError: a field is missing, unknown or malformed.
        """
        try:
            return cls(**data)
        except (TypeError, ValueError) as error:
            raise PromptError(f"Malformed {cls.kind} {data!r}: {error}.") from error


def rounded(value: float) -> float:
    """A coordinate or length in mm as it is kept: to 0.001 mm; up to 1, where directions are, to nine digits.

    Example:
        >>> rounded(30.00049), rounded(0.123456789012)
        (30.0, 0.123456789)
    """
    value = float(value)
    return round(value, 3) if abs(value) > 1 else round(value, 9)


def vector(value: Any, what: str) -> Vector:
    """Three finite coordinates, rounded.

    Raises:
        PromptError: it is something else; ``what`` says whose coordinates they are.
    """
    array = np.asarray(value, dtype=float)
    if array.shape != (3,) or not np.isfinite(array).all():
        raise PromptError(f"{what} needs three finite coordinates (R, A, S in mm), got {value!r}.")
    first, second, third = array.tolist()
    return rounded(first), rounded(second), rounded(third)


def transformed(matrix: np.ndarray, points: Sequence[Vector] | np.ndarray) -> np.ndarray:
    """Points [n, 3] after a linear transform (4 x 4)."""
    matrix = np.asarray(matrix, float)
    return np.asarray(points, float) @ matrix[:3, :3].T + matrix[:3, 3]


def _plain(value: Any) -> Any:
    return [_plain(v) for v in value] if isinstance(value, tuple) else value

"""A click."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..drawing import NEAR, set_pixels
from ..volume_drawing import cells_seen
from ..volume_encoding import draw_points
from .prompt import Outline, Prompt, Vector, transformed, vector


@dataclass(frozen=True)
class Point(Prompt):
    """A click at ``position``. On a slice it is one pixel, in a volume a soft ball."""

    position: Vector
    positive: bool = True  # type: ignore[misc]  # what every prompt has, and here a choice

    kind = "point"

    def __post_init__(self) -> None:
        object.__setattr__(self, "position", vector(self.position, "A point"))

    def points_ras(self) -> np.ndarray:
        return np.array([self.position])

    def outline(self) -> Outline:
        return Outline((self.position,))

    def moved(self, matrix: np.ndarray) -> Point:
        return replace(self, position=transformed(matrix, [self.position])[0])

    def draw(self, channel: np.ndarray, grid_to_ras: np.ndarray, thickness_mm: float) -> None:
        located = transformed(np.linalg.inv(grid_to_ras), [self.position])
        set_pixels(channel, located[np.abs(located[:, 2]) <= thickness_mm / 2 + NEAR])

    def draw_volume(self, channel: np.ndarray, grid_to_ras: np.ndarray) -> None:
        draw_points(channel, cells_seen(transformed(np.linalg.inv(grid_to_ras), [self.position]), len(channel)))

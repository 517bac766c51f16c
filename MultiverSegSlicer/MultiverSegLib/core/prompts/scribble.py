"""A stroke, or a closed outline."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .. import drawing, volume_drawing
from ..errors import PromptError
from .prompt import Outline, Prompt, Vector, rounded, transformed, vector


@dataclass(frozen=True)
class Scribble(Prompt):
    """A stroke through ``points`` (at least one).

    ``width`` is the brush diameter in mm (0: one grid pixel). A ``filled`` scribble is a closed outline whose inside counts too.
    """

    points: tuple[Vector, ...]
    positive: bool = True  # type: ignore[misc]  # what every prompt has, and here a choice
    width: float = 0.0
    filled: bool = False

    kind = "scribble"

    def __post_init__(self) -> None:
        points = tuple(vector(p, "A scribble's point") for p in self.points)
        if not points:
            raise PromptError("A scribble needs at least one point.")
        if not (np.isfinite(self.width) and self.width >= 0):
            raise PromptError(f"A scribble's width must be zero or more millimetres, got {self.width!r}.")
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "width", rounded(self.width))

    def points_ras(self) -> np.ndarray:
        return np.array(self.points)

    def outline(self) -> Outline:
        return Outline(self.points, self.filled)

    def moved(self, matrix: np.ndarray) -> Scribble:
        scale = float(np.cbrt(abs(np.linalg.det(np.asarray(matrix, float)[:3, :3]))))
        return replace(self, points=tuple(transformed(matrix, self.points)), width=self.width * scale)

    def draw(self, channel: np.ndarray, grid_to_ras: np.ndarray, thickness_mm: float) -> None:
        located = transformed(np.linalg.inv(grid_to_ras), self.points)
        if self.filled:
            located = np.concatenate([located, located[:1]])
        parts = drawing.trace(located, thickness_mm / 2 + drawing.NEAR)
        if not parts:
            return
        drawn = np.concatenate(parts)
        drawing.set_pixels(channel, drawn)
        radius = self.width / 2 / float(np.linalg.norm(grid_to_ras[:3, 0]))
        if radius > 0:
            drawing.brush(channel, parts, radius)
        if self.filled:
            drawing.fill_outline(channel, drawn)

    def draw_volume(self, channel: np.ndarray, grid_to_ras: np.ndarray) -> None:
        points = transformed(np.linalg.inv(grid_to_ras), self.points)
        drawn = volume_drawing.trace(np.concatenate([points, points[:1]]) if self.filled else points)
        volume_drawing.set_cells(channel, drawn)
        radius = self.width / 2 / float(np.linalg.norm(grid_to_ras[:3, 0]))
        if radius > 0:
            volume_drawing.brush(channel, drawn, radius)
        if self.filled and len(points) > 2:
            volume_drawing.fill_outline(channel, points, max(radius, 0.5))

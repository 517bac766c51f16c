"""What the hand does in a slice view, turned into one prompt per gesture. Knows neither Qt nor MRML."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...core.prompts import Box, Point, Prompt, Scribble

#: A press that moves less than this many pixels is a click, not a stroke.
CLICK_TRAVEL = 4.0
#: Stroke points nearer to each other than this many pixels are one.
MIN_STEP = 1.5

TOOLS = ("point", "scribble", "box")


@dataclass
class Gesture:
    """One press, its moves and its release. Positions are (x, y) view pixels and (R, A, S) mm.

    ``axes``: three orthonormal rows (R, A, S): the view's right, up and normal, which give a box its orientation.
    """

    tool: str
    positive: bool
    axes: np.ndarray
    pixels: list[tuple[float, float]] = field(default_factory=list)
    points: list[tuple[float, float, float]] = field(default_factory=list)
    travel: float = 0.0

    def add(self, xy: tuple[float, float], ras: tuple[float, float, float]) -> bool:
        """Record a position; True if it counts (it is not on top of the one before)."""
        if self.pixels:
            self.travel = max(self.travel, float(np.hypot(xy[0] - self.pixels[0][0], xy[1] - self.pixels[0][1])))
            if np.hypot(xy[0] - self.pixels[-1][0], xy[1] - self.pixels[-1][1]) < MIN_STEP:
                return False
        self.pixels.append((float(xy[0]), float(xy[1])))
        self.points.append(tuple(float(v) for v in ras))
        return True

    @property
    def is_click(self) -> bool:
        return self.travel < CLICK_TRAVEL

    def corners(self) -> list[tuple[float, float, float]]:
        """The four corners of the box between the first and the last position, in order."""
        first, last = np.asarray(self.points[0]), np.asarray(self.points[-1])
        right, up = self.axes[0], self.axes[1]
        diagonal = last - first
        across, along = right * (diagonal @ right), up * (diagonal @ up)
        return [tuple(map(float, p)) for p in (first, first + across, first + across + along, first + along)]

    def finish(self) -> Prompt | None:
        """The prompt that this gesture means; None for a box without an area."""
        if not self.points:
            return None
        if self.tool == "box":
            if self.is_click:
                return None
            corners = np.asarray(self.corners())
            size = (float(np.linalg.norm(corners[1] - corners[0])), float(np.linalg.norm(corners[2] - corners[1])), 0.0)
            return Box(tuple(corners.mean(axis=0)), size, tuple(tuple(map(float, a)) for a in self.axes))
        if self.tool == "point" and self.is_click:
            return Point(self.points[0], self.positive)
        return Scribble(tuple(self.points), self.positive)

"""A box around the structure."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..drawing import NEAR
from ..errors import PromptError
from ..volume_encoding import LEAST_BOX, draw_box
from .prompt import BOX, Outline, Prompt, Vector, transformed, vector

_STRAIGHT = 1e-3  # how far a box may be turned against a volume's grid and still be aligned
_CORNERS = np.array([[a, b, c] for a in (-0.5, 0.5) for b in (-0.5, 0.5) for c in (-0.5, 0.5)])


@dataclass(frozen=True)
class Box(Prompt):
    """A positive box: ``center`` (R, A, S in mm), three orthonormal ``axes`` (each (R, A, S)) and the full ``size`` along each in mm."""

    center: Vector
    size: Vector
    axes: tuple[Vector, ...] = field(default=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))

    kind = "box"
    bounds = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "center", vector(self.center, "A box's center"))
        object.__setattr__(self, "size", vector(self.size, "A box's size"))
        axes = np.asarray(self.axes, dtype=float)
        if axes.shape != (3, 3) or not np.allclose(axes @ axes.T, np.eye(3), atol=1e-4):
            raise PromptError("A box needs three orthonormal axes.")
        if min(self.size) < 0:
            raise PromptError(f"A box needs a size of zero or more along each axis, got {self.size}.")
        object.__setattr__(self, "axes", tuple(vector(a, "A box's axis") for a in axes))

    @property
    def channel(self) -> int:
        return BOX

    @property
    def title(self) -> str:
        return self.kind

    def points_ras(self) -> np.ndarray:
        return np.array(self.center) + (_CORNERS * self.size) @ np.array(self.axes)

    def outline(self) -> Outline:
        """Its rectangle in the plane of its first two axes."""
        right, up = np.array(self.axes[:2]) * np.array(self.size[:2])[:, None] / 2
        corners = [np.array(self.center) + x * right + y * up for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        return Outline(tuple((float(r), float(a), float(s)) for r, a, s in corners), closed=True)

    def moved(self, matrix: np.ndarray) -> Box:
        """It stays a box, with the nearest axes at right angles."""
        sides = np.asarray(matrix, float)[:3, :3] @ np.asarray(self.axes, float).T
        left, _, right = np.linalg.svd(sides)
        size = np.asarray(self.size) * np.linalg.norm(sides, axis=0)
        return Box(transformed(matrix, [self.center])[0], size, tuple((left @ right).T))

    def draw(self, channel: np.ndarray, grid_to_ras: np.ndarray, thickness_mm: float) -> None:
        """Set the pixels whose centre is in the box; if it is too thin to hold one, those whose area meets it."""
        axes, half = np.asarray(self.axes, float), np.asarray(self.size, float) / 2
        to_box = axes @ grid_to_ras[:3, :3]  # columns: box coordinates per column, per row, per mm of z
        origin = axes @ (grid_to_ras[:3, 3] - np.asarray(self.center, float))
        col, row = np.meshgrid(np.arange(len(channel)), np.arange(len(channel)))
        off = np.abs(np.stack([col, row], axis=-1) @ to_box[:, :2].T + origin)
        reach = half + np.abs(to_box[:, 2]) * thickness_mm / 2 + NEAR
        inside = (off <= reach).all(axis=-1)
        if not inside.any():
            inside = (off <= reach + np.abs(to_box[:, :2]).sum(axis=1) / 2).all(axis=-1)
        channel[inside] = 1

    def draw_volume(self, channel: np.ndarray, grid_to_ras: np.ndarray) -> None:
        """Fill it, at least ``LEAST_BOX`` cells thick where it holds only one."""
        steps = np.linalg.norm(grid_to_ras[:3, :3], axis=0)
        turned = np.asarray(self.axes, float) @ (grid_to_ras[:3, :3] / steps)  # box axis, grid axis: cosines
        half, size = np.asarray(self.size, float) / 2, channel.shape[0]
        center = transformed(np.linalg.inv(grid_to_ras), [self.center])[0]
        if np.abs(np.abs(turned).max(axis=1) - 1).max() < _STRAIGHT**2:
            reach = np.abs(turned.round()).T @ half / steps
            low, high = np.ceil(center - reach - NEAR), np.floor(center + reach + NEAR) + 1
            thin = low >= high  # no cell's centre is inside: the cell that the box lies in
            low, high = np.where(thin, np.floor(center + 0.5), low), np.where(thin, np.floor(center + 0.5) + 1, high)
            ranges = np.stack([np.maximum(low, 0), np.minimum(high, size)], axis=1).astype(int)
            if (ranges[:, 0] < ranges[:, 1]).all():
                draw_box(channel, ranges)
            return
        reach = np.where(half < steps.min(), LEAST_BOX / 2 * steps.min(), half) + NEAR
        extent = np.abs(turned).T @ reach / steps
        low, high = np.maximum(np.ceil(center - extent), 0).astype(int), np.minimum(np.floor(center + extent) + 1, size).astype(int)
        if (low >= high).any():
            return
        index = np.stack(np.meshgrid(*map(np.arange, low, high), indexing="ij"), axis=-1)
        inside = (np.abs(((index - center) * steps) @ turned.T) <= reach).all(axis=-1)
        channel[tuple(map(slice, low, high))][inside] = 1

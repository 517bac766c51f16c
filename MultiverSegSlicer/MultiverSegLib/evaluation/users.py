"""People who are less exact than the protocols' users: unsteady hands, a mistaken sign now and then, another idea of where the border is.

Lengths are in pixels of a grid of 128 and scale with other grids.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .protocols import NEGATIVE, POSITIVE, PROTOCOLS, CenterClicks, CenterlineScribbles, DrawnMark, SimulatedUser, _smooth_noise

REALISTIC = "realistic"
_GRID = 128
_SMOOTH = 12.0  # pixels over which the border's shift changes
_STROKE = 5.0  # points of a stroke over which the tremor changes


@dataclass(frozen=True)
class Hand:
    """How unsteady a person is: standard deviations in pixels of a grid of 128 and the share of clicks of the wrong sign."""

    jitter: float = 3.0
    wrong_sign: float = 0.05
    tremor: float = 1.5
    border: float = 1.5


class _Realistic(SimulatedUser):
    """Mixed into a protocol: prompts follow the label as this person sees it and land where the hand puts them."""

    hand = Hand()
    _label: np.ndarray | None = None
    _seen: np.ndarray | None = None

    def first(self, label: np.ndarray) -> np.ndarray:
        """See ``SimulatedUser.first``; ``label`` is the reference."""
        return super().first(self.seen(label))

    def correct(self, label: np.ndarray, prediction: np.ndarray, prompts: np.ndarray | None = None) -> np.ndarray:
        """See ``SimulatedUser.correct``; ``label`` is the reference."""
        return super().correct(self.seen(label), prediction, prompts)

    def seen(self, label: np.ndarray) -> np.ndarray:
        """bool [H, W]: the label with its border moved by a smooth field; one person's idea of one label never changes."""
        if self._label is not label:
            self._label, self._seen = label, moved_border(np.asarray(label, bool), self.hand.border, self._rng)
        return self._seen

    def _draw(self, prompts: np.ndarray, kind: str, positive: bool, points: np.ndarray) -> None:
        shape = prompts.shape[1:]
        scale = min(shape) / _GRID
        if kind == "click":
            points = points + self._rng.normal(0, self.hand.jitter * scale, points.shape)
            positive = positive != (self._rng.random() < self.hand.wrong_sign)
            points = _on_grid(points, shape)
        else:
            points = trembling(points, self.hand.tremor * scale, self._rng, shape)
        prompts[POSITIVE if positive else NEGATIVE][points[:, 0], points[:, 1]] = 1.0
        self.interactions.append(DrawnMark(kind, positive, points, self.step))


class RealisticClicks(_Realistic, CenterClicks):
    """Centre clicks by an unsteady hand."""

    name = f"{REALISTIC} clicks"


class RealisticScribbles(_Realistic, CenterlineScribbles):
    """Centerline scribbles by an unsteady hand."""

    name = f"{REALISTIC} scribbles"


USERS: dict[str, type[SimulatedUser]] = {**PROTOCOLS, **{u.name: u for u in (RealisticClicks, RealisticScribbles)}}


def moved_border(label: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """``label`` bool [H, W] pulled along a smooth field of displacements with this standard deviation (pixels of a grid of 128); the label
    itself if nothing of it would be left."""
    from scipy import ndimage

    scale = min(label.shape) / _GRID
    field = np.stack([_smooth_noise(label.shape, _SMOOTH * scale, rng) for _ in range(2)]) * deviation * scale
    moved = ndimage.map_coordinates(label.astype(np.float32), np.indices(label.shape) + field, order=1, mode="nearest") >= 0.5
    return moved if moved.any() else label


def trembling(points: np.ndarray, deviation: float, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A stroke int [P, 2] whose points sway smoothly by ``deviation`` pixels, without gaps, inside the grid."""
    from scipy import ndimage

    noise = ndimage.gaussian_filter1d(rng.standard_normal((len(points) + 8, 2)), _STROKE, axis=0)[4 : 4 + len(points)]
    noise *= deviation * np.sqrt(2 * _STROKE * np.sqrt(np.pi))  # the filter's loss of deviation made good
    moved = points + noise
    pieces = [moved[:1]]
    for a, b in pairwise(moved):
        count = max(1, int(np.ceil(np.abs(b - a).max())))
        pieces.append(a + (b - a) * np.linspace(0, 1, count + 1)[1:, None])
    path = _on_grid(np.concatenate(pieces), shape)
    changed = np.ones(len(path), bool)
    changed[1:] = (path[1:] != path[:-1]).any(1)
    return path[changed]


def _on_grid(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.clip(np.rint(points), 0, np.array(shape) - 1).astype(int)

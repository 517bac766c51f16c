"""Calibration: from what a model believes of its mask to the Dice that such masks turned out to have. Plain numpy.

Networks are surer than they are right, the more so without prompts. How much was measured per model on images it never saw
(``multiverseg bench calibration``); a curve of two numbers, Platt's (Advances in Large Margin Classifiers, 1999), takes it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import CheckpointError

_EDGE = 1e-4


def expected_dice(probability: np.ndarray, threshold: float = 0.5) -> float:
    """The Dice that the thresholded prediction would have on average if the probabilities were true: 2 E|A and B| / (|A| + E|B|).

    0 for a prediction without a pixel of at least the threshold.

    Example:
        >>> round(expected_dice([1.0, 0.5, 0.0]), 3)
        0.857
        >>> expected_dice([0.4, 0.3])
        0.0
    """
    p = np.asarray(probability, np.float64)
    mask = p >= threshold
    total = mask.sum() + p.sum()
    return float(2 * p[mask].sum() / total) if mask.any() else 0.0


@dataclass(frozen=True)
class Calibration:
    """The Dice to expect: sigmoid(slope * logit(expected Dice) + offset), with a (slope, offset) each for predictions with and without prompts."""

    with_prompts: tuple[float, float] = (1.0, 0.0)
    without_prompts: tuple[float, float] = (1.0, 0.0)

    def __call__(self, expected: float, prompted: bool) -> float:
        """0..1; what is 0 stays 0, as an empty prediction is no finding."""
        if expected <= 0:
            return 0.0
        slope, offset = self.with_prompts if prompted else self.without_prompts
        return float(sigmoid(slope * logit(expected) + offset))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Calibration:
        """Raises CheckpointError for anything but two pairs of finite numbers; other entries, notes on where it comes from, are ignored."""
        try:
            pairs = [tuple(float(v) for v in data[name]) for name in ("with_prompts", "without_prompts")]
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"A calibration needs 'with_prompts' and 'without_prompts', two numbers each ({error}).") from error
        if any(len(pair) != 2 or not np.isfinite(pair).all() for pair in pairs):
            raise CheckpointError(f"A calibration needs two finite numbers with and two without prompts, got {dict(data)}.")
        (a, b), (c, d) = pairs
        return cls((a, b), (c, d))

    def to_json(self) -> dict[str, list[float]]:
        return {"with_prompts": list(self.with_prompts), "without_prompts": list(self.without_prompts)}


def logit(value: Any) -> Any:
    value = np.clip(value, _EDGE, 1 - _EDGE)
    return np.log(value / (1 - value))


def sigmoid(value: Any) -> Any:
    return 1 / (1 + np.exp(-np.clip(value, -80, 80)))

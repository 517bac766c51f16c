"""How sure a prediction is, and whether that can be believed: entropy, agreement over context subsets, calibration. Plain numpy.

Probabilities are float32 [128, 128] on the grid (any shape works).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

_TINY = 1e-6


def entropy_map(probability: np.ndarray) -> np.ndarray:
    """Binary entropy per pixel in 0 (sure) .. 1 (p = 0.5)."""
    p = np.clip(np.asarray(probability, np.float64), _TINY, 1 - _TINY)
    return (-(p * np.log2(p) + (1 - p) * np.log2(1 - p))).astype(np.float32)


def entropy_confidence(probability: np.ndarray) -> float:
    """1 minus the mean entropy where something is predicted or doubtful (p > 0.05), in 0..1; an all-empty prediction is 1.

    Example:
        >>> entropy_confidence([0.5, 0.5, 0.0])
        0.0
        >>> entropy_confidence([0.0, 0.0])
        1.0
    """
    probability = np.asarray(probability)
    region = probability > 0.05
    return 1.0 if not region.any() else float(1.0 - entropy_map(probability[region]).mean())


def agreement(probabilities: Sequence[np.ndarray], threshold: float = 0.5) -> float:
    """Mean Dice between all pairs of thresholded predictions, made with different context subsets; 1 for fewer than two.

    Example:
        >>> round(agreement([[0.9, 0.8, 0.1], [0.9, 0.2, 0.1]]), 3)
        0.667
    """
    masks = [np.asarray(p) > threshold for p in probabilities]
    pairs = [(a, b) for n, a in enumerate(masks) for b in masks[n + 1 :]]
    return float(np.mean([mask_dice(a, b) for a, b in pairs])) if pairs else 1.0


def mask_dice(a: np.ndarray, b: np.ndarray) -> float:
    """Dice of two masks of one shape (non-zero is inside); two empty ones agree.

    Example:
        >>> mask_dice([1, 1, 0, 0], [0, 1, 1, 0])
        0.5
    """
    a, b = np.asarray(a) != 0, np.asarray(b) != 0
    total = int(a.sum()) + int(b.sum())
    return 1.0 if total == 0 else 2.0 * int((a & b).sum()) / total


def subset_agreement(predict: Callable[[Sequence], np.ndarray], examples: Sequence, subsets: int = 3) -> float:
    """Agreement of the predictions made with ``subsets`` disjoint parts of the context; 1 where there are too few examples to split.

    ``predict`` maps a list of examples to a probability. Examples are dealt in turn, so that the parts do not depend on chance.
    """
    subsets = min(subsets, len(examples))
    if subsets < 2:
        return 1.0
    return agreement([predict(list(examples[start::subsets])) for start in range(subsets)])


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram: per bin the mean predicted value, the mean outcome and the count; ``error`` is the expected calibration
    error (the count-weighted mean distance of both)."""

    predicted: tuple[float, ...]
    observed: tuple[float, ...]
    counts: tuple[int, ...]
    error: float


def reliability(predicted: np.ndarray, outcome: np.ndarray, bins: int = 10) -> Reliability:
    """Compares predicted probabilities with outcomes (0/1 labels, or a score in 0..1), any shapes of one size; empty bins are left out."""
    predicted, outcome = np.asarray(predicted, float).ravel(), np.asarray(outcome, float).ravel()
    which = np.clip((predicted * bins).astype(int), 0, bins - 1)
    counts = np.bincount(which, minlength=bins)
    used = counts > 0
    means = np.bincount(which, predicted, bins)[used] / counts[used]
    outcomes = np.bincount(which, outcome, bins)[used] / counts[used]
    error = float((np.abs(means - outcomes) * counts[used]).sum() / max(counts.sum(), 1))
    return Reliability(tuple(means.tolist()), tuple(outcomes.tolist()), tuple(int(c) for c in counts[used]), error)

"""Dice and the 95th percentile Hausdorff distance, computed by MONAI. Masks are bool [H, W] or [N, H, W]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def dice(prediction: np.ndarray, label: np.ndarray) -> float:
    """Dice score in 0..1 of two masks of one shape; two empty masks agree (1)."""
    import torch
    from monai.metrics import compute_dice

    a, b = (torch.from_numpy(np.asarray(x, dtype=bool)).float()[None, None] for x in (prediction, label))
    if not a.any() and not b.any():
        return 1.0
    return float(compute_dice(a, b, ignore_empty=False))


def hd95(prediction: np.ndarray, label: np.ndarray, spacing: float = 1.0) -> float:
    """95th percentile Hausdorff distance in units of ``spacing`` (mm per pixel, or pixels); NaN if just one mask is empty, 0 if both are."""
    import warnings

    import torch
    from monai.metrics import compute_hausdorff_distance

    a, b = (torch.from_numpy(np.asarray(x, dtype=bool)).float()[None, None] for x in (prediction, label))
    if a.any() != b.any():
        return float("nan")
    if not a.any():
        return 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(compute_hausdorff_distance(a, b, include_background=True, percentile=95, spacing=spacing))


def bootstrap(values, rounds: int = 1000, seed: int = 0, level: float = 0.95) -> tuple[float, float, float]:
    """Mean of ``values`` and the bounds of its bootstrap interval: (mean, low, high). NaNs are left out; none left gives NaNs."""
    values = np.asarray(list(values), dtype=float)
    values = values[np.isfinite(values)]
    if not len(values):
        return (float("nan"),) * 3
    rng = np.random.default_rng(seed)
    means = values[rng.integers(len(values), size=(rounds, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(values.mean()), float(low), float(high)


def nsd(prediction: np.ndarray, label: np.ndarray, spacing: Sequence[float], tolerance: float) -> float:
    """Normalized surface Dice in 0..1 of two masks [k, j, i]: the share of both surfaces that lies within ``tolerance`` mm of the other.

    Two empty masks agree (1); if just one is empty it is 0.
    """
    import warnings

    import torch
    from monai.metrics import compute_surface_dice

    a, b = (np.asarray(x, dtype=bool) for x in (prediction, label))
    if not a.any() or not b.any():
        return float(a.any() == b.any())
    both = np.nonzero(a | b)
    part = tuple(slice(max(0, n.min() - 1), n.max() + 2) for n in both)
    a, b = (torch.from_numpy(np.pad(x[part], 1)).float()[None, None] for x in (a, b))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(compute_surface_dice(a, b, [tolerance], include_background=True, spacing=list(spacing)))

"""Where a volume lies in the patient, and what may be meant by prompts that miss it. Prompts are in RAS mm; ``matrix`` takes (i, j, k) to RAS."""

from __future__ import annotations

import numpy as np

from ..core.errors import PromptError
from ..core.prompts import Prompts
from .axes import to_ijk


def check_inside(prompts: Prompts, matrix: np.ndarray, dimensions: tuple[int, int, int], volume: str) -> None:
    """Says what may be meant where no prompt lies in the volume: LPS given for RAS, a wrong sign, another volume.

    Raises:
        PromptError: every prompt lies outside; names the volume's extent in RAS mm.
    """
    if not len(prompts):
        return
    points = [p.points_ras() for p in prompts]
    if any(_inside(p, matrix, dimensions) for p in points):
        return
    flips = {
        "R and A have the signs of LPS coordinates": (-1, -1, 1),
        "R has the wrong sign": (-1, 1, 1),
        "A has the wrong sign": (1, -1, 1),
        "S has the wrong sign": (1, 1, -1),
    }
    hints = [text for text, signs in flips.items() if all(_inside(p * signs, matrix, dimensions) for p in points)]
    hint = f"perhaps {hints[0]} (points are given in RAS mm)" if hints else "check that they were made on this volume"
    first = ", ".join(f"{v:.4g}" for v in points[0].mean(0))
    raise PromptError(f"The prompts lie outside of the volume {volume} (the first at R,A,S {first}; {extent(matrix, dimensions)}): {hint}.")


def extent(matrix: np.ndarray, dimensions: tuple[int, int, int]) -> str:
    """Where a volume lies, in words: "R -90 to 90, A -126 to 90, S -72 to 108 mm"."""
    ends = np.array([[x, y, z, 1.0] for x in (0, dimensions[0] - 1) for y in (0, dimensions[1] - 1) for z in (0, dimensions[2] - 1)])
    corners = (ends @ matrix.T)[:, :3]
    low, high = corners.min(0), corners.max(0)
    return "the volume has " + ", ".join(f"{axis} {a:.4g} to {b:.4g}" for axis, a, b in zip("RAS", low, high, strict=True)) + " mm"


def _inside(points: np.ndarray, matrix: np.ndarray, dimensions: tuple[int, int, int]) -> bool:
    """Whether any of these points, or what lies between them, is within the volume."""
    ijk = to_ijk(points, matrix)
    return bool(np.all((ijk.min(0) < np.array(dimensions) - 0.5) & (ijk.max(0) >= -0.5)))

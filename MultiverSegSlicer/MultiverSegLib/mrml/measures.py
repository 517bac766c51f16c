"""How large a mask is, counted in voxels."""

from __future__ import annotations

from typing import Any

import numpy as np

from .axes import axis_number


def measures(mask: np.ndarray, ijk_to_ras: np.ndarray, axis: str) -> dict[str, Any]:
    """``area_mm2`` of the largest slice, ``volume_ml``, and ``slices``: the number of slices that hold anything.

    Args:
        mask: [k, j, i], anything but 0 counts.
        ijk_to_ras: 4x4, voxel indices to mm.
        axis: "i", "j" or "k", along which the slices are counted.
    """
    number = axis_number(axis)
    areas = np.count_nonzero(mask, axis=tuple(a for a in range(3) if a != 2 - number))
    first, second = (ijk_to_ras[:3, a] for a in range(3) if a != number)
    pixel = float(np.linalg.norm(np.cross(first, second)))
    volume = float(areas.sum() * abs(np.linalg.det(ijk_to_ras[:3, :3])) / 1000)
    return {"area_mm2": round(float(areas.max() * pixel), 3), "volume_ml": round(volume, 5), "slices": int(np.count_nonzero(areas))}

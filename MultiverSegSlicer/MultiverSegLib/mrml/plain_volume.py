"""A volume without a node: voxels and geometry as arrays, so that worker threads can read and sample volumes without touching the scene.

``array_of``, ``dimensions_of`` and ``ijk_to_ras`` take it in place of a volume node, and with them SlicePlane.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import VolumeError

#: Voxels that are looked at for the display window.
_LOOKED_AT = 1_000_000


#: A voxel that is larger than this (mm) is a wrong unit or a damaged header, and nothing could be computed on it.
_LARGEST = 1000.0
#: Part of a box's volume that a voxel with its edges keeps: less, and its axes lie in a plane.
_FLAT = 1e-6


def is_flat(edges: np.ndarray) -> bool:
    """True if the edges of a voxel (columns of a 3x3 matrix) lie in a plane or a line."""
    lengths = np.linalg.norm(edges, axis=0)
    return not lengths.all() or abs(np.linalg.det(edges / lengths)) < _FLAT


def check_grid(ijk_to_ras: np.ndarray, name: str) -> None:
    """Raise VolumeError unless ``ijk_to_ras`` (4x4) is a voxel grid one can compute on; voxels may be as small as one likes."""
    edges = np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
    if not np.isfinite(ijk_to_ras).all():
        raise VolumeError(f"The volume {name} has no position in the patient: its matrix holds numbers that are not finite.")
    if is_flat(ijk_to_ras[:3, :3]):
        raise VolumeError(f"The volume {name} has a degenerate voxel grid: check its spacing, directions and transforms.")
    if edges.max() > _LARGEST:
        raise VolumeError(
            f"The volume {name} has voxels of {edges.max():.6g} mm: check the unit of its spacing, its directions and transforms."
        )


@dataclass(frozen=True, eq=False)
class PlainVolume:
    """``array`` [k, j, i] in the order of the file; ``ijk_to_ras`` 4x4 float64, voxel indices (centres at integers) to RAS in mm.

    Raises:
        VolumeError: no voxels, or a degenerate voxel grid.
    """

    array: np.ndarray
    ijk_to_ras: np.ndarray
    name: str
    attributes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.array.ndim != 3 or not self.array.size:
            raise VolumeError(f"The volume {self.name} has no voxels: load it again.")
        check_grid(self.ijk_to_ras, self.name)

    @staticmethod
    def of(image: Any, name: str, frame: int | None = None, attributes: Mapping[str, str] | None = None) -> PlainVolume:
        """A SimpleITK image of up to three dimensions (or four, of which ``frame`` is taken), shared where that is possible."""
        import SimpleITK as sitk

        array, spatial = sitk.GetArrayFromImage(image), min(image.GetDimension(), 3)
        if frame is not None:
            array = array[..., frame] if image.GetNumberOfComponentsPerPixel() > 1 else array[frame] if array.ndim > 3 else array
        array = array.reshape((1,) * (3 - array.ndim) + array.shape[-3:])
        lps = np.eye(4)
        directions = np.reshape(image.GetDirection(), (image.GetDimension(),) * 2)[:spatial, :spatial]
        lps[:spatial, :spatial] = directions * image.GetSpacing()[:spatial]
        lps[:spatial, 3] = image.GetOrigin()[:spatial]
        return PlainVolume(array, np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps, name, attributes or {})

    def GetName(self) -> str:
        """As a node has it."""
        return self.name

    def window_level(self) -> tuple[float, float]:
        """Display window and level: from the 0.1st to the 99.9th percentile, as Slicer chooses them, of a part of the voxels."""
        values = self.array.reshape(-1)[:: max(1, self.array.size // _LOOKED_AT)]
        values = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        low, high = np.percentile(values, (0.1, 99.9)) if values.size else (0.0, 1.0)
        return max(float(high - low), 1e-6), float(high + low) / 2


if TYPE_CHECKING:
    from typing import TypeAlias

    from slicer import vtkMRMLScalarVolumeNode

    #: What is read like a volume: a node of the scene, or its voxels and geometry alone.
    Volume: TypeAlias = vtkMRMLScalarVolumeNode | PlainVolume

"""VolumeGrid: the bridge between patient space and a cube of cells, for any volume; what SlicePlane is for slices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import permutations, product
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import VolumeError
from ..core.imaging import ImageSettings, scale_to_unit
from ..core.prompts import Prompt
from ..core.resample_volume import resample_volume
from ..core.volume_prompts import encode_volume_prompts
from .labelmaps import segment_voxels
from .volumes import array_of, dimensions_of, ijk_to_ras

if TYPE_CHECKING:
    from slicer import vtkMRMLSegmentationNode

    from .plain_volume import Volume

#: Cells along each side where nothing else was asked for.
VOLUME_GRID_SIZE = 128
#: Directions that the three axes of a cube follow, (R, A, S): left, posterior, superior.
_PATIENT = np.diag([-1.0, -1.0, 1.0])
# Breaks exact ties by patient directions, so that they don't depend on the order in which a file stores its voxels.
_TIES = 1e-6 * np.array([[0, 1, 2], [0, 0, 4], [0, 0, 0]])
_BLOCK = 16  # slices of a volume that are pasted at once: bounds the memory
_NEAR = 1e-6


@dataclass(frozen=True, eq=False)
class VolumeGrid:
    """A cube of ``size`` cells along each side, in patient space. Arrays on it are [a, b, c]: to the patient's left, back and head.

    The axes follow the volume's own as closely as these follow the patient: the cube never rotates against the voxels, and never mirrors.

    Attributes:
        grid_to_ras: 4x4 float64, homogeneous cell indices (a, b, c, 1; centres at integers) to world RAS in mm. Cells are cubes.
        size: cells along each side.
    """

    grid_to_ras: np.ndarray
    size: int = VOLUME_GRID_SIZE

    def __post_init__(self) -> None:
        matrix = np.array(self.grid_to_ras, dtype=np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or not abs(np.linalg.det(matrix)) > 0 or int(self.size) < 1:
            raise VolumeError("A volume grid needs an invertible 4 x 4 matrix and a number of cells.")
        matrix.setflags(write=False)
        object.__setattr__(self, "grid_to_ras", matrix)
        object.__setattr__(self, "size", int(self.size))

    @staticmethod
    def from_volume(volume: Volume, settings: ImageSettings | None = None, size: int = VOLUME_GRID_SIZE) -> VolumeGrid:
        """The cube around a whole volume, of ``settings.fov_mm`` around its middle, or around ``settings.roi``.

        Raises:
            VolumeError: a volume that isn't usable (see ``check_volume``), or an ROI without size.
        """
        settings = settings or ImageSettings()
        matrix, dimensions = ijk_to_ras(volume), np.asarray(dimensions_of(volume))
        axes = patient_axes(matrix[:3, :3])
        corners = np.array(list(product(*((-0.5, n - 0.5) for n in dimensions)))) @ matrix[:3, :3].T + matrix[:3, 3]
        center, extent = corners.mean(axis=0), np.ptp(corners @ axes, axis=0)
        if settings.field_of_view == "fixed":
            extent = np.full(3, settings.fov_mm)
        elif settings.field_of_view == "roi" and settings.roi is not None:
            center, extent = np.asarray(settings.roi[0]), np.abs(axes).T @ np.asarray(settings.roi[1])
        step = float(extent.max()) / size
        if not step > 0:
            raise VolumeError("The field of view is empty: give the ROI a size.")
        grid = np.eye(4)
        grid[:3, :3] = axes * step
        grid[:3, 3] = center - axes @ np.full(3, (size - 1) / 2 * step)
        return VolumeGrid(grid, size)

    # --- reading

    @property
    def shape(self) -> tuple[int, int, int]:
        """Cells along the three axes."""
        return (self.size,) * 3

    @property
    def cell_mm(self) -> float:
        """Side of a cell in mm."""
        return float(np.linalg.norm(self.grid_to_ras[:3, 0]))

    def sample(self, volume: Volume, settings: ImageSettings | None = None) -> np.ndarray:
        """The volume's intensities on the grid, float32 [n, n, n] in 0..1, scaled over the whole cube (see ``ImageSettings``); padding is 0.

        Raises:
            VolumeError: the cube does not meet the volume.
        """
        settings = settings or ImageSettings()
        values = array_of(volume).T
        valid = np.isfinite(values) if values.dtype.kind == "f" else None
        if valid is not None and valid.all():
            valid = None
        if (
            settings.scaling == "window" and settings.window is not None
        ):  # before the averaging: metal must not brighten its neighbours beyond the window
            values = np.clip(values, *settings.window)
        mean, coverage = resample_volume(values, self._to_voxels(ijk_to_ras(volume)), self.shape, valid)
        if not coverage.any():
            if valid is None:
                raise VolumeError("The field of view does not meet the volume: move it into the image.")
            return np.zeros(self.shape, np.float32)
        return scale_to_unit(mean, settings, coverage)

    def sample_segment(self, segmentation: vtkMRMLSegmentationNode, segment_id: str) -> np.ndarray:
        """Part of each cell that the segment covers, float32 [n, n, n] in 0..1; threshold at 0.5 for a mask.

        Read from the segment's own voxels, whatever their geometry.
        """
        voxels = segment_voxels(segmentation, segment_id)
        if voxels is None:
            return np.zeros(self.shape, np.float32)
        return self.sample_mask(voxels.array == voxels.label, voxels.array_to_ras)

    def sample_mask(self, mask: np.ndarray, array_to_ras: np.ndarray) -> np.ndarray:
        """Part of each cell that a mask [k, j, i] covers, float32 [n, n, n]; ``array_to_ras``: 4x4, its (i, j, k) to RAS."""
        mean, coverage = resample_volume(mask.T, self._to_voxels(array_to_ras), self.shape)
        return (mean * coverage).astype(np.float32)

    def rasterize_segment(self, segmentation: vtkMRMLSegmentationNode, segment_id: str) -> np.ndarray:
        """Strokes painted into a segment, max-pooled: float32 [n, n, n] of 0 and 1. One voxel is enough to survive."""
        voxels = segment_voxels(segmentation, segment_id)
        if voxels is None:
            return np.zeros(self.shape, np.float32)
        return self.pool_mask(voxels.array == voxels.label, voxels.array_to_ras)

    def pool_mask(self, mask: np.ndarray, array_to_ras: np.ndarray) -> np.ndarray:
        """A mask [k, j, i], max-pooled: a cell is set if a set voxel's centre lies in it, or its own centre in a set voxel."""
        out = np.zeros(self.shape, np.float32)
        index = np.argwhere(mask)[:, ::-1]
        if not len(index):
            return out
        to_grid = np.linalg.solve(self.grid_to_ras, np.asarray(array_to_ras, float))
        where = index @ to_grid[:3, :3].T + to_grid[:3, 3]
        seen = ((where >= -0.5 - _NEAR) & (where <= self.size - 0.5 + _NEAR)).all(axis=1)
        out[tuple(np.clip(np.floor(where[seen] + 0.5).astype(int), 0, self.size - 1).T)] = 1
        low = np.maximum(np.floor(where.min(axis=0) - 1 - np.abs(to_grid[:3, :3]).sum(axis=1)), 0).astype(int)
        high = np.minimum(np.ceil(where.max(axis=0) + 2 + np.abs(to_grid[:3, :3]).sum(axis=1)), self.size).astype(int)
        if (low >= high).any():
            return out
        mapping = self._to_voxels(array_to_ras)
        cells = np.stack(np.meshgrid(*map(np.arange, low, high), indexing="ij"), axis=-1)
        i, j, k = np.floor(cells @ mapping[:, :3].T + mapping[:, 3] + 0.5).astype(int).transpose(3, 0, 1, 2)
        there = (i >= 0) & (i < mask.shape[2]) & (j >= 0) & (j < mask.shape[1]) & (k >= 0) & (k < mask.shape[0])
        part = out[tuple(map(slice, low, high))]
        part[there] = np.maximum(part[there], mask[k[there], j[there], i[there]])
        return out

    def rasterize(self, prompts: Iterable[Prompt], require: bool = False) -> np.ndarray:
        """Prompts on the grid, float32 [3, n, n, n]: box, positive, negative (see ``encode_volume_prompts``).

        Raises:
            PromptError: ``require`` and no prompt is within the field of view.
        """
        return encode_volume_prompts(prompts, self.grid_to_ras, self.size, require)

    def holds(self, prompt: Prompt) -> bool:
        """True if (a part of) the prompt is within the field of view."""
        return bool(self.rasterize([prompt]).any())

    # --- writing

    def paste(self, probability: np.ndarray, volume: Volume, threshold: float = 0.5) -> PastedVolume:
        """A prediction on the volume's voxels: resampled linearly, then thresholded.

        Args:
            probability: [n, n, n] in 0..1.
        """
        probability = np.asarray(probability, np.float32)
        if probability.shape != self.shape:
            raise VolumeError(f"A prediction has {self.size} cells along each side, not {' x '.join(map(str, probability.shape))}.")
        return PastedVolume(self, probability, threshold, ijk_to_ras(volume), dimensions_of(volume))

    # --- details

    def to_ras(self, cell: Any) -> tuple[float, float, float]:
        """World RAS in mm of a position (a, b, c) in cells."""
        right, anterior, superior = (float(v) for v in (self.grid_to_ras @ (*cell, 1))[:3])
        return right, anterior, superior

    def to_grid(self, point_ras: Any) -> tuple[float, float, float]:
        """Position (a, b, c) in cells of a world RAS position."""
        a, b, c = (float(v) for v in np.linalg.solve(self.grid_to_ras, np.append(np.asarray(point_ras, float), 1))[:3])
        return a, b, c

    def _to_voxels(self, array_to_ras: np.ndarray) -> np.ndarray:
        """[3, 4]: cells (a, b, c, 1) to voxels (i, j, k)."""
        return np.linalg.solve(np.asarray(array_to_ras, float), self.grid_to_ras)[:3]

    def to_json(self) -> dict[str, Any]:
        """Plain lists and numbers, readable by ``from_json``."""
        return {"grid_to_ras": self.grid_to_ras.tolist(), "size": self.size}

    @staticmethod
    def from_json(data: Any) -> VolumeGrid:
        """Inverse of ``to_json``.

        Raises:
            VolumeError: malformed data.
        """
        try:
            return VolumeGrid(np.asarray(data["grid_to_ras"], float), int(data["size"]))
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise VolumeError(f"Malformed volume grid: {error}.") from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VolumeGrid) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash((self.grid_to_ras.tobytes(), self.size))


@dataclass(frozen=True)
class PastedVolume:
    """A prediction on a voxel grid: which voxels are in view, and which of these are in the mask.

    Attributes:
        grid: where the prediction is.
        probability: float32 [n, n, n].
        threshold: voxels of at least this probability are in the mask.
        array_to_ras, dimensions: the voxel grid (4x4, numbers of voxels along i, j, k).
    """

    grid: VolumeGrid
    probability: np.ndarray = field(repr=False)
    threshold: float
    array_to_ras: np.ndarray = field(repr=False)
    dimensions: tuple[int, int, int]

    @cached_property
    def mask(self) -> np.ndarray:
        """[k, j, i] bool: probability at or above the threshold, in view."""
        to_grid = np.linalg.solve(self.grid.grid_to_ras, self.array_to_ras)[:3]
        mask = np.zeros(self.dimensions[::-1], bool)
        for start in range(0, self.dimensions[2], _BLOCK):
            count = min(_BLOCK, self.dimensions[2] - start)
            mapping = to_grid.copy()
            mapping[:, 3] += to_grid[:, 2] * start
            values, _ = resample_volume(self.probability, mapping, (*self.dimensions[:2], count))
            mask[start : start + count] = (values >= self.threshold - 1e-6).T
        return mask & self.in_view

    @cached_property
    def in_view(self) -> np.ndarray:
        """[k, j, i] bool: the voxel's centre is within the cube. Nothing else is touched by writing."""
        to_grid = np.linalg.solve(self.grid.grid_to_ras, self.array_to_ras)[:3]
        seen = np.ones(self.dimensions[::-1], bool)
        i, j, k = (np.arange(n) for n in self.dimensions)
        for row in to_grid:
            where = row[0] * i + (row[1] * j)[:, None] + (row[2] * k)[:, None, None] + row[3]
            seen &= (where >= -0.5 - _NEAR) & (where <= self.grid.size - 0.5 + _NEAR)
        return seen

    def to_array(self) -> np.ndarray:
        """The mask as uint8 [k, j, i]."""
        return self.mask.astype(np.uint8)


def patient_axes(directions: np.ndarray) -> np.ndarray:
    """Three orthonormal vectors, as columns, that follow the patient (L, P, S) as closely as a volume's own axes do.

    Args:
        directions: [3, 3], the volume's axes as columns, of any length; where they are sheared, the nearest orthonormal frame counts.
    """
    unit = directions / np.linalg.norm(directions, axis=0)
    left, _, right = np.linalg.svd(unit)
    frame = left @ right
    toward = _PATIENT.T @ frame  # patient axis, volume axis: cosines
    best_score, best = -np.inf, None
    for order, signs in product(permutations(range(3)), product((1.0, -1.0), repeat=3)):
        chosen = frame[:, list(order)] * signs
        if np.linalg.det(chosen) < 0:
            continue
        cosines = toward[:, list(order)] * signs
        score = np.trace(cosines) + (_TIES * cosines).sum()
        if score > best_score:
            best_score, best = score, chosen
    assert best is not None  # half of the frames are right-handed
    return best

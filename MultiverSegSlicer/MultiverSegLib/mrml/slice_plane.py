"""SlicePlane: the only bridge between patient space and the grid, for any plane through any volume."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..core.encoding import encode_prompts
from ..core.errors import VolumeError
from ..core.grid import AXES, GRID_SIZE, place_grid
from ..core.imaging import ImageSettings, sample_image
from ..core.prompts import Prompt
from ..core.sheet import Sheet
from .labelmaps import segment_voxels
from .volumes import array_of, dimensions_of, ijk_to_ras, matrix_to_numpy


@dataclass(frozen=True, eq=False)
class SlicePlane:
    """A square grid of n x n pixels on a plane through a volume.

    Rows and columns follow the patient: axial columns to L and rows to P, coronal to L and I, sagittal to P and I, any other plane the nearest of these.

    Attributes:
        grid_to_ras: 4x4 float64, homogeneous (col, row, z in mm, 1) to world RAS in mm; pixel centres at integers.
        thickness_mm: thickness of one voxel across the plane; what is farther than half of it is not on the plane.
        axis: "i", "j" or "k" if the plane is one slice of the volume it was made for, else None.
        index: number of that slice in the volume's array, else None.
        size: rows and columns n.
    """

    grid_to_ras: np.ndarray
    thickness_mm: float
    axis: str | None = None
    index: int | None = None
    size: int = GRID_SIZE

    def __post_init__(self) -> None:
        matrix = np.array(self.grid_to_ras, dtype=np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or not abs(np.linalg.det(matrix)) > 0 or not self.thickness_mm > 0:
            raise VolumeError("A slice plane needs an invertible 4 x 4 matrix and a thickness of more than 0 mm.")
        matrix.setflags(write=False)
        object.__setattr__(self, "grid_to_ras", matrix)
        object.__setattr__(self, "thickness_mm", float(self.thickness_mm))

    # --- making

    @staticmethod
    def from_volume(volume: Any, axis: str, index: int, settings: ImageSettings | None = None, size: int = GRID_SIZE) -> SlicePlane:
        """Slice ``index`` of the volume's array along ``axis`` ("i", "j" or "k").

        Raises:
            VolumeError: no such slice, or a volume that isn't usable (see ``check_volume``).
        """
        matrix, dimensions = ijk_to_ras(volume), dimensions_of(volume)
        if axis not in AXES:
            raise VolumeError(f"Unknown slice axis {axis!r}: use i, j or k.")
        number = AXES.index(axis)
        if not 0 <= index < dimensions[number]:
            raise VolumeError(
                f"The volume {volume.GetName()} has no slice {index} along {axis}: choose one of 0 to {dimensions[number] - 1}."
            )
        middle = (np.asarray(dimensions) - 1) / 2
        middle[number] = index
        normal = np.linalg.inv(matrix)[number, :3]
        grid = _place(matrix, dimensions, matrix[:3, :3] @ middle + matrix[:3, 3], normal, settings, size)
        return SlicePlane(grid, _thickness(matrix, grid), axis, int(index), size)

    @staticmethod
    def from_slice_node(volume: Any, slice_node: Any, settings: ImageSettings | None = None) -> SlicePlane:
        """The plane that a slice view shows, tilted or not.

        Raises:
            VolumeError: the view shows nothing of the volume.
        """
        matrix = matrix_to_numpy(slice_node.GetSliceToRAS())
        return SlicePlane.through(volume, matrix[:3, 3], matrix[:3, 2], settings)

    @staticmethod
    def through(volume: Any, point_ras: Any, normal_ras: Any, settings: ImageSettings | None = None) -> SlicePlane:
        """The plane through ``point_ras`` (R, A, S in mm) with ``normal_ras`` (any length and sign).

        A plane that stays within half a voxel of one slice over the whole volume becomes that slice exactly.

        Raises:
            VolumeError: the plane does not meet the volume.
        """
        matrix, dimensions = ijk_to_ras(volume), dimensions_of(volume)
        point, normal = np.asarray(point_ras, float), np.asarray(normal_ras, float)
        if point.shape != (3,) or normal.shape != (3,) or not np.isfinite([point, normal]).all() or not np.linalg.norm(normal) > 0:
            raise VolumeError("A plane needs a point and a normal of three finite coordinates.")
        nearest = _nearest_slice(matrix, dimensions, point, normal)
        if nearest is not None:
            return SlicePlane.from_volume(volume, *nearest, settings)
        grid = _place(matrix, dimensions, point, normal, settings)
        return SlicePlane(grid, _thickness(matrix, grid))

    def at(self, size: int) -> SlicePlane:
        """The same field of view with ``size`` rows and columns."""
        if size == self.size:
            return self
        step = self.size / size
        finer = np.eye(4)
        finer[0, 0] = finer[1, 1] = step
        finer[:2, 3] = step / 2 - 0.5
        return SlicePlane(self.grid_to_ras @ finer, self.thickness_mm, self.axis, self.index, size)

    # --- reading

    def sample(self, volume: Any, settings: ImageSettings | None = None) -> np.ndarray:
        """The volume's intensities on the grid, float32 [n, n] in 0..1 (see ``ImageSettings``).

        Raises:
            VolumeError: the plane does not meet the volume.
        """
        return sample_image(array_of(volume), self.sheet_of(volume), settings)

    def sample_segment(self, segmentation: Any, segment_id: str) -> np.ndarray:
        """Part of each grid pixel that the segment covers, float32 [n, n] in 0..1; threshold at 0.5 for a mask.

        Read from the segment's own voxels, whatever their geometry.
        """
        return coverage_of(self.segment_sheets(segmentation, segment_id), self.size)

    def rasterize_segment(self, segmentation: Any, segment_id: str) -> np.ndarray:
        """Strokes painted into a segment, max-pooled: float32 [n, n] of 0 and 1. One voxel is enough to survive."""
        found = self.segment_sheets(segmentation, segment_id)
        return np.max([np.zeros((self.size, self.size), np.float32)] + [sheet.pool(mask) for sheet, mask in found], axis=0)

    def rasterize(self, prompts: Any, require: bool = False) -> np.ndarray:
        """Prompts on the grid, float32 [3, n, n]: box, positive, negative (see ``encode_prompts``).

        Raises:
            PromptError: ``require`` and no prompt is on the plane within the field of view.
        """
        return encode_prompts(prompts, self.grid_to_ras, self.thickness_mm, require, self.size)

    @property
    def centre(self) -> tuple[float, float, float]:
        """The middle of the grid, (R, A, S) in mm."""
        return self.to_ras((self.size - 1) / 2, (self.size - 1) / 2)

    def holds(self, prompt: Prompt) -> bool:
        """True if (a part of) the prompt is on this plane within the field of view."""
        return bool(self.rasterize([prompt]).any())

    # --- writing

    def paste(self, probability: np.ndarray, volume: Any, threshold: float = 0.5) -> PastedSlice:
        """A prediction on the volume's voxels: resampled bilinearly, then thresholded.

        Args:
            probability: [n, n] in 0..1.
        """
        return self.paste_on(probability, ijk_to_ras(volume), dimensions_of(volume), threshold)

    def paste_on(
        self, probability: np.ndarray, to_ras: np.ndarray, dimensions: tuple[int, int, int], threshold: float = 0.5
    ) -> PastedSlice:
        """See ``paste``, for the voxel grid of a volume (4x4 in RAS mm, numbers of voxels along i, j, k): touches no node."""
        probability = np.asarray(probability, np.float32)
        if probability.shape != (self.size, self.size):
            raise VolumeError(
                f"A prediction on this plane has {self.size} x {self.size} pixels, not {' x '.join(map(str, probability.shape))}."
            )
        return PastedSlice(self, probability, threshold, to_ras, dimensions)

    # --- details

    def sheet_of(self, volume: Any) -> Sheet:
        """The voxels of ``volume`` on this plane."""
        return Sheet.of(ijk_to_ras(volume), dimensions_of(volume), self.grid_to_ras, self.size)

    def to_ras(self, row: float, col: float) -> tuple[float, float, float]:
        """World RAS in mm of a grid position."""
        right, anterior, superior = (float(v) for v in (self.grid_to_ras @ (col, row, 0, 1))[:3])
        return right, anterior, superior

    def to_grid(self, point_ras: Any) -> tuple[float, float, float]:
        """(row, col, signed distance from the plane in mm) of a world RAS position."""
        col, row, distance, _ = np.linalg.solve(self.grid_to_ras, np.append(np.asarray(point_ras, float), 1))
        return float(row), float(col), float(distance)

    def layers(self, array_to_ras: np.ndarray, dimensions: tuple[int, int, int]) -> list[SlicePlane]:
        """Planes that fill this plane's thickness with one sheet each on a voxel grid; more than one if that grid's voxels are thinner."""
        axis = Sheet.of(array_to_ras, dimensions, self.grid_to_ras, self.size).axis
        count = max(1, round(self.thickness_mm / float(abs(array_to_ras[:3, axis] @ self.grid_to_ras[:3, 2]))))
        if count == 1:
            return [self]
        offsets = ((np.arange(count) + 0.5) / count - 0.5) * self.thickness_mm
        grids = [self.grid_to_ras + np.outer(self.grid_to_ras[:, 2], [0, 0, 0, offset]) for offset in offsets]
        return [SlicePlane(grid, self.thickness_mm / count, size=self.size) for grid in grids]

    def segment_sheets(self, segmentation: Any, segment_id: str) -> list[tuple[Sheet, np.ndarray]]:
        """(sheet, mask [v, u]) of every layer of the segment's own voxels on this plane; copies, that stay as the segment changes."""
        voxels = segment_voxels(segmentation, segment_id)
        if voxels is None:
            return []
        grid = voxels.array_to_ras, voxels.dimensions
        sheets = [Sheet.of(*grid, plane.grid_to_ras, self.size) for plane in self.layers(*grid)]
        return [(sheet, (sheet.take(voxels.array) == voxels.label) & sheet.inside) for sheet in sheets]

    def to_json(self) -> dict[str, Any]:
        """Plain lists and numbers, readable by ``from_json``."""
        facts = {"grid_to_ras": self.grid_to_ras.tolist(), "thickness_mm": self.thickness_mm, "axis": self.axis, "index": self.index}
        return facts if self.size == GRID_SIZE else {**facts, "size": self.size}

    @staticmethod
    def from_json(data: Any) -> SlicePlane:
        """Inverse of ``to_json``.

        Raises:
            VolumeError: malformed data.
        """
        try:
            matrix, size = np.asarray(data["grid_to_ras"], float), int(data.get("size", GRID_SIZE))
            return SlicePlane(matrix, float(data["thickness_mm"]), data.get("axis"), data.get("index"), size)
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise VolumeError(f"Malformed slice plane: {error}.") from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SlicePlane) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash((self.grid_to_ras.tobytes(), self.thickness_mm, self.axis, self.index, self.size))


@dataclass(frozen=True)
class PastedSlice:
    """A prediction on a voxel grid: which voxels of the plane are in view, and which of these are in the mask.

    Attributes:
        plane: where the prediction is.
        probability: float32 [n, n] on the plane's grid.
        threshold: voxels of at least this probability are in the mask.
        array_to_ras, dimensions: the voxel grid (4x4, numbers of voxels along i, j, k).
    """

    plane: SlicePlane
    probability: np.ndarray
    threshold: float
    array_to_ras: np.ndarray = field(repr=False)
    dimensions: tuple[int, int, int]

    def same_as(self, other: PastedSlice) -> bool:
        """Whether this is the same prediction on the same voxels."""
        same = self.probability is other.probability or np.array_equal(self.probability, other.probability)
        same = same and (self.plane, self.threshold, self.dimensions) == (other.plane, other.threshold, other.dimensions)
        return same and np.array_equal(self.array_to_ras, other.array_to_ras)

    @cached_property
    def sheet(self) -> Sheet:
        """The voxels on the plane."""
        return Sheet.of(self.array_to_ras, self.dimensions, self.plane.grid_to_ras, self.plane.size)

    @cached_property
    def mask(self) -> np.ndarray:
        """[v, u] bool on the sheet: probability at or above the threshold, in view."""
        return (self.sheet.from_grid(self.probability) >= self.threshold - 1e-6) & self.in_view

    @property
    def in_view(self) -> np.ndarray:
        """[v, u] bool on the sheet: within the grid's field of view. Nothing else is touched by writing."""
        return self.sheet.in_view

    def to_array(self) -> np.ndarray:
        """The mask as a whole volume, uint8 [k, j, i]."""
        array = np.zeros(self.dimensions[::-1], np.uint8)
        self.sheet.put(array, np.uint8(1), self.mask)
        return array

    def on(self, array_to_ras: np.ndarray, dimensions: tuple[int, int, int]) -> list[PastedSlice]:
        """The same prediction on another voxel grid: one part per sheet of its voxels within the plane's thickness."""
        if tuple(dimensions) == self.dimensions and np.allclose(array_to_ras, self.array_to_ras, rtol=0, atol=1e-9):
            return [self]
        planes = self.plane.layers(array_to_ras, dimensions)
        return [PastedSlice(plane, self.probability, self.threshold, array_to_ras, tuple(dimensions)) for plane in planes]


def coverage_of(sheets: list[tuple[Sheet, np.ndarray]], size: int = GRID_SIZE) -> np.ndarray:
    """Part of each grid pixel covered by masks on sheets (see ``SlicePlane.segment_sheets``), float32 [size, size] in 0..1."""
    total = np.zeros((size, size))
    for sheet, mask in sheets:
        mean, coverage = sheet.to_grid(mask)
        total += mean * coverage / len(sheets)
    return total.astype(np.float32)


def planes_of(volume: Any, axis: str, settings: ImageSettings | None = None, size: int = GRID_SIZE) -> list[SlicePlane]:
    """All slices of a volume along ``axis``, in the order of its array."""
    return [SlicePlane.from_volume(volume, axis, index, settings, size) for index in range(dimensions_of(volume)[AXES.index(axis)])]


def _place(
    matrix: np.ndarray, dimensions: tuple, origin: np.ndarray, normal: np.ndarray, settings: ImageSettings | None, size: int = GRID_SIZE
) -> np.ndarray:
    settings = settings or ImageSettings()
    side = settings.fov_mm if settings.field_of_view == "fixed" else None
    roi = settings.roi if settings.field_of_view == "roi" else None
    return place_grid(matrix, dimensions, origin, normal, side, roi, size)


def _thickness(matrix: np.ndarray, grid: np.ndarray) -> float:
    """Distance in mm across the plane from one voxel to the next along the axis nearest to the normal."""
    return float(np.abs(matrix[:3, :3].T @ grid[:3, 2]).max())


def _nearest_slice(matrix: np.ndarray, dimensions: tuple, point: np.ndarray, normal: np.ndarray) -> tuple[str, int] | None:
    """(axis, index) of the slice that a plane stays within half a voxel of, over the whole volume; None if it crosses slices or misses."""
    covector = matrix[:3, :3].T @ normal
    axis = int(np.argmax(np.abs(covector)))
    slopes = -covector / covector[axis]
    slopes[axis] = 0
    middle = (np.asarray(dimensions) - 1) / 2
    at_point = np.linalg.solve(matrix, np.append(point, 1))[:3]
    height = at_point[axis] + slopes @ (middle - at_point)  # where the plane cuts the column in the volume's middle
    drift = np.abs(slopes) @ (np.asarray(dimensions) / 2)
    index = int(np.floor(height + 0.5))
    level = drift < 1e-3
    if not level and abs(height - index) + drift > 0.5:
        return None
    if level and abs(height - (dimensions[axis] - 1) / 2) <= dimensions[axis] / 2 + 1e-3:
        index = min(max(index, 0), dimensions[axis] - 1)
    return (AXES[axis], index) if 0 <= index < dimensions[axis] else None

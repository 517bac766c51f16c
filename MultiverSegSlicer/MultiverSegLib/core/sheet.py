"""The sheet of voxels that a plane passes through: the bridge between a 3D array and the grid, for aligned and tilted planes alike.

A plane meets a volume in one voxel per column of voxels along the volume's axis nearest to the plane's normal: those whose centre is within half a
voxel of the plane along that axis (hence within half a voxel thickness). An axis-aligned plane gives an ordinary slice. Everything that happens
in the plane (reading intensities, reading and writing masks, max-pooling strokes) works on the sheet as a 2D array [v, u], u and v being the two
other axes in the order of the file, and goes to and from the grid by one affine map.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .grid import GRID_SIZE
from .resample import resample

_LEVEL = 1e-3  # in voxels: a plane that drifts less than this over the sheet is level, and passes exactly through a slice that near
_IN_PLANE = {0: (1, 2), 1: (0, 2), 2: (0, 1)}  # axis of the columns -> axes of (u, v)


@dataclass(frozen=True)
class Sheet:
    """Voxels of a [k, j, i] array near a plane. Build with ``Sheet.of``.

    Attributes:
        axis: 0, 1 or 2 (i, j, k): the axis of the columns.
        start: first (u, v) of the part of the sheet under the grid.
        shape: (rows, cols) of the sheet = numbers of v and u.
        depth: number of voxels along ``axis``.
        height: (constant, per u, per v): where the plane cuts the column (u, v), counted from 0 over the whole array.
        to_sheet: [2, 3], grid (col, row, 1) -> (u, v) counted from ``start``, for positions on the plane.
        aside: (col, row) by which one voxel along ``axis`` moves across the grid.
        size: rows and columns n of the grid.
    """

    axis: int
    start: tuple[int, int]
    shape: tuple[int, int]
    depth: int
    height: tuple[float, float, float]
    to_sheet: np.ndarray
    aside: tuple[float, float]
    size: int = GRID_SIZE

    @staticmethod
    def of(ijk_to_ras: np.ndarray, dimensions: tuple[int, int, int], grid_to_ras: np.ndarray, size: int = GRID_SIZE) -> Sheet:
        """The sheet of a volume of ``dimensions`` (i, j, k) with ``ijk_to_ras`` (4x4) under the grid of ``size`` x ``size`` pixels at ``grid_to_ras`` (4x4)."""
        grid_to_ijk = np.linalg.solve(ijk_to_ras, grid_to_ras)
        ijk_to_grid = np.linalg.inv(grid_to_ijk)
        distance = ijk_to_grid[2]  # signed distance in mm of the voxel (i, j, k, 1) from the plane
        columns = ijk_to_ras[:3, :3] / np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
        tie = 1e-9 * (2 * np.abs(columns[2]) + np.abs(columns[1]))  # a patient-based choice between equals, whatever the order in the file
        axis = int(np.argmax(np.abs(distance[:3]) * (1 + tie)))
        u, v = _IN_PLANE[axis]
        to_plane = grid_to_ijk[[u, v]][:, [0, 1, 3]]
        edges = np.array([[c, r, 1] for c in (-0.5, size - 0.5) for r in (-0.5, size - 0.5)]) @ to_plane.T
        low = np.maximum(np.floor(edges.min(axis=0)) - 1, 0).astype(int)
        high = np.minimum(np.ceil(edges.max(axis=0)) + 2, (dimensions[u], dimensions[v])).astype(int)
        extent = np.maximum(high - low, 0)
        to_sheet = to_plane.copy()
        to_sheet[:, 2] -= low
        constant, per_u, per_v = (float(-distance[part] / distance[axis]) for part in (3, u, v))
        aside = (float(ijk_to_grid[0, axis]), float(ijk_to_grid[1, axis]))
        return Sheet(
            axis,
            (int(low[0]), int(low[1])),
            (int(extent[1]), int(extent[0])),
            dimensions[axis],
            (constant, per_u, per_v),
            to_sheet,
            aside,
            size,
        )

    @property
    def grid_shape(self) -> tuple[int, int]:
        """Of an array on the grid."""
        return self.size, self.size

    @property
    def empty(self) -> bool:
        """No voxel is near the plane within the grid's field of view."""
        return 0 in self.shape or (self.level and self._level_index() is None) or not self.inside.any()

    @cached_property
    def level(self) -> bool:
        """The plane is parallel to the slices: the whole sheet lies in one of them."""
        return abs(self.height[1]) * self.shape[1] < _LEVEL and abs(self.height[2]) * self.shape[0] < _LEVEL

    @cached_property
    def heights(self) -> np.ndarray:
        """[v, u] float64: where the plane cuts each column, in voxels along ``axis``."""
        u, v = self.start[0] + np.arange(self.shape[1]), self.start[1] + np.arange(self.shape[0])
        return self.height[0] + self.height[1] * u[None, :] + self.height[2] * v[:, None]

    @cached_property
    def indices(self) -> np.ndarray:
        """[v, u] int: index along ``axis`` of the voxel of each column; only meaningful where ``inside``."""
        if self.level:
            return np.full(self.shape, self._level_index() or 0)
        return np.clip(np.floor(self.heights + 0.5), 0, self.depth - 1).astype(int)

    @cached_property
    def inside(self) -> np.ndarray:
        """[v, u] bool: the plane cuts the column within the volume."""
        if self.level:
            return np.full(self.shape, self._level_index() is not None)
        return (self.heights >= -0.5) & (self.heights < self.depth - 0.5)

    @cached_property
    def in_view(self) -> np.ndarray:
        """[v, u] bool: the voxel lies on the plane and within the grid's field of view."""
        col, row = self._grid_positions()
        near = 1e-6
        last = self.size - 0.5 + near
        seen = (col >= -0.5 - near) & (col <= last) & (row >= -0.5 - near) & (row <= last)
        return seen & self.inside

    # --- between the 3D array and the sheet

    def take(self, array: np.ndarray) -> np.ndarray:
        """[v, u] of ``array`` [k, j, i]: nearest voxel of each column, 0 outside. A copy."""
        if self.empty:
            return np.zeros(self.shape, array.dtype)
        if self.level and (index := self._level_index()) is not None:
            return np.array(array[self._slices(index)])
        return np.where(self.inside, array[self._gather(self.indices)], array.dtype.type(0))

    def put(self, array: np.ndarray, values: np.ndarray, where: np.ndarray) -> None:
        """Write ``values`` [v, u] into the voxels of ``array`` [k, j, i] where ``where`` [v, u]; nothing else changes."""
        if self.empty:
            return
        if self.level and (index := self._level_index()) is not None:
            np.copyto(array[self._slices(index)], values, where=where, casting="unsafe")
            return
        rows, cols = np.nonzero(where & self.inside)
        place = self._places(rows, cols)
        array[place] = values[rows, cols] if isinstance(values, np.ndarray) and values.ndim else values

    def interpolate(self, array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Intensities on the plane, linear along the columns.

        Returns:
            values [v, u] float64 and valid [v, u] bool: the plane is within the volume there and the voxels are finite.
        """
        if self.empty:
            return np.zeros(self.shape), np.zeros(self.shape, bool)
        if self.level:
            height = float(self.heights.flat[self.heights.size // 2])
            nearest = round(height)
            if abs(height - nearest) < _LEVEL or self.depth == 1:
                values = array[self._slices(min(max(nearest, 0), self.depth - 1))].astype(np.float64)
                return self._finite(values, np.ones(self.shape, bool), array.dtype)
        height = np.clip(self.heights, 0, self.depth - 1)
        low = np.minimum(height.astype(int), max(self.depth - 2, 0))
        part = height - low
        with np.errstate(invalid="ignore"):
            below, above = (array[self._gather(index)].astype(np.float64) for index in (low, np.minimum(low + 1, self.depth - 1)))
            values = np.where(part == 0, below, below * (1 - part) + above * part)
        return self._finite(values, self.inside, array.dtype)

    def positions(self, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
        """[n, 3] array indices (i, j, k) of the sheet's voxels at ``rows`` and ``cols`` ([n] each)."""
        place = self._places(rows, cols)
        return np.stack([np.broadcast_to(part, np.shape(rows)) for part in place[::-1]], axis=-1)

    # --- between the sheet and the grid

    def to_grid(self, values: np.ndarray, valid: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Anti-aliased (mean, coverage), both [n, n] float64, of ``values`` [v, u] (see ``resample``)."""
        if self.empty:
            return np.zeros(self.grid_shape), np.zeros(self.grid_shape)
        return resample(np.asarray(values, np.float64), self.to_sheet, self.grid_shape, valid)

    def from_grid(self, values: np.ndarray) -> np.ndarray:
        """[v, u] float64 of grid ``values`` [n, n], resampled bilinearly (averaged where voxels are larger than grid pixels)."""
        return resample(np.asarray(values, np.float64), self._to_grid_matrix, self.shape, shift=self._shift)[0]

    def pool(self, mask: np.ndarray) -> np.ndarray:
        """Max-pool ``mask`` [v, u] to the grid, [n, n] float32 of 0 and 1.

        A grid pixel is set if a set voxel's centre lies in it, or if its own centre lies in a set voxel: nothing painted in view vanishes.
        """
        out = np.zeros(self.grid_shape, np.float32)
        rows, cols = np.nonzero(mask & self.in_view)
        if not len(rows):
            return out
        col, row = (np.broadcast_to(part, self.shape)[rows, cols] for part in self._grid_positions())
        out[self._pixel(row), self._pixel(col)] = 1
        grid_col, grid_row = np.meshgrid(np.arange(self.size), np.arange(self.size))
        u, v = np.floor(np.tensordot(self.to_sheet, np.stack([grid_col, grid_row, np.ones(self.grid_shape)]), axes=1) + 0.5).astype(int)
        there = (u >= 0) & (u < self.shape[1]) & (v >= 0) & (v < self.shape[0])
        out[there] = np.maximum(out[there], (mask & self.inside)[v[there], u[there]])
        return out

    # --- details

    @cached_property
    def _to_grid_matrix(self) -> np.ndarray:
        return np.linalg.inv(np.vstack([self.to_sheet, [0, 0, 1]]))[:2]

    @cached_property
    def _shift(self) -> np.ndarray | None:
        """[2, v, u] (col, row): from where the plane cuts a column to the voxel's centre, seen along the normal; None if all are 0."""
        if self.level:
            return None
        return np.stack([step * (self.indices - self.heights) for step in self.aside])

    def _grid_positions(self) -> tuple[np.ndarray, np.ndarray]:
        """(col, row) of the voxels' centres, each broadcastable to [v, u]."""
        u, v = np.arange(self.shape[1])[None, :], np.arange(self.shape[0])[:, None]
        matrix, shift = self._to_grid_matrix, self._shift
        return tuple(matrix[n, 0] * u + matrix[n, 1] * v + matrix[n, 2] + (0 if shift is None else shift[n]) for n in (0, 1))

    def _level_index(self) -> int | None:
        """Index of the slice a level plane lies in; a plane within rounding of the volume's edge is still in its last slice."""
        middle = (
            self.height[0] + self.height[1] * (self.start[0] + self.shape[1] / 2) + self.height[2] * (self.start[1] + self.shape[0] / 2)
        )
        if not -0.5 - _LEVEL <= middle <= self.depth - 0.5 + _LEVEL:
            return None
        return int(min(max(np.floor(middle + 0.5), 0), self.depth - 1))

    def _slices(self, index: int) -> tuple:
        u, v = (slice(self.start[n], self.start[n] + self.shape[1 - n]) for n in (0, 1))
        return {0: (v, u, index), 1: (v, index, u), 2: (index, v, u)}[self.axis]

    def _gather(self, index: np.ndarray) -> tuple[np.ndarray, ...]:
        rows, cols = np.arange(self.shape[0])[:, None], np.arange(self.shape[1])[None, :]
        u, v = cols + self.start[0], rows + self.start[1]
        return {0: (v, u, index), 1: (v, index, u), 2: (index, v, u)}[self.axis]

    def _places(self, rows: np.ndarray, cols: np.ndarray) -> tuple[np.ndarray, ...]:
        u, v, index = cols + self.start[0], rows + self.start[1], self.indices[rows, cols]
        return {0: (v, u, index), 1: (v, index, u), 2: (index, v, u)}[self.axis]

    def _pixel(self, position: np.ndarray) -> np.ndarray:
        return np.clip(np.floor(position + 0.5).astype(int), 0, self.size - 1)

    @staticmethod
    def _finite(values: np.ndarray, valid: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
        if np.issubdtype(dtype, np.floating):
            valid = valid & np.isfinite(values)
            values = np.where(valid, values, 0)
        return values, valid

"""The grid networks work on. Grid arrays are [row, col], float32; coordinates are (row, col) with pixel centres at integers.

A grid lies on a plane in patient space (RAS, mm). ``grid_to_ras`` is a 4x4 float64 matrix that maps the homogeneous (col, row, z, 1) to RAS:
its first two columns are the step in mm per column and per row, its third the unit normal, so z is the signed distance from the plane in mm.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from .errors import VolumeError

#: Rows and columns of the square grid of contexts and of most networks, as published (papers: MultiverSeg B.1, ScribblePrompt). A model may have
#: another (``Capabilities.size``).
GRID_SIZE = 128
#: Column and row of its middle.
GRID_CENTRE = (GRID_SIZE - 1) / 2
#: A volume's own axes, by number in (i, j, k); its array is [k, j, i].
AXES = ("i", "j", "k")
#: Anatomical names of slice axes; the normals of their slices run to S, A and R.
ANATOMICAL = ("axial", "coronal", "sagittal")
#: Shape of one grid array.
GRID_SHAPE = (GRID_SIZE, GRID_SIZE)

_LEFT, _POSTERIOR, _INFERIOR = np.array([-1.0, 0, 0]), np.array([0, -1.0, 0]), np.array([0, 0, -1.0])
#: Directions that columns and rows follow, by the patient axis (R, A, S) nearest to the plane's normal; their cross product is the normal.
_PATIENT_FRAMES = {
    0: (_POSTERIOR, _INFERIOR),  # sagittal, normal R
    1: (_LEFT, _INFERIOR),  # coronal, normal P
    2: (_LEFT, _POSTERIOR),  # axial, normal S
}
# Breaks exact ties (a plane at 45 degrees) by patient directions, so that they don't depend on the order in which a file stores its voxels.
_TIE = 1e-6


def patient_frame(normal: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors (column step, row step, normal) of a grid on a plane, each (R, A, S).

    Columns and rows follow the patient (axial: L and P; coronal: L and I; sagittal: P and I; any other plane: the nearest of these) as closely
    as the volume's own axes allow: the grid never rotates against the voxels, and never mirrors the patient.

    Args:
        normal: the plane's normal, (R, A, S), any length and sign.
        directions: [3, 3], the volume's axes as columns; the plane's own axes are projections of two of them.
    """
    normal = normal / np.linalg.norm(normal)
    nearest = int(np.argmax(np.abs(normal) + _TIE * np.arange(3)))
    columns_to, rows_to = _PATIENT_FRAMES[nearest]
    if normal @ np.cross(columns_to, rows_to) < 0:
        normal = -normal
    best_score, best = -np.inf, None
    for axis, sign in product(range(3), (1.0, -1.0)):
        projected = sign * (directions[:, axis] - normal * (normal @ directions[:, axis]))
        length = np.linalg.norm(projected)
        if length < 0.5 * np.linalg.norm(directions[:, axis]):  # steeper than 60 degrees: this axis pierces the plane
            continue
        column = projected / length
        row = np.cross(normal, column)
        score = column @ columns_to + row @ rows_to + _TIE * (column @ rows_to)
        if score > best_score:
            best_score, best = score, (column, row, normal)
    if best is None:  # three axes near one line, as only a header that can't be true has them
        raise VolumeError(
            "The volume's axes nearly coincide, so that no plane through it can be shown: check its directions and transforms."
        )
    return best


def plane_outline(ijk_to_ras: np.ndarray, dimensions: tuple[int, int, int], origin: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Corner points [n, 3] (RAS) where a plane cuts the box of a volume's voxels (voxel edges, not centres); no rows if it misses the box."""
    corners = np.array([[(-0.5, n - 0.5)[bit] for bit, n in zip(bits, dimensions, strict=True)] for bits in product((0, 1), repeat=3)])
    points = corners @ ijk_to_ras[:3, :3].T + ijk_to_ras[:3, 3]
    heights = (points - origin) @ normal
    heights[np.abs(heights) < 1e-9 * (1 + np.abs(heights).max())] = 0
    found = [points[heights == 0]]
    for first, second in ((a, b) for a in range(8) for b in range(a + 1, 8) if (corners[a] != corners[b]).sum() == 1):
        if heights[first] * heights[second] < 0:
            part = heights[first] / (heights[first] - heights[second])
            found.append((points[first] + part * (points[second] - points[first]))[None])
    return np.concatenate(found)


def place_grid(
    ijk_to_ras: np.ndarray,
    dimensions: tuple[int, int, int],
    origin: np.ndarray,
    normal: np.ndarray,
    side_mm: float | None = None,
    roi: tuple[tuple[float, float, float], tuple[float, float, float]] | None = None,
    size: int = GRID_SIZE,
) -> np.ndarray:
    """``grid_to_ras`` of the square grid on the plane through ``origin`` (R, A, S in mm) with ``normal``.

    Args:
        ijk_to_ras: 4x4, the volume's voxel indices (centres at integers) to RAS.
        dimensions: voxels along i, j, k.
        side_mm: side of the field of view, centred on the slice; None: the whole slice, padded to a square.
        roi: ((R, A, S) centre, (R, A, S) size) in mm: the field of view is the square around this box's shadow on the plane.
        size: rows and columns of the grid.

    Raises:
        VolumeError: the plane does not meet the volume.
    """
    column, row, normal = patient_frame(np.asarray(normal, float), ijk_to_ras[:3, :3])
    outline = plane_outline(ijk_to_ras, dimensions, np.asarray(origin, float), normal)
    if not len(outline):
        raise VolumeError("The plane does not meet the volume: move the slice into the image.")
    flat = (outline - origin) @ np.stack([column, row], axis=1)
    low, high = flat.min(axis=0), flat.max(axis=0)
    center, side = (low + high) / 2, float((high - low).max())
    if roi is not None:
        roi_center, roi_size = (np.asarray(part, float) for part in roi)
        center = np.array([column @ (roi_center - origin), row @ (roi_center - origin)])
        side = float(max(np.abs(column) @ roi_size, np.abs(row) @ roi_size))
    elif side_mm is not None:
        side = float(side_mm)
    if not side > 0:
        raise VolumeError("The field of view is empty: the plane only touches the volume, or the ROI has no size.")
    step = side / size
    first = center - side / 2 + step / 2
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2] = column * step, row * step, normal
    matrix[:3, 3] = origin + column * first[0] + row * first[1]
    return matrix

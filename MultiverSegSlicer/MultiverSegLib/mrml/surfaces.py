"""The closed surface of a mask by VTK's filters alone, so that a thread can make it: the steps and settings of Slicer's own conversion."""

from __future__ import annotations

from typing import Any

import numpy as np

from .volumes import numpy_to_matrix

#: Slicer's default smoothing (0 to 1) and the filter's settings that it means.
_SMOOTHING = 0.5
_PASS_BAND = 10 ** (-4 * _SMOOTHING)
_ITERATIONS = 40


def closed_surface(mask: np.ndarray, ijk_to_world: np.ndarray) -> Any:
    """vtkPolyData of a mask.

    Args:
        mask: [k, j, i], anything but 0 is inside.
        ijk_to_world: 4x4, voxel indices to the coordinates of the surface, in mm; it may mirror.
    """
    import vtk

    image, first = _padded(mask)
    edges = vtk.vtkDiscreteFlyingEdges3D()
    edges.SetInputData(image)
    edges.ComputeGradientsOff()
    edges.ComputeNormalsOff()
    edges.SetValue(0, 1)
    smooth = vtk.vtkWindowedSincPolyDataFilter()
    smooth.SetInputConnection(edges.GetOutputPort())
    smooth.SetNumberOfIterations(_ITERATIONS)
    smooth.SetPassBand(_PASS_BAND)
    smooth.BoundarySmoothingOff()
    smooth.FeatureEdgeSmoothingOff()
    smooth.NonManifoldSmoothingOn()
    smooth.NormalizeCoordinatesOn()
    matrix = np.array(ijk_to_world, float)
    matrix[:3, 3] += matrix[:3, :3] @ first
    transform = vtk.vtkTransform()
    transform.SetMatrix(numpy_to_matrix(matrix))
    placed = vtk.vtkTransformPolyDataFilter()
    placed.SetTransform(transform)
    placed.SetInputConnection(smooth.GetOutputPort())
    last = placed
    if np.linalg.det(matrix[:3, :3]) < 0:  # triangles turn their other side out
        last = vtk.vtkReverseSense()
        last.ReverseCellsOn()
        last.SetInputConnection(placed.GetOutputPort())
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputConnection(last.GetOutputPort())
    normals.ConsistencyOn()
    normals.SplittingOff()
    normals.Update()
    return normals.GetOutput()


def _padded(mask: np.ndarray) -> tuple[Any, np.ndarray]:
    """The box of the mask with a voxel around it as vtkImageData with spacing 1, and the index (i, j, k) of its first voxel."""
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    inside = np.argwhere(mask)
    low, high = inside.min(0), inside.max(0) + 1
    box = np.pad(np.asarray(mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] != 0, np.uint8), 1)
    image = vtk.vtkImageData()
    image.SetDimensions(*box.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(box.ravel(), deep=True))
    return image, low[::-1] - 1.0

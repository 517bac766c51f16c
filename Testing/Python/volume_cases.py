"""Volumes of any orientation for tests, and plain reference geometry that shares no code with the package."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
from hypothesis import strategies as st


@dataclass(frozen=True)
class VolumeCase:
    """A volume as a file would hold it: voxels [k, j, i] and the matrix from (i, j, k) to RAS; ``transform`` is what its node is under."""

    array: np.ndarray
    ijk_to_ras: np.ndarray
    transform: np.ndarray | None = None

    @property
    def to_world(self) -> np.ndarray:
        return self.ijk_to_ras if self.transform is None else self.transform @ self.ijk_to_ras

    def centers(self) -> np.ndarray:
        """[k, j, i, 3]: world RAS of every voxel centre."""
        k, j, i = np.indices(self.array.shape)
        return np.stack([i, j, k], axis=-1) @ self.to_world[:3, :3].T + self.to_world[:3, 3]

    def node(self, name: str = "volume"):
        """The volume as a node in the scene, under its transform."""
        import slicer
        from vtk.util.numpy_support import numpy_to_vtk

        image = slicer.vtkOrientedImageData()
        image.SetDimensions(self.array.shape[::-1])
        image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(self.array).ravel(), deep=True))
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
        node.SetAndObserveImageData(image)
        node.SetIJKToRASMatrix(vtk_matrix(self.ijk_to_ras))
        node.CreateDefaultDisplayNodes()
        if self.transform is not None:
            above = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "above")
            above.SetMatrixTransformToParent(vtk_matrix(self.transform))
            node.SetAndObserveTransformNodeID(above.GetID())
        return node


def vtk_matrix(array: np.ndarray):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy([float(value) for value in np.asarray(array).ravel()])
    return matrix


def rotation(axis: np.ndarray, degrees: float) -> np.ndarray:
    """3x3 (Rodrigues' formula)."""
    x, y, z = np.asarray(axis, float) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.deg2rad(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def affine(linear: np.ndarray, origin: np.ndarray) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = linear, origin
    return matrix


def reordered(case: VolumeCase, order: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> VolumeCase:
    """The same anatomy stored with its axes in another ``order`` (of i, j, k) and, per new axis, in reverse."""
    array = np.transpose(case.array, [2 - order[2], 2 - order[1], 2 - order[0]])
    matrix = case.ijk_to_ras.copy()
    matrix[:, :3] = case.ijk_to_ras[:, list(order)]
    for axis in range(3):
        if flips[axis]:
            array = np.flip(array, axis=2 - axis)
            matrix[:, 3] = matrix[:, 3] + matrix[:, axis] * (array.shape[2 - axis] - 1)
            matrix[:, axis] = -matrix[:, axis]
    return VolumeCase(np.ascontiguousarray(array), matrix, case.transform)


#: The 48 ways to store one anatomy: every order of the axes, each forwards or backwards.
ORDERS = [(order, flips) for order in permutations(range(3)) for flips in product((False, True), repeat=3)]

_unit = st.floats(-1, 1)
_axes = st.tuples(_unit, _unit, _unit).filter(lambda v: np.linalg.norm(v) > 0.1)


@st.composite
def volume_cases(draw: st.DrawFn, with_transform: bool | None = None, size: tuple[int, int] = (3, 12)) -> VolumeCase:
    """Oblique, anisotropic, left- and right-handed volumes, half of them under a rigid transform."""
    shape = tuple(draw(st.integers(*size)) for _ in range(3))
    spacing = [draw(st.sampled_from([0.4, 0.7, 1.0, 2.5, 5.0])) for _ in range(3)]
    turned = rotation(draw(_axes), draw(st.sampled_from([0, 3, 20, 45, 90, 130]) | st.floats(-180, 180)))
    order, flips = draw(st.sampled_from(ORDERS))
    directions = turned[:, list(order)] * np.where(flips, -1.0, 1.0)
    origin = np.array([draw(st.floats(-200, 200)) for _ in range(3)])
    seed = draw(st.integers(0, 2**16))
    array = np.random.default_rng(seed).integers(-1000, 2000, shape).astype(np.int16)
    transform = None
    if with_transform or (with_transform is None and draw(st.booleans())):
        transform = affine(rotation(draw(_axes), draw(st.floats(-180, 180))), np.array([draw(st.floats(-50, 50)) for _ in range(3)]))
    return VolumeCase(array, affine(directions * spacing, origin), transform)


@st.composite
def planes_through(draw: st.DrawFn, case: VolumeCase) -> tuple[np.ndarray, np.ndarray, float]:
    """(point, unit normal, tilt in degrees) of a plane through the inside of ``case``, tilted against one of its slices."""
    axis = draw(st.integers(0, 2))
    where = np.array([draw(st.floats(0.25, 0.75)) * (n - 1) for n in case.array.shape[::-1]])
    point = case.to_world[:3, :3] @ where + case.to_world[:3, 3]
    normal = np.linalg.inv(case.to_world)[axis, :3]
    normal /= np.linalg.norm(normal)
    tilt = draw(st.sampled_from([0.0, 0.05, 0.3, 1.0, 10.0]))
    about = np.cross(normal, draw(_axes.filter(lambda v: np.linalg.norm(np.cross(v, normal)) > 0.05)))
    return point, rotation(about, tilt) @ normal, tilt

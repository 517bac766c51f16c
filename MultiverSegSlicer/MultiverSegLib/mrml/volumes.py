"""Volume nodes: making and removing them with the file's own voxel grid, checking, arrays and geometry (``volume_files`` reads and writes).

Slicer flips left-handed files on loading; here a volume keeps the voxel order of its file, so that a result written beside it has the same array
shape and the same voxels in every other program.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import MultiverSegError, VolumeError
from . import paths
from .plain_volume import PlainVolume, check_grid

if TYPE_CHECKING:
    from slicer import vtkMRMLNode, vtkMRMLScalarVolumeNode, vtkMRMLStorableNode, vtkMRMLTransformableNode
    from vtk import vtkMatrix4x4

    from .plain_volume import Volume

_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".img.gz", ".img", ".dcm")


def node_of(plain: PlainVolume, window_level: tuple[float, float]) -> vtkMRMLScalarVolumeNode:
    """A volume node that shares the voxels of ``plain`` and is shown with ``window_level`` (see ``PlainVolume.window_level``; computing it
    takes Slicer a second in a CT)."""
    import slicer
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    image = vtk.vtkImageData()
    image.SetDimensions(plain.array.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(plain.array).ravel(), deep=False))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", plain.name)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(*window_level)
    node.SetIJKToRASMatrix(numpy_to_matrix(plain.ijk_to_ras))
    for key, value in plain.attributes.items():
        node.SetAttribute(key, value)
    node.SetAndObserveImageData(image)
    return node


def read_files(files: list[Path], name: str, labelmap: bool = False) -> vtkMRMLScalarVolumeNode:
    """Read one volume from ``files``, in this order, without any check of their headers."""
    import slicer

    files, scene = [paths.absolute(file, VolumeError) for file in files], slicer.mrmlScene
    storage = scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(files[0]))
    storage.ResetFileNameList()
    for file in files if len(files) > 1 else []:
        storage.AddFileName(str(file))
    storage.SetSingleFile(len(files) == 1)  # else image_1.nrrd, image_2.nrrd ... in one folder become one volume
    storage.SetForceRightHandedIJKCoordinateSystem(False)
    node = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode" if labelmap else "vtkMRMLScalarVolumeNode", name)
    read = storage.ReadData(node)
    if not read or not node.GetImageData():
        scene.RemoveNode(storage)
        scene.RemoveNode(node)
        raise VolumeError(f"{files[0]} can't be read as a volume: it is damaged or of an unknown format.")
    node.SetAndObserveStorageNodeID(storage.GetID())
    try:
        ijk_to_ras(node)
    except VolumeError:
        remove_node(node)
        raise
    node.CreateDefaultDisplayNodes()
    return node


def stem(path: Path) -> str:
    """File name without its endings: ``liver.nii.gz`` -> ``liver``.

    Example:
        >>> stem(Path("scans/liver.nii.gz")), stem(Path("p1.v2.nrrd"))
        ('liver', 'p1.v2')
    """
    name = path.name
    return next((name[: -len(ending)] for ending in _SUFFIXES if name.lower().endswith(ending)), path.stem)


def new_volume(
    array: np.ndarray, matrix: np.ndarray, name: str, labelmap: bool = False, attributes: Mapping[str, str] | None = None
) -> vtkMRMLScalarVolumeNode:
    """A volume node with a copy of ``array`` [k, j, i] and ``matrix`` (4x4, (i, j, k) to RAS in mm)."""
    import slicer
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    image = vtk.vtkImageData()
    image.SetDimensions(array.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(array).ravel(), deep=True))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode" if labelmap else "vtkMRMLScalarVolumeNode", name)
    node.SetIJKToRASMatrix(numpy_to_matrix(matrix))
    for key, value in (attributes or {}).items():
        node.SetAttribute(key, value)
    node.SetAndObserveImageData(image)
    node.CreateDefaultDisplayNodes()
    return node


def check_volume(volume: vtkMRMLScalarVolumeNode) -> None:
    """Raise VolumeError unless ``volume`` is a scalar 3D volume with voxels and at most linear transforms above it."""
    if volume is None:
        raise VolumeError("No volume is selected: choose one.")
    image = volume.GetImageData()
    if image is None or min(image.GetDimensions()) < 1 or image.GetPointData().GetScalars() is None:
        raise VolumeError(f"The volume {volume.GetName()} has no voxels: load it again.")
    if image.GetNumberOfScalarComponents() != 1:
        raise VolumeError(f"The volume {volume.GetName()} is not scalar (colour or vectors): convert it to one value per voxel.")
    transform = volume.GetParentTransformNode()
    if transform is not None and not transform.IsTransformToWorldLinear():
        raise VolumeError(f"The volume {volume.GetName()} is under a non-linear transform: harden the transform on it first.")


def array_of(volume: Volume) -> np.ndarray:
    """The voxels as [k, j, i]; a view, not a copy.

    Raises:
        VolumeError: see ``check_volume``.
    """
    if isinstance(volume, PlainVolume):
        return volume.array
    from vtk.util.numpy_support import vtk_to_numpy

    check_volume(volume)
    image = volume.GetImageData()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])


def dimensions_of(volume: Volume) -> tuple[int, int, int]:
    """Numbers of voxels along i, j, k."""
    if isinstance(volume, PlainVolume):
        return volume.array.shape[::-1]
    return tuple(volume.GetImageData().GetDimensions())


def matrix_to_numpy(matrix: vtkMatrix4x4) -> np.ndarray:
    """vtkMatrix4x4 -> 4x4 float64."""
    return np.array([[matrix.GetElement(row, col) for col in range(4)] for row in range(4)])


def numpy_to_matrix(array: np.ndarray) -> vtkMatrix4x4:
    """4x4 -> vtkMatrix4x4."""
    import vtk

    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy([float(value) for value in np.asarray(array).ravel()])
    return matrix


def local_to_world(node: vtkMRMLTransformableNode) -> np.ndarray:
    """4x4 from the node's own coordinates to the world's (RAS, mm): all transforms above it.

    Raises:
        VolumeError: one of them isn't linear.
    """
    import vtk

    transform = node.GetParentTransformNode()
    if transform is None:
        return np.eye(4)
    if not transform.IsTransformToWorldLinear():
        raise VolumeError(f"{node.GetName()} is under a non-linear transform: harden the transform on it first.")
    matrix = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(matrix)
    return matrix_to_numpy(matrix)


def ijk_to_ras(volume: Volume) -> np.ndarray:
    """4x4 float64 from the array's indices (i, j, k; voxel centres at integers) to world RAS in mm, parent transforms included.

    Raises:
        VolumeError: see ``check_volume``.
    """
    if isinstance(volume, PlainVolume):
        return volume.ijk_to_ras
    import vtk

    check_volume(volume)
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    result = local_to_world(volume) @ matrix_to_numpy(matrix)
    extent = volume.GetImageData().GetExtent()
    result[:, 3] += result[:, :3] @ (extent[0], extent[2], extent[4])
    check_grid(result, volume.GetName())
    return result


def write_node(
    node: vtkMRMLStorableNode, path: str | Path, error: type[MultiverSegError], check: Callable[[Path], Any] | None = None
) -> None:
    """Write any storable node through its own storage node, completely or not at all; ``error`` if that fails.

    The file is written in a folder beside it and moved at the end, so an older file stays whole if the disk is full.

    Args:
        check: called with the written file before it is moved; raises VolumeError if that isn't whole (not every writer tells).
    """
    path = paths.writable(path, error)
    node.AddDefaultStorageNode(str(path))
    storage = node.GetStorageNode()
    if storage is None:
        raise error(f"{path} can't be written: unknown file format for {node.GetName()}.")
    try:
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=path.parent) as folder:
            draft = Path(folder, path.name)
            storage.SetFileName(str(draft))
            storage.ResetFileNameList()
            if not storage.WriteData(node) or not draft.is_file() or not draft.stat().st_size:
                raise error(f"{path} can't be written: check the free space and the permissions of its folder.")
            if check is not None:
                check(draft)
            for part in Path(folder).iterdir():  # a detached header comes with a data file
                part.replace(path.parent / part.name)
    except OSError as reason:
        raise error(f"{path} can't be written: {reason.strerror or reason}.") from reason
    except VolumeError as reason:
        raise error(f"{path} can't be written: check the free space and the permissions of its folder.") from reason
    finally:
        storage.SetFileName(str(path))
        storage.ResetFileNameList()


def remove_node(node: vtkMRMLNode) -> None:
    """Remove a node with its display and storage nodes; the scene alone would keep these and the images they cache.

    The node goes first: a slice view that still shows a volume would make it a new display node, which then stays behind.
    """
    import slicer

    scene = slicer.mrmlScene
    count = node.GetNumberOfDisplayNodes() if hasattr(node, "GetNumberOfDisplayNodes") else 0
    parts = [node.GetNthDisplayNode(index) for index in range(count)]
    parts.append(node.GetStorageNode() if hasattr(node, "GetStorageNode") else None)
    scene.RemoveNode(node)
    for part in parts:
        if part is not None and part.GetScene() is scene:
            scene.RemoveNode(part)

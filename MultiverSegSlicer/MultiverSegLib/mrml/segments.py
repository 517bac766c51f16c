"""Segmentations and their segments: create, read, write, load, save."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import SegmentationError, VolumeError
from .labelmaps import editable_voxels, find_segment, image_array, lattice_offset, notify, overlap, segment_voxels
from .paths import absolute
from .slice_plane import AXES
from .volumes import (
    array_of,
    dimensions_of,
    ijk_to_ras,
    load_volume,
    local_to_world,
    new_volume,
    numpy_to_matrix,
    remove_node,
    stem,
    write_node,
)
from .writing import EditHistory, PlaneEdit, SegmentWriter, write_plane

__all__ = [
    "EditHistory",
    "PlaneEdit",
    "SegmentWriter",
    "add_segment",
    "find_segment",
    "get_segment",
    "load_segmentation",
    "max_slice",
    "new_segmentation",
    "notify",
    "remove_node",
    "save_segmentation",
    "segment_ids",
    "set_segment",
    "set_slice",
    "write_plane",
]


def new_segmentation(volume: Any, name: str | None = None) -> Any:
    """An empty vtkMRMLSegmentationNode on the voxel grid of ``volume``, under the same transform."""
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name or f"{volume.GetName()} segmentation")
    node.CreateDefaultDisplayNodes()
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    return node


def add_segment(segmentation: Any, name: str, color: tuple[float, float, float] | None = None, terminology: str | None = None) -> str:
    """Add an empty segment.

    Args:
        color: (r, g, b) in 0..1; None: Slicer's choice.
        terminology: serialized terminology entry; None: Slicer's default.

    Returns:
        the new segment's ID.
    """
    segment_id = segmentation.GetSegmentation().AddEmptySegment("", name, color if color is not None else None)
    if not segment_id:
        raise SegmentationError(f"The segment {name} can't be added to {segmentation.GetName()}.")
    if terminology:
        segmentation.GetSegmentation().GetSegment(segment_id).SetTerminology(terminology)
    return segment_id


def segment_ids(segmentation: Any, name: str | None = None) -> list[str]:
    """IDs of all segments, or of those called ``name``."""
    segments = segmentation.GetSegmentation()
    ids = [segments.GetNthSegmentID(index) for index in range(segments.GetNumberOfSegments())]
    return [segment_id for segment_id in ids if name is None or segments.GetSegment(segment_id).GetName() == name]


def get_segment(segmentation: Any, segment_id: str, volume: Any) -> np.ndarray:
    """The segment on the voxel grid of ``volume``: uint8 [k, j, i] of 0 and 1, a copy; nearest voxel where the grids differ.

    Raises:
        SegmentationError: no such segment.
    """
    dimensions = dimensions_of(volume)
    mask = np.zeros(dimensions[::-1], np.uint8)
    voxels = segment_voxels(segmentation, segment_id)
    if voxels is None:
        return mask
    first = lattice_offset(voxels.lattice_to_ras, ijk_to_ras(volume), dimensions)
    if first is None:
        return _resampled(segmentation, segment_id, volume)
    common = overlap(voxels.extent, first, dimensions)
    if common is not None:
        np.equal(voxels.array[common[0]], voxels.label, out=mask[common[1]].view(bool))
    return mask


def _resampled(segmentation: Any, segment_id: str, volume: Any) -> np.ndarray:
    import slicer

    mask, reference, resampled = (slicer.vtkOrientedImageData() for _ in range(3))
    slicer.vtkSlicerSegmentationsModuleLogic.GetSegmentBinaryLabelmapRepresentation(segmentation, segment_id, mask, False)
    reference.SetExtent(0, dimensions_of(volume)[0] - 1, 0, dimensions_of(volume)[1] - 1, 0, dimensions_of(volume)[2] - 1)
    local = np.linalg.solve(local_to_world(segmentation), ijk_to_ras(volume))
    reference.SetGeometryFromImageToWorldMatrix(numpy_to_matrix(local))
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(mask, reference, resampled, False)
    return (image_array(resampled) > 0).astype(np.uint8)


def set_segment(segmentation: Any, segment_id: str, volume: Any, mask: np.ndarray) -> None:
    """Replace the whole segment by ``mask`` [k, j, i] on the volume's grid. Not undoable; other segments keep their voxels."""
    first, voxels = _place_of(segmentation, segment_id, volume)
    if mask.shape != dimensions_of(volume)[::-1]:
        raise SegmentationError(f"The mask has the shape {mask.shape}, the volume {volume.GetName()} {dimensions_of(volume)[::-1]}.")
    common = overlap(voxels.extent, first, dimensions_of(volume))
    np.multiply(np.asarray(mask[common[1]]) > 0, voxels.label, out=voxels.array[common[0]], casting="unsafe")
    notify(segmentation, segment_id)


def set_slice(segmentation: Any, segment_id: str, volume: Any, mask2d: np.ndarray, axis: str, index: int, notify_now: bool = True) -> None:
    """Replace one slice of the segment by ``mask2d`` (the two other array axes, in order). Not undoable, no masking; see ``write_plane``.

    Args:
        axis, index: which slice of the volume's array ("i", "j" or "k").
        notify_now: tell Slicer at once; with False call ``notify`` after the last slice.
    """
    first, voxels = _place_of(segmentation, segment_id, volume)
    common = overlap(voxels.extent, first, dimensions_of(volume))
    place = [slice(None)] * 3
    place[2 - AXES.index(axis)] = index
    np.multiply(np.asarray(mask2d) > 0, voxels.label, out=voxels.array[common[0]][tuple(place)], casting="unsafe")
    if notify_now:
        notify(segmentation, segment_id)


def _place_of(segmentation: Any, segment_id: str, volume: Any) -> tuple:
    voxels = editable_voxels(segmentation, segment_id, volume)
    first = lattice_offset(voxels.lattice_to_ras, ijk_to_ras(volume), dimensions_of(volume))
    if first is None:
        raise SegmentationError(
            f"The segmentation {segmentation.GetName()} has another voxel grid than the volume {volume.GetName()}: "
            "set its source geometry to the volume's, or write through write_plane."
        )
    return first, voxels


def max_slice(segmentation: Any, segment_id: str, volume: Any, axis: str) -> int:
    """Index along ``axis`` ("i", "j" or "k") of the volume's slice with the segment's largest area; the middle one of equals.

    Raises:
        SegmentationError: the segment is empty, or lies outside of the volume.
    """
    mask = get_segment(segmentation, segment_id, volume)
    number = 2 - AXES.index(axis)
    areas = np.array([np.count_nonzero(mask.take(index, axis=number)) for index in range(mask.shape[number])])
    if not areas.any():
        name = find_segment(segmentation, segment_id).GetName()
        raise SegmentationError(f"The segment {name} is empty in the volume {volume.GetName()}: segment something first.")
    largest = np.nonzero(areas == areas.max())[0]
    return int(largest[len(largest) // 2])


def load_segmentation(path: str | Path, volume: Any = None, name: str | None = None) -> Any:
    """Load a segmentation (.seg.nrrd with names, colours, terminology and overlaps, or a labelmap in NRRD, NIfTI or MetaImage).

    Args:
        volume: becomes the reference geometry; its parent transform is not taken over, since files are in world coordinates.

    Raises:
        SegmentationError: missing or unreadable.
    """
    import slicer

    path = absolute(path)
    if not path.is_file():
        raise SegmentationError(f"{path} does not exist: check the path of the segmentation.")
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name or stem(path).removesuffix(".seg"))
    read = _read_segments if path.name.lower().endswith((".nrrd", ".nhdr", ".vtm")) else _read_labels
    if not read(node, path) or node.GetSegmentation().GetNumberOfSegments() == 0:
        remove_node(node)
        raise SegmentationError(f"{path} can't be read as a segmentation: it is damaged, of an unknown format, or holds no segment.")
    node.CreateDefaultDisplayNodes()
    if volume is not None:
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    return node


def _read_segments(node: Any, path: Path) -> bool:
    import SimpleITK as sitk
    import slicer

    if path.suffix.lower() != ".vtm":
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        try:
            reader.ReadImageInformation()
        except RuntimeError:
            return False
        if not reader.HasMetaDataKey("Segment0_ID"):
            return _read_labels(node, path)
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(path))
    node.SetAndObserveStorageNodeID(storage.GetID())
    return bool(storage.ReadData(node))


def _read_labels(node: Any, path: Path) -> bool:
    """A labelmap of another program, in any number type: each label becomes a segment."""
    import slicer

    try:
        labels = load_volume(path)
    except VolumeError:
        return False
    try:
        array = array_of(labels)
        whole = np.nan_to_num(array).round().astype(np.int32)
        copy = new_volume(whole, ijk_to_ras(labels), stem(path), labelmap=True)
        imported = slicer.vtkSlicerSegmentationsModuleLogic.ImportLabelmapToSegmentationNode(copy, node)
        remove_node(copy)
        return bool(imported)
    finally:
        remove_node(labels)


def save_segmentation(segmentation: Any, path: str | Path) -> None:
    """Write a .seg.nrrd: every segment with its name, colour, terminology and overlaps, on the reference geometry's voxel grid.

    Raises:
        SegmentationError: wrong ending, missing or unwritable folder, or a full disk.
    """
    if not str(path).lower().endswith((".seg.nrrd", ".seg.nhdr", ".seg.vtm")):
        raise SegmentationError(f"{path} can't be written: the name of a segmentation must end with .seg.nrrd.")
    write_node(segmentation, path, SegmentationError)

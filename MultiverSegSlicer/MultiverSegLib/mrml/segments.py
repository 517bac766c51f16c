"""Segmentations and their segments: create, read, write, load, save."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import SegmentationError, VolumeError
from . import paths
from .axes import array_axis, on_slice
from .dicom import is_dicom
from .dicom_seg import read_dicom_seg
from .headers import check_header
from .label_files import check_place, read_labels
from .labelmaps import editable_voxels, find_segment, image_array, lattice_offset, notify, overlap, segment_voxels
from .paths import reason_of
from .volumes import dimensions_of, ijk_to_ras, local_to_world, new_volume, numpy_to_matrix, remove_node, stem, write_node
from .writing import EditHistory, PlaneEdit, SegmentWriter, is_empty, write_plane

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode

#: Beginning of the IDs of segments from a DICOM SEG; the segment number follows.
DICOM_SEGMENT = "DicomSegment_"

__all__ = [
    "DICOM_SEGMENT",
    "EditHistory",
    "PlaneEdit",
    "SegmentWriter",
    "add_segment",
    "find_segment",
    "get_segment",
    "is_empty",
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


def new_segmentation(volume: vtkMRMLScalarVolumeNode, name: str | None = None) -> vtkMRMLSegmentationNode:
    """An empty vtkMRMLSegmentationNode on the voxel grid of ``volume``, under the same transform."""
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name or f"{volume.GetName()} segmentation")
    node.CreateDefaultDisplayNodes()
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    return node


def add_segment(
    segmentation: vtkMRMLSegmentationNode, name: str, color: tuple[float, float, float] | None = None, terminology: str | None = None
) -> str:
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


def segment_ids(segmentation: vtkMRMLSegmentationNode, name: str | None = None) -> list[str]:
    """IDs of all segments, or of those called ``name``."""
    segments = segmentation.GetSegmentation()
    ids = [segments.GetNthSegmentID(index) for index in range(segments.GetNumberOfSegments())]
    return [segment_id for segment_id in ids if name is None or segments.GetSegment(segment_id).GetName() == name]


def get_segment(segmentation: vtkMRMLSegmentationNode, segment_id: str, volume: vtkMRMLScalarVolumeNode) -> np.ndarray:
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


def _resampled(segmentation: vtkMRMLSegmentationNode, segment_id: str, volume: vtkMRMLScalarVolumeNode) -> np.ndarray:
    import slicer

    mask, reference, resampled = (slicer.vtkOrientedImageData() for _ in range(3))
    slicer.vtkSlicerSegmentationsModuleLogic.GetSegmentBinaryLabelmapRepresentation(segmentation, segment_id, mask, False)
    reference.SetExtent(0, dimensions_of(volume)[0] - 1, 0, dimensions_of(volume)[1] - 1, 0, dimensions_of(volume)[2] - 1)
    local = np.linalg.solve(local_to_world(segmentation), ijk_to_ras(volume))
    reference.SetGeometryFromImageToWorldMatrix(numpy_to_matrix(local))
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(mask, reference, resampled, False)
    array = image_array(resampled)
    if array is None:
        return np.zeros(dimensions_of(volume)[::-1], np.uint8)
    return (array > 0).astype(np.uint8)


def set_segment(segmentation: vtkMRMLSegmentationNode, segment_id: str, volume: vtkMRMLScalarVolumeNode, mask: np.ndarray) -> None:
    """Replace the whole segment by ``mask`` [k, j, i] on the volume's grid. Not undoable; other segments keep their voxels."""
    first, voxels = _place_of(segmentation, segment_id, volume)
    if mask.shape != dimensions_of(volume)[::-1]:
        raise SegmentationError(f"The mask has the shape {mask.shape}, the volume {volume.GetName()} {dimensions_of(volume)[::-1]}.")
    common = overlap(voxels.extent, first, dimensions_of(volume))
    np.multiply(np.asarray(mask[common[1]]) > 0, voxels.label, out=voxels.array[common[0]], casting="unsafe")
    notify(segmentation, segment_id)


def set_slice(
    segmentation: vtkMRMLSegmentationNode,
    segment_id: str,
    volume: vtkMRMLScalarVolumeNode,
    mask2d: np.ndarray,
    axis: str,
    index: int,
    notify_now: bool = True,
) -> None:
    """Replace one slice of the segment by ``mask2d`` (the two other array axes, in order). Not undoable, no masking; see ``write_plane``.

    Args:
        axis, index: which slice of the volume's array ("i", "j" or "k").
        notify_now: tell Slicer at once; with False call ``notify`` after the last slice.
    """
    first, voxels = _place_of(segmentation, segment_id, volume)
    common = overlap(voxels.extent, first, dimensions_of(volume))
    np.multiply(np.asarray(mask2d) > 0, voxels.label, out=voxels.array[common[0]][on_slice(axis, index)], casting="unsafe")
    if notify_now:
        notify(segmentation, segment_id)


def _place_of(segmentation: vtkMRMLSegmentationNode, segment_id: str, volume: vtkMRMLScalarVolumeNode) -> tuple:
    voxels = editable_voxels(segmentation, segment_id, volume)
    first = lattice_offset(voxels.lattice_to_ras, ijk_to_ras(volume), dimensions_of(volume))
    if first is None:
        raise SegmentationError(
            f"The segmentation {segmentation.GetName()} has another voxel grid than the volume {volume.GetName()}: "
            "set its source geometry to the volume's, or write through write_plane."
        )
    return first, voxels


def max_slice(segmentation: vtkMRMLSegmentationNode, segment_id: str, volume: vtkMRMLScalarVolumeNode, axis: str) -> int:
    """Index along ``axis`` ("i", "j" or "k") of the volume's slice with the segment's largest area; the middle one of equals.

    Raises:
        SegmentationError: the segment is empty, or lies outside of the volume.
    """
    mask = get_segment(segmentation, segment_id, volume)
    number = array_axis(axis)
    areas = np.array([np.count_nonzero(mask.take(index, axis=number)) for index in range(mask.shape[number])])
    if not areas.any():
        name = find_segment(segmentation, segment_id).GetName()
        raise SegmentationError(f"The segment {name} is empty in the volume {volume.GetName()}: segment something first.")
    largest = np.nonzero(areas == areas.max())[0]
    return int(largest[len(largest) // 2])


def load_segmentation(path: str | Path, volume: vtkMRMLScalarVolumeNode | None = None, name: str | None = None) -> vtkMRMLSegmentationNode:
    """Load a segmentation (.seg.nrrd with names, colours, terminology and overlaps, a DICOM SEG, or a label map in NRRD, NIfTI or MetaImage,
    whose segments are called by their numbers).

    Args:
        volume: becomes the reference geometry; its parent transform is not taken over, since files are in world coordinates.

    Raises:
        SegmentationError: missing, unreadable, or made on another volume (see ``check_place``).
    """
    import slicer

    place = paths.existing_file(path, SegmentationError, "segmentation")
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name or stem(place).removesuffix(".seg"))
    try:
        shape = _read_file(node, place)
        if volume is not None:
            check_place(node, segment_ids(node), volume, shape, place)
    except VolumeError as error:
        remove_node(node)
        raise SegmentationError(str(error).replace("can't be read as a volume", "can't be read as a segmentation")) from error
    except BaseException:
        remove_node(node)
        raise
    node.CreateDefaultDisplayNodes()
    if volume is not None:
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    return node


def _read_file(node: vtkMRMLSegmentationNode, path: Path) -> tuple[int, ...] | None:
    """Fill ``node``; returns the shape [k, j, i] of the file's voxels where it has one."""
    if is_dicom(path):
        _read_dicom(node, path)
        return None
    if path.name.lower().endswith(".vtm"):
        _read_segments(node, path)
        return None
    image = checked_nrrd(path) if path.name.lower().endswith((".nrrd", ".nhdr")) else None
    if image is not None and image.HasMetaDataKey("Segment0_ID"):
        _read_segments(node, path)
        return image.GetSize()[2::-1]
    return _read_labels(node, path)


def checked_nrrd(path: Path) -> Any:
    """The SimpleITK image of an NRRD file, its voxels read, too: MRML's reader ends the process at a file that was cut short.

    Raises:
        SegmentationError, VolumeError: damaged.
    """
    import SimpleITK as sitk

    check_header(path)
    try:
        return sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise SegmentationError(f"{path} can't be read as a segmentation ({reason_of(error)}).") from error


def _read_segments(node: vtkMRMLSegmentationNode, path: Path) -> None:
    import slicer

    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(path))
    node.SetAndObserveStorageNodeID(storage.GetID())
    if not storage.ReadData(node) or not node.GetSegmentation().GetNumberOfSegments():
        raise SegmentationError(f"{path} can't be read as a segmentation: it is damaged, of an unknown format, or holds no segment.")


def _read_labels(node: vtkMRMLSegmentationNode, path: Path) -> tuple[int, ...]:
    """A label map of another program: each label becomes a segment that is called by its number."""
    import slicer

    labels = read_labels(path)
    copy = new_volume(labels.array, labels.ijk_to_ras, labels.name, labelmap=True)
    try:
        if not slicer.vtkSlicerSegmentationsModuleLogic.ImportLabelmapToSegmentationNode(copy, node):
            raise SegmentationError(f"{path} can't be read as a segmentation: its labels can't be imported.")
    finally:
        remove_node(copy)
    for segment_id in segment_ids(node):  # not by the name that some colour table has for the number
        segment = node.GetSegmentation().GetSegment(segment_id)
        segment.SetName(str(segment.GetLabelValue()))
    return labels.array.shape


def _read_dicom(node: vtkMRMLSegmentationNode, path: Path) -> None:
    found = read_dicom_seg(path)
    grid = new_volume(np.zeros(found.segments[0].mask.shape, np.uint8), found.ijk_to_ras, "grid", labelmap=True)
    try:
        node.SetReferenceImageGeometryParameterFromVolumeNode(grid)
        for segment in found.segments:
            segment_id = node.GetSegmentation().AddEmptySegment(f"{DICOM_SEGMENT}{segment.number}", segment.name)
            if segment.terminology:
                node.GetSegmentation().GetSegment(segment_id).SetTerminology(segment.terminology)
            set_segment(node, segment_id, grid, segment.mask)
    finally:
        remove_node(grid)


def save_segmentation(segmentation: vtkMRMLSegmentationNode, path: str | Path) -> None:
    """Write a .seg.nrrd: every segment with its name, colour, terminology and overlaps, on the reference geometry's voxel grid.

    Raises:
        SegmentationError: wrong ending, missing or unwritable folder, or a full disk.
    """
    path = paths.absolute(path, SegmentationError)
    if not path.name.lower().endswith((".seg.nrrd", ".seg.nhdr", ".seg.vtm")):
        raise SegmentationError(f"{path} can't be written: the name of a segmentation must end with .seg.nrrd.")
    write_node(segmentation, path, SegmentationError)

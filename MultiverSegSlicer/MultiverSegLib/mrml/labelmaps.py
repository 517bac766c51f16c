"""Direct access to the voxels of segments: no copies through temporary nodes, none left behind, the same in Slicer and headless.

Terms: a *lattice* is an infinite voxel grid (a 4x4 matrix from integer indices to RAS); a labelmap is a box (VTK extent) of a lattice. Several
segments that don't overlap share one labelmap (layer), each with its own label value.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import SegmentationError
from .volumes import dimensions_of, ijk_to_ras, local_to_world, matrix_to_numpy, numpy_to_matrix

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode, vtkOrientedImageData, vtkSegment

_SAME = 1e-3  # voxels: lattices that differ less over a whole volume are the same


def labelmap_name() -> str:
    """Slicer's name of the binary labelmap representation."""
    import slicer

    return slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()


@dataclass(frozen=True)
class SegmentVoxels:
    """The labelmap of one segment.

    Attributes:
        image: the vtkOrientedImageData, maybe shared with other segments; replaced by Slicer on undo and on its own edits, so never keep it.
            None: the voxels were read from a file without a node.
        array: [k, j, i] view of its voxels.
        label: the segment's value in it.
        extent: (i0, i1, j0, j1, k0, k1), inclusive.
        lattice_to_ras: 4x4, lattice indices to world RAS in mm, parent transforms included.
    """

    image: vtkOrientedImageData | None
    array: np.ndarray
    label: int
    extent: tuple[int, ...]
    lattice_to_ras: np.ndarray

    @property
    def array_to_ras(self) -> np.ndarray:
        """4x4, indices of ``array`` (i, j, k) to world RAS in mm."""
        return shifted(self.lattice_to_ras, self.extent[::2])

    @property
    def dimensions(self) -> tuple[int, int, int]:
        return self.array.shape[::-1]


def shifted(matrix: np.ndarray, first: tuple[int, ...]) -> np.ndarray:
    """``matrix`` (4x4, index to RAS) with index 0 at ``first``."""
    result = matrix.copy()
    result[:, 3] += result[:, :3] @ first
    return result


def find_segment(segmentation: vtkMRMLSegmentationNode, segment_id: str) -> vtkSegment:
    """The vtkSegment.

    Raises:
        SegmentationError: no segmentation, or no such segment.
    """
    if segmentation is None:
        raise SegmentationError("No segmentation is selected: choose or create one.")
    segment = segmentation.GetSegmentation().GetSegment(segment_id) if segment_id else None
    if segment is None:
        raise SegmentationError(f"The segmentation {segmentation.GetName()} has no segment {segment_id!r}: select a segment.")
    return segment


def image_array(image: vtkOrientedImageData) -> np.ndarray | None:
    """[k, j, i] view of a vtkOrientedImageData; None if it has no voxels."""
    from vtk.util.numpy_support import vtk_to_numpy

    extent = image.GetExtent()
    shape = tuple(extent[2 * axis + 1] - extent[2 * axis] + 1 for axis in (2, 1, 0))
    scalars = image.GetPointData().GetScalars()
    if min(shape) <= 0 or scalars is None:
        return None
    return vtk_to_numpy(scalars).reshape(shape)


def segment_voxels(segmentation: vtkMRMLSegmentationNode, segment_id: str) -> SegmentVoxels | None:
    """The voxels of a segment; None if it is empty (no labelmap yet).

    Raises:
        SegmentationError: no such segment, or one that can't be given as voxels.
    """
    segment = find_segment(segmentation, segment_id)
    image = segment.GetRepresentation(labelmap_name())
    if image is None:
        if segmentation.GetSegmentation().GetNumberOfSegments() and not segmentation.CreateBinaryLabelmapRepresentation():
            raise SegmentationError(f"The segment {segment.GetName()} can't be converted to voxels: set its segmentation's geometry.")
        image = segment.GetRepresentation(labelmap_name())
    array = image_array(image) if image is not None else None
    if array is None:
        return None
    return SegmentVoxels(image, array, int(segment.GetLabelValue()), tuple(image.GetExtent()), _lattice_of(image, segmentation))


def _lattice_of(image: vtkOrientedImageData, segmentation: vtkMRMLSegmentationNode) -> np.ndarray:
    import vtk

    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return local_to_world(segmentation) @ matrix_to_numpy(matrix)


def lattice_offset(lattice_to_ras: np.ndarray, volume_to_ras: np.ndarray, dimensions: tuple[int, int, int]) -> tuple[int, int, int] | None:
    """Lattice index (i, j, k) of a volume's first voxel if both are one lattice, else None."""
    mapping = np.linalg.solve(lattice_to_ras, volume_to_ras)
    drift = np.abs(mapping[:3, :3] - np.eye(3)) @ np.asarray(dimensions)
    offset = np.round(mapping[:3, 3])
    if max(drift.max(), np.abs(mapping[:3, 3] - offset).max()) > _SAME:
        return None
    i, j, k = (int(value) for value in offset)
    return i, j, k


def overlap(
    extent: tuple[int, ...], first: tuple[int, ...], dimensions: tuple[int, ...]
) -> tuple[tuple[slice, ...], tuple[slice, ...]] | None:
    """Slices [k, j, i] of a labelmap of ``extent`` and of a box of ``dimensions`` at ``first`` (lattice indices) where they overlap."""
    ours, theirs = [], []
    for axis in (2, 1, 0):
        low = max(extent[2 * axis], first[axis])
        high = min(extent[2 * axis + 1], first[axis] + dimensions[axis] - 1)
        if high < low:
            return None
        ours.append(slice(low - extent[2 * axis], high - extent[2 * axis] + 1))
        theirs.append(slice(low - first[axis], high - first[axis] + 1))
    return tuple(ours), tuple(theirs)


def is_shared(segmentation: vtkMRMLSegmentationNode, segment_id: str) -> bool:
    """True if another segment lives in the same labelmap."""
    segments = segmentation.GetSegmentation()
    segment = segments.GetSegment(segment_id)
    image = segment.GetRepresentation(labelmap_name())
    others = (segments.GetNthSegment(index) for index in range(segments.GetNumberOfSegments()))
    return image is not None and any(other is not segment and other.GetRepresentation(labelmap_name()) is image for other in others)


def editable_voxels(segmentation: vtkMRMLSegmentationNode, segment_id: str, volume: vtkMRMLScalarVolumeNode) -> SegmentVoxels:
    """The segment in a labelmap of its own that covers the whole volume, ready to be written in place; then call ``notify``.

    A segment with voxels keeps its lattice (it may be finer than the volume's); an empty one takes the segmentation's reference geometry, or the
    volume's. The first call for a segment allocates the labelmap; later ones are cheap as long as Slicer did not shrink it (its own edits and undo).
    """
    segment = find_segment(segmentation, segment_id)
    voxels = segment_voxels(segmentation, segment_id)  # first: a segment drawn as a surface becomes voxels
    if segmentation.GetSegmentation().GetSourceRepresentationName() != labelmap_name():
        segmentation.SetSourceRepresentationToBinaryLabelmap()
    if is_shared(segmentation, segment_id):
        segmentation.GetSegmentation().SeparateSegmentLabelmap(segment_id)
        voxels = segment_voxels(segmentation, segment_id)
    lattice = voxels.lattice_to_ras if voxels is not None else _empty_lattice(segmentation, volume)
    extent = _covering_extent(lattice, volume, voxels.extent if voxels is not None else None)
    if voxels is not None and voxels.extent == extent:
        return voxels
    return _grow(segmentation, segment, voxels, lattice, extent)


def fill_empty(
    segmentation: vtkMRMLSegmentationNode, segment_id: str, volume: vtkMRMLScalarVolumeNode, first: tuple[int, int, int], inside: np.ndarray
) -> bool:
    """Give an empty segment the voxels ``inside`` [k, j, i] (non-zero is inside) that begin at the volume's voxel ``first`` (k, j, i), in a
    labelmap just as large. Not undoable. False, with nothing changed, if the segment is not empty or on another lattice than the volume."""
    segment = find_segment(segmentation, segment_id)
    if segment_voxels(segmentation, segment_id) is not None:
        return False
    lattice = _empty_lattice(segmentation, volume)
    start = lattice_offset(lattice, ijk_to_ras(volume), dimensions_of(volume))
    if start is None:
        return False
    low = [start[axis] + first[2 - axis] for axis in range(3)]
    extent = tuple(value for axis in range(3) for value in (low[axis], low[axis] + inside.shape[2 - axis] - 1))
    np.not_equal(inside, 0, out=_grow(segmentation, segment, None, lattice, extent).array.view(bool))
    notify(segmentation, segment_id)
    return True


def editing_box(
    segmentation: vtkMRMLSegmentationNode, segment_id: str, volume: vtkMRMLScalarVolumeNode
) -> tuple[np.ndarray, tuple[int, ...]]:
    """(lattice_to_ras, extent) of the lattice on which a segment is edited, over the whole volume. Allocates and changes no voxels."""
    voxels = segment_voxels(segmentation, segment_id)
    lattice = voxels.lattice_to_ras if voxels is not None else _empty_lattice(segmentation, volume)
    return lattice, _covering_extent(lattice, volume, None)


def _empty_lattice(segmentation: vtkMRMLSegmentationNode, volume: vtkMRMLScalarVolumeNode) -> np.ndarray:
    """Lattice of a segment without voxels: that of the segmentation's reference geometry, else of the volume."""
    import slicer

    converter, segments = slicer.vtkSegmentationConverter, segmentation.GetSegmentation()
    text = segments.GetConversionParameter(converter.GetReferenceImageGeometryParameterName())
    reference = slicer.vtkOrientedImageData()
    if not text or not converter.DeserializeImageGeometry(text, reference, False):
        segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        return ijk_to_ras(volume)
    lattice = _lattice_of(reference, segmentation)
    offset = lattice_offset(lattice, ijk_to_ras(volume), dimensions_of(volume))
    if offset is None:
        return lattice
    # the volume's own matrix where both agree: transforms that cancel each other leave rounding errors
    return shifted(ijk_to_ras(volume), tuple(-value for value in offset))


def _covering_extent(lattice: np.ndarray, volume: vtkMRMLScalarVolumeNode, extent: tuple[int, ...] | None) -> tuple[int, ...]:
    """The extent that holds the whole volume and ``extent``."""
    dimensions = dimensions_of(volume)
    corners = np.array(
        [[(-0.5, n - 0.5)[bit] for bit, n in zip(bits, dimensions, strict=True)] + [1] for bits in product((0, 1), repeat=3)]
    )
    located = corners @ np.linalg.solve(lattice, ijk_to_ras(volume))[:3].T
    low = np.ceil(located.min(axis=0) - _SAME).astype(int)
    high = np.floor(located.max(axis=0) + _SAME).astype(int)
    if extent is not None:
        low, high = np.minimum(low, extent[::2]), np.maximum(high, extent[1::2])
    return tuple(int(value) for pair in zip(low, np.maximum(high, low), strict=True) for value in pair)


def _grow(
    segmentation: vtkMRMLSegmentationNode, segment: vtkSegment, voxels: SegmentVoxels | None, lattice: np.ndarray, extent: tuple[int, ...]
) -> SegmentVoxels:
    """Give ``segment`` a labelmap of ``extent`` with its old voxels in it."""
    import slicer
    import vtk

    image = segment.GetRepresentation(labelmap_name())
    old = None if voxels is None else (voxels.array == voxels.label)  # before the image may be allocated anew
    if image is None:
        image = slicer.vtkOrientedImageData()
        segment.AddRepresentation(labelmap_name(), image)
    image.SetExtent(extent)
    image.SetGeometryFromImageToWorldMatrix(numpy_to_matrix(np.linalg.solve(local_to_world(segmentation), lattice)))
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    array = image_array(image)
    assert array is not None, "its voxels were allocated just now"
    array.fill(0)
    segment.SetLabelValue(1)
    if voxels is not None:
        place = tuple(slice(voxels.extent[2 * a] - extent[2 * a], voxels.extent[2 * a + 1] - extent[2 * a] + 1) for a in (2, 1, 0))
        array[place] = old
    return SegmentVoxels(image, array, 1, extent, lattice)


def notify(segmentation: vtkMRMLSegmentationNode, segment_id: str) -> None:
    """Tell Slicer that a segment's voxels were written in place: derived surfaces are dropped, views redraw, the node is marked modified."""
    segment = find_segment(segmentation, segment_id)
    image = segment.GetRepresentation(labelmap_name())
    if image is not None:
        image.GetPointData().GetScalars().Modified()
        image.Modified()
    segment.Modified()

"""The Segment Editor's masking and overwriting rules, for the voxels of one sheet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import SegmentationError
from ..core.sheet import Sheet
from .labelmaps import find_segment, segment_voxels
from .volumes import array_of, dimensions_of, ijk_to_ras

if TYPE_CHECKING:
    from slicer import vtkMRMLSegmentationNode


@dataclass(frozen=True)
class EditRules:
    """What may be edited, and what an added voxel is taken from.

    Attributes:
        segmentation: the segmentation that is edited.
        area: segments whose union limits the edits; None: no limit.
        inside: edits are allowed inside of ``area``, or outside of it.
        inside_segment: ID of the mask segment if edits are limited to a single one ("" if not): what is erased there goes back to it.
        intensities: (low, high) of ``source`` between which edits are allowed, inclusive; None: any.
        source: the volume of ``intensities``.
        overwritten: segments that lose the voxels which the edited one gains.
    """

    segmentation: vtkMRMLSegmentationNode
    area: tuple[str, ...] | None = None
    inside: bool = False
    inside_segment: str = ""
    intensities: tuple[float, float] | None = None
    source: Any = None
    overwritten: tuple[str, ...] = ()

    @staticmethod
    def of(editor: Any, segmentation: vtkMRMLSegmentationNode, segment_id: str) -> EditRules:
        """The rules set in a vtkMRMLSegmentEditorNode for editing ``segment_id``; None: no rules.

        Raises:
            SegmentationError: the mask segment is gone.
        """
        if editor is None:
            return EditRules(segmentation)
        segments = segmentation.GetSegmentation()
        everything = tuple(segments.GetNthSegmentID(index) for index in range(segments.GetNumberOfSegments()))
        others = tuple(other for other in everything if other != segment_id)
        mode = editor.GetMaskMode()
        area: tuple[str, ...] | None = None
        inside, single = False, ""
        if mode == segmentation.EditAllowedInsideSingleSegment:
            single = editor.GetMaskSegmentID() or ""
            find_segment(segmentation, single)
            area, inside = (single,), True
        elif mode == segmentation.EditAllowedInsideAllSegments:
            area, inside = everything, True
        elif mode == segmentation.EditAllowedInsideVisibleSegments:
            area, inside = _visible(segmentation, everything), True
        elif mode == segmentation.EditAllowedOutsideAllSegments:
            area = others
        elif mode == segmentation.EditAllowedOutsideVisibleSegments:
            area = _visible(segmentation, others)
        overwritten = others
        if editor.GetOverwriteMode() == editor.OverwriteNone:
            overwritten = ()
        elif editor.GetOverwriteMode() == editor.OverwriteVisibleSegments:
            overwritten = _visible(segmentation, others)
        intensities = source = None
        if editor.GetSourceVolumeIntensityMask():
            source, intensities = editor.GetSourceVolumeNode(), tuple(editor.GetSourceVolumeIntensityMaskRange())
            if source is None:
                raise SegmentationError("The editable intensity range needs a source volume: select one in the Segment Editor.")
        return EditRules(segmentation, area, inside, single, intensities, source, overwritten)

    def editable(self, sheet: Sheet, array_to_ras: np.ndarray) -> np.ndarray:
        """[v, u] bool: voxels of the sheet (of the grid ``array_to_ras``) that may be edited."""
        editable = np.ones(sheet.shape, bool)
        if self.area is not None:
            covered = np.zeros(sheet.shape, bool)
            for segment_id in self.area:
                covered |= self._membership(segment_id, sheet, array_to_ras)
            editable = covered if self.inside else ~covered
        if self.intensities is not None:
            low, high = self.intensities
            array = array_of(self.source)
            if np.issubdtype(array.dtype, np.integer):  # as VTK compares: in the type of the image
                limits = np.iinfo(array.dtype)
                low, high = (int(np.clip(np.trunc(value), limits.min, limits.max)) for value in (low, high))
            values = _values_at(sheet, array_to_ras, array, ijk_to_ras(self.source), dimensions_of(self.source))
            editable = editable & (values >= low) & (values <= high)
        return editable

    def holds(self, segment_id: str, sheet: Sheet, array_to_ras: np.ndarray, where: np.ndarray) -> bool:
        """True if the segment has a voxel of the sheet ``where`` [v, u] is set."""
        return bool((self._membership(segment_id, sheet, array_to_ras) & where).any())

    def _membership(self, segment_id: str, sheet: Sheet, array_to_ras: np.ndarray) -> np.ndarray:
        voxels = segment_voxels(self.segmentation, segment_id)
        if voxels is None:
            return np.zeros(sheet.shape, bool)
        values = _values_at(sheet, array_to_ras, voxels.array, voxels.array_to_ras, voxels.dimensions)
        return values == voxels.label


def _visible(segmentation: vtkMRMLSegmentationNode, ids: tuple[str, ...]) -> tuple[str, ...]:
    display = segmentation.GetDisplayNode()
    return tuple(segment_id for segment_id in ids if display is not None and display.GetSegmentVisibility(segment_id))


def _values_at(sheet: Sheet, sheet_to_ras: np.ndarray, array: np.ndarray, array_to_ras: np.ndarray, dimensions: tuple) -> np.ndarray:
    """[v, u]: values of another array at the sheet's voxels, nearest voxel; 0 outside of it."""
    mapping = np.linalg.solve(array_to_ras, sheet_to_ras)
    if sheet.level and np.abs(mapping - np.round(mapping)).max() < 1e-6 and np.abs(mapping[:3, :3] - np.eye(3)).max() < 1e-6:
        return _shifted_slice(sheet, array, np.round(mapping[:3, 3]).astype(int))
    rows, cols = np.indices(sheet.shape)
    located = sheet.positions(rows.ravel(), cols.ravel()) @ mapping[:3, :3].T + mapping[:3, 3]
    i, j, k = np.floor(located + 0.5).astype(int).T
    there = (i >= 0) & (i < dimensions[0]) & (j >= 0) & (j < dimensions[1]) & (k >= 0) & (k < dimensions[2])
    values = np.zeros(rows.size, array.dtype)
    values[there] = array[k[there], j[there], i[there]]
    return values.reshape(sheet.shape)


def _shifted_slice(sheet: Sheet, array: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Fast case: the array lies on the same lattice, its index 0 at -``first``."""
    values = np.zeros(sheet.shape, array.dtype)
    corner = sheet.positions(np.zeros(1, int), np.zeros(1, int))[0] + first  # (i, j, k) of the sheet's first voxel in the array
    u, v = (axis for axis in range(3) if axis != sheet.axis)
    level = int(corner[sheet.axis])
    if not 0 <= level < array.shape[2 - sheet.axis]:
        return values
    plane = array.take(level, axis=2 - sheet.axis) if sheet.axis != 2 else array[level]
    source, target = [], []
    for axis, length in ((v, sheet.shape[0]), (u, sheet.shape[1])):
        low, high = max(corner[axis], 0), min(corner[axis] + length, array.shape[2 - axis])
        if high <= low:
            return values
        source.append(slice(low, high))
        target.append(slice(low - corner[axis], high - corner[axis]))
    values[tuple(target)] = plane[tuple(source)]
    return values

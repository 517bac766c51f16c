"""Writes a predicted plane through the Segment Editor, as small labelmaps around what changes.

The editor keeps a segment's labelmap as small as its voxels, and copies it for undo and on each edit. Labelmaps of just the changed
box therefore cost a few milliseconds in a CT, while one of the whole volume would cost a tenth of a second per click.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...mrml.labelmaps import editing_box, image_array, segment_voxels, shifted
from ...mrml.slice_plane import PastedSlice
from ...mrml.volumes import local_to_world, numpy_to_matrix
from ...mrml.writing import PlaneEdit, write_plane

#: Boxes of more voxels (slices tilted through a large volume) are written in place instead.
LARGEST_BOX = 8_000_000


class EffectWriter:
    """``editor``: presenter.Editor; ``save_state``: called before each write. A drop-in for mrml.writing.SegmentWriter.

    The edits returned know nothing of what changed: undo is the editor's.
    """

    def __init__(self, editor: Any, save_state: Any) -> None:
        self._editor = editor
        self._save_state = save_state

    def write(self, segmentation: Any, segment_id: str, volume: Any, pasted: PastedSlice, mode: str = "replace") -> PlaneEdit:
        """See ``write_plane``."""
        self._save_state()
        edit = PlaneEdit(segmentation, volume)
        lattice, extent = editing_box(segmentation, segment_id, volume)
        removed = _removed(segmentation, segment_id, pasted) if mode == "replace" else np.zeros((0, 3), int)
        chosen = _positions(pasted, lattice, extent)
        present = _held(segmentation, segment_id, chosen)
        remove, add = (chosen[present], chosen[:0]) if mode == "remove" else (removed, chosen[~present])
        if max(_box_size(remove), _box_size(add)) > LARGEST_BOX:
            write_plane(segmentation, segment_id, volume, pasted, mode, self._editor.editorNode())
            return edit
        for places, removing in ((remove, True), (add, False)):
            if len(places):
                self._editor.modify(segmentation, segment_id, _labelmap(places, lattice, segmentation), removing)
        return edit


def _positions(pasted: PastedSlice, lattice: np.ndarray, extent: tuple[int, ...]) -> np.ndarray:
    """Lattice indices [n, 3] (i, j, k) of the mask's voxels."""
    first, last = np.asarray(extent[::2]), np.asarray(extent[1::2])
    found = [np.zeros((0, 3), int)]
    for part in pasted.on(shifted(lattice, tuple(first)), tuple(int(n) for n in last - first + 1)):
        if not part.sheet.empty:
            found.append(part.sheet.positions(*np.nonzero(part.mask)) + first)
    return np.concatenate(found)


def _removed(segmentation: Any, segment_id: str, pasted: PastedSlice) -> np.ndarray:
    """Lattice indices [n, 3] of the segment's voxels that are in view but not in the mask."""
    voxels = segment_voxels(segmentation, segment_id)
    found = [np.zeros((0, 3), int)]
    for part in pasted.on(voxels.array_to_ras, voxels.dimensions) if voxels is not None else ():
        if not part.sheet.empty:
            gone = (part.sheet.take(voxels.array) == voxels.label) & part.in_view & ~part.mask
            found.append(part.sheet.positions(*np.nonzero(gone)) + voxels.extent[::2])
    return np.concatenate(found)


def _held(segmentation: Any, segment_id: str, places: np.ndarray) -> np.ndarray:
    """[n] bool: which of the lattice indices are in the segment already."""
    voxels = segment_voxels(segmentation, segment_id)
    held = np.zeros(len(places), bool)
    if voxels is None or not len(places):
        return held
    index = places - voxels.extent[::2]
    inside = ((index >= 0) & (index < voxels.dimensions)).all(axis=1)
    i, j, k = index[inside].T
    held[inside] = voxels.array[k, j, i] == voxels.label
    return held


def _box_size(places: np.ndarray) -> int:
    return int(np.prod(np.ptp(places, axis=0) + 1)) if len(places) else 0


def _labelmap(places: np.ndarray, lattice: np.ndarray, segmentation: Any) -> Any:
    """A vtkOrientedImageData that is 1 at the lattice indices, just large enough for them."""
    import slicer
    import vtk

    low, high = places.min(axis=0), places.max(axis=0)
    image = slicer.vtkOrientedImageData()
    image.SetExtent([int(v) for pair in zip(low, high, strict=True) for v in pair])
    image.SetGeometryFromImageToWorldMatrix(numpy_to_matrix(np.linalg.solve(local_to_world(segmentation), lattice)))
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    array = image_array(image)
    array.fill(0)
    i, j, k = (places - low).T
    array[k, j, i] = 1
    return image

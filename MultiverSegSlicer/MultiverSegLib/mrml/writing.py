"""Writing one predicted plane into a segment: in place, undoable, with the Segment Editor's masking and overwrite modes.

Slicer's own call (``ModifySegmentByLabelmap``) scans and copies the whole labelmap on every edit, 0.3 s for a CT. Here the same rules are applied
to the voxels of the plane alone. The rules are those of ``vtkSlicerSegmentEditorLogic::ModifySegmentByLabelmap`` and
``vtkMRMLSegmentationNode::GenerateEditMask`` (Slicer 5.12), and are tested for equality with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import SegmentationError
from ..core.sheet import Sheet
from .editor_mask import EditRules
from .labelmaps import SegmentVoxels, editable_voxels, find_segment, notify, segment_voxels
from .slice_plane import PastedSlice

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode, vtkSegment

MODES = ("replace", "add", "remove")


@dataclass
class PlaneEdit:
    """What one write changed: enough to undo and redo it exactly, a few bytes per changed voxel."""

    segmentation: vtkMRMLSegmentationNode
    volume: vtkMRMLScalarVolumeNode
    changes: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    """By segment ID: lattice indices [n, 3] (i, j, k) of the changed voxels, and whether they are in the segment afterwards [n]."""

    @property
    def changed(self) -> int:
        """Number of voxels that changed their membership in any segment."""
        return sum(len(after) for _, after in self.changes.values())

    def undo(self) -> None:
        """Take the change back. Raises SegmentationError if a segment is gone."""
        self._apply(lambda after: ~after)

    def redo(self) -> None:
        """Make the change again. Raises SegmentationError if a segment is gone."""
        self._apply(lambda after: after)

    def _apply(self, state: Callable[[np.ndarray], np.ndarray]) -> None:
        for segment_id in self.changes:
            find_segment(self.segmentation, segment_id)
        for segment_id, (places, after) in self.changes.items():
            voxels = editable_voxels(self.segmentation, segment_id, self.volume)
            i, j, k = (places - np.asarray(voxels.extent[::2])).T
            voxels.array[k, j, i] = state(after) * voxels.label
            notify(self.segmentation, segment_id)

    def record(self, segment_id: str, voxels: SegmentVoxels, sheet: Sheet, before: np.ndarray, after: np.ndarray) -> bool:
        """Write ``after`` [v, u] into the segment where it differs from ``before`` and remember that. True if anything changed."""
        changed = before != after
        rows, cols = np.nonzero(changed)
        if not len(rows):
            return False
        sheet.put(voxels.array, after.astype(voxels.array.dtype) * voxels.array.dtype.type(voxels.label), changed)
        places = sheet.positions(rows, cols) + np.asarray(voxels.extent[::2])
        old_places, old_after = self.changes.get(segment_id, (np.zeros((0, 3), int), np.zeros(0, bool)))
        self.changes[segment_id] = np.concatenate([old_places, places]), np.concatenate([old_after, after[rows, cols]])
        return True


def write_plane(
    segmentation: vtkMRMLSegmentationNode,
    segment_id: str,
    volume: vtkMRMLScalarVolumeNode,
    pasted: PastedSlice,
    mode: str = "replace",
    editor: Any = None,
) -> PlaneEdit:
    """Write a pasted prediction into a segment. Only voxels on the plane and in the field of view are touched.

    Args:
        mode: "replace" (the plane becomes the mask), "add" or "remove" (the mask's voxels).
        editor: vtkMRMLSegmentEditorNode whose editable area, intensity range and overwrite mode are respected; None: no masking, and
            segments may overlap.

    Returns:
        the edit, which can undo and redo itself.

    Raises:
        SegmentationError: no such segment, or a mask segment that is gone.
    """
    if mode not in MODES:
        raise SegmentationError(f"Unknown writing mode {mode!r}: use one of {', '.join(MODES)}.")
    segment = find_segment(segmentation, segment_id)
    rules = EditRules.of(editor, segmentation, segment_id)
    edit = PlaneEdit(segmentation, volume)
    voxels = editable_voxels(segmentation, segment_id, volume)
    others: dict[str, SegmentVoxels] = {}
    for part in pasted.on(voxels.array_to_ras, voxels.dimensions):
        if not part.sheet.empty:
            _write_sheet(edit, segment_id, voxels, part, mode, rules, others)
    for changed_id in edit.changes:
        notify(segmentation, changed_id)
    _mark_started(segment)
    return edit


def _write_sheet(
    edit: PlaneEdit,
    segment_id: str,
    voxels: SegmentVoxels,
    part: PastedSlice,
    mode: str,
    rules: EditRules,
    others: dict[str, SegmentVoxels],
) -> None:
    sheet = part.sheet
    before = sheet.take(voxels.array) == voxels.label
    editable = rules.editable(sheet, part.array_to_ras)
    removed = np.zeros_like(before)
    if mode != "add":
        erasable = editable | before if rules.inside_segment else editable
        removed = before & erasable & (part.mask if mode == "remove" else part.in_view & ~part.mask)
    added = part.mask & editable if mode != "remove" else np.zeros_like(before)
    # Slicer gives what is erased inside a mask segment back to that segment
    changes = [(rules.inside_segment, removed, True)] if rules.inside_segment not in ("", segment_id) else []
    changes += [(other_id, added, False) for other_id in rules.overwritten]
    for other_id, where, value in changes:
        if not where.any() or (not value and not rules.holds(other_id, sheet, part.array_to_ras, where)):
            continue
        other = others.get(other_id)
        if other is None:
            other = others[other_id] = editable_voxels(edit.segmentation, other_id, edit.volume)
        if not np.allclose(other.array_to_ras, voxels.array_to_ras, atol=1e-6) or other.dimensions != voxels.dimensions:
            raise SegmentationError("The segments of this segmentation lie on different voxel grids: resample them to one geometry first.")
        there = sheet.take(other.array) == other.label
        edit.record(other_id, other, sheet, there, np.where(where, value, there))
    edit.record(segment_id, voxels, sheet, before, (before & ~removed) | added)


def _mark_started(segment: vtkSegment) -> None:
    """As the Segment Editor does on the first edit of a segment."""
    import slicer

    logic = slicer.vtkSlicerSegmentationsModuleLogic
    if logic.GetSegmentStatus(segment) == logic.NotStarted:
        logic.SetSegmentStatus(segment, logic.InProgress)


class EditHistory:
    """Undo and redo of plane edits, for hosts without the Segment Editor's own history."""

    def __init__(self, limit: int = 100) -> None:
        self._limit = limit
        self._done: list[PlaneEdit] = []
        self._undone: list[PlaneEdit] = []

    @property
    def can_undo(self) -> bool:
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        return bool(self._undone)

    def add(self, edit: PlaneEdit) -> None:
        """Remember an edit that was just made; what was undone before can't be redone any more."""
        self._done = [*self._done, edit][-self._limit :]
        self._undone = []

    def undo(self) -> PlaneEdit | None:
        """Take the newest edit back; None if there is none."""
        if not self._done:
            return None
        edit = self._done.pop()
        edit.undo()
        self._undone.append(edit)
        return edit

    def redo(self) -> PlaneEdit | None:
        """Make the newest undone edit again; None if there is none."""
        if not self._undone:
            return None
        edit = self._undone.pop()
        edit.redo()
        self._done.append(edit)
        return edit

    def clear(self) -> None:
        self._done, self._undone = [], []


class SegmentWriter:
    """Writes predictions in place so that undo works where it runs: by the Segment Editor's history or, without one, by its own ``history``.

    Args:
        save_state: called before each write, to save the state in the Segment Editor's history (``saveStateForUndo`` of an effect,
            ``SaveStateForUndo`` of a vtkSlicerSegmentEditorLogic); None: ``history`` remembers the edits.
        editor: vtkMRMLSegmentEditorNode with the masking and the overwrite mode; None: none.
    """

    def __init__(self, save_state: Callable[[], Any] | None = None, editor: Any = None) -> None:
        self._save_state = save_state
        self._editor = editor
        self.history = EditHistory() if save_state is None else None

    def write(
        self,
        segmentation: vtkMRMLSegmentationNode,
        segment_id: str,
        volume: vtkMRMLScalarVolumeNode,
        pasted: PastedSlice,
        mode: str = "replace",
    ) -> PlaneEdit:
        """One plane, as one undo step. See ``write_plane``."""
        return self.write_all(segmentation, segment_id, volume, [pasted], mode)

    def write_all(
        self,
        segmentation: vtkMRMLSegmentationNode,
        segment_id: str,
        volume: vtkMRMLScalarVolumeNode,
        pasted: Sequence[PastedSlice],
        mode: str = "replace",
    ) -> PlaneEdit:
        """Several planes that share no voxel (slices of one axis), as one undo step. See ``write_plane``."""
        find_segment(segmentation, segment_id)
        if self._save_state is not None:
            self._save_state()
        whole = PlaneEdit(segmentation, volume)
        parts: dict[str, list] = {}
        for part in pasted:
            for changed_id, change in write_plane(segmentation, segment_id, volume, part, mode, self._editor).changes.items():
                parts.setdefault(changed_id, []).append(change)
        whole.changes = {
            name: (np.concatenate([places for places, _ in changes]), np.concatenate([values for _, values in changes]))
            for name, changes in parts.items()
        }
        if self.history is not None and whole.changed:
            self.history.add(whole)
        return whole


def is_empty(segmentation: vtkMRMLSegmentationNode, segment_id: str) -> bool:
    """True if the segment has no voxel."""
    voxels = segment_voxels(segmentation, segment_id)
    return voxels is None or not (voxels.array == voxels.label).any()

"""What the module does beside the effect, without Qt: nodes, prompts from markups and painted segments, prediction of many slices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import slicer

from ...core.errors import PromptError
from ...core.grid import GRID_CENTRE
from ...core.prompts import Point, Prompt, Prompts
from ...engine.slice_session import SliceSession, Strokes
from ...mrml import segments
from ...mrml.axes import array_axis, axis_number, slices_of_prompts, voxel_axis
from ...mrml.labelmaps import segment_voxels
from ...mrml.prompt_markups import prompts_from_markups
from ...mrml.slice_plane import SlicePlane
from ...mrml.terminologies import entry_of
from ...mrml.volumes import dimensions_of, ijk_to_ras


def slice_count(volume: Any, axis: str) -> int:
    """Number of slices along ``axis``."""
    return dimensions_of(volume)[axis_number(voxel_axis(volume, axis))]


#: The name of a segment that is made before anybody said what is segmented.
UNNAMED = "Structure"


class ModuleLogic:
    """Nodes of the scene for the panel."""

    def new_segmentation(self, volume: Any, structure: str = "") -> Any:
        """A segmentation for ``volume`` with one segment, in the same subject-hierarchy folder as the volume."""
        node = segments.new_segmentation(volume, f"{volume.GetName()} segmentation")
        segments.add_segment(node, structure or UNNAMED, terminology=entry_of(structure) or None)
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        if hierarchy is not None:
            item, volume_item = hierarchy.GetItemByDataNode(node), hierarchy.GetItemByDataNode(volume)
            if item and volume_item:
                hierarchy.SetItemParent(item, hierarchy.GetItemParent(volume_item))
        return node

    def belongs(self, segmentation: Any, volume: Any) -> bool:
        """Whether a segmentation was made for ``volume`` (one without a reference belongs to any)."""
        if segmentation is None:
            return False
        reference = segmentation.GetNodeReference(segmentation.GetReferenceImageGeometryReferenceRole())
        return reference is None or reference is volume

    def segmentation_for(self, volume: Any, structure: str = "") -> Any:
        """The first segmentation of the scene that was made for ``volume``, else a new one."""
        found = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        return next((node for node in found if self.belongs(node, volume)), None) or self.new_segmentation(volume, structure)

    def name_segment(self, segmentation: Any, segment_id: str, structure: str) -> None:
        """The structure was named after its segment was made: a segment that is empty and still unnamed takes the name."""
        segment = segmentation.GetSegmentation().GetSegment(segment_id) if segmentation is not None and segment_id else None
        if not structure or segment is None or segment.GetName() != UNNAMED:
            return
        voxels = segment_voxels(segmentation, segment_id)
        if voxels is None or not (voxels.array == voxels.label).any():
            segment.SetName(structure)
            if entry := entry_of(structure):
                segment.SetTerminology(entry)

    def show_only(self, segmentation: Any, before: Any) -> None:
        """Hide the segmentation worked on before, which lies over the same place of another volume."""
        for node, visible in ((before, False), (segmentation, True)):
            if node is not None and node.GetDisplayNode() is not None:
                node.GetDisplayNode().SetVisibility(visible)

    def segment_name(self, segmentation: Any, segment_id: str) -> str:
        """The segment's name; empty where there is none."""
        segment = segmentation.GetSegmentation().GetSegment(segment_id) if segmentation is not None and segment_id else None
        return segment.GetName() if segment is not None else ""

    def show_example(self, example: Any) -> bool:
        """Show the slice of an example in all slice views of its orientation; False if its volume is not in the scene."""
        volume = slicer.mrmlScene.GetFirstNode(example.case, "vtkMRMLScalarVolumeNode")
        if volume is None or example.grid_to_ras is None:
            return False
        slicer.util.setSliceViewerLayers(background=volume)
        centre = (np.asarray(example.grid_to_ras) @ (GRID_CENTRE, GRID_CENTRE, 0, 1))[:3]
        slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *(float(c) for c in centre))
        return True


class PromptSources:
    """The markups nodes and painted segments that the panel's choices name. All may be None or empty."""

    def __init__(self, parameters: Any, segmentation: Any) -> None:
        self.parameters = parameters
        self.segmentation = segmentation

    def prompts(self) -> Prompts:
        """Prompts of the chosen markups; the sign is that of the choice, whatever the node is called."""
        chosen: list[Prompt] = []
        for node, positive in ((self.parameters.positivePoints, True), (self.parameters.negativePoints, False)):
            if node is not None:
                chosen += [Point(p.position, positive) for p in prompts_from_markups(node)]
        for node in (self.parameters.box, self.parameters.curve):
            if node is not None:
                chosen += list(prompts_from_markups(node))
        return Prompts(tuple(chosen))

    def strokes(self, target_id: str) -> tuple[Strokes, ...]:
        """Painted segments; the target itself never counts as one."""
        pairs = ((self.parameters.positiveSegment, True), (self.parameters.negativeSegment, False))
        known = self.segmentation.GetSegmentation()
        return tuple(Strokes(self.segmentation, i, positive) for i, positive in pairs if i and i != target_id and known.GetSegment(i))

    def planes(self, volume: Any, axis: str, settings: Any, target_id: str) -> list[SlicePlane]:
        """The slices on which these prompts lie: those of points and strokes, and the middle one of a box.

        Raises:
            PromptError: none of them lies in the volume.
        """
        own, dimensions = voxel_axis(volume, axis), dimensions_of(volume)
        indices = set(slices_of_prompts(self.prompts(), ijk_to_ras(volume), dimensions, own))
        for stroke in self.strokes(target_id):
            mask = segments.get_segment(stroke.segmentation, stroke.segment_id, volume)
            indices |= {int(i) for i in np.flatnonzero(np.moveaxis(mask, array_axis(own), 0).any(axis=(1, 2)))}
        inside = sorted(indices)
        if not inside:
            raise PromptError("None of these prompts lies in the volume: choose points, a box, a curve or a painted segment that does.")
        return [SlicePlane.from_volume(volume, own, index, settings) for index in inside]


class SliceQueue:
    """Predicts several slices one after the other in the service's thread; each result is written when it comes.

    Args:
        sessions: one per slice.
        service: see ``service.PredictionService``.
        done: called with (number done, number of all, problem or ""), also at the end and when cancelled.
    """

    def __init__(self, sessions: Sequence[SliceSession], service: Any, done: Callable[[int, int, str], None]) -> None:
        self._waiting = list(sessions)
        self._count = len(self._waiting)
        self._service = service
        self._report = done
        self._current: SliceSession | None = None
        self._ticket: Any = None

    @property
    def busy(self) -> bool:
        return self._current is not None

    def start(self) -> None:
        self._next()

    def _next(self) -> None:
        if not self._waiting:
            self._current = None
            self._report(self._count, self._count, "")
            return
        session = self._current = self._waiting.pop(0)
        try:
            request = session.request()
        except Exception as error:
            self._stop(str(error))
            return
        self._ticket = self._service.submit(session.run, request, lambda outcome: self._finished(session, request, outcome))

    def _finished(self, session: SliceSession, request: Any, outcome: Any) -> None:
        if session is not self._current:
            return
        if isinstance(outcome, Exception):
            self._stop(str(outcome))
            return
        session.apply(request, outcome)
        self._report(self._count - len(self._waiting), self._count, "")
        self._next()

    def _stop(self, problem: str) -> None:
        done = self._count - len(self._waiting) - 1
        self._current, self._waiting = None, []
        self._report(done, self._count, problem)

    def cancel(self) -> None:
        """Write nothing more."""
        if self._current is not None:
            self._current.cancel()
            ticket, self._ticket = self._ticket, None
            self._stop("Cancelled.")
            if ticket is not None:
                ticket.cancel()

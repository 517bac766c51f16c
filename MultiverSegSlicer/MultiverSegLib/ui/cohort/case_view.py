"""Shows the open case: its nodes in the embedded editor with our effect, the slice to work on in the views, and how unsure the model is of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import slicer

from ...core.grid import ANATOMICAL
from ..shared import options


class CaseView:
    """``owner``: the CohortPanel, whose desk has the case; the Panel's parameter node names the nodes worked on."""

    def __init__(self, owner) -> None:
        self.owner = owner
        self.leading = False
        self._shown_at: list[float] = []

    @property
    def panel(self):
        """The module's Panel."""
        return self.owner.panel

    @property
    def work(self):
        """The open case."""
        return self.owner.desk.work

    @contextmanager
    def lead(self) -> Iterator[None]:
        """The editor follows this panel meanwhile, not the other way round."""
        before, self.leading = self.leading, True
        try:
            yield
        finally:
            self.leading = before

    def change(self, action: Callable[[], object]) -> None:
        """Runs a step of the desk with the panel showing nothing of the old case, then shows the new one."""
        before = self.work
        self.panel.predict.cancel()
        try:
            with self.lead():
                self.panel.editor.setActiveEffect(None)
                action()
        finally:
            if self.work is not before:
                self.show_case()
            else:
                self.activate()

    def show_case(self) -> None:
        """The case's volume and segmentation, then the structure to work on; nothing where no case is open."""
        work, parameters = self.work, self.panel.parameters
        if work is None:
            return
        with self.lead():
            if parameters is not None:
                parameters.sourceVolume = work.nodes.volume
                parameters.segmentation = work.nodes.segmentation
            slicer.util.setSliceViewerLayers(background=work.nodes.volume, fit=True)
        self.show_structure()

    def show_structure(self) -> None:
        """The segment, axis, examples and slice of the structure to work on, with our effect."""
        structure, parameters = self.owner.desk.cohort.structure(self.owner.structure), self.panel.parameters
        with self.lead():
            if parameters is not None:
                parameters.structure = structure.name
                if structure.axis in ANATOMICAL:
                    parameters.axis = structure.axis
            self.jump()
            self.activate()
        self.show_uncertainty()

    def show_nothing(self) -> None:
        """The case is about to be put away."""
        if self.panel.parameters is not None and self.work is not None:
            self.panel.editor.setActiveEffect(None)
            self.panel.parameters.segmentation = None
            self.panel.parameters.sourceVolume = None

    def jump(self) -> None:
        """Shows the slice to work on."""
        centre = self.work.plane_for(self.owner.structure).centre
        slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *centre)
        self._shown_at = _offsets()

    def proposed(self) -> None:
        """The open case got a proposal: it is shown where the user hasn't moved the views since the case was opened."""
        self.show_uncertainty()
        if _offsets() == self._shown_at:
            self.jump()

    def show_uncertainty(self) -> None:
        """How unsure the model is of the proposal that is shown."""
        structure, work = self.owner.structure, self.work
        found = work.uncertainty(structure) if work.nodes.stamp(structure) else None
        if found is not None and not self.owner.desk.cohort.case(work.case_id).work(structure).interactions:
            self.panel.uncertainty.set(*found, work.nodes.segmentation, work.nodes.segment_id(structure))

    def activate(self) -> None:
        """Our effect again, on the structure's segment."""
        if self.work is None or self.panel.editor.segmentationNode() is not self.work.nodes.segmentation:
            return
        self.panel.editor.setCurrentSegmentID(self.work.nodes.segment_id(self.owner.structure))
        self.panel.editor.setActiveEffectByName(options.EFFECT_NAME)


def _offsets() -> list[float]:
    return [node.GetSliceOffset() for node in slicer.util.getNodesByClass("vtkMRMLSliceNode")]

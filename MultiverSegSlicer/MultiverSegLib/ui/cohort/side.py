"""What an open cohort answers the library of contexts (see ``user_contexts.CohortSide``)."""

from __future__ import annotations

from slicer.i18n import tr as _

from ...core.errors import MultiverSegError


class Side:
    """``desk``: the cohort's; ``changed``: called after something was accepted."""

    def __init__(self, desk, changed) -> None:
        self._desk, self._changed = desk, changed

    def context(self, structure: str):
        """The cohort's own examples of one of its structures; None: not one of the cohort's."""
        cohort = self._desk.cohort
        return self._desk.contexts.get(structure) if cohort is not None and structure in cohort.state.structures else None

    def case_of(self, segmentation) -> str:
        """The open case, if the segmentation is that case's; else empty."""
        work = self._desk.work
        return work.case_id if work is not None and segmentation is not None and segmentation is work.nodes.segmentation else ""

    def structure_of(self, segment_id: str) -> str:
        """The structure that a segment of the open case stands for; empty if none."""
        return self._desk.work.nodes.structure_of(segment_id) if self._desk.work is not None else ""

    def accept(self, structure: str):
        """The effect's own button: accepts one structure of the open case and stays there; returns the example.

        Raises:
            MultiverSegError: the segment is none of the cohort's structures, or it is empty.
        """
        if not structure:
            raise MultiverSegError(_("The selected segment is none of the cohort's structures: select one that is."))
        self._desk.work.accept([structure])
        self._changed()
        example = self._desk.cohort.case(self._desk.case_id).work(structure).example
        return self._desk.contexts.find(structure, example)

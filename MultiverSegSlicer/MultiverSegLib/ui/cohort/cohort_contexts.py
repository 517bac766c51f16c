"""The contexts while a cohort is open: the cohort's own, and below its folder those of other structures. No Qt."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from ...cohort.work.workflow import Desk
from ...core.context.context_set import ContextSet
from ...core.context.other_cases import OtherCases
from ...core.errors import MultiverSegError
from ...core.signal import Signal
from ..shared.user_contexts import UserContexts

if TYPE_CHECKING:
    from ...core.context.context_set import Example
    from ...engine.slice_session import SliceSession


class CohortContexts(UserContexts):
    """See ``contexts.ContextProvider``. In use only while ``desk`` has an open cohort.

    Attributes:
        changed: emitted after an example was accepted or taken out, which changes the cohort too.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(lambda: desk.cohort.folder / "context")
        self.desk = desk
        self.changed = Signal()

    def context(self, structure: str) -> ContextSet:
        """The cohort's own ContextSet of its structures, which is not read a second time."""
        known = structure.strip() in self.desk.cohort.state.structures
        return self.desk.contexts.get(structure.strip()) if known else super().context(structure)

    def context_for(self, segmentation: Any, structure: str) -> ContextSet | OtherCases:
        """Without the open case's own examples: one that was accepted and opened again must not be predicted from its own result."""
        context = self.context(structure)
        return OtherCases(context, self.desk.case_id) if self._is_open_case(segmentation) else context

    def structure_of(self, segmentation: Any, segment_id: str) -> str:
        return self.desk.work.nodes.structure_of(segment_id) if self._is_open_case(segmentation) else ""

    def accept(self, segmentation: Any, segment_id: str, structure: str, session: Callable[[], SliceSession]) -> Example:
        """Accepts one structure of the open case and stays there; what belongs to no case is accepted as without a cohort."""
        self.desk.cohort.check_writable()
        if not self._is_open_case(segmentation):
            return super().accept(segmentation, segment_id, structure, session)
        name = self.structure_of(segmentation, segment_id)
        if not name:
            raise MultiverSegError(_("The selected segment is none of the cohort's structures: select one that is."))
        return self.accept_structure(name)

    def accept_structure(self, structure: str) -> Example:
        """Accepts one structure of the open case and stays there; returns its example.

        Raises:
            MultiverSegError: it is empty, or the cohort is read-only.
        """
        self.desk.work.accept([structure])
        self.changed.emit()
        return self.desk.contexts.find(structure, self.desk.cohort.case(self.desk.case_id).work(structure).example)

    def to_change(self, structure: str) -> ContextSet:
        """Raises CohortError while somebody else holds the cohort."""
        self.desk.cohort.check_writable()
        return self.context(structure)

    def remove(self, structure: str, example: Example) -> None:
        """Marks what was predicted with the example, too."""
        if structure not in self.desk.cohort.state.structures:
            super().remove(structure, example)
            return
        self.desk.contexts.remove(structure, example.id)
        self.changed.emit()

    def _is_open_case(self, segmentation: Any) -> bool:
        return self.desk.work is not None and segmentation is not None and segmentation is self.desk.work.nodes.segmentation

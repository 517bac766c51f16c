"""The contexts while a cohort is open: the cohort's own, and below its folder those of other structures. No Qt."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from ...cohort.work.workflow import Desk
from ...core.context.context_set import ContextSet
from ...core.context.other_cases import OtherCases
from ...core.errors import CohortError, MultiverSegError
from ...core.signal import Signal
from ..shared.user_contexts import UserContexts

if TYPE_CHECKING:
    from ...cohort.store.cohort import Cohort
    from ...cohort.store.cohort_contexts import Contexts
    from ...cohort.work.open_case import OpenCase
    from ...core.context.context_set import Example
    from ...engine.slice_session import SliceSession


class CohortContexts(UserContexts):
    """See ``contexts.ContextProvider``. In use only while ``desk`` has an open cohort.

    Attributes:
        changed: emitted after an example was accepted or taken out, which changes the cohort too.
    """

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        super().__init__(lambda: self._cohort.folder / "context")
        self.changed = Signal()

    def context(self, structure: str) -> ContextSet:
        """The cohort's own ContextSet of its structures, which is not read a second time."""
        known = structure.strip() in self._cohort.state.structures
        return self._contexts.get(structure.strip()) if known else super().context(structure)

    def context_for(self, segmentation: Any, structure: str) -> ContextSet | OtherCases:
        """Without the open case's own examples: one that was accepted and opened again must not be predicted from its own result."""
        context = self.context(structure)
        return OtherCases(context, self._work.case_id) if self._is_open_case(segmentation) else context

    def structure_of(self, segmentation: Any, segment_id: str) -> str:
        return self._work.nodes.structure_of(segment_id) if self._is_open_case(segmentation) else ""

    def accept(self, segmentation: Any, segment_id: str, structure: str, session: Callable[[], SliceSession]) -> Example:
        """Accepts one structure of the open case and stays there; what belongs to no case is accepted as without a cohort."""
        self._cohort.check_writable()
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
        self._work.accept([structure])
        self.changed.emit()
        return self._contexts.find(structure, self._cohort.case(self._work.case_id).work(structure).example)

    def to_change(self, structure: str) -> ContextSet:
        """Raises CohortError while somebody else holds the cohort."""
        self._cohort.check_writable()
        return self.context(structure)

    def remove(self, structure: str, example: Example) -> None:
        """Marks what was predicted with the example, too."""
        if structure not in self._cohort.state.structures:
            super().remove(structure, example)
            return
        self._contexts.remove(structure, example.id)
        self.changed.emit()

    def _is_open_case(self, segmentation: Any) -> bool:
        return self.desk.work is not None and segmentation is not None and segmentation is self.desk.work.nodes.segmentation

    @property
    def _cohort(self) -> Cohort:
        if self.desk.cohort is None:
            raise CohortError(_("No cohort is open."))
        return self.desk.cohort

    @property
    def _contexts(self) -> Contexts:
        if self.desk.contexts is None:
            raise CohortError(_("No cohort is open."))
        return self.desk.contexts

    @property
    def _work(self) -> OpenCase:
        if self.desk.work is None:
            raise CohortError(_("No case is open."))
        return self.desk.work

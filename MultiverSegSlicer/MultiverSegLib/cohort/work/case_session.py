"""A slice session of an open case: what is done in it goes into the journal, and its prompts into the segment's tag. Main thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.prompts import Prompts
from ...engine.slice_session import SliceSession
from ...mrml import prompt_tags
from ...mrml.slice_plane import SlicePlane

if TYPE_CHECKING:
    from .open_case import OpenCase


class CaseSession(SliceSession):
    """A SliceSession of a case that writes prompts, predictions, undo and edits into the journal."""

    def __init__(self, work: OpenCase, structure: str, plane: SlicePlane) -> None:
        self.work, self.structure = work, structure
        self._stored = Prompts()
        nodes, cohort = work.nodes, work.cohort
        super().__init__(
            nodes.volume,
            nodes.segmentation,
            nodes.segment_id(structure),
            plane,
            work.settings(structure),
            work.predictor,
            work.contexts.get(structure),
            strategy=cohort.setting("strategy"),
            cap=cohort.setting("cap"),
            writer=work.writer,
            events=work.events,
        )

    def store_prompts(self) -> None:
        """Puts the session's prompts beside those of other slices in the segment's tag."""
        nodes, segment_id = self.work.nodes, self.segment_id
        own = self.prompts
        others = [p for p in prompt_tags.load(nodes.segmentation, segment_id) if p not in self._stored.items and p not in own.items]
        self._stored = own
        prompt_tags.save(nodes.segmentation, segment_id, Prompts((*others, *own)))

    def _examples(self, image: np.ndarray) -> tuple[Any, ...]:
        """The selected examples; never one of this very case, which may be open for the second time."""
        from ...core.selection import select

        return tuple(select(self.strategy, image, self.work.contexts.others(self.structure, self.work.case_id), self.cap))

    def undo(self) -> bool:
        return self._command("undo", super().undo)

    def redo(self) -> bool:
        return self._command("redo", super().redo)

    def clear(self) -> bool:
        return self._command("clear", super().clear)

    def _command(self, name: str, action: Callable[[], bool]) -> bool:
        self.work.note_edits(self.structure, self.plane)
        if not action():
            return False
        work = self.work
        self.store_prompts()
        prompts, change = work.tagged(self.structure), work.take_change(self.structure, self.plane)
        work.recorder.commanded(self.structure, name, work.number_of(self), prompts, change)
        return True

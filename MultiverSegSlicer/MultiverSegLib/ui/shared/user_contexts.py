"""The user's own contexts: one folder per structure below a folder of the user's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from ...cohort.work.case_nodes import CASE_ATTRIBUTE
from ...core.context.context_set import ContextSet
from ...core.errors import ContextError, SegmentationError
from ...core.names import structure_folder, structure_of

if TYPE_CHECKING:
    from ...core.context.context_set import Example
    from ...core.context.other_cases import OtherCases
    from ...engine.slice_session import SliceSession


class UserContexts:
    """See ``contexts.ContextProvider``. Opens each structure's ContextSet once.

    Args:
        folder: gives the folder with the contexts; asked anew each time, since the user can choose another one.
    """

    def __init__(self, folder: Callable[[], Path]) -> None:
        self._folder = folder
        self._open: dict[Path, ContextSet] = {}

    @property
    def folder(self) -> Path:
        return Path(self._folder())

    def structures(self) -> list[str]:
        if not self.folder.is_dir():
            return []
        return sorted(structure_of(p) for p in self.folder.iterdir() if p.is_dir() and not p.name.startswith("."))

    def context(self, structure: str) -> ContextSet:
        name = structure.strip()
        if not name:
            raise ContextError(_("Name the structure first: its examples are kept under that name."))
        folder = structure_folder(self.folder, name)
        if folder not in self._open:
            self._open[folder] = ContextSet(folder)
        return self._open[folder]

    def context_for(self, segmentation: Any, structure: str) -> ContextSet | OtherCases:
        return self.context(structure)

    def structure_of(self, segmentation: Any, segment_id: str) -> str:
        return ""

    def accept(self, segmentation: Any, segment_id: str, structure: str, session: Callable[[], SliceSession]) -> Example:
        case = str(segmentation.GetAttribute(CASE_ATTRIBUTE) or "")  # of a scene that was saved while a cohort was open, say
        if case:
            raise SegmentationError(
                _("This segmentation belongs to case {case} of a cohort: open that case to accept it.").format(case=case)
            )
        slice_session = session()
        return slice_session.accept(slice_session.volume_node.GetName(), structure, max_slice_only=True)

    def to_change(self, structure: str) -> ContextSet:
        return self.context(structure)

    def remove(self, structure: str, example: Example) -> None:
        self.to_change(structure).remove(example.id)

    def counts(self) -> dict[str, int]:
        """Examples of each structure that has any.

        Raises:
            ContextError: a folder is damaged.
        """
        found = {name: len(self.context(name)) for name in self.structures()}
        return {name: count for name, count in found.items() if count}

    def clear(self) -> None:
        """Deletes the examples of all structures, and nothing else that lies in the folder.

        Raises:
            ContextError: a folder is damaged, in use by another program, or can't be written; what was deleted before stays deleted.
        """
        for name in self.counts():
            self.context(name).delete()
        self.forget()

    def forget(self) -> None:
        self._open.clear()

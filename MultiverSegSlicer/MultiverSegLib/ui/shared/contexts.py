"""Where examples come from and where accepted slices go: the contexts that effect and panel work with now."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ...core.signal import Signal
from . import settings
from .user_contexts import UserContexts

if TYPE_CHECKING:
    from ...core.context.context_set import ContextSet, Example
    from ...core.context.other_cases import OtherCases
    from ...engine.slice_session import SliceSession


class ContextProvider(Protocol):
    """A collection of contexts, one per structure. Main thread.

    ``segmentation``: a vtkMRMLSegmentationNode; ``segment_id``: one of its segments.
    """

    @property
    def folder(self) -> Path:
        """The folder with one sub-folder per structure."""

    def structures(self) -> list[str]:
        """Names of the structures that have a context."""

    def context(self, structure: str) -> ContextSet:
        """The context of a structure; empty, and without a folder on disk, until its first example.

        Raises:
            ContextError: no name, or the folder is damaged.
        """

    def context_for(self, segmentation: Any, structure: str) -> ContextSet | OtherCases:
        """The context of a structure for work on ``segmentation``: never with examples that were made of the same case."""

    def structure_of(self, segmentation: Any, segment_id: str) -> str:
        """The structure that the segment is known to stand for; empty if none."""

    def accept(self, segmentation: Any, segment_id: str, structure: str, session: Callable[[], SliceSession]) -> Example:
        """Makes the segment an example of its structure, and returns it.

        Args:
            structure: its name, where the segment is not known to stand for one.
            session: returns the session of the slice worked on.

        Raises:
            MultiverSegError: the segment is empty, or not one that can be accepted here.
        """

    def to_change(self, structure: str) -> ContextSet:
        """The context of a structure for whoever is about to change it: imports examples, puts them in another order.

        Raises:
            MultiverSegError: see ``context``; or it may not be changed.
        """

    def remove(self, structure: str, example: Example) -> None:
        """Takes an example out of its structure's context.

        Raises:
            MultiverSegError: it can't be written.
        """

    def forget(self) -> None:
        """Read the folders anew next time."""


class ContextsInUse:
    """Which contexts are worked with: those of the open cohort, else the user's own.

    Attributes:
        own: the user's own.
        provider: the contexts in use.
        changed: emitted after an example was added or other contexts came into use.
    """

    def __init__(self, own: UserContexts) -> None:
        self.changed = Signal()
        self.own = own
        self.provider: ContextProvider = own

    def use(self, provider: ContextProvider | None) -> None:
        """Work with these contexts from now on; None: with the user's own."""
        self.provider = provider or self.own
        self.provider.forget()
        self.changed.emit()


_shared: ContextsInUse | None = None


def shared() -> ContextsInUse:
    """The application's: Slicer makes effect and panel independently of each other, and they show the same contexts."""
    global _shared
    if _shared is None:
        _shared = ContextsInUse(UserContexts(settings.contexts_folder))
    return _shared

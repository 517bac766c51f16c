"""The user's contexts: one folder per structure below the folder chosen in the set-up box."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ...cohort.work.case_nodes import CASE_ATTRIBUTE
from ...core.context.context_set import ContextSet
from ...core.errors import ContextError
from ...core.names import structure_folder, structure_of
from ...core.selection import STRATEGIES, select
from . import settings


class CohortSide(Protocol):
    """What an open cohort answers."""

    def context(self, structure: str) -> ContextSet | None:
        """The cohort's own ContextSet of a structure, which is not read a second time; None: not one of the cohort's."""

    def case_of(self, segmentation) -> str:
        """The open case, if the segmentation is that case's; else empty."""

    def structure_of(self, segment_id: str) -> str:
        """The structure that a segment of the open case stands for; empty if none."""

    def accept(self, structure: str):
        """Accepts a structure of the open case; gives the example."""


class ContextLibrary:
    """Opens each structure's ContextSet once. ``folder``: function that gives the root, asked anew each time.

    ``listeners``: functions without arguments, called after an example was added by ``notify``. ``cohort``: while one is open, a ``CohortSide``.
    """

    def __init__(self, folder) -> None:
        self.listeners: list = []
        self.cohort: CohortSide | None = None
        self._folder = folder
        self._open: dict[Path, ContextSet] = {}

    def structures(self) -> list[str]:
        """Names of the structures that have a context."""
        root = Path(self._folder())
        if not root.is_dir():
            return []
        return sorted(structure_of(p) for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))

    def context(self, structure: str) -> ContextSet:
        """The context of a structure; empty, and without a folder on disk, until its first example.

        Raises:
            ContextError: no name, or the folder is damaged.
        """
        name = structure.strip()
        if not name:
            raise ContextError("Name the structure first: its examples are kept under that name.")
        found = self.cohort.context(name) if self.cohort is not None else None
        if found is not None:
            return found
        folder = structure_folder(Path(self._folder()), name)
        if folder not in self._open:
            self._open[folder] = ContextSet(folder)
        return self._open[folder]

    def context_for(self, segmentation, structure: str):
        """The context of a structure for work on ``segmentation``: where that belongs to a case of the open cohort, without this case's own
        examples, since a case that was accepted and opened again must not be predicted from its own result."""
        context, case = self.context(structure), self.case_of(segmentation)
        return OtherCases(context, case) if case else context

    def case_of(self, segmentation) -> str:
        """The open case whose segmentation this is; empty if none."""
        return self.cohort.case_of(segmentation) if self.cohort is not None else ""

    def case_elsewhere(self, segmentation) -> str:
        """The case that a segmentation says it belongs to (in a scene that was saved, say) while it isn't that of the open case; empty if none."""
        return "" if self.case_of(segmentation) else str(segmentation.GetAttribute(CASE_ATTRIBUTE) or "")

    def structure_of(self, segmentation, segment_id: str) -> str:
        """The cohort's structure that a segment of the open case stands for; empty if none."""
        return self.cohort.structure_of(segment_id) if self.case_of(segmentation) else ""

    def notify(self) -> None:
        """Tell who shows contexts that one has changed."""
        for listener in list(self.listeners):
            listener()

    def forget(self) -> None:
        """Read the folders anew next time."""
        self._open.clear()


class OtherCases:
    """A ContextSet as seen by one of its cases: without that case's examples. What is added goes into the set."""

    def __init__(self, context: ContextSet, case: str) -> None:
        self._context, self.case = context, case

    @property
    def examples(self) -> tuple:
        return tuple(example for example in self._context.examples if example.case != self.case)

    def __len__(self) -> int:
        return len(self.examples)

    def add(self, example):
        return self._context.add(example)

    def selection(self, image, strategy: str = "most_similar", cap: int | None = 8) -> list:
        """See ``ContextSet.selection``."""
        hints = {}
        if "features" in STRATEGIES.get(strategy).needs:
            hints["features"] = self._context.features()[[e.case != self.case for e in self._context.examples]]
        return select(strategy, image, self.examples, cap, **hints)


_shared: ContextLibrary | None = None


def shared() -> ContextLibrary:
    """The application's library: effect and panel show the same contexts."""
    global _shared
    if _shared is None:
        _shared = ContextLibrary(settings.contexts_folder)
    return _shared

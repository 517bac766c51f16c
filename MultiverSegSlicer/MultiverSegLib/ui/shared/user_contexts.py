"""The user's contexts: one folder per structure below the folder chosen in the set-up box."""

from __future__ import annotations

from pathlib import Path

from ...cohort.work.case_nodes import CASE_ATTRIBUTE
from ...core.context.context_set import ContextSet
from ...core.errors import ContextError
from ...core.names import structure_folder, structure_of
from ...core.selection import STRATEGIES, select
from . import settings


class ContextLibrary:
    """Opens each structure's ContextSet once. ``folder``: function that gives the root, asked anew each time.

    ``listeners``: functions without arguments, called after an example was added by ``notify``. ``accept_case``: while a cohort is open,
    function that accepts a structure of its open case and gives the example, and ``cohort_context`` gives the cohort's own ContextSet of a
    structure (None: not one of the cohort's), which is not read a second time.
    """

    def __init__(self, folder) -> None:
        self.listeners: list = []
        self.accept_case = None
        self.cohort_context = None
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
        found = self.cohort_context(name) if self.cohort_context is not None else None
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
        """The case of the open cohort that a segmentation belongs to; empty if none."""
        known = segmentation is not None and self.accept_case is not None
        return str(segmentation.GetAttribute(CASE_ATTRIBUTE) or "") if known else ""

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

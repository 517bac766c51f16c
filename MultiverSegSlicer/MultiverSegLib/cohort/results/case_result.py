"""The accepted result of one case, as the export formats read it. Main thread."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...core.errors import CohortError
from ...mrml import paths
from ..store.cohort import Cohort
from ..store.records import ACCEPTED, Structure
from ..work.case_nodes import CaseNodes


class CaseResult:
    """A case that has a result. Its nodes are loaded when a format first asks for them; ``close`` removes them.

    Attributes:
        cohort, case_id: whose result it is.
        saved: the file with the segmentation (.seg.nrrd).

    Raises:
        CohortError: there is no such case, or it has no result yet.
    """

    def __init__(self, cohort: Cohort, case_id: str) -> None:
        self.cohort = cohort
        self.case_id = cohort.case(case_id).id
        self.saved = cohort.segmentation_path(case_id)
        self._nodes: CaseNodes | None = None
        if not self.saved.is_file():
            raise CohortError(f"Case {case_id} has no result yet: accept it first.")

    @property
    def nodes(self) -> CaseNodes:
        """The case's volume and segmentation.

        Raises:
            CohortError: one of them can't be read.
        """
        if self._nodes is None:
            self._nodes = CaseNodes(self.cohort, self.case_id)
        return self._nodes

    @property
    def absent(self) -> list[Structure]:
        """The structures that were accepted as not being in this case."""
        works = self.cohort.case(self.case_id).works
        return [s for s in self.cohort.structures if s.name in works and works[s.name].absent and works[s.name].status == ACCEPTED]

    def filled_masks(self) -> list[tuple[Structure, np.ndarray]]:
        """The structures that have something in them, with their masks [k, j, i].

        Raises:
            CohortError: all structures are empty (or not in this case, which the message then says).
        """
        found = [(structure, mask) for structure, mask in self._masks() if mask.any()]
        if not found and self.absent:
            names = ", ".join(structure.name for structure in self.absent)
            raise CohortError(f"There is nothing in case {self.case_id} to write: accepted as absent: {names}.")
        if not found:
            raise CohortError(f"The result of case {self.case_id} is empty.")
        return found

    def known_masks(self) -> list[tuple[Structure, np.ndarray]]:
        """``filled_masks`` with the empty masks of the structures that were accepted as not being in this case.

        Raises:
            CohortError: all structures are empty, and none was accepted as absent.
        """
        absent = self.absent
        return [(s, mask) for s, mask in self._masks() if mask.any() or s in absent] if absent else self.filled_masks()

    def _masks(self) -> list[tuple[Structure, np.ndarray]]:
        return [(structure, self.nodes.mask(structure.name) != 0) for structure in self.cohort.structures]

    def target(self, folder: Path, name: str) -> Path:
        """The file ``name`` in ``folder``, which must not be one that the cohort reads.

        Raises:
            CohortError: it is a volume, a label file or a result of the cohort.
        """
        target = folder / name
        if target.exists():
            for case in self.cohort.cases:
                read = [self.cohort.segmentation_path(case.id), *(self.cohort.resolve(entry.path) for entry in case.labels)]
                read += [self.cohort.resolve(case.volume.path)] if case.volume.kind != "scene" else []
                if any(paths.same_file(target, source) for source in read):
                    raise CohortError(f"{target} is a file that the cohort reads (case {case.id}): export to another folder.")
        return target

    def close(self) -> None:
        """Removes the nodes, if any were loaded."""
        if self._nodes is not None:
            self._nodes.close()
            self._nodes = None

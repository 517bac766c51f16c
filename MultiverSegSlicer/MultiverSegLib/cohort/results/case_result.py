"""The accepted result of one case, as the export formats read it: arrays and files, no node, so that it works in any thread."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...core.errors import CohortError
from ...mrml import paths
from ...mrml.plain_segments import PlainSegment, read_plain_segments
from ...mrml.plain_volume import PlainVolume
from ..store.cohort import Cohort
from ..store.records import ACCEPTED, Structure
from ..work.case_nodes import plain_volume
from ..work.recorder import restored_masks


class CaseResult:
    """A case that has a result. Its files are read when a format first asks for them.

    Args:
        volumes: the voxels of cases that are in the scene, for a thread (see ``case_nodes.plain_volume``).

    Attributes:
        cohort, case_id: whose result it is.
        saved: the file with the segmentation (.seg.nrrd).

    Raises:
        CohortError: there is no such case, or it has no result yet.
    """

    def __init__(self, cohort: Cohort, case_id: str, volumes: Mapping[str, PlainVolume] | None = None) -> None:
        self.cohort = cohort
        self.case_id = cohort.case(case_id).id
        self.saved = cohort.segmentation_path(case_id)
        self._volumes = volumes
        self._volume: PlainVolume | None = None
        self._segments: list[PlainSegment] | None = None
        self._masks: list[tuple[Structure, np.ndarray]] | None = None
        if not self.saved.is_file():
            raise CohortError(f"Case {case_id} has no result yet: accept it first.")

    @property
    def volume(self) -> PlainVolume:
        """The case's volume.

        Raises:
            CohortError, VolumeError: it can't be read.
        """
        if self._volume is None:
            self._volume = plain_volume(self.cohort, self.cohort.case(self.case_id), self._volumes)
        return self._volume

    @property
    def absent(self) -> list[Structure]:
        """The structures that were accepted as not being in this case."""
        works = self.cohort.case(self.case_id).works
        return [s for s in self.cohort.structures if s.name in works and works[s.name].absent and works[s.name].status == ACCEPTED]

    def filled_masks(self) -> list[tuple[Structure, np.ndarray]]:
        """The structures that have something in them, with their masks: bool [k, j, i] on the volume's grid.

        Raises:
            CohortError: all structures are empty (or not in this case, which the message then says).
            SegmentationError, VolumeError: a file is missing or damaged.
        """
        found = [(structure, mask) for structure, mask in self._all_masks() if mask.any()]
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
        return [(s, mask) for s, mask in self._all_masks() if mask.any() or s in absent] if absent else self.filled_masks()

    def terminology(self, structure: Structure) -> str:
        """The terminology entry of the structure's segment as Slicer serializes it, else the structure's own; empty if none."""
        segment = self._segment(structure.name)
        return (segment.terminology if segment is not None else "") or structure.terminology

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

    def _segment(self, structure: str) -> PlainSegment | None:
        """The segment that is tagged with the structure; else the one that is called like it."""
        if self._segments is None:
            self._segments = read_plain_segments(self.saved, self.volume)
        tagged = [segment for segment in self._segments if segment.structure == structure]
        named = [segment for segment in self._segments if segment.name == structure and not segment.structure]
        return next(iter([*tagged, *named]), None)

    def _all_masks(self) -> list[tuple[Structure, np.ndarray]]:
        """As ``CaseNodes`` has them: what is not accepted is as the journal knows it, which may be newer than the file."""
        if self._masks is None:
            works, volume = self.cohort.case(self.case_id).works, self.volume
            newer = restored_masks(self.cohort.journal.events(case=self.case_id), volume.array.shape)
            self._masks = []
            for structure in self.cohort.structures:
                work, segment = works.get(structure.name), self._segment(structure.name)
                mask = np.zeros(volume.array.shape, bool) if segment is None else segment.on(volume) != 0
                if structure.name in newer and (work is None or work.status != ACCEPTED):
                    mask = newer[structure.name]
                self._masks.append((structure, mask))
        return self._masks

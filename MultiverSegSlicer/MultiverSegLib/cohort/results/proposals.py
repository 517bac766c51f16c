"""The proposals that nobody has accepted yet, worst first, for a page that shows them all. Reads the cohort; no node is touched.

for row in proposals(cohort):
    show(row.case, row.structure, row.confidence, row.volume_ml)
    draw(row.image(), row.outline)                  # reads the case's volume: in a thread, or when the row is first seen
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.errors import CohortError
from ...core.grid import GRID_SHAPE
from ...core.imaging import ImageSettings
from ...mrml.slice_plane import SlicePlane
from ..store.cohort import Cohort
from ..store.mask_delta import unpack_bits
from ..store.records import ACCEPTED, NEEDS_REVIEW, Case, Source
from ..work.case_nodes import plain_volume, read_source

if TYPE_CHECKING:
    from ...mrml.plain_volume import PlainVolume


@dataclass(frozen=True, eq=False)
class Proposal:
    """A row of the page: what the model proposes for one structure of one case.

    Attributes:
        case, structure: whose it is.
        confidence: the Dice to expect (0..1); None from an older version.
        found: whether the model found the structure at all.
        whole: it is of the whole volume, not of one slice.
        volume_ml: of the whole proposal; None where it is of one slice (which has no volume) or from an older version.
        area_mm2: of its largest slice; None from an older version.
        slices: how many slices hold something; None from an older version.
        index: the slice that is shown, counted along the structure's axis in the volume.
        outline: bool [128, 128] on the slice's grid, what is proposed there.
        plane: the slice's grid in the patient (``SlicePlane`` as JSON); ``settings``: how its image is shown to the model.
        stale: made with an example that was taken out since.
        to_review: somebody has put the case aside to be looked at.
        opened: the case was opened since, and nothing done in it.
        source: where the volume is, with its absolute path.
        seq: number of the event that made it.
    """

    case: str
    structure: str
    confidence: float | None
    found: bool
    whole: bool
    volume_ml: float | None
    area_mm2: float | None
    slices: int | None
    index: int | None
    outline: np.ndarray
    plane: Mapping[str, Any]
    settings: Mapping[str, Any]
    stale: bool
    to_review: bool
    opened: bool
    source: Source = field(repr=False)
    seq: int = 0

    def image(self, volume: PlainVolume | None = None) -> np.ndarray:
        """[128, 128] in 0..1: the slice as the model saw it.

        Args:
            volume: the case's voxels, where they are at hand (``plain_of_scene`` for a case in the scene); None: read from its file, in any
                thread.

        Raises:
            VolumeError, CohortError: the volume is missing or unusable, or nobody stored which slice it was.
        """
        if not self.plane:
            raise CohortError(f"Which slice of {self.case} was looked at is not known: open the case.")
        volume = read_source(self.source, Path(self.source.path), self.case) if volume is None else volume
        return SlicePlane.from_json(dict(self.plane)).sample(volume, ImageSettings.from_json(dict(self.settings)))

    @property
    def acceptable(self) -> bool:
        """Whether it can be accepted as it is."""
        return self.found and not self.stale

    def above(self, confidence: float) -> bool:
        """Whether it is among those that are accepted together from this confidence on; never one that somebody has put aside."""
        return self.acceptable and not self.to_review and self.confidence is not None and self.confidence >= confidence


def proposals(cohort: Cohort) -> list[Proposal]:
    """All proposals that nobody has accepted or worked on, worst first: nothing found, then by rising confidence; equals in file order.

    Fast: only the journal is read; ``Proposal.image`` reads a volume.
    """
    rows = [
        _row(cohort, case, structure.name) for case in cohort.cases for structure in cohort.structures if is_proposal(case, structure.name)
    ]
    return sorted(rows, key=lambda row: (row.found, -1.0 if row.confidence is None else row.confidence))


def is_proposal(case: Case, structure: str) -> bool:
    """Whether there is a proposal for the structure, and nobody has done anything about it but look."""
    work = case.work(structure)
    return bool(work.proposal) and not work.interactions and work.status != ACCEPTED and case.open


def image_of(cohort: Cohort, row: Proposal, volumes: Mapping[str, PlainVolume] | None = None) -> np.ndarray:
    """``row.image``, also of a case that is in the scene.

    Args:
        volumes: see ``case_nodes.plain_volume``.

    Raises:
        VolumeError, CohortError: the volume is missing or unusable.
    """
    return row.image(plain_volume(cohort, cohort.case(row.case), volumes) if row.plane else None)


def _row(cohort: Cohort, case: Case, structure: str) -> Proposal:
    work = case.work(structure)
    proposal = work.proposal
    event = next(cohort.journal.events(after=proposal["seq"] - 1), {})
    whole = proposal.get("kind") == "volume"
    outline = unpack_bits(event["mask"], GRID_SHAPE) if "mask" in event else np.zeros(GRID_SHAPE, bool)
    path = str(cohort.resolve(case.volume.path)) if case.volume.kind != "scene" else case.volume.path
    return Proposal(
        case=case.id,
        structure=structure,
        confidence=proposal.get("confidence"),
        found=bool(proposal.get("file")),
        whole=whole,
        volume_ml=proposal.get("volume_ml") if whole else None,
        area_mm2=proposal.get("area_mm2"),
        slices=proposal.get("slices"),
        index=proposal.get("index"),
        outline=outline,
        plane=event.get("plane", {}),
        settings=event.get("image", {}),
        stale=bool(proposal.get("stale")),
        to_review=case.status == NEEDS_REVIEW,
        opened=work.first_prediction is not None,
        source=replace(case.volume, path=path),
        seq=proposal["seq"],
    )

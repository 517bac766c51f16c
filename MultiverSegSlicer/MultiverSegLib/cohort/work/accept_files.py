"""Accepting a case's proposals as they are, from its files and without a node: made ready in a thread, stored on the main thread in a moment.

ready = ToAccept.of(cohort, "p07", ["liver"])        # None: something was done in the case, which ``OpenCase`` has to look at
made = ready.prepare()                               # any thread
structures = made.store(cohort, contexts)            # main thread
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from ...core.context.example import Example
from ...core.errors import CohortError, SegmentationError
from ...core.notices import notice, withheld
from ...mrml.axes import voxel_axis
from ...mrml.masks import plain_mask
from ...mrml.measures import measures
from ...mrml.plain_volume import PlainVolume
from ...mrml.prompt_tags import STRUCTURE_TAG, structure_tag
from ...mrml.segment_files import Written, segments_file
from ..store.cohort import Cohort
from ..store.cohort_contexts import Contexts
from ..store.files import write_draft
from ..store.journal import Event
from ..store.mask_delta import mask_sha256
from ..store.noticing import keep
from ..store.records import Case, Structure
from .case_nodes import plain_volume
from .labels_to_context import example_of_mask
from .prefetch import CroppedMask

#: How the journal says that a result was accepted from the page of proposals.
REVIEW = "review"
_SHOWN = ("model", "examples", "confidence", "plane", "image", "mask")


@dataclass(frozen=True, eq=False)
class Part:
    """One structure's proposal: the event that made it, its voxels, the example and the sizes that it gives."""

    proposed: Event
    cut: CroppedMask
    example: Example
    facts: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A case whose result lies in ``draft``, beside its place ``target``; ``told``: what was noticed."""

    case: str
    parts: Mapping[str, Part]
    draft: Path
    target: Path
    told: tuple[str, ...]

    def store(self, cohort: Cohort, contexts: Contexts) -> list[str]:
        """Accepts it; gives the structures. Main thread.

        Raises:
            CohortError: something was done about the case meanwhile, or the disk refuses.
        """
        for text in self.told:
            notice(text)
        if not _is_plain(cohort, self.case) or any(_seq(cohort, self.case, n) != p.proposed["seq"] for n, p in self.parts.items()):
            self.drop()
            raise CohortError(f"Case {self.case} was worked on meanwhile: open it and look at it.")
        keep(cohort, self.told, self.case)
        cohort.record("opened", case=self.case)
        for name, part in self.parts.items():
            about = {key: part.proposed[key] for key in _SHOWN if key in part.proposed}
            seq = part.proposed["seq"]
            cohort.record("shown", case=self.case, structure=name, proposal=seq, change=part.cut.as_change(), **about)
        self.draft.replace(self.target)
        for name, part in self.parts.items():
            contexts.replace_case(name, part.example)
            cohort.record("accepted", case=self.case, structure=name, example=part.example.id, via=REVIEW, **part.facts)
        return list(self.parts)

    def drop(self) -> None:
        """Nothing is accepted."""
        self.draft.unlink(missing_ok=True)


@dataclass(frozen=True, eq=False)
class ToAccept:
    """What is to be accepted: plain data."""

    cohort: Cohort
    case: Case
    structures: tuple[Structure, ...]
    proposed: Mapping[str, Event]
    volumes: Mapping[str, PlainVolume] | None

    @staticmethod
    def of(cohort: Cohort, case_id: str, names: Iterable[str], volumes: Mapping[str, PlainVolume] | None = None) -> ToAccept | None:
        """None where there is more than proposals in the case. Main thread.

        Args:
            names: structures whose proposals can be accepted (see ``reviewing.checked``).
            volumes: see ``case_nodes.plain_volume``.
        """
        if not _is_plain(cohort, case_id):
            return None
        seqs = {name: _seq(cohort, case_id, name) for name in names}
        events = {event["seq"]: event for event in cohort.journal.events(case=case_id) if event["seq"] in seqs.values()}
        if len(events) < len(set(seqs.values())):
            return None
        proposed = {name: events[seq] for name, seq in seqs.items()}
        return ToAccept(cohort, cohort.case(case_id), tuple(cohort.structures), proposed, volumes)

    def prepare(self) -> Prepared | None:
        """Reads and writes what it takes. Any thread; of the cohort only paths are used. None: the proposals overlap, which ``OpenCase`` can store.

        Raises:
            VolumeError, CohortError, SegmentationError: a file is missing or damaged, or the disk refuses.
        """
        with withheld() as told:
            volume = plain_volume(self.cohort, self.case, self.volumes)
            masks = {}
            for name, event in self.proposed.items():
                masks[name] = plain_mask(volume, self.cohort.resolve(event["file"]), structure=name)
                if not masks[name].any():
                    raise SegmentationError(f"The proposal of {name} in {self.case.id} is empty: have it proposed anew.")
            if reduce(np.add, [(mask != 0).view(np.uint8) for mask in masks.values()]).max() > 1:
                return None
            written = [
                Written(masks.get(s.name), s.name, s.color, s.terminology, tags={STRUCTURE_TAG: structure_tag(s.name)})
                for s in self.structures
            ]
            parts = {s.name: self._part(s, masks[s.name], volume) for s in self.structures if s.name in masks}
            target = self.cohort.segmentation_path(self.case.id)
            draft = write_draft(target, segments_file(written, volume.array.shape, volume.ijk_to_ras))
        return Prepared(self.case.id, parts, draft, target, tuple(told))

    def _part(self, structure: Structure, mask: Any, volume: PlainVolume) -> Part:
        event = self.proposed[structure.name]
        example = example_of_mask(volume, mask, structure, self.case.id, event.get("model", ""))
        sizes = measures(mask, volume.ijk_to_ras, voxel_axis(volume, structure.axis))
        # what the first prediction wrote is what is accepted
        facts = {**sizes, "mask_sha256": mask_sha256(mask), "first_vs_accepted_dice": 1.0}
        return Part(event, CroppedMask.of(mask), example, facts)


def _seq(cohort: Cohort, case_id: str, structure: str) -> int | None:
    return cohort.case(case_id).work(structure).proposal.get("seq")


def _is_plain(cohort: Cohort, case_id: str) -> bool:
    """Whether nobody has done anything in the case, and nothing was put into its segments."""
    if cohort.segmentation_path(case_id).exists() or any(work.interactions for work in cohort.case(case_id).works.values()):
        return False
    return not any(event.get("change") or event.get("prompts") for event in cohort.journal.events(case=case_id))

"""Through the cohort: proposals for every remaining case, in worker processes or on a cluster, resumable, the same in any order.

A job is plain data and depends on nothing but itself: the context is frozen when the run begins. Workers give back bytes; only the caller
writes into the cohort. So the number of workers and the order of their answers change nothing.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..core.errors import CohortError, MultiverSegError
from .cohort import Cohort
from .contexts import Contexts
from .records import TODO, Case, Source, Structure, structure_from_json, to_json
from .storage import write_atomically


@dataclass(frozen=True)
class Job:
    """Everything a worker needs for one structure of one case; paths are absolute."""

    case: str
    source: Source
    structure: Mapping[str, Any]
    context_folder: str
    examples: tuple[str, ...]
    model: str
    strategy: str
    cap: int
    kind: str
    device: str = "cpu"

    @property
    def signature(self) -> str:
        """A fingerprint of all that the result depends on besides the volume."""
        parts = [self.structure, self.examples, self.model, self.strategy, self.cap, self.kind]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=list).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Answer:
    """A worker's result: the content of a .seg.nrrd (empty if nothing was found) and the facts for the journal; or an error in one line."""

    case: str
    structure: str
    file: bytes = b""
    facts: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


class Engine(Protocol):
    """Runs jobs somewhere and yields the answers as they come, in any order, one per job."""

    def run(self, jobs: Sequence[Job]) -> Iterator[Answer]: ...


@dataclass
class Outcome:
    """What a run did."""

    proposed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def jobs_for(cohort: Cohort, structures: Sequence[str] = (), kind: str = "slice", refresh: bool = False, device: str = "cpu") -> list[Job]:
    """The jobs that are due: cases that nobody has begun and that have no proposal, a stale one, or one from a context that has grown by
    ``refresh_after`` examples since (``refresh``: all of them).

    Raises:
        CohortError: a structure has no examples yet.
    """
    contexts, jobs = Contexts(cohort), []
    for structure in [cohort.structure(name) for name in structures] or cohort.structures:
        examples = tuple(example.id for example in contexts.get(structure.name).examples)
        if not examples:
            raise CohortError(f"The context of {structure.name} is empty: accept a case, or take over existing labels, before propagating.")
        for case in cohort.cases:
            job = _job(cohort, case, structure, examples, kind, device)
            if case.status == TODO and (refresh or _due(cohort, case, job)):
                jobs.append(job)
    return jobs


def propagate(
    cohort: Cohort,
    engine: Engine,
    structures: Sequence[str] = (),
    kind: str = "slice",
    refresh: bool = False,
    device: str = "cpu",
    progress: Callable[[str, int, int], None] = lambda case, done, total: None,
) -> Outcome:
    """Predicts the remaining cases and stores the proposals. Killed and started again, it goes on with the cases that are missing.

    Raises:
        CohortError: read-only, no examples, or the disk refuses. A case that fails (a missing file, say) is listed in the outcome instead.
    """
    cohort.check_writable()
    jobs = jobs_for(cohort, structures, kind, refresh, device)
    outcome = Outcome(skipped=[c.id for c in cohort.cases if c.id not in {job.case for job in jobs}])
    by_key = {(job.case, job.structure["name"]): job for job in jobs}
    for done, answer in enumerate(engine.run(jobs), start=1):
        job = by_key[answer.case, answer.structure]
        if answer.error:
            outcome.failed[answer.case] = answer.error
        elif _store(cohort, job, answer):
            outcome.proposed.append(answer.case)
        progress(answer.case, done, len(jobs))
    outcome.proposed.sort()
    return outcome


def run_job(job: Job, predictor: Any) -> Answer:
    """One job, in a process with a host of its own. Errors of a case become part of the answer."""
    name = job.structure["name"]
    try:
        return _predicted(job, predictor)
    except MultiverSegError as error:
        return Answer(job.case, name, error=str(error))


def _job(cohort: Cohort, case: Case, structure: Structure, examples: tuple[str, ...], kind: str, device: str) -> Job:
    source = Source(case.volume.kind, str(cohort.resolve(case.volume.path)), case.volume.frame, case.volume.series)
    return Job(
        case.id,
        source,
        to_json(structure),
        str(cohort.context_folder(structure.name)),
        examples,
        cohort.setting("model"),
        cohort.setting("strategy"),
        cohort.setting("cap"),
        kind,
        device,
    )


def _due(cohort: Cohort, case: Case, job: Job) -> bool:
    proposal = case.work(job.structure["name"]).proposal
    if not proposal or proposal.get("stale") or proposal.get("kind") != job.kind or proposal.get("model") != job.model:
        return True
    if proposal.get("file") and not cohort.resolve(proposal["file"]).is_file():
        return True
    return len(job.examples) - proposal.get("known", 0) >= cohort.setting("refresh_after")


def _store(cohort: Cohort, job: Job, answer: Answer) -> bool:
    """File first, journal second: a crash in between leaves a file that the next run replaces. Cases begun meanwhile are left alone."""
    if cohort.case(answer.case).status != TODO:
        return False
    facts = dict(answer.facts)
    if answer.file:
        path = cohort.proposal_path(answer.case, answer.structure)
        write_atomically(path, answer.file)
        facts["file"] = path.relative_to(cohort.folder).as_posix()
    facts |= {"kind": job.kind, "model": job.model, "signature": job.signature, "known": len(job.examples)}
    cohort.record("proposed", case=answer.case, structure=answer.structure, **facts)
    return True


def _predicted(job: Job, predictor: Any) -> Answer:
    from ..core.context import ContextSet
    from ..core.imaging import ImageSettings
    from ..core.selection import select
    from ..mrml.segments import remove_node
    from .nodes import load_source_files, voxel_axis
    from .proposals import propose
    from .volume_work import SliceStack

    structure = structure_from_json(job.structure)
    settings = ImageSettings.from_json(dict(structure.image)) if structure.image else ImageSettings()
    wanted = set(job.examples)
    examples = [e for e in ContextSet(Path(job.context_folder)).examples if e.id in wanted and e.case != job.case]
    volume = load_source_files(job.source, Path(job.source.path), job.case)
    try:
        axis = voxel_axis(volume, structure.axis)
        stack = SliceStack(volume, axis, settings)
        proposal = propose(
            stack.image, len(stack), predictor, examples, lambda image: select(job.strategy, image, examples, job.cap), job.kind
        )
        facts = _facts(proposal, stack, settings)
        return Answer(job.case, structure.name, _file(volume, structure, stack, proposal), facts)
    finally:
        remove_node(volume)


def _facts(proposal: Any, stack: Any, settings: Any) -> dict[str, Any]:
    from .changes import array_sha256, pack_bits

    first = proposal.results.get(proposal.index)
    probability = np.zeros((128, 128), np.float32) if first is None else first.probability
    return {
        "index": proposal.index,
        "confidence": round(proposal.confidence, 6),
        "informative": round(proposal.informative, 6),
        "examples": list(proposal.examples),
        "plane": stack.planes[proposal.index].to_json(),
        "image": settings.to_json(),
        "mask": pack_bits(probability > 0.5),
        "probability_sha256": array_sha256(probability),
    }


def _file(volume: Any, structure: Structure, stack: Any, proposal: Any) -> bytes:
    """The proposal as the content of a .seg.nrrd."""
    from ..mrml import segments

    if not proposal.results:
        return b""
    segmentation = segments.new_segmentation(volume, "proposal")
    try:
        # an ID of our own: Slicer's are random, and equal jobs shall give equal files
        segment_id = segmentation.GetSegmentation().AddEmptySegment("proposal", structure.name, structure.color)
        if structure.terminology:
            segments.find_segment(segmentation, segment_id).SetTerminology(structure.terminology)
        pasted = [stack.planes[i].paste(result.probability, volume) for i, result in sorted(proposal.results.items())]
        segments.SegmentWriter().write_all(segmentation, segment_id, volume, pasted)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "proposal.seg.nrrd"
            segments.save_segmentation(segmentation, path)
            return path.read_bytes()
    finally:
        segments.remove_node(segmentation)

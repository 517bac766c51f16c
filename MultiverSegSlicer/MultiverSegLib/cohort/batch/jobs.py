"""Through the cohort: proposals for every remaining case, in worker processes or on a cluster, resumable, the same in any order.

A job is plain data and depends on nothing but itself: the context is frozen when the run begins. Workers give back bytes; only the caller
writes into the cohort. So the number of workers and the order of their answers change nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...core.errors import CohortError, MultiverSegError
from ...core.notices import notice, withheld
from ...engine.propose import is_due, propose
from ..store.cohort import Cohort
from ..store.cohort_contexts import Contexts
from ..store.files import write_atomically
from ..store.journal import Event
from ..store.noticing import keep
from ..store.records import TODO, Case, Source, Structure, structure_from_json, to_json

if TYPE_CHECKING:
    from ...mrml.plain_volume import PlainVolume


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
class JobResult:
    """A worker's result: the content of a .seg.nrrd (empty if nothing was found) and the facts for the journal; or an error in one line.

    ``told``: what was noticed, for the caller to tell.
    """

    case: str
    structure: str
    file: bytes = b""
    facts: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    told: tuple[str, ...] = ()


class Engine(Protocol):
    """Runs jobs somewhere and yields the answers as they come, in any order, one per job."""

    def run(self, jobs: Sequence[Job]) -> Iterator[JobResult]: ...


@dataclass
class RunSummary:
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
        examples = tuple(example.id for example in contexts.teaching(structure.name))
        if not examples:
            raise CohortError(f"The context of {structure.name} is empty: accept a case, or take over existing labels, before propagating.")
        for case in cohort.cases:
            job = job_for(cohort, case, structure, examples, kind, device)
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
) -> RunSummary:
    """Predicts the remaining cases and stores the proposals. Killed and started again, it goes on with the cases that are missing.

    Raises:
        CohortError: read-only, no examples, or the disk refuses. A case that fails (a missing file, say) is listed in the outcome instead.
    """
    cohort.check_writable()
    jobs = jobs_for(cohort, structures, kind, refresh, device)
    outcome = RunSummary(skipped=[c.id for c in cohort.cases if c.id not in {job.case for job in jobs}])
    by_key = {(job.case, job.structure["name"]): job for job in jobs}
    for done, answer in enumerate(engine.run(jobs), start=1):
        job = by_key[answer.case, answer.structure]
        for text in answer.told:
            notice(text)
        keep(cohort, answer.told, answer.case)
        if answer.error:
            outcome.failed[answer.case] = answer.error
        elif _store(cohort, job, answer):
            outcome.proposed.append(answer.case)
        progress(answer.case, done, len(jobs))
    outcome.proposed.sort()
    return outcome


def run_job(job: Job, predictor: Any) -> JobResult:
    """One job, in any process or thread: no node is touched. Errors of a case become part of the answer."""
    name = job.structure["name"]
    with withheld() as told:
        try:
            volume = job_volume(job)
            facts, mask = proposed(job, predictor, volume)
            return JobResult(job.case, name, proposal_file(job, volume, mask), facts, told=tuple(told))
        except MultiverSegError as error:
            return JobResult(job.case, name, error=str(error), told=tuple(told))


def job_volume(job: Job) -> PlainVolume:
    """The voxels of a job's case.

    Raises:
        VolumeError, CohortError: see ``nodes.read_source``.
    """
    from ..work.case_nodes import read_source

    return read_source(job.source, Path(job.source.path), job.case)


def job_for(
    cohort: Cohort, case: Case, structure: Structure, examples: tuple[str, ...], kind: str, device: str = "cpu", model: str = ""
) -> Job:
    """What is to be predicted for one structure of one case with these examples; ``model``: empty: the cohort's."""
    source = Source(case.volume.kind, str(cohort.resolve(case.volume.path)), case.volume.frame, case.volume.series)
    return Job(
        case.id,
        source,
        to_json(structure),
        str(cohort.context_folder(structure.name)),
        examples,
        model or cohort.setting("model"),
        cohort.setting("strategy"),
        cohort.setting("cap"),
        kind,
        device,
    )


def _due(cohort: Cohort, case: Case, job: Job) -> bool:
    proposal = case.work(job.structure["name"]).proposal
    if is_due(proposal, job.kind, job.model, job.examples, cohort.setting("refresh_after")):
        return True
    return bool(proposal.get("file")) and not cohort.resolve(proposal["file"]).is_file()


def _store(cohort: Cohort, job: Job, answer: JobResult) -> bool:
    """Cases begun meanwhile are left alone."""
    if cohort.case(answer.case).status != TODO:
        return False
    if answer.file:
        write_atomically(cohort.proposal_path(answer.case, answer.structure), answer.file)
    record_proposal(cohort, job, answer.facts, bool(answer.file))
    return True


def record_proposal(cohort: Cohort, job: Job, facts: Mapping[str, Any], found: bool) -> Event:
    """Notes a proposal whose file (if something was ``found``) is in place: file first, journal second, so that a crash in between leaves a
    file that the next run replaces."""
    name = job.structure["name"]
    place = {"file": cohort.proposal_path(job.case, name).relative_to(cohort.folder).as_posix()} if found else {}
    about = {"kind": job.kind, "model": job.model, "signature": job.signature, "known": len(job.examples)}
    return cohort.record("proposed", case=job.case, structure=name, **facts, **place, **about)


def proposed(
    job: Job, predictor: Any, volume: PlainVolume, cancel: Callable[[], bool] = lambda: False
) -> tuple[dict[str, Any], np.ndarray | None]:
    """(facts for the journal, mask uint8 [k, j, i] or None if nothing was found) of a job, from arrays alone.

    Raises:
        Cancelled: ``cancel`` said so.
        ContextError: the context has none of the job's examples, or is damaged.
    """
    from ...core.imaging import ImageSettings
    from ...core.selection import select
    from ...engine.volume_session import SliceStack
    from ...mrml.axes import voxel_axis
    from ...mrml.measures import measures

    structure = structure_from_json(job.structure)
    settings = ImageSettings.from_json(dict(structure.image)) if structure.image else ImageSettings()
    examples = [e for e in _examples(job.context_folder, job.examples) if e.case != job.case]
    axis = voxel_axis(volume, structure.axis)
    stack = SliceStack(volume, axis, settings, predictor.capabilities.size)
    proposal = propose(
        stack.image,
        len(stack),
        predictor,
        examples,
        lambda image: select(job.strategy, image, examples, job.cap),
        job.kind,
        cancel=cancel,
    )
    mask = np.zeros(volume.array.shape, np.uint8) if proposal.results else None
    for index, result in proposal.results.items():
        pasted = stack.planes[index].paste(result.probability, volume)
        pasted.sheet.put(mask, np.uint8(1), pasted.mask)
    sizes = {} if mask is None else measures(mask, volume.ijk_to_ras, axis)
    return {**_facts(proposal, stack, settings), **sizes}, mask


def proposal_file(job: Job, volume: PlainVolume, mask: np.ndarray | None) -> bytes:
    """The mask of a proposal as the content of a .seg.nrrd; equal jobs give equal bytes. Nothing found: no bytes."""
    from ...mrml.segment_files import segment_file

    structure = structure_from_json(job.structure)
    if mask is None:
        return b""
    return segment_file(mask, volume.ijk_to_ras, structure.name, structure.color, structure.terminology, "proposal")


@lru_cache(maxsize=2)
def _examples(folder: str, wanted: tuple[str, ...]) -> tuple[Any, ...]:
    """The examples of these ids in a context's folder: read once for all jobs of a run."""
    from ...core.context.context_set import ContextSet

    ids = set(wanted)
    return tuple(e for e in ContextSet(Path(folder)).examples if e.id in ids)


def _facts(proposal: Any, stack: Any, settings: Any) -> dict[str, Any]:
    from ...core.confidence import entropy_map
    from ..store.mask_delta import array_sha256, pack_bits, pack_map

    first = proposal.results.get(proposal.index)
    probability = np.zeros((stack.size, stack.size), np.float32) if first is None else first.probability
    return {
        "index": proposal.index,
        "confidence": round(proposal.confidence, 6),
        "informative": round(proposal.informative, 6),
        **({} if proposal.presence is None else {"presence": round(proposal.presence, 6)}),
        "examples": list(proposal.examples),
        "plane": stack.planes[proposal.index].to_json(),
        "image": settings.to_json(),
        "mask": pack_bits(probability > 0.5),
        "uncertainty": pack_map(entropy_map(probability)),
        "probability_sha256": array_sha256(probability),
    }

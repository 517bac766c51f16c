"""Ahead of the person, in threads: the next case is read, and cases that nobody has begun are predicted. No Qt.

The threads see arrays and files only. ``step``, which the host calls a few times a second, runs on the main thread and takes a few milliseconds:
it stores what was finished and hands out one thing at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ...core.errors import Cancelled, MultiverSegError
from ...core.notices import noticed
from ...core.predicting import Predictor
from ...core.worker import InferenceWorker
from ...engine.propose import is_due
from ..store.files import write_draft
from ..store.noticing import keep
from ..store.order import next_case
from ..store.records import IN_PROGRESS, TODO, Case, Structure
from ..work.case_nodes import plain_of_scene
from ..work.prefetch import CroppedMask, PrefetchedCase
from ..work.workflow import Desk
from .jobs import Job, job_for, job_volume, proposal_file, proposed, record_proposal

#: How many failures are told at once.
_TOLD = 5


@dataclass(frozen=True)
class ProposalProgress:
    """How far the proposals are: ``done`` of ``total``, ``failed`` by case."""

    done: int
    total: int
    failed: dict[str, str]

    def __str__(self) -> str:
        text = f"proposals {self.done} of {self.total}"
        return f"{text}, {len(self.failed)} failed" if self.failed else text

    @property
    def reasons(self) -> str:
        """The first failures, a line each."""
        return "\n".join(f"{case}: {reason}" for case, reason in list(self.failed.items())[:_TOLD])


@dataclass(frozen=True, eq=False)
class _ProposalResult:
    """What the thread made of a job: facts, the voxels (None: nothing found), their file, written beside its place, and what was noticed."""

    facts: dict[str, Any]
    cut: CroppedMask | None
    draft: Path | None
    told: tuple[str, ...] = ()


class Background:
    """Works ahead for a desk.

    Args:
        desk: whose cohort, open case and order of work count. Cohorts that are read-only are left alone.
        predictor: gives, for a function that says whether to stop, a predictor that may make the thread wait, for
            a person's prediction to be finished, say. Asked on the main thread; what it gives goes to another and holds no node.
        model: the name of the model that it predicts with.
        ready: whether predicting is possible at all (PyTorch is installed).
        warm_up: gives the function that gets the predictor ready, in the thread; asked once per cohort.
        may_show: whether a proposal may be put into a structure of the open case, where nothing is segmented yet.

    ``kind`` is "slice", "volume" or "" (no proposals; the next case is read all the same).
    """

    def __init__(
        self,
        desk: Desk,
        predictor: Callable[[Callable[[], bool]], Any],
        model: Callable[[], str],
        ready: Callable[[], bool] = lambda: True,
        may_show: Callable[[str], bool] = lambda structure: True,
        warm_up: Callable[[], Callable[[], None]] = lambda: lambda: None,
    ) -> None:
        self.desk = desk
        self.kind = "slice"
        self._predictor, self._model, self._ready, self._may_show = predictor, model, ready, may_show
        self._warm_up = warm_up
        self._reader, self._maker = InferenceWorker(), InferenceWorker()
        self._stop = threading.Event()
        self._cohort: Any = None
        self._reading = ""
        self._unreadable = ""
        self._job: Job | None = None
        self._failed: dict[tuple[str, str], dict[str, Any]] = {}
        self._listed: tuple[Any, list[tuple[Case, Structure]], int] = (None, [], 0)
        self._changed: list[str] = []

    # --- main thread

    @property
    def busy(self) -> bool:
        """Whether a thread is at work."""
        return self._job is not None or bool(self._reading) or any(worker.busy for worker in self.workers)

    @property
    def workers(self) -> tuple[InferenceWorker, InferenceWorker]:
        """Whose outcomes ``step`` takes; a host whose threads run only while it waits for them waits for these (see ``attend``)."""
        return self._reader, self._maker

    def step(self, order: str = "") -> list[str]:
        """Takes what is finished and hands out what is due; gives the cases whose proposals changed."""
        self._follow()
        changed, self._changed = self._changed, []
        self.take()
        if self._cohort is not None and not self._cohort.read_only:
            self._read_next(order)
            self._make_next(order)
        changed += self._changed
        self._changed = []
        return changed

    def take(self) -> None:
        """Takes what is finished, without handing anything out."""
        for worker in self.workers:
            worker.poll()

    def warm_up(self) -> None:
        """Gets the predictor ready (importing PyTorch takes seconds) before anything has to be predicted."""
        if self.kind and self._ready():
            self._maker.submit(self._warm_up(), lambda outcome: None)

    def standing(self, order: str = "") -> ProposalProgress:
        """How far the proposals are."""
        self._follow()
        if self._cohort is None or self._cohort.read_only or not self.kind:
            return ProposalProgress(0, 0, {})
        due, total = self._due(order)
        failed = {case: entry["reason"] for (case, _), entry in self._failed.items()}
        return ProposalProgress(max(0, total - len(due) - len(failed)), total, failed)

    def cancel(self) -> None:
        """Stops what the threads do; nothing of it is kept."""
        self._stop.set()
        self._stop = threading.Event()
        self._reader.cancel()
        self._maker.cancel()
        self._reading, self._job = "", None

    def close(self, wait: float = 0.5) -> list[InferenceWorker]:
        """Ends the threads. They may finish what they are in; nothing of it is kept. Gives those that have not after ``wait`` seconds."""
        self.cancel()
        return [worker for worker in self.workers if not worker.close(wait)]

    def _follow(self) -> None:
        """What was asked for another cohort is dropped."""
        if self.desk.cohort is not self._cohort:
            self.cancel()
            self._cohort, self._failed, self._unreadable = self.desk.cohort, {}, ""

    # --- reading ahead

    def _read_next(self, order: str) -> None:
        wanted = None if self._reading else self.desk.to_read(order)
        if wanted is None or wanted.case_id == self._unreadable:
            return
        self._reading = wanted.case_id
        cohort = self._cohort
        self._reader.submit(wanted.read, lambda outcome: self._was_read(cohort, wanted.case_id, outcome))

    def _was_read(self, cohort: Any, case_id: str, outcome: Any) -> None:
        if cohort is not self._cohort or case_id != self._reading:
            return
        self._reading = ""
        if isinstance(outcome, PrefetchedCase):
            self.desk.keep_ahead(outcome)
        else:
            self._unreadable = case_id  # opening it will say why

    # --- proposals

    def _make_next(self, order: str) -> None:
        if self._job is not None or not self.kind or not self._ready():
            return
        try:
            due, _ = self._due(order)
        except MultiverSegError:
            return  # a damaged context: the panel says so
        if not due:
            return
        case, structure = due[0]
        cohort = self._cohort
        job = job_for(cohort, case, structure, self._examples(structure.name), self.kind, model=self._model())
        ahead = self.desk.ahead
        volume = ahead.volume if ahead is not None and ahead.case_id == case.id else None
        try:
            volume = plain_of_scene(case) if case.volume.kind == "scene" else volume
        except MultiverSegError as error:
            self._fail(job, str(error))
            return
        self._job, stop = job, self._stop
        place = cohort.proposal_path(case.id, structure.name)
        work = partial(_made, job, self._predictor(stop.is_set), volume, place, stop)
        self._maker.submit(work, lambda outcome: self._finished(cohort, job, outcome))

    def _finished(self, cohort: Any, job: Job, outcome: Any) -> None:
        current = cohort is self._cohort and job is self._job
        if current:
            self._job = None
        if isinstance(outcome, _ProposalResult):
            if current:
                keep(cohort, outcome.told, job.case)
            if not (current and self._keep(job, outcome)) and outcome.draft is not None:
                outcome.draft.unlink(missing_ok=True)
        elif current and not isinstance(outcome, Cancelled):
            self._fail(job, str(outcome) or type(outcome).__name__)

    def _keep(self, job: Job, made: _ProposalResult) -> bool:
        """Stores a proposal, and shows it if its case was opened meanwhile. False if nobody wants it any more."""
        name = job.structure["name"]
        known = set(self._examples(name))
        if job.model != self._model() or not self._wanted(job.case, name) or not set(made.facts["examples"]) <= known:
            return False
        if made.draft is not None:
            made.draft.replace(self._cohort.proposal_path(job.case, name))
        event = record_proposal(self._cohort, job, made.facts, made.draft is not None)
        self._failed.pop((job.case, name), None)
        self._changed.append(job.case)
        if made.cut is not None:
            self.desk.keep_proposal(job.case, name, event["seq"], made.cut)
            if job.case == self.desk.case_id and self._may_show(name):
                self.desk.work.show_proposal(name, made.cut)
        return True

    def _fail(self, job: Job, reason: str) -> None:
        """Not tried again before the context has changed as much as makes any proposal due."""
        about = {"model": job.model, "kind": job.kind, "known": len(job.examples), "reason": reason}
        self._failed[job.case, job.structure["name"]] = about

    def _wanted(self, case_id: str, structure: str) -> bool:
        """Whether a case may have (another) proposal: nothing was done about the structure but opening the case."""
        case = self._cohort.state.cases.get(case_id)
        if case is None or case.status not in (TODO, IN_PROGRESS) or case.work(structure).touched:
            return False
        return case_id != self.desk.case_id or (self.desk.work.untouched(structure) and self._may_show(structure))

    def _due(self, order: str) -> tuple[list[tuple[Case, Structure]], int]:
        """(what is due, in the order in which it is wanted; number of all that may have a proposal)."""
        cohort, model = self._cohort, self._model()
        examples = {s.name: self._examples(s.name) for s in cohort.structures}
        here = [self.desk.case_id, *(self._wanted(self.desk.case_id, name) for name in examples if self.desk.case_id)]
        key = (cohort.state.seq, self.kind, model, order, here, len(self._failed), {n: (len(e), e[-1:]) for n, e in examples.items()})
        if self._listed[0] != key:
            self._listed = key, *self._list(order, model, examples)
        return self._listed[1], self._listed[2]

    def _list(self, order: str, model: str, examples: dict[str, tuple[str, ...]]) -> tuple[list[tuple[Case, Structure]], int]:
        state, wanted, after = self._cohort.state, [], self._cohort.setting("refresh_after")
        following = next_case(state, order, self.desk.case_id)
        first = [case_id for case_id in (self.desk.case_id, following.id if following else None) if case_id]
        place = list(state.cases).index(self.desk.case_id) if self.desk.case_id else 0
        for structure in state.structures.values():
            known = set(examples[structure.name])
            for number, case in enumerate(state.cases.values()):
                if not known or not self._wanted(case.id, structure.name):
                    continue
                proposal = case.work(structure.name).proposal or self._failed.get((case.id, structure.name), {})
                due = is_due(proposal, self.kind, model, known, after)
                rank = first.index(case.id) if case.id in first else len(first)
                wanted.append((not due, rank, bool(proposal), number < place, number, case, structure))
        wanted.sort(key=lambda entry: entry[:5])
        return [entry[5:] for entry in wanted if not entry[0]], len(wanted)

    def _examples(self, structure: str) -> tuple[str, ...]:
        return tuple(example.id for example in self.desk.contexts.teaching(structure))


def _made(job: Job, predictor: Predictor, volume: Any, place: Path, stop: threading.Event) -> _ProposalResult:
    """In the thread, with nothing of the application's in hand."""
    with noticed() as told:
        volume = volume if volume is not None else job_volume(job)
    facts, mask = proposed(job, predictor, volume, stop.is_set)
    content = proposal_file(job, volume, mask)
    draft = write_draft(place, content) if content and not stop.is_set() else None
    if stop.is_set():
        if draft is not None:
            draft.unlink(missing_ok=True)
        raise Cancelled("Cancelled.")
    return _ProposalResult(facts, None if mask is None else CroppedMask.of(mask), draft, tuple(told))

"""Accepting proposals as they are, several at once, without opening each case in a view. Main thread; no model is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ...core.errors import CohortError, MultiverSegError
from ..store.cohort import Cohort
from ..store.cohort_contexts import Contexts
from ..store.records import ACCEPTED, NEEDS_REVIEW, Case
from .accept_files import REVIEW, ToAccept
from .open_case import OpenCase


@dataclass
class Reviewed:
    """What was accepted (case -> structures), why others were not (case -> reason), and whether the user stopped it."""

    accepted: dict[str, list[str]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    cancelled: bool = False


def accept_proposals(
    cohort: Cohort,
    wanted: Mapping[str, Iterable[str] | None],
    contexts: Contexts | None = None,
    progress: Callable[[str, int, int], None] = lambda case, done, total: None,
    cancel: Callable[[], bool] = lambda: False,
) -> Reviewed:
    """Accepts the proposals of cases as they are; the journal says that it was done without opening them.

    A case that can't be accepted doesn't stop the others. What is accepted becomes an example, as always.

    Args:
        wanted: case id -> its structures (None: all that have a proposal).
        progress: called before each case with its id, the number of cases done and that of all.
        cancel: asked before each case.

    Raises:
        CohortError: read-only, or an unknown case or structure (then nothing is accepted).
    """
    cohort.check_writable()
    chosen = {cohort.case(case).id: _structures(cohort, names) for case, names in wanted.items()}
    done, contexts = Reviewed(), contexts or Contexts(cohort)
    for number, (case_id, names) in enumerate(chosen.items()):
        if cancel():
            done.cancelled = True
            done.left_out |= dict.fromkeys(list(chosen)[number:], "cancelled before it")
            break
        progress(case_id, number, len(chosen))
        try:
            done.accepted[case_id] = accept_proposal(cohort, case_id, names, contexts)
        except MultiverSegError as error:
            done.left_out[case_id] = str(error)
    return done


def send_to_review(cohort: Cohort, cases: Iterable[str], note: str = "") -> None:
    """Marks cases to be looked at again; their proposals stay.

    Raises:
        CohortError: read-only, or an unknown case (then none is marked).
    """
    cohort.check_writable()
    for case_id in [cohort.case(case).id for case in cases]:
        cohort.record("status", case=case_id, status=NEEDS_REVIEW, note=note)


def _structures(cohort: Cohort, names: Iterable[str] | None) -> list[str] | None:
    return None if names is None else [cohort.structure(name).name for name in names]


def accept_proposal(cohort: Cohort, case_id: str, names: Iterable[str] | None, contexts: Contexts) -> list[str]:
    """Accepts the proposals of one case, which is not open; gives its structures.

    Args:
        names: the structures; None: all that have a proposal.

    Raises:
        CohortError: there is no proposal, or it can't be accepted as it is.
        VolumeError, SegmentationError: a file is missing or damaged.
    """
    names = checked(cohort, case_id, names)
    ready = ToAccept.of(cohort, case_id, names)
    made = ready.prepare() if ready is not None else None
    return accept_by_nodes(cohort, case_id, names, contexts) if made is None else made.store(cohort, contexts)


def accept_by_nodes(cohort: Cohort, case_id: str, names: list[str], contexts: Contexts) -> list[str]:
    """``accept_proposal`` of a case in which something was done: it is opened for it, so that what there is is looked at and kept."""
    work = OpenCase(cohort, case_id, contexts=contexts)
    try:
        for name in names:
            work.show_proposal(name)
        return accept_shown(work, names)
    finally:
        work.close()


def accept_shown(work: OpenCase, names: Iterable[str]) -> list[str]:
    """Accepts proposals that are in an open case's segments as they are; gives the structures.

    Raises:
        CohortError: something was done about one of them.
    """
    names = list(names)
    for name in names:
        work.note_edits(name)
        if work.cohort.case(work.case_id).work(name).interactions:
            raise CohortError(
                f"The result of {name} in {work.case_id} is not the proposal any more: open the case, look at it, and accept it there."
            )
    return work.accept(names, via=REVIEW)


def checked(cohort: Cohort, case_id: str, names: Iterable[str] | None) -> list[str]:
    """The structures of a case whose proposals are to be accepted as they are (None: all that have one).

    Raises:
        CohortError: there is none, or one can't be accepted.
    """
    case = cohort.case(case_id)
    chosen = list(names) if names is not None else [name for name, work in case.works.items() if work.proposal]
    if not chosen:
        raise CohortError(f"Case {case_id} has no proposal: 'multiverseg propagate' makes them.")
    for name in chosen:
        _check(case, name)
    return chosen


def _check(case: Case, structure: str) -> None:
    """CohortError unless the structure's proposal can be accepted as it is."""
    work = case.work(structure)
    if work.status == ACCEPTED:
        raise CohortError(f"{structure} in {case.id} is accepted already.")
    if not work.proposal:
        raise CohortError(f"{structure} in {case.id} has no proposal: 'multiverseg propagate' makes them.")
    if work.interactions:
        raise CohortError(f"{structure} in {case.id} was worked on since it was proposed: open the case and accept it there.")
    if not work.proposal.get("file"):
        raise CohortError(f"The model found no {structure} in {case.id}: open the case, or accept the structure as absent.")
    if work.proposal.get("stale"):
        raise CohortError(f"The proposal of {structure} in {case.id} was made with an example that was taken out: have it proposed anew.")

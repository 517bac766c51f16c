"""What a second look leaves in the journal: notes about a case, and a reviewer's approval of what was accepted.

Who wrote or approved is the one who has the cohort open; a cohort that records no names keeps only when.
"""

from __future__ import annotations

from ...core.errors import CohortError
from .cohort import Cohort
from .records import ACCEPTED, Case

#: Characters of one note: it is a remark, not a document.
LONGEST_NOTE = 2000


def add_note(cohort: Cohort, case_id: str, text: str) -> None:
    """Writes a note about a case; earlier ones stay.

    Raises:
        CohortError: read-only, no such case, or a note that is empty or too long.
    """
    text = text.strip()
    if not text:
        raise CohortError("A note needs a text.")
    if len(text) > LONGEST_NOTE:
        raise CohortError(f"A note of {len(text)} characters is too long: at most {LONGEST_NOTE}.")
    cohort.record("note", case=cohort.case(case_id).id, text=text)


def approve(cohort: Cohort, case_id: str) -> None:
    """A reviewer approves the case as it was accepted. Any later change, or taking the acceptance back, takes the approval with it.

    Raises:
        CohortError: read-only, no such case, or it is not accepted.
    """
    case = cohort.case(case_id)
    if case.status != ACCEPTED:
        raise CohortError(f"Case {case_id} is {case.status}: only an accepted case can be approved.")
    cohort.record("approved", case=case_id, approved=True)


def withdraw_approval(cohort: Cohort, case_id: str) -> None:
    """Takes the approval of a case back; what was accepted stays accepted.

    Raises:
        CohortError: read-only, no such case, or it is not approved.
    """
    if not cohort.case(case_id).approved:
        raise CohortError(f"Case {case_id} is not approved.")
    cohort.record("approved", case=case_id, approved=False)


def own_work(case: Case) -> bool:
    """Whether who approved the case is one of those who accepted it, as far as names are recorded."""
    return bool(case.approved_by) and case.approved_by in {work.who for work in case.works.values()}


def lost_approval(before: Case, now: Case) -> str:
    """What is to be said where a case was approved before and is not now; empty: nothing."""
    return f"{now.id} is {now.note or 'no longer approved'}." if before.approved and not now.approved else ""

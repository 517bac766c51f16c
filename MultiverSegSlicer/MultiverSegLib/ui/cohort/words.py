"""What the states of a case are called to its reader, and how sure the model is beside the cases that were accepted before. No Qt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from slicer.i18n import tr as _

from ...cohort.results.proposals import Proposal
from ...cohort.store.records import ACCEPTED, IN_PROGRESS, NEEDS_REVIEW, SKIPPED, STATUSES, TODO, Case

PROPOSED = "proposed"
#: What a row of the table can say, in the order in which a case goes through it.
STATES = (*STATUSES[:1], PROPOSED, IN_PROGRESS, ACCEPTED, SKIPPED, NEEDS_REVIEW)
#: So many accepted cases with a confidence are needed before others can be compared with them.
ENOUGH = 4


def word(state: str) -> str:
    """A state in words that need no explanation."""
    words = {
        TODO: _("not begun"),
        PROPOSED: _("proposal"),
        IN_PROGRESS: _("in progress"),
        ACCEPTED: _("accepted"),
        SKIPPED: _("left out"),
        NEEDS_REVIEW: _("look again"),
    }
    return words[state]


def meaning(state: str) -> str:
    """What follows from a state, in a sentence."""
    meanings = {
        TODO: _("Nobody has done anything about it yet."),
        PROPOSED: _("The model has segmented it; nobody has accepted that yet."),
        IN_PROGRESS: _("Somebody has begun; it is not accepted yet."),
        ACCEPTED: _("It is done, and it is an example for the other cases."),
        SKIPPED: _("It is not segmented, and it is no example."),
        NEEDS_REVIEW: _("Somebody, or a change elsewhere, asks for another look at it."),
    }
    return meanings[state]


def size_of(row: Proposal) -> str:
    """How large a proposal is: a volume in ml, or the area of its one slice."""
    if not row.found:
        return _("nothing found")
    if row.volume_ml is not None:
        return _("{volume:.2f} ml").format(volume=row.volume_ml)
    if row.whole:
        return _("whole volume")
    return _("one slice") if row.area_mm2 is None else _("{area:.2f} cm²").format(area=row.area_mm2 / 100)


def remarks_on(row: Proposal) -> list[str]:
    """What else is to be known of a proposal."""
    said = (
        (_("made with an example that was taken out: have it proposed anew"), row.stale),
        (_("put aside to be looked at again"), row.to_review),
        (_("its case was opened since"), row.opened),
    )
    return [text for text, is_so in said if is_so]


def state_of(case: Case, structure: str) -> str:
    """What a row says: the case's status, but for a structure that is further (or less far) than its case."""
    work = case.work(structure)
    done = work.status == ACCEPTED and not work.doubt
    # what the model put in stays a proposal until the user accepts it or does something about it
    if work.proposal and not work.interactions and not done and case.status in (TODO, IN_PROGRESS):
        return PROPOSED
    if case.status in (ACCEPTED, IN_PROGRESS) and done:
        return ACCEPTED
    if case.status == ACCEPTED and work.status != ACCEPTED:
        return TODO
    return case.status


def confidence_of(case: Case, structure: str) -> float | None:
    """How sure the model is of a structure (the Dice to expect, 0..1): of its last prediction, else of its proposal."""
    work = case.work(structure)
    return work.confidence if work.confidence is not None else work.proposal.get("confidence")


@dataclass(frozen=True)
class Mark:
    """A confidence beside the accepted ones: ``sign`` (texts in this order are in the order of confidence), ``word`` and the sentence ``tip``."""

    sign: str = ""
    word: str = ""
    tip: str = ""


class Confidences:
    """What the accepted cases of a cohort say about a confidence. ``accepted``: their confidences, one per structure and case."""

    def __init__(self, accepted: Iterable[float | None]) -> None:
        values = [value for value in accepted if value is not None]
        self._count = len(values)
        self._low, self._high = np.percentile(values, (25, 75)) if values else (0.0, 1.0)

    @staticmethod
    def of(cases: Iterable[Case], structure: str) -> Confidences:
        """Those of the cases in which the structure is accepted."""
        works = (case.work(structure) for case in cases)
        return Confidences(work.confidence for work in works if work.status == ACCEPTED)

    def mark(self, confidence: float | None) -> Mark:
        """The mark of a confidence: below, within or above the middle half of the accepted cases."""
        if confidence is None:
            return Mark()
        number = _("Confidence {value:.2f}: the Dice to expect.").format(value=confidence)
        if self._count < ENOUGH:
            missing = _("It is compared with this cohort's accepted cases once there are {count}.").format(count=ENOUGH)
            return Mark("○○○", _("no comparison yet"), f"{number} {missing}")
        step = 0 if confidence < self._low else 2 if confidence > self._high else 1
        sign, name = (("●○○", _("lower than usual")), ("●●○", _("as usual")), ("●●●", _("higher than usual")))[step]
        usual = _("{word}: half of this cohort's {count} accepted cases lie between {low:.2f} and {high:.2f}.").format(
            word=name[:1].upper() + name[1:], count=self._count, low=self._low, high=self._high
        )
        return Mark(sign, name, f"{number} {usual}")

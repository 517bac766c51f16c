"""What a cohort's accepted results took: how many were accepted untouched, estimated and measured minutes. Reads the state only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...core.effort import estimated_seconds
from .records import ACCEPTED, Case

#: Over so many cases the share of those accepted untouched is taken along the cohort.
WINDOW = 10


@dataclass(frozen=True)
class Effort:
    """Of the accepted cases.

    Attributes:
        results: accepted structures in them.
        untouched: those of them that were accepted as the model gave them.
        estimated_s: seconds that their interactions take by ``core.effort``.
        active_s: measured seconds of active work.
    """

    results: int
    untouched: int
    estimated_s: float
    active_s: float

    @staticmethod
    def of(cases: Sequence[Case]) -> Effort:
        """Of those of the cases that are accepted."""
        accepted = [case for case in cases if case.status == ACCEPTED]
        works = [work for case in accepted for work in case.works.values() if work.status == ACCEPTED]
        return Effort(
            len(works),
            sum(work.untouched for work in works),
            sum(estimated_seconds(work.interactions) for work in works),
            sum(case.active_seconds for case in accepted),
        )

    @property
    def share(self) -> float | None:
        """Of the results that were accepted untouched, 0..1; None without any result."""
        return self.untouched / self.results if self.results else None

    @property
    def percent(self) -> str:
        """The share in words: "60 % (3 of 5)"."""
        return "" if self.share is None else f"{100 * self.share:.0f} % ({self.untouched} of {self.results})"


def untouched_along(done: Sequence[Case], structure: str) -> tuple[list[float], list[float]]:
    """Percent of a structure's results that were accepted untouched, over the last ``WINDOW`` cases at each of ``done`` (in the order of
    acceptance), and of each single one (0 or 100)."""
    single = [100.0 * case.work(structure).untouched for case in done]
    last = [single[max(0, n - WINDOW) : n] for n in range(1, len(single) + 1)]
    return [sum(values) / len(values) for values in last], single


def minutes(seconds: float) -> str:
    """ "0.4", "12": minutes with as many digits as tell something."""
    return f"{seconds / 60:.1f}" if seconds < 600 else f"{seconds / 60:.0f}"

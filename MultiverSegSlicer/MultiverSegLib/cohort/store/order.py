"""Which case comes next, and how far the work has come. Reads the state only."""

from __future__ import annotations

from dataclasses import dataclass

from ...core.errors import CohortError
from ...core.plugins import Plugin, Plugins
from .effort import Effort
from .records import ACCEPTED, SKIPPED, Case
from .reducer import State

_RECENT = 10


def _proposals(case: Case) -> list[dict]:
    return [dict(work.proposal) for work in case.works.values() if work.proposal]


def _least_certain(case: Case) -> float:
    """Lower comes first; cases without a proposal come last, in file order."""
    return min((p["confidence"] for p in _proposals(case) if p.get("confidence") is not None), default=float("inf"))


def _most_informative(case: Case) -> float:
    return -max((p["informative"] for p in _proposals(case) if p.get("informative") is not None), default=float("-inf"))


#: Orders of work: ``run`` gives a case's place (lower comes first; ties in file order). Another package adds one by the entry point
#: ``multiverseg.orders``.
ORDERS = Plugins(
    "order of work",
    "multiverseg.orders",
    CohortError,
    (
        Plugin("file order", "File order", "One after the other, as listed.", lambda case: 0.0),
        Plugin("least certain", "Least certain first", "The proposals that the model is least sure of come first.", _least_certain),
        Plugin("most informative", "Most informative first", "The cases that would teach the model most come first.", _most_informative),
    ),
)


def remaining(state: State, order: str = "") -> list[Case]:
    """The open cases, in the order in which to work on them (ties in file order).

    Args:
        order: "file order", "least certain" (lowest confidence of the proposals first), "most informative" (see ``propagate``);
            empty: the cohort's setting.

    Raises:
        CohortError: unknown order.
    """
    order = order or state.settings.get("order", "file order")
    return sorted((case for case in state.cases.values() if case.open), key=ORDERS.get(order).run)


def next_case(state: State, order: str = "", current: str | None = None) -> Case | None:
    """The case to work on after ``current``; None when nothing is left.

    In file order the search goes on behind ``current`` and begins anew at the top, so that a case put off is not offered at once again.
    """
    cases = remaining(state, order)
    if current is not None and (order or state.settings.get("order")) == "file order":
        places = {case_id: n for n, case_id in enumerate(state.cases)}
        cases.sort(key=lambda case: (places[case.id] - places[current] - 1) % len(places))
    return next((case for case in cases if case.id != current), None)


def previous_case(state: State, current: str) -> Case | None:
    """The case before ``current`` in file order, whatever its status; None at the top."""
    ids = list(state.cases)
    place = ids.index(current)
    return state.cases[ids[place - 1]] if place else None


@dataclass(frozen=True)
class Progress:
    """How far the work has come. ``clicks_per_case`` and ``seconds_per_case`` are means over the accepted cases (None before the first);
    ``untouched`` is the share of their results that were accepted as the model gave them; ``seconds_left`` estimates from the last ten."""

    done: int
    total: int
    clicks_per_case: float | None
    seconds_per_case: float | None
    seconds_left: float | None
    untouched: float | None = None

    def __str__(self) -> str:
        text = f"{self.done} of {self.total}"
        if self.clicks_per_case is not None:
            text += f", {self.clicks_per_case:.1f} clicks a case"
        if self.untouched is not None:
            text += f", {100 * self.untouched:.0f} % accepted untouched"
        if self.seconds_left is not None and self.done < self.total:
            text += f", about {_duration(self.seconds_left)} left"
        return text


def progress(state: State) -> Progress:
    """Progress of the cohort; skipped cases are done, but say nothing about clicks and time."""
    accepted = [case for case in state.cases.values() if case.status == ACCEPTED]
    done = len(accepted) + sum(case.status == SKIPPED for case in state.cases.values())
    if not accepted:
        return Progress(done, len(state.cases), None, None, None)
    recent = sorted(accepted, key=lambda case: max(work.when for work in case.works.values()))[-_RECENT:]
    pace = sum(case.active_seconds for case in recent) / len(recent)
    return Progress(
        done,
        len(state.cases),
        sum(case.clicks for case in accepted) / len(accepted),
        sum(case.active_seconds for case in accepted) / len(accepted),
        pace * (len(state.cases) - done),
        Effort.of(accepted).share,
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

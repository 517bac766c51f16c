"""How each event of the journal changes the cohort. The state is a fold over the journal; cohort.json only saves reading it all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ...core.errors import CohortError
from .checking import shown
from .events import check_event
from .journal import Event
from .records import (
    ACCEPTED,
    IN_PROGRESS,
    NEEDS_REVIEW,
    SKIPPED,
    STATUSES,
    TODO,
    Case,
    Structure,
    case_from_json,
    checked_settings,
    source_from_json,
    structure_from_json,
)

_SIZES = ("area_mm2", "volume_ml", "slices")
#: Why a result that was accepted is looked at again.
CHANGED = "changed after it was accepted"
#: What is said of a case that lost a reviewer's approval.
NO_LONGER_APPROVED = "no longer approved: {what} after {who} approved it"


@dataclass(frozen=True)
class State:
    """A cohort after event ``seq``: structures by name and cases by id, both in order, and the settings."""

    name: str = "cohort"
    seq: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    structures: Mapping[str, Structure] = field(default_factory=dict)
    cases: Mapping[str, Case] = field(default_factory=dict)

    def case(self, case_id: str) -> Case:
        """CohortError if there is none of that id."""
        if case_id not in self.cases:
            raise CohortError(f"The cohort has no case {case_id!r}; `multiverseg cohort status` lists them.")
        return self.cases[case_id]

    def structure(self, name: str) -> Structure:
        """CohortError if there is none of that name."""
        if name not in self.structures:
            known = ", ".join(self.structures) or "none yet"
            raise CohortError(f"The cohort has no structure {name!r}; it has: {known}.")
        return self.structures[name]

    def with_case(self, case: Case) -> State:
        """The state with ``case`` in place of the one of its id. What is not accepted (any more) is not approved either, and says so."""
        if case.approved and case.status != ACCEPTED:
            case = _not_approved(case, "changed")
        return replace(self, cases={**self.cases, case.id: case})


def _not_approved(case: Case, what: str) -> Case:
    """The case without its approval; its note says why, unless it says something else already."""
    said = NO_LONGER_APPROVED.format(what=what, who=case.approved_by or "a reviewer")
    return replace(case, approved_by="", approved_when="", note=case.note or said)


def after(state: State, event: Event) -> State:
    """The state once ``event`` has happened. Unknown kinds (of a later version) change nothing.

    Raises:
        CohortError: an unknown case or structure, or an event that lacks something.
    """
    check_event(event)
    change = _CHANGES.get(event["event"])
    try:
        state = change(state, event) if change else state
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CohortError(
            f"Event {event.get('seq')} of the journal ({event['event']!r}) is damaged ({error!r}): restore it from a copy."
        ) from error
    return replace(state, seq=event["seq"])


def _created(state: State, event: Event) -> State:
    structures = {s.name: s for s in map(structure_from_json, event["structures"])}
    return _cases(replace(state, name=event["name"], settings=checked_settings(event["settings"]), structures=structures), event)


def _structure(state: State, event: Event) -> State:
    structure = structure_from_json(event["structure"])
    return replace(state, structures={**state.structures, structure.name: structure})


def _cases(state: State, event: Event) -> State:
    return replace(state, cases={**state.cases, **{c.id: c for c in map(case_from_json, event["cases"])}})


def _setting(state: State, event: Event) -> State:
    return replace(state, settings=checked_settings({**state.settings, event["name"]: event["value"]}))


def _labels(state: State, event: Event) -> State:
    entry = case_from_json({"id": event["case"], "volume": {"kind": "file", "path": ""}, "labels": event["labels"]})
    return state.with_case(replace(state.case(event["case"]), labels=entry.labels))


def _status(state: State, event: Event) -> State:
    if event["status"] not in STATUSES:
        raise CohortError(f"Unknown status {shown(event['status'])}; known are {', '.join(STATUSES)}.")
    case = state.case(event["case"])
    if event["status"] == SKIPPED:  # what was accepted of it is no example any more
        for name, work in case.works.items():
            case = case.with_work(name, example="") if work.example else case
    return state.with_case(replace(case, status=event["status"], note=event.get("note", "")))


def _relinked(state: State, event: Event) -> State:
    case = replace(state.case(event["case"]), volume=source_from_json(event["volume"]))
    return _labels(state.with_case(case), event) if "labels" in event else state.with_case(case)


def _opened(state: State, event: Event) -> State:
    case = state.case(event["case"])
    return state.with_case(replace(case, status=IN_PROGRESS) if case.status == TODO else case)


def _worked_on(case: Case, structure: str, **changes: Any) -> Case:
    """Somebody did something about a structure: what was left out or accepted is in progress again."""
    work = case.work(structure)
    if work.status in (TODO, ACCEPTED):
        changes["status"] = IN_PROGRESS
    if work.status == ACCEPTED:
        changes |= {"doubt": work.doubt or CHANGED, "absent": False, "via": ""}
    if case.status in (TODO, SKIPPED, ACCEPTED):
        case = replace(case, status=IN_PROGRESS)
    return case.with_work(structure, **changes)


def _prompt(state: State, event: Event) -> State:
    return _interacted(state, event, event["counts"]) if event["counts"] else state


def _edited(state: State, event: Event) -> State:
    return _interacted(state, event, {"edit": 1})


def _command(state: State, event: Event) -> State:
    return _interacted(state, event, {event["command"]: 1})


def _interacted(state: State, event: Event, counts: Mapping[str, int]) -> State:
    case = state.case(event["case"])
    done = dict(case.work(event["structure"]).interactions)
    for kind, number in counts.items():
        done[kind] = done.get(kind, 0) + number
    return state.with_case(_worked_on(case, event["structure"], interactions=done))


def _predicted(state: State, event: Event) -> State:
    case = state.case(event["case"])
    work = case.work(event["structure"])
    if work.status == ACCEPTED and not event.get("change"):
        return state  # looked at once more, and nothing came of it
    facts = {
        "model": event["model"],
        "context_size": len(event["examples"]),
        "confidence": event["confidence"],
        "predicted_with": tuple(dict.fromkeys((*work.predicted_with, *event["examples"]))),
        "first_prediction": work.first_prediction or event["seq"],
    }
    return state.with_case(_worked_on(case, event["structure"], **facts))


_PROPOSED = ("kind", "model", "examples", "confidence", "informative", "signature", "known", "file", "index", *_SIZES)


def _proposed(state: State, event: Event) -> State:
    case = state.case(event["case"])
    proposal = {k: event[k] for k in _PROPOSED if k in event}
    return state.with_case(case.with_work(event["structure"], proposal={**proposal, "seq": event["seq"]}))


def _active(state: State, event: Event) -> State:
    case = state.case(event["case"])
    return state.with_case(replace(case, active_seconds=round(case.active_seconds + event["seconds"], 3)))


def _accepted(state: State, event: Event) -> State:
    case = state.case(event["case"])
    kept = ("first_vs_accepted_dice", "example", *_SIZES, "mask_sha256")
    changes = {"absent": False, "via": "", **{k: event[k] for k in (*kept, "absent", "via") if k in event}}
    if "saved_dice" in event:  # as the first version called it
        changes.setdefault("first_vs_accepted_dice", event["saved_dice"])
    work = case.work(event["structure"])
    if changes.get("absent") and work.proposal and not work.proposal.get("file"):  # as the model said, too
        changes["first_prediction"] = work.first_prediction or work.proposal["seq"]
    case = case.with_work(event["structure"], status=ACCEPTED, who=event["who"], when=event["time"], doubt="", proposal={}, **changes)
    done = all(case.work(name).status == ACCEPTED and not case.work(name).doubt for name in state.structures)
    case = replace(case, status=ACCEPTED if done else IN_PROGRESS, note="")
    return state.with_case(_not_approved(case, "accepted anew") if case.approved else case)


def _reopened(state: State, event: Event) -> State:
    """The acceptance of the case, or of some ``structures`` of it, is taken back, and what it gave to the contexts with it."""
    case = state.case(event["case"])
    for name in event.get("structures", tuple(case.works)):
        work = case.work(name)
        if work.status == ACCEPTED or work.example:
            case = case.with_work(name, status=IN_PROGRESS, example="", doubt="", absent=False, via="")
    return state.with_case(replace(case, status=IN_PROGRESS))


def _note(state: State, event: Event) -> State:
    case = state.case(event["case"])
    note = {"who": event["who"], "time": event["time"], "text": event["text"]}
    return state.with_case(replace(case, notes=(*case.notes, note)))


def _approved(state: State, event: Event) -> State:
    case = state.case(event["case"])
    if not event["approved"]:
        return state.with_case(replace(case, approved_by="", approved_when=""))
    if case.status != ACCEPTED:
        raise CohortError(f"Case {case.id} is {case.status}: only an accepted case can be approved.")
    return state.with_case(replace(case, approved_by=event["who"], approved_when=event["time"]))


def _example_added(state: State, event: Event) -> State:
    return state.with_case(state.case(event["case"]).with_work(event["structure"], example=event["example"]))


def _example_removed(state: State, event: Event) -> State:
    """Marks all that was predicted with the example: accepted results need review, proposals are to be made anew."""
    doubt = f"predicted with the removed example of {event.get('source') or event['example']}"
    for case in list(state.cases.values()):
        work = case.work(event["structure"])
        if event["example"] in work.proposal.get("examples", ()):
            case = case.with_work(event["structure"], proposal={**work.proposal, "stale": True})
        if event["example"] in work.predicted_with:
            case = case.with_work(event["structure"], doubt=doubt)
            case = replace(case, status=NEEDS_REVIEW, note=doubt) if case.status == ACCEPTED else case
        if work.example == event["example"]:
            case = case.with_work(event["structure"], example="")
        if case is not state.cases[case.id]:
            state = state.with_case(case)
    return state


_CHANGES: dict[str, Callable[[State, Event], State]] = {
    "created": _created,
    "structure": _structure,
    "cases": _cases,
    "setting": _setting,
    "labels": _labels,
    "relinked": _relinked,
    "status": _status,
    "opened": _opened,
    "prompt": _prompt,
    "undone": _prompt,
    "edited": _edited,
    "predicted": _predicted,
    "shown": _predicted,
    "propagated": _predicted,
    "command": _command,
    "proposed": _proposed,
    "active": _active,
    "accepted": _accepted,
    "reopened": _reopened,
    "note": _note,
    "approved": _approved,
    "example added": _example_added,
    "example removed": _example_removed,
}

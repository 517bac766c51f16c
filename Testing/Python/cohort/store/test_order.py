"""The order of work, and the line that says how far it has come."""

import pytest
from MultiverSegLib.cohort.store.order import next_case, previous_case, progress, remaining
from MultiverSegLib.cohort.store.records import ACCEPTED, IN_PROGRESS, NEEDS_REVIEW, SKIPPED, Case, Source
from MultiverSegLib.cohort.store.reducer import State
from MultiverSegLib.core.errors import CohortError


def case(name, status="todo", confidence=None, informative=None, clicks=0, seconds=0.0, when="1"):
    work = {"status": status, "interactions": {"box": clicks} if clicks else {}, "when": when}
    if confidence is not None:
        work["proposal"] = {"confidence": confidence, "informative": informative}
    return Case(name, Source("file", "x"), status=status, active_seconds=seconds).with_work("liver", **work)


def state(*cases, **settings):
    return State(cases={c.id: c for c in cases}, settings=settings)


def ids(cases):
    return [c.id for c in cases]


def test_orders():
    some = state(
        case("a"),
        case("b", confidence=0.9, informative=0.1),
        case("c", SKIPPED, 0.0),
        case("d", IN_PROGRESS, 0.2, 0.9),
        case("e", ACCEPTED),
        case("f", NEEDS_REVIEW, 0.5, 0.5),
    )
    assert ids(remaining(some)) == ["a", "b", "d", "f"]
    assert ids(remaining(some, "least certain")) == ["d", "f", "b", "a"]
    assert ids(remaining(some, "most informative")) == ["d", "f", "b", "a"]
    with pytest.raises(CohortError, match="file order"):
        remaining(some, "random")


def test_next_goes_on_behind_and_begins_anew():
    some = state(case("a"), case("b", ACCEPTED), case("c"), case("d"), order="file order")
    assert [next_case(some, current=c).id for c in (None, "a", "b", "c", "d")] == ["a", "c", "c", "d", "a"]
    assert next_case(state(case("a")), current="a") is None and next_case(state(case("b", ACCEPTED))) is None
    assert previous_case(some, "c").id == "b" and previous_case(some, "a") is None
    uncertain = state(case("a", confidence=0.1), case("b", confidence=0.9), order="least certain")
    assert next_case(uncertain, current="b").id == "a"


def test_progress_says_what_is_left():
    assert str(progress(state(case("a"), case("b", SKIPPED)))) == "1 of 2"
    cases = [case(f"{n}", ACCEPTED, clicks=3, seconds=60.0) for n in range(10)] + [case(f"x{n}") for n in range(50)]
    cases[0] = case("0", ACCEPTED, clicks=4, seconds=60.0)
    assert str(progress(state(*cases))) == "10 of 60, 3.1 clicks a case, 0 % accepted untouched, about 50 min left"
    assert str(progress(state(*cases[:10]))) == "10 of 10, 3.1 clicks a case, 0 % accepted untouched"


def test_the_estimate_follows_the_recent_pace():
    slow = [case(f"s{n}", ACCEPTED, seconds=600.0, when=f"1{n:02d}") for n in range(10)]
    fast = [case(f"f{n}", ACCEPTED, seconds=6.0, when=f"2{n:02d}") for n in range(10)]
    left = progress(state(*fast, *slow, *[case(f"t{n}") for n in range(10)]))
    assert left.seconds_left == pytest.approx(60.0) and str(left).endswith("about 60 s left")

"""Minutes from interactions, and how many results were accepted untouched."""

import pytest
from MultiverSegLib.cohort.store.effort import Effort, minutes, untouched_along
from MultiverSegLib.cohort.store.records import Case, Source, StructureProgress
from MultiverSegLib.core.effort import SOURCE, estimated_seconds


def case(name, interactions, seconds, status="accepted", first=1):
    work = StructureProgress(status=status, interactions=interactions, first_prediction=first, when=name)
    return Case(name, Source("file", "x"), status=status, active_seconds=seconds, works={"liver": work})


def test_seconds_are_those_of_the_paper():
    assert estimated_seconds({}) == 0
    assert estimated_seconds({"positive point": 3, "negative point": 1}) == 20
    assert estimated_seconds({"box": 2}) == estimated_seconds({"positive scribble": 1, "negative scribble": 1}) == 20
    assert estimated_seconds({"edit": 2, "undo": 1}) == 165
    assert all(number in SOURCE for number in ("5 s a click", "10 s a box", "80 s a drawn slice"))


def test_effort_counts_accepted_cases_only():
    cases = [
        case("a", {"positive point": 12}, 50.0),
        case("b", {}, 4.0),
        case("c", {}, 6.0, first=None),  # drawn elsewhere: the model gave nothing
        case("d", {"box": 9}, 99.0, status="in progress"),
    ]
    effort = Effort.of(cases)
    assert (effort.results, effort.untouched, effort.estimated_s, effort.active_s) == (3, 1, 60.0, 60.0)
    assert effort.share == pytest.approx(1 / 3) and effort.percent == "33 % (1 of 3)"
    assert Effort.of(cases[3:]).share is None and Effort.of([]).percent == ""


def test_the_share_along_the_cohort_is_that_of_the_last_ten():
    done = [case(str(n), {} if n >= 10 else {"edit": 1}, 1.0) for n in range(20)]
    share, single = untouched_along(done, "liver")
    assert single == [0.0] * 10 + [100.0] * 10
    assert share == [0.0] * 10 + [10.0 * n for n in range(1, 11)]


def test_minutes_have_the_digits_that_tell_something():
    assert [minutes(s) for s in (0, 24, 599, 600, 7231)] == ["0.0", "0.4", "10.0", "10", "121"]

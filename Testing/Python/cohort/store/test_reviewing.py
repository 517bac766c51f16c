"""Notes, a reviewer's approval and absence: what they leave in the journal, and what takes an approval back."""

import json

import jsonschema
import pytest
from MultiverSegLib.cohort.store.cohort import Cohort, snapshot
from MultiverSegLib.cohort.store.reviewing import LONGEST_NOTE, add_note, approve, lost_approval, own_work, withdraw_approval
from MultiverSegLib.core.errors import CohortError
from MultiverSegLib.core.resources import resource_path

from ..helpers import paper_cohort

EDIT = {"case": "a", "structure": "liver", "change": None}


@pytest.fixture
def folder(tmp_path):
    with paper_cohort(tmp_path / "c", who="Ann") as cohort:
        cohort.record("accepted", case="a", structure="liver", example="")
    return tmp_path / "c"


def test_notes_stay_with_who_wrote_them_and_when(folder):
    with Cohort.open(folder, who="Ann") as cohort:
        add_note(cohort, "a", " motion ")
    with Cohort.open(folder, who="Bob") as cohort:
        add_note(cohort, "a", "no, it is fine")
        for text, message in (("  ", "needs a text"), ("x" * (LONGEST_NOTE + 1), "too long")):
            with pytest.raises(CohortError, match=message):
                add_note(cohort, "a", text)
        with pytest.raises(CohortError, match="no case"):
            add_note(cohort, "z", "?")
    (folder / "cohort.json").unlink()  # the journal alone tells it
    notes = Cohort.open(folder, read_only=True).case("a").notes
    assert [(n["who"], n["text"]) for n in notes] == [("Ann", "motion"), ("Bob", "no, it is fine")]
    assert notes[0]["time"] <= notes[1]["time"]


def test_an_approval_says_who_and_survives_reopening(folder):
    with Cohort.open(folder, who="Bob") as cohort:
        with pytest.raises(CohortError, match="only an accepted case"):
            approve(cohort, "b")
        approve(cohort, "a")
        assert not own_work(cohort.case("a"))
    case = Cohort.open(folder, read_only=True).case("a")
    assert case.approved and case.approved_by == "Bob" and case.work("liver").who == "Ann"
    jsonschema.validate(
        json.loads((folder / "cohort.json").read_text()), json.loads(resource_path("Schemas", "cohort.schema.json").read_text())
    )


def test_who_accepted_it_is_no_second_reader(folder):
    with Cohort.open(folder, who="Ann") as cohort:
        approve(cohort, "a")
        assert own_work(cohort.case("a"))


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (("edited", EDIT), "changed after Bob approved it"),
        (("reopened", {"case": "a", "structures": ["liver"]}), "changed after Bob approved it"),
        (("accepted", {"case": "a", "structure": "liver", "example": ""}), "accepted anew after Bob approved it"),
        (("status", {"case": "a", "status": "needs review", "note": "look at the tip"}), "look at the tip"),
    ],
)
def test_what_changes_an_approved_case_takes_its_approval_and_says_so(folder, event, said):
    with Cohort.open(folder, who="Bob") as cohort:
        approve(cohort, "a")
        before = cohort.case("a")
        kind, fields = event
        cohort.record(kind, **fields)
        now = cohort.case("a")
        assert not now.approved and said in now.note and said in lost_approval(before, now)
        assert lost_approval(now, now) == ""


def test_looking_and_writing_notes_leave_an_approval_alone(folder):
    with Cohort.open(folder, who="Bob") as cohort:
        approve(cohort, "a")
        cohort.record("opened", case="a")
        add_note(cohort, "a", "good")
        cohort.record("active", case="a", seconds=3.0)
        assert cohort.case("a").approved
        withdraw_approval(cohort, "a")
        assert not cohort.case("a").approved and cohort.case("a").status == "accepted" and cohort.case("a").note == ""
        with pytest.raises(CohortError, match="not approved"):
            withdraw_approval(cohort, "a")


def test_a_cohort_without_names_keeps_only_when(tmp_path):
    with paper_cohort(tmp_path / "c", who="Ann", names=False) as cohort:
        cohort.record("accepted", case="a", structure="liver", example="")
        approve(cohort, "a")
        add_note(cohort, "a", "good")
        assert cohort.case("a").approved and not cohort.case("a").approved_by and cohort.case("a").notes[0]["who"] == ""
        assert "Ann" not in json.dumps(snapshot(cohort.state)) + (tmp_path / "c/journal.jsonl").read_text()


def test_absence_that_the_model_said_too_is_a_result_accepted_untouched(tmp_path):
    with paper_cohort(tmp_path / "c") as cohort:
        cohort.record("proposed", case="a", structure="liver", confidence=0.0, index=3)
        for case in ("a", "b"):
            cohort.record("accepted", case=case, structure="liver", example="e" + case, absent=True)
        works = {case: cohort.case(case).work("liver") for case in ("a", "b")}
        assert works["a"].untouched and not works["b"].untouched, "the model had said nothing about b"
        assert all(work.absent for work in works.values()) and cohort.case("a").remark("liver") == "accepted as absent"
        cohort.record("edited", **EDIT)
        assert not cohort.case("a").work("liver").absent, "somebody drew it after all"

"""What the report says of effort, approval, absence, notes and proposals: numbers that were counted here by hand."""

import csv

import pytest
from MultiverSegLib.cohort.results.report import build_report, methods_paragraph, table_csv
from MultiverSegLib.cohort.store.reviewing import add_note, approve

from ..helpers import paper_cohort

PROMPTS = {"op": "set", "prompts": []}


@pytest.fixture
def cohort(tmp_path):
    """a: two clicks; b: untouched; c: absent, as the model said; d: a proposal."""
    with paper_cohort(tmp_path / "c", cases=4, who="Ann") as opened:
        predicted = {"structure": "liver", "model": "bright", "examples": [], "confidence": 0.9, "change": {}}
        for case in "ab":
            opened.record("predicted", case=case, **predicted)
        opened.record("prompt", case="a", structure="liver", counts={"positive point": 2}, **PROMPTS)
        opened.record("active", case="a", seconds=90.0)
        opened.record("proposed", case="c", structure="liver", confidence=0.1)
        opened.record("proposed", case="d", structure="liver", confidence=0.5, file="proposals/d.seg.nrrd")
        for case in "ab":
            opened.record("accepted", case=case, structure="liver", example="", slices=3, volume_ml=2.0)
        opened.record("accepted", case="c", structure="liver", example="", absent=True, slices=0, volume_ml=0.0)
        yield opened


def test_untouched_minutes_and_absence_are_counted(cohort):
    page = build_report(cohort, [], [])
    assert page.figures["accepted untouched"] == "67 % (2 of 3)"
    assert page.figures["minutes of interaction, estimated"] == "0.2" and page.figures["minutes of active work, measured"] == "1.5"
    plot = next(plot for plot in page.plots if plot.title == "Accepted untouched")
    assert list(plot.curves[0].dots) == [0.0, 100.0, 100.0] and list(plot.curves[0].y) == pytest.approx([0, 50, 200 / 3])
    text = methods_paragraph(cohort)
    assert "67 % (2 of 3) of the results were accepted as the model gave them" in text
    assert "0.2 minutes (estimated with 5 s a click, 10 s a box and 80 s a drawn slice, as in the WS-ICL paper); 1.5 minutes" in text
    assert "1 of the results says that the structure is not in the volume." in text and "approved" not in text
    rows = {row["case"]: row for row in csv.DictReader(table_csv(cohort).splitlines())}
    assert [rows[c]["untouched"] for c in "abcd"] == ["", "yes", "yes", ""] and [rows[c]["absent"] for c in "abc"] == ["", "", "yes"]
    assert rows["a"]["estimated_seconds"] == "10.0" and page.proposal_count == 1


def test_approvals_and_notes_are_told_with_names_or_without(cohort, tmp_path):
    cohort.journal.who = "Bob"
    approve(cohort, "b")
    add_note(cohort, "b", "=cyst beside it")
    text = methods_paragraph(cohort)
    assert "1 of the 3 accepted cases was approved by a reviewer (Bob)." in text
    cohort.journal.who = "Ann"
    approve(cohort, "a")
    assert "2 of the 3 accepted cases were approved by a reviewer (Ann and Bob), 1 of them by the person who had" in methods_paragraph(
        cohort
    )
    page = build_report(cohort, [], [])
    assert page.figures["approved by a reviewer"] == "2 of 3" and any("Bob: =cyst beside it" in note for note in page.notes)
    assert any("where it is not approved by another one" in note for note in page.notes)
    row = next(row for row in csv.DictReader(table_csv(cohort).splitlines()) if row["case"] == "b")
    assert row["approved_by"] == "Bob" and row["approved_when"] and row["notes"] == "'=cyst beside it", "no formula for a spreadsheet"

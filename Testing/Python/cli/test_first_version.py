"""A journal, a cohort, a context, a model and a segmentation that the first version wrote are opened, and work goes on with them.

What they must say was printed by the first version itself (see first_version/README.md).
"""

import shutil
from pathlib import Path

import pytest
import SimpleITK as sitk
from MultiverSegLib.cohort.store.cohort import Cohort
from MultiverSegLib.cohort.store.journal import Journal
from MultiverSegLib.core.context.context_set import ContextSet

WRITTEN = Path(__file__).with_name("first_version")
EXAMPLES = {"p0": "df5c203a9c959fac", "p2": "bca575fe55a67c15", "p3": "153797013e33f42e"}
FORGOTTEN = "bea859521b7d9880"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the first version's files, and the current folder."""
    shutil.copytree(WRITTEN, tmp_path / "first")
    monkeypatch.chdir(tmp_path / "first")
    return tmp_path / "first"


def test_the_cohort_says_what_it_said(folder):
    cohort = Cohort.open(folder / "study", read_only=True)
    assert [c.status for c in cohort.cases] == ["todo", "accepted", "needs review", "needs review", "skipped", "in progress"]
    assert [(s.name, s.axis) for s in cohort.structures] == [("blob", "axial")]
    assert cohort.case("p4").note == "motion"
    work = cohort.case("p1").work("blob")
    assert (work.area_mm2, work.volume_ml, dict(work.interactions)) == (93.6, 1.0908, {"edit": 1})
    assert dict(cohort.case("p5").work("blob").interactions) == {"positive point": 1}


def test_the_journal_tells_the_same_as_the_snapshot(folder):
    snapshot = Cohort.open(folder / "study", read_only=True)
    (folder / "study" / "cohort.json").unlink()
    told = Cohort.open(folder / "study", read_only=True)
    assert told.structures == snapshot.structures
    for one, other in zip(told.cases, snapshot.cases, strict=True):
        # Which example an imported label became is in the journal; the first version's snapshot left it out.
        assert one.with_work("blob", example="") == other.with_work("blob", example="")
    assert told.case("p0").work("blob").example == EXAMPLES["p0"]


def test_the_journal_is_read_to_its_end(folder):
    events = list(Journal(folder / "study" / "journal.jsonl").events())
    assert [e["seq"] for e in events] == list(range(1, 28))
    assert events[0]["event"] == "created" and events[-1]["event"] == "example removed"


def test_both_contexts_open_with_their_pictures(folder):
    of_cohort = ContextSet(folder / "study/context/blob")
    assert {e.case: e.id for e in of_cohort.examples} == EXAMPLES
    for name, number in (("p0", 0), ("p1", 1)):
        example = ContextSet(folder / "context").examples[number]
        written = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"context/mask_{number}.png"))) > 127
        assert example.case == name and example.image.shape == (128, 128) and (example.mask == written).all()


def test_work_goes_on(folder, command):
    assert command("cohort", "replay", "study", "p1").out.strip() == "p1: 2 steps, identical"

    done = command("cohort", "predict", "study", "p5", "--prompts", "p5.mrk.json", "--accept")
    assert done.code == 0, done.err
    done = command("cohort", "accept", "study", "p0", "--segmentation", "scans/labels/p0.nrrd")
    assert done.code == 0, done.err
    assert command("cohort", "forget", "study", "p2").code == 0
    done = command("cohort", "report", "study")
    assert done.code == 0 and "motion" in (folder / "study/report.html").read_text(), done.err

    cohort = Cohort.open(folder / "study", read_only=True)
    assert [c.status for c in cohort.cases][:2] == ["accepted", "accepted"] and cohort.case("p4").status == "skipped"
    first = (WRITTEN / "study/journal.jsonl").read_text().splitlines()
    now = (folder / "study/journal.jsonl").read_text().splitlines()
    assert now[: len(first)] == first and len(now) > len(first), "what was written stays as it was"
    assert FORGOTTEN not in {e.id for e in ContextSet(folder / "study/context/blob").examples}


def test_a_segmentation_is_gone_on_with_its_model_and_context(folder, command):
    before = sitk.ReadImage("p2.seg.nrrd")
    result = command(
        *("segment", "scans/images/p2.nrrd", "--segmentation", "p2.seg.nrrd", "--prompts", "p2.mrk.json"),
        *("--model", "tiny.pt", "--context", "context", "-o", "more.seg.nrrd"),
    )
    assert result.code == 0 and "examples: 2" in result.out + result.err, result.err
    after = sitk.ReadImage("more.seg.nrrd")
    assert sitk.GetArrayFromImage(after).any()
    assert after.GetMetaData("Segment0_Name") == before.GetMetaData("Segment0_Name")

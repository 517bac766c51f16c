"""Notes, approval, absence and the proposals, as typed."""

import re

import pytest
from MultiverSegLib.cohort.batch.jobs import propagate, run_job
from MultiverSegLib.cohort.store.cohort import Cohort
from MultiverSegLib.cohort.work.labels_to_context import labels_to_context

from ..cohort.model import BrightModel
from ..cohort.volumes import real_cohort


@pytest.fixture
def study(tmp_path):
    real_cohort(tmp_path, 2).close()
    return tmp_path / "cohort"


def test_a_note_is_kept_and_shown(study, command):
    done = command("cohort", "note", study, "p0", "motion in the upper slices")
    assert done.code == 0 and done.out.strip() == "p0: 1 note", done.err
    assert "motion in the upper slices" in command("cohort", "status", study).out
    assert "needs a text" in command("cohort", "note", study, "p0", " ").error_line
    assert "no case 'p9'" in command("cohort", "note", study, "p9", "x").error_line


def test_an_approval_is_given_shown_lost_and_said(study, command, tmp_path):
    assert "only an accepted case can be approved" in command("cohort", "approve", study, "p0").error_line
    label = tmp_path / "data/labels/p0.nrrd"
    assert command("cohort", "accept", study, "p0", "--segmentation", label).code == 0
    done = command("cohort", "approve", study, "p0")
    assert done.code == 0 and done.out.startswith("p0 is approved by "), done.err
    assert "who accepted it too: no second reader" in done.out, "the same login accepted it"
    who = done.out.split()[4].rstrip(",")
    row = next(line for line in command("cohort", "status", study).out.splitlines() if line.startswith("p0\t"))
    assert row.split("\t")[7] == who
    again = command("cohort", "accept", study, "p0", "--segmentation", label)
    assert again.code == 0 and "no longer approved: accepted anew" in again.err
    assert command("cohort", "approve", study, "p0").code == 0
    assert command("cohort", "approve", study, "p0", "--withdraw").out.strip() == "p0 is accepted, and not approved"


def test_absence_is_accepted(study, command):
    done = command("cohort", "accept", study, "p0", "--absent")
    assert done.code == 0 and done.out.strip() == "p0: blob accepted as absent; the case is accepted", done.err
    assert "accepted as absent" in command("cohort", "status", study).out
    assert command("cohort", "accept", study, "p1", "--absent", "--proposal").code == 2
    with Cohort.open(study, read_only=True) as cohort:
        assert cohort.case("p0").work("blob").absent


class Here:
    def run(self, jobs):
        for job in jobs:
            yield run_job(job, BrightModel())


@pytest.fixture
def proposed(host, tmp_path):
    """p0 is the example; p1 to p3 have proposals, of which the model is 0.95, 0.85 and 0.3 sure."""
    with real_cohort(tmp_path, 4, model="bright") as cohort:
        labels_to_context(cohort, "blob", ["p0"])
        cohort.record("status", case="p0", status="skipped")
        propagate(cohort, Here())
        for case, confidence in (("p1", 0.95), ("p2", 0.85), ("p3", 0.3)):
            seq = cohort.case(case).work("blob").proposal["seq"]
            event = next(cohort.journal.events(after=seq - 1))
            fields = {k: v for k, v in event.items() if k not in ("seq", "time", "who", "event")}
            cohort.record("proposed", **{**fields, "confidence": confidence})
    return tmp_path / "cohort"


def statuses(study):
    return {case.id: case.status for case in Cohort.open(study, read_only=True).cases}


def test_the_proposals_become_a_page_and_the_page_a_command(proposed, command, tmp_path):
    done = command("cohort", "review", proposed)
    assert done.code == 0 and done.out.strip() == str(proposed / "proposals.html"), done.err
    page = (proposed / "proposals.html").read_text(encoding="utf-8")
    assert re.findall(r'data-key="([^"]+)"', page) == ["p3", "p2", "p1"] and f"multiverseg cohort review {proposed}" in page
    assert command("cohort", "review", proposed, "--out", tmp_path / "other.html").code == 0 and (tmp_path / "other.html").is_file()
    assert set(statuses(proposed).values()) == {"skipped", "todo"}, "a page decides nothing"


def test_what_was_decided_on_the_page_is_done(proposed, command):
    done = command("cohort", "review", proposed, "--accept-above", "0.8", "--send-to-review", "p2", "--note", "cut off")
    assert done.code == 0 and "p1: blob accepted" in done.out and "p2: to be looked at again" in done.out, done.err
    assert statuses(proposed) == {"p0": "skipped", "p1": "accepted", "p2": "needs review", "p3": "todo"}
    assert "cut off" in command("cohort", "status", proposed).out
    done = command("cohort", "review", proposed, "--accept", "p3:blob", "--accept", "p1")
    assert done.code == 1 and "p3: blob accepted" in done.out and "p1: Case p1 has no proposal" in done.err.replace("\n", " ")
    assert "No proposal has a confidence of 0.9 or more" in command("cohort", "review", proposed, "--accept-above", "0.9").out


def test_what_makes_no_sense_is_refused_before_anything_is_done(proposed, command):
    for arguments in (
        ("--accept", "p1", "--send-to-review", "p1"),
        ("--accept-above", "0.5", "--out", "x.html"),
        ("--accept-above", "1.5"),
    ):
        assert command("cohort", "review", proposed, *arguments).code == 2
    assert "no case 'p9'" in command("cohort", "review", proposed, "--accept", "p1", "--send-to-review", "p9").error_line
    assert "no structure 'spleen'" in command("cohort", "review", proposed, "--accept", "p1:spleen").error_line
    assert set(statuses(proposed).values()) == {"skipped", "todo"}

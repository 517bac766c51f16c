"""The proposals that wait: worst first, with their picture and size; accepted as they are, put aside, and never one that can't be."""

import re
import shutil
import threading
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
import SimpleITK as sitk
from MultiverSegLib.cohort.batch.jobs import propagate, run_job
from MultiverSegLib.cohort.results.proposals import image_of, proposals
from MultiverSegLib.cohort.results.proposals_page import proposal_card, write_proposals_page
from MultiverSegLib.cohort.store.cohort import Cohort
from MultiverSegLib.cohort.store.cohort_contexts import Contexts
from MultiverSegLib.cohort.work.accept_files import ToAccept
from MultiverSegLib.cohort.work.case_nodes import CaseNodes
from MultiverSegLib.cohort.work.labels_to_context import labels_to_context
from MultiverSegLib.cohort.work.open_case import OpenCase
from MultiverSegLib.cohort.work.replay import replay
from MultiverSegLib.cohort.work.reviewing import accept_by_nodes, accept_proposals, send_to_review
from MultiverSegLib.core.confidence import mask_dice
from MultiverSegLib.core.errors import CohortError, MultiverSegError
from MultiverSegLib.mrml import segments

from ..model import BrightModel
from ..volumes import SPACING, ellipsoid, real_cohort


class Here:
    def run(self, jobs):
        for job in jobs:
            yield run_job(job, BrightModel())


@pytest.fixture
def cohort(host, tmp_path):
    """p0 is the example, p1 to p3 have proposals of whole volumes."""
    with real_cohort(tmp_path, 4, model="bright") as opened:
        labels_to_context(opened, "blob", ["p0"])
        opened.record("status", case="p0", status="skipped")
        propagate(opened, Here(), kind="volume")
        yield opened


def doubt(cohort, case, confidence, **changes):
    """Gives a proposal another confidence, as a model would that is less sure."""
    old = dict(cohort.case(case).work("blob").proposal)
    event = next(cohort.journal.events(after=old["seq"] - 1))
    fields = {k: v for k, v in event.items() if k not in ("seq", "time", "who", "event")}
    cohort.record("proposed", **{**fields, "confidence": confidence, **changes})


def test_rows_are_worst_first_and_say_how_large_the_proposal_is(cohort):
    doubt(cohort, "p3", 0.4)
    doubt(cohort, "p1", 0.7)
    doubt(cohort, "p2", 0.9)
    cohort.record("proposed", case="p0", structure="blob", confidence=0.0, index=2)  # nothing found, but the case is left out
    rows = proposals(cohort)
    assert [(row.case, row.confidence) for row in rows] == [("p3", 0.4), ("p1", 0.7), ("p2", 0.9)]
    for row in rows:
        file = sitk.ReadImage(str(cohort.proposal_path(row.case, "blob")))
        mask = sitk.GetArrayFromImage(file) != 0
        assert row.volume_ml == pytest.approx(mask.sum() * np.prod(SPACING) / 1000, abs=1e-4)
        assert row.slices == mask.any((1, 2)).sum() and row.area_mm2 == pytest.approx(mask.sum((1, 2)).max() * 0.72, abs=1e-2)
        assert row.found and row.whole and row.acceptable and not row.stale
        image = image_of(cohort, row)
        assert image[row.outline].mean() > 0.7 > 0.4 > image[~row.outline].mean(), "the outline lies on the bright structure"


def test_what_is_begun_put_aside_or_done_is_told_apart(cohort):
    send_to_review(cohort, ["p1"], "odd shape")
    work = OpenCase(cohort, "p2", BrightModel())
    work.show_proposal("blob")
    work.close()
    rows = {row.case: row for row in proposals(cohort)}
    assert rows["p1"].to_review and cohort.case("p1").note == "odd shape" and rows["p2"].opened
    assert not rows["p1"].above(0) and rows["p2"].above(0) and not rows["p2"].above(1)
    work = OpenCase(cohort, "p2", BrightModel())
    mask = work.nodes.mask("blob")
    mask[0, 0, 0] = 1
    segments.set_segment(work.nodes.segmentation, work.nodes.segment_id("blob"), work.nodes.volume, mask)
    work.close()
    assert {row.case for row in proposals(cohort)} == {"p1", "p3"}, "a result that somebody changed is no proposal any more"
    with pytest.raises(CohortError, match="no case"):
        send_to_review(cohort, ["p3", "p9"])
    assert cohort.case("p3").status == "todo", "none is marked where one is unknown"


def test_accepting_as_they_are_gives_results_examples_and_the_same_voxels(cohort):
    steps = []
    done = accept_proposals(cohort, {"p1": None, "p2": ["blob"]}, progress=lambda *step: steps.append(step))
    assert done.accepted == {"p1": ["blob"], "p2": ["blob"]} and not done.left_out
    assert steps == [("p1", 0, 2), ("p2", 1, 2)]
    for case in ("p1", "p2"):
        work = cohort.case(case).work("blob")
        assert cohort.case(case).status == "accepted" and work.via == "review" and work.untouched
        assert work.first_vs_accepted_dice == 1.0 and work.interactions == {}
        proposed = sitk.GetArrayFromImage(sitk.ReadImage(str(cohort.proposal_path(case, "blob")))) != 0
        saved = sitk.GetArrayFromImage(sitk.ReadImage(str(cohort.segmentation_path(case)))) != 0
        k, j, i = (slice(int(n.min()), int(n.max()) + 1) for n in np.nonzero(proposed))
        assert saved.sum() == proposed.sum() and np.array_equal(
            saved[np.ix_(*(np.unique(n) for n in np.nonzero(saved)))], proposed[k, j, i]
        )
        assert mask_dice(proposed, ellipsoid(int(case[1:]))[1] != 0) > 0.8
    assert {e.case for e in Contexts(cohort).get("blob").examples} == {"p0", "p1", "p2"}
    assert replay(cohort, "p1", BrightModel()).identical


def test_accepted_from_files_it_is_what_opening_the_case_would_give(cohort, tmp_path):
    """The events but for times and numbers, the file as MRML reads it, and the example."""
    cohort.record("structure", structure={"name": "left: rim", "value": 2, "color": [0.2, 0.4, 0.6]})
    shutil.copytree(cohort.folder, tmp_path / "twin", ignore=shutil.ignore_patterns("*.lock"))  # beside the first: relative paths hold
    with Cohort.open(tmp_path / "twin") as twin:
        assert accept_by_nodes(twin, "p1", ["blob"], Contexts(twin)) == ["blob"]
        ready, made = ToAccept.of(cohort, "p1", ["blob"]), []
        thread = threading.Thread(target=lambda: made.append(ready.prepare()))
        thread.start()
        thread.join()
        assert made[0].store(cohort, Contexts(cohort)) == ["blob"]
        skipped = ("seq", "time", "proposal", "example")
        ours, theirs = (
            [{k: v for k, v in event.items() if k not in skipped} for event in c.journal.events(case="p1") if event["event"] != "active"]
            for c in (cohort, twin)
        )
        assert ours == theirs
        examples = [Contexts(c).get("blob").examples[-1] for c in (cohort, twin)]
        assert np.array_equal(examples[0].image, examples[1].image) and examples[0].model == examples[1].model
        assert mask_dice(examples[0].mask != 0, examples[1].mask != 0) > 0.99, "pixels that are exactly half covered may differ"
        nodes = [CaseNodes(c, "p1") for c in (cohort, twin)]
        for name in ("blob", "left: rim"):
            assert np.array_equal(nodes[0].mask(name), nodes[1].mask(name))
            pair = [n.segmentation.GetSegmentation().GetSegment(n.segment_id(name)) for n in nodes]
            assert np.allclose(pair[0].GetColor(), pair[1].GetColor(), atol=1e-5) and pair[0].GetName() == pair[1].GetName()
        assert len(segments.segment_ids(nodes[0].segmentation)) == 2
        for n in nodes:
            n.close()


def test_what_was_done_meanwhile_is_not_written_over(cohort):
    made = ToAccept.of(cohort, "p1", ["blob"]).prepare()
    doubt(cohort, "p1", 0.2)
    with pytest.raises(CohortError, match="worked on meanwhile"):
        made.store(cohort, Contexts(cohort))
    assert not made.draft.exists() and cohort.case("p1").status == "todo"
    work = OpenCase(cohort, "p1")
    work.show_proposal("blob")
    work.close()
    assert ToAccept.of(cohort, "p1", ["blob"]) is None, "it is in the segment: the open case has to look"
    assert accept_proposals(cohort, {"p1": None}).accepted == {"p1": ["blob"]}


def test_what_cannot_be_accepted_is_left_out_with_the_reason_and_stops_nothing(cohort):
    Contexts(cohort).remove("blob", Contexts(cohort).get("blob").examples[0].id)  # all proposals are stale now
    doubt(cohort, "p2", 0.9)
    cohort.record("proposed", case="p3", structure="blob", confidence=0.0, index=1)
    (cohort.folder / "proposals").joinpath("p2.blob.seg.nrrd").write_bytes(b"cut short")
    done = accept_proposals(cohort, dict.fromkeys(("p0", "p1", "p2", "p3")))
    assert done.accepted == {}
    assert "has no proposal" in done.left_out["p0"] and "taken out" in done.left_out["p1"]
    assert "p2.blob.seg.nrrd" in done.left_out["p2"] and "found no blob" in done.left_out["p3"]
    rows = {row.case: row for row in proposals(cohort)}
    assert next(iter(proposals(cohort))).case == "p3" and not rows["p3"].acceptable and not rows["p1"].acceptable
    with pytest.raises(CohortError, match="no structure 'spleen'"):
        accept_proposals(cohort, {"p2": ["spleen"]})


def test_cancelled_between_two_cases(cohort):
    done = accept_proposals(cohort, dict.fromkeys(("p1", "p2", "p3")), cancel=lambda: cohort.case("p1").status == "accepted")
    assert list(done.accepted) == ["p1"] and done.cancelled
    assert done.left_out == dict.fromkeys(("p2", "p3"), "cancelled before it")


def test_the_page_holds_all_of_it_in_one_file(cohort, tmp_path):
    pytest.importorskip("jinja2")
    image_module = pytest.importorskip("PIL.Image")
    doubt(cohort, "p3", 0.4)
    send_to_review(cohort, ["p2"])
    path = write_proposals_page(cohort, tmp_path / "page.html")
    page = path.read_text(encoding="utf-8")
    assert re.findall(r'data-key="([^"]+)"', page)[0] == "p3" and "confidence 0.40" in page and " ml in " in page
    assert "put aside to be looked at again" in page and "not for clinical decisions" in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page), "nothing but what is in the file"
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(pictures) == 3 and all(image_module.open(BytesIO(b64decode(text))).size[0] > 300 for text in pictures)


def test_a_missing_volume_leaves_a_card_without_a_picture_and_no_proposal_no_page(cohort, tmp_path):
    pytest.importorskip("jinja2")
    (tmp_path / "data/images/p1.nrrd").unlink()
    row = next(row for row in proposals(cohort) if row.case == "p1")
    card = proposal_card(cohort, row)
    assert not card.picture and "p1.nrrd" in card.problem
    for case in ("p1", "p2", "p3"):
        cohort.record("status", case=case, status="skipped")
    with pytest.raises(MultiverSegError, match="No case has a proposal"):
        write_proposals_page(cohort, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()

"""Working on cases: what is written down, what comes back, and replay to the bit."""

from dataclasses import replace

import numpy as np
import pytest
from MultiverSegLib.cohort.sources.files import cases_from_folder
from MultiverSegLib.cohort.store.cohort import Cohort
from MultiverSegLib.cohort.store.cohort_contexts import Contexts
from MultiverSegLib.cohort.store.records import Structure
from MultiverSegLib.cohort.work.case_nodes import CaseNodes
from MultiverSegLib.cohort.work.labels_to_context import labels_to_context, prompts_to_context
from MultiverSegLib.cohort.work.open_case import OpenCase
from MultiverSegLib.cohort.work.replay import replay
from MultiverSegLib.core.confidence import mask_dice
from MultiverSegLib.core.errors import CohortError, PromptError, SegmentationError
from MultiverSegLib.core.prompts import Point, Prompts
from MultiverSegLib.mrml import markups, segments
from MultiverSegLib.mrml.slice_plane import SlicePlane

from ..model import BrightModel
from ..volumes import SHAPE, ellipsoid, real_cohort, write_cohort_files


class Clock:
    """Seconds that pass when told to."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def cohort(host, tmp_path):
    with real_cohort(tmp_path, 4) as opened:
        yield opened


def click_in(session):
    """A positive click in the middle of the structure on the session's plane."""
    reference = np.argwhere(session.image() > 0.6)
    session.add(Point(session.plane.to_ras(*np.median(reference, axis=0))))


def work_on(cohort, case, clock=None):
    """Click, predict, click again, undo, paint, accept."""
    work = OpenCase(cohort, case, BrightModel(), clock=clock or Clock())
    session = work.session("blob")
    click_in(session)
    session.predict()
    session.add(Point(session.plane.to_ras(2, 2), positive=False))
    session.predict()
    session.undo()
    mask = work.nodes.mask("blob")
    mask[4] = ellipsoid(int(case[1:]))[1][4]
    segments.set_segment(work.nodes.segmentation, work.nodes.segment_id("blob"), work.nodes.volume, mask)
    session.add(Point(session.plane.to_ras(3, 3), positive=False))
    session.predict()
    return work


def test_a_case_from_the_first_click_to_its_example(cohort):
    clock = Clock()
    work = work_on(cohort, "p0", clock)
    clock.now = 30.0
    work.recorder.touch()
    clock.now = 5000.0
    assert work.accept() == ["blob"]
    work.close()
    case, done = cohort.case("p0"), cohort.case("p0").work("blob")
    assert case.status == "accepted" and case.active_seconds == 30.0, "a pause of more than a minute is no work"
    assert done.interactions == {"positive point": 1, "negative point": 2, "undo": 1, "edit": 1}
    assert done.model == "bright" and done.context_size == 0 and 0.5 < done.first_vs_accepted_dice <= 1
    (example,) = Contexts(cohort).get("blob").examples
    assert example.id == done.example and example.case == "p0"
    assert done.volume_ml == pytest.approx(work._masks["blob"].sum() * 0.9 * 0.8 * 2.5 / 1000, abs=1e-5)
    saved = markups.load_prompts(cohort.prompts_path("p0", "blob"))
    assert [p.positive for p in saved] == [True, False]
    nodes = CaseNodes(cohort, "p0")
    assert np.array_equal(nodes.mask("blob") != 0, work._masks["blob"])
    nodes.close()


def test_a_prediction_accepted_untouched_agrees_with_itself(cohort):
    work = OpenCase(cohort, "p0", BrightModel())
    session = work.session("blob")
    click_in(session)
    session.predict()
    work.accept()
    work.close()
    assert cohort.case("p0").work("blob").first_vs_accepted_dice == 1.0


def test_replay_is_identical_to_the_bit(cohort):
    for case in ("p0", "p1", "p2"):
        work = work_on(cohort, case)
        work.accept()
        work.close()
    for case in ("p0", "p1", "p2"):
        result = replay(cohort, case, BrightModel())
        assert result.identical, result.steps
        assert [s.event for s in result.steps] == ["predicted", "predicted", "command", "predicted", "edited", "accepted"]
        nodes = CaseNodes(cohort, case)
        assert np.array_equal(result.masks["blob"], nodes.mask("blob") != 0)
        nodes.close()


def test_replay_notices_another_model_and_another_volume(cohort, tmp_path):
    work = work_on(cohort, "p0")
    work.accept()
    work.close()

    class Other(BrightModel):
        def predicted(self, request):
            result = super().predicted(request)
            return replace(result, logits=np.nextafter(result.logits, np.float32(9)))

    assert "logits differ" in replay(cohort, "p0", Other()).steps[0].difference
    (tmp_path / "data/images/p0.nrrd").write_bytes((tmp_path / "data/images/p1.nrrd").read_bytes())
    assert not replay(cohort, "p0", BrightModel()).identical
    with pytest.raises(CohortError, match="nothing to replay"):
        replay(cohort, "p3", BrightModel())


def test_replay_survives_the_removal_of_an_example_it_used(cohort):
    for case in ("p0", "p1"):
        work = work_on(cohort, case)
        work.accept()
        work.close()
    assert cohort.case("p1").work("blob").context_size == 1
    contexts = Contexts(cohort)
    assert contexts.remove("blob", cohort.case("p0").work("blob").example) == ["p1"]
    assert cohort.case("p1").status == "needs review" and "p0" in cohort.case("p1").note
    assert len(Contexts(cohort).get("blob")) == 1
    assert replay(cohort, "p1", BrightModel()).identical


def test_interrupted_work_goes_on(host, tmp_path):
    with real_cohort(tmp_path) as cohort:
        work = work_on(cohort, "p0")
        mask = work.nodes.mask("blob")
        work.autosave()  # and here the process dies: nothing is closed
        cohort._lock.release()
    with Cohort.open(tmp_path / "cohort") as cohort:
        again = OpenCase(cohort, "p0", BrightModel())
        assert np.array_equal(again.nodes.mask("blob"), mask)
        assert len(again.prompts("blob")) == 2
        again.accept()
        again.close()
        assert replay(cohort, "p0", BrightModel()).identical


def test_a_result_changed_elsewhere_is_an_edit(cohort):
    work = work_on(cohort, "p0")
    work.accept()
    work.close()
    nodes = CaseNodes(cohort, "p0")
    changed = nodes.mask("blob")
    changed[:, :, :17] = 0
    segments.set_segment(nodes.segmentation, nodes.segment_id("blob"), nodes.volume, changed)
    nodes.save()
    nodes.close()
    work = OpenCase(cohort, "p0", BrightModel())
    work.accept()
    work.close()
    assert cohort.case("p0").work("blob").interactions["edit"] == 2
    assert replay(cohort, "p0", BrightModel()).identical
    assert len(Contexts(cohort).get("blob")) == 1, "a case has one example, its newest"


def test_a_case_is_not_its_own_example(cohort):
    work = work_on(cohort, "p0")
    work.accept()
    session = work.session("blob", SlicePlane.from_volume(work.nodes.volume, "k", 5))
    with pytest.raises(PromptError, match="nothing to go by"):
        session.predict()
    work.close()


def test_nothing_to_accept_and_skipping(cohort):
    work = OpenCase(cohort, "p0")
    with pytest.raises(SegmentationError, match="empty in p0"):
        work.accept()
    with pytest.raises(SegmentationError, match="blob is empty"):
        work.accept(["blob"])
    work.skip("motion")
    work.close()
    assert cohort.case("p0").status == "skipped" and cohort.case("p0").note == "motion"
    assert not cohort.segmentation_path("p0").exists()


def test_several_structures_accepted_one_by_one(host, tmp_path):
    write_cohort_files(tmp_path / "data", 1, labels=False)
    cases = cases_from_folder(tmp_path / "data", tmp_path / "c", ["a", "b"])
    with Cohort.create(tmp_path / "c", cases, [Structure("a", "axial"), Structure("b", "coronal")]) as cohort:
        work = OpenCase(cohort, "p0", BrightModel())
        planes = {name: work.session(name).plane for name in "ab"}
        assert (planes["a"].axis, planes["b"].axis) == ("k", "j")
        for name in "ab":
            session = work.session(name)
            click_in(session)
            session.predict()
        work.accept(["a"])
        assert cohort.case("p0").status == "in progress"
        work.accept(["b"])
        assert cohort.case("p0").status == "accepted"
        work.close()
        assert [e.axis for name in "ab" for e in Contexts(cohort).get(name).examples] == ["k", "j"]
        assert replay(cohort, "p0", BrightModel()).identical


def test_existing_labels_become_context_in_one_step(cohort):
    taken = labels_to_context(cohort, "blob", ["p0", "p1", "p3"])
    assert taken.cases == ["p0", "p1", "p3"] and not taken.left_out
    examples = Contexts(cohort).get("blob").examples
    assert [e.case for e in examples] == ["p0", "p1", "p3"]
    widest = ellipsoid(1)[1].sum((1, 2)).argmax()
    nodes = CaseNodes(cohort, "p1")
    plane = SlicePlane.from_volume(nodes.volume, "k", int(widest))
    segments.set_segment(nodes.segmentation, nodes.segment_id("blob"), nodes.volume, ellipsoid(1)[1])
    assert mask_dice(examples[1].mask, plane.sample_segment(nodes.segmentation, nodes.segment_id("blob")) >= 0.5) > 0.97
    nodes.close()
    work = OpenCase(cohort, "p2", BrightModel())
    session = work.session("blob", SlicePlane.from_volume(work.nodes.volume, "k", 5))
    session.predict()
    assert work.predictor.asked == [3]
    work.close()
    assert (
        cohort.case("p2").work("blob").predicted_with == tuple(e.id for e in examples) or cohort.case("p2").work("blob").context_size == 3
    )


def test_prompts_alone_make_a_weak_example(cohort):
    labels_to_context(cohort, "blob", ["p0", "p1"])
    nodes = CaseNodes(cohort, "p3")
    plane = SlicePlane.from_volume(nodes.volume, "k", 7)
    prompts = Prompts((Point(plane.to_ras(64, 60)), Point(plane.to_ras(5, 5), positive=False)))
    nodes.close()
    contexts = Contexts(cohort)
    example = prompts_to_context(cohort, "p3", prompts, "blob", contexts)
    assert example.mask is None and example.prompts[1, 64, 60] == 1 and example.prompts[2, 5, 5] == 1
    assert np.allclose(example.grid_to_ras, plane.grid_to_ras)
    assert contexts.summary("blob") == "2 full, 1 weak" and Contexts(cohort).summary("blob") == "2 full, 1 weak"
    with pytest.raises(PromptError, match="None of the prompts"):
        prompts_to_context(cohort, "p3", Prompts((Point((9000.0, 0.0, 0.0)),)), "blob")


def test_labels_that_cannot_be_read_are_left_out(cohort, tmp_path):
    (tmp_path / "data/labels/p1.nrrd").write_bytes(b"broken")
    taken = labels_to_context(cohort, "blob")
    assert taken.cases == ["p0", "p2", "p3"] and "p1.nrrd" in taken.left_out["p1"]
    with pytest.raises(CohortError, match="no case"):
        labels_to_context(cohort, "blob", ["zz"])


def test_read_only(cohort):
    with Cohort.open(cohort.folder) as second, pytest.raises(CohortError, match="held by"):
        OpenCase(second, "p0")


def test_shapes_of_the_volumes_are_those_of_the_file():
    assert ellipsoid()[0].shape == SHAPE


def painted(work, mask):
    """What a person paints: the segment is this mask now."""
    segments.set_segment(work.nodes.segmentation, work.nodes.segment_id("blob"), work.nodes.volume, mask)


def accepted(cohort, case="p0"):
    work = OpenCase(cohort, case, BrightModel())
    painted(work, ellipsoid(0)[1])
    work.accept()
    return work


@pytest.mark.parametrize("how", ["painted", "predicted"])
def test_a_change_after_acceptance_is_kept_and_the_case_is_in_progress_again(cohort, how):
    accepted(cohort).close()
    work = OpenCase(cohort, "p0", BrightModel())
    assert cohort.case("p0").status == "accepted", "looking is no change"
    if how == "painted":
        mask = ellipsoid(0)[1]
        mask[:, :, :17] = 0
        painted(work, mask)
    else:
        session = work.session("blob")
        session.add(*(Point(session.plane.to_ras(row, col), positive=False) for row in range(60, 70) for col in range(60, 70)))
        session.predict()
    changed = work.nodes.mask("blob")
    work.close()
    done = cohort.case("p0").work("blob")
    assert cohort.case("p0").status == done.status == "in progress" and "after it was accepted" in done.doubt
    again = OpenCase(cohort, "p0", BrightModel())
    assert np.array_equal(again.nodes.mask("blob"), changed) and not np.array_equal(changed, ellipsoid(0)[1])
    again.accept()
    again.close()
    assert cohort.case("p0").status == "accepted" and cohort.case("p0").work("blob").doubt == ""
    assert replay(cohort, "p0", BrightModel()).identical and len(Contexts(cohort).get("blob")) == 1


def test_a_segment_that_is_renamed_is_still_the_structures(cohort):
    work = OpenCase(cohort, "p0", BrightModel())
    painted(work, ellipsoid(0)[1])
    work.autosave()
    work.nodes.segmentation.GetSegmentation().GetSegment(work.nodes.segment_id("blob")).SetName("Blob (left)")
    assert work.accept() == ["blob"] and "keeps its name" in work.nodes.notes[0]
    assert work.nodes.segmentation.GetSegmentation().GetNumberOfSegments() == 1
    work.close()
    assert cohort.case("p0").work("blob").interactions == {"edit": 1}
    nodes = CaseNodes(cohort, "p0")
    assert np.array_equal(nodes.mask("blob"), ellipsoid(0)[1])
    nodes.close()


def test_a_segment_that_is_deleted_comes_back_with_what_it_had(cohort):
    work = OpenCase(cohort, "p0", BrightModel())
    painted(work, ellipsoid(0)[1])
    work.autosave()
    work.nodes.segmentation.GetSegmentation().RemoveSegment(work.nodes.segment_id("blob"))
    work.autosave()
    assert np.array_equal(work.nodes.mask("blob"), ellipsoid(0)[1]) and "put back" in work.nodes.notes[0]
    assert cohort.case("p0").work("blob").interactions == {"edit": 1}, "nobody emptied it"
    work.close()


def test_a_segment_named_by_another_program_is_taken_for_the_structure(cohort):
    accepted(cohort).close()
    from MultiverSegLib.mrml import prompt_tags

    nodes = CaseNodes(cohort, "p0")
    segment = nodes.segmentation.GetSegmentation().GetSegment(nodes.segment_id("blob"))
    segment.RemoveTag(prompt_tags.STRUCTURE_TAG)
    nodes.save()
    nodes.close()
    nodes = CaseNodes(cohort, "p0")
    assert nodes.mask("blob").any() and nodes.structure_of(nodes.segment_id("blob")) == "blob" and not nodes.notes
    nodes.close()


def test_prompts_of_several_slices_are_all_saved_and_counted_once(cohort):
    work = OpenCase(cohort, "p0", BrightModel())
    for index in (4, 6):
        session = work.session("blob", SlicePlane.from_volume(work.nodes.volume, "k", index))
        click_in(session)
        session.predict()
    work.close()
    again = OpenCase(cohort, "p0", BrightModel())
    session = again.session("blob", SlicePlane.from_volume(again.nodes.volume, "k", 8))
    click_in(session)
    session.predict()
    again.accept()
    assert len(markups.load_prompts(cohort.prompts_path("p0", "blob"))) == 3
    assert cohort.case("p0").work("blob").interactions == {"positive point": 3}
    assert not len(again.prompts("blob")), "they have done their work"
    again.close()
    assert replay(cohort, "p0", BrightModel()).identical


def test_a_hosts_undo_is_an_undo_in_the_journal(cohort):
    """Slicer restores voxels and tags together, without asking the session."""
    from MultiverSegLib.mrml import prompt_tags

    work = OpenCase(cohort, "p0", BrightModel())
    session = work.session("blob")
    states = []
    for row in (60, 66):
        nodes, segment_id = work.nodes, work.nodes.segment_id("blob")
        states.append((nodes.mask("blob"), prompt_tags.load_own(nodes.segmentation, segment_id)))
        session.add(Point(session.plane.to_ras(row, 60)))
        session.predict()
    last = work.nodes.mask("blob"), prompt_tags.load_own(nodes.segmentation, segment_id)

    def restore(state):
        painted(work, state[0])
        prompt_tags.save_own(nodes.segmentation, segment_id, state[1])
        work.autosave()

    restore(states[1])
    done = cohort.case("p0").work("blob").interactions
    assert done == {"positive point": 2, "undo": 1} and len(work.prompts("blob")) == 1
    restore(last)
    restore(states[1])
    work.accept()
    work.close()
    assert cohort.case("p0").work("blob").interactions == {"positive point": 2, "undo": 2, "redo": 1}
    assert len(markups.load_prompts(cohort.prompts_path("p0", "blob"))) == 1
    assert replay(cohort, "p0", BrightModel()).identical


def test_skipping_an_accepted_case_takes_its_example_out(cohort):
    accepted(cohort, "p1").close()
    work = accepted(cohort)
    example = cohort.case("p0").work("blob").example
    work.skip("motion")
    work.close()
    assert cohort.case("p0").status == "skipped" and [e.case for e in Contexts(cohort).get("blob").examples] == ["p1"]
    assert Contexts(cohort).find("blob", example).case == "p0", "kept aside, for replay"
    assert cohort.case("p1").status == "accepted", "and nothing else is in doubt"


def test_a_skipped_case_that_is_worked_on_is_in_progress(cohort):
    work = OpenCase(cohort, "p0", BrightModel())
    painted(work, ellipsoid(0)[1])
    work.skip("later")
    work.close()
    assert cohort.case("p0").status == "skipped", "what was done before does not undo the skipping"
    work = OpenCase(cohort, "p0", BrightModel())
    assert cohort.case("p0").status == "skipped", "nor does looking"
    mask = ellipsoid(0)[1]
    mask[4] = 0
    painted(work, mask)
    work.close()
    assert cohort.case("p0").status == "in progress"


def test_taking_an_acceptance_back(cohort):
    accepted(cohort).close()
    contexts = Contexts(cohort)
    contexts.reopen("p0")
    assert cohort.case("p0").status == "in progress" and not len(contexts.get("blob"))
    with pytest.raises(CohortError, match="Nothing of p0 is accepted"):
        contexts.reopen("p0")
    work = OpenCase(cohort, "p0", BrightModel())
    assert np.array_equal(work.nodes.mask("blob"), ellipsoid(0)[1]), "the work is still there"
    work.accept()
    work.close()
    assert [e.case for e in Contexts(cohort).get("blob").examples] == ["p0"]


def test_nodes_removed_from_the_scene_lose_nothing(cohort):
    work = OpenCase(cohort, "p0", BrightModel())
    painted(work, ellipsoid(0)[1])
    segments.remove_node(work.nodes.segmentation)
    with pytest.raises(SegmentationError, match="removed from the scene"):
        work.accept()
    work.close()
    work = OpenCase(cohort, "p0", BrightModel())
    assert np.array_equal(work.nodes.mask("blob"), ellipsoid(0)[1])
    work.close()


def test_a_case_that_cannot_be_opened_leaves_no_node(cohort, host):
    path = cohort.journal.path
    work = accepted(cohort)
    work.close()
    path.write_bytes(path.read_bytes().replace(b'"bits":"', b'"bits":"!'))
    before = host.scene.GetNumberOfNodes()
    with pytest.raises(CohortError, match="damaged"):
        OpenCase(cohort, "p0")
    assert host.scene.GetNumberOfNodes() == before

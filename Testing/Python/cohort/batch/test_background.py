"""Working ahead: proposals made in a thread while the person works, refreshed, shown, dropped when nobody wants them any more."""

import threading
import time

import numpy as np
import pytest
from MultiverSegLib.cohort.batch.background import Background
from MultiverSegLib.cohort.store.cohort import Cohort
from MultiverSegLib.cohort.work.labels_to_context import labels_to_context
from MultiverSegLib.cohort.work.workflow import Desk
from MultiverSegLib.mrml.segments import set_segment

from ..model import BrightModel
from ..volumes import ellipsoid, real_cohort


class Held(BrightModel):
    """Waits at every prediction until ``gate`` is set; remembers the threads it ran in."""

    def __init__(self):
        super().__init__()
        self.gate, self.threads = threading.Event(), set()
        self.gate.set()

    def predict_batch(self, requests, cancel=None, progress=None):
        self.threads.add(threading.current_thread())
        assert self.gate.wait(60)
        return super().predict_batch(requests, cancel, progress)


class Room:
    """A desk with a cohort of five, the first of which is in the context, and what works ahead for it."""

    def __init__(self, folder, **settings):
        real_cohort(folder, 5, model="bright", **settings).close()
        self.folder = folder / "cohort"
        self.model = Held()
        self.desk = Desk()
        self.desk.open(self.folder)
        labels_to_context(self.desk.cohort, "blob", ["p0"])
        self.desk.contexts._open.clear()
        self.desk.cohort.record("status", case="p0", status="skipped")
        self.background = Background(self.desk, lambda stop: self.model, lambda: "bright")

    @property
    def cohort(self):
        return self.desk.cohort

    def until(self, condition, order=""):
        """Steps until ``condition()``; gives what changed meanwhile."""
        changed, end = [], time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end, self.background.standing()
            changed += self.background.step(order)
            time.sleep(0.002)
        return changed

    def settle(self, order=""):
        self.background.step(order)
        return self.until(lambda: not self.background.busy, order)

    def proposal(self, case):
        return self.cohort.case(case).work("blob").proposal

    def drafts(self):
        return [p.name for p in (self.folder / "proposals").glob(".*")]


@pytest.fixture
def room(host, tmp_path):
    made = Room(tmp_path)
    yield made
    made.model.gate.set()
    made.background.close()
    made.desk.close()


def test_every_case_nobody_has_begun_is_predicted_and_the_next_opens_with_it(room):
    assert str(room.background.standing()) == "proposals 0 of 4"
    changed = room.settle()
    assert changed == ["p1", "p2", "p3", "p4"] and str(room.background.standing()) == "proposals 4 of 4"
    assert threading.main_thread() not in room.model.threads
    assert all(room.cohort.case(c).status == "todo" for c in changed), "a proposal is not a result"
    work = room.desk.next()
    assert work.case_id == "p1"
    found, truth = work.nodes.mask("blob") != 0, ellipsoid(1)[1] != 0
    index = room.proposal("p1")["index"]
    assert 2 * (found & truth)[index].sum() / (found[index].sum() + truth[index].sum()) > 0.9
    assert not room.drafts()
    room.desk.close()
    with Cohort.open(room.folder) as again:
        assert again.case("p4").work("blob").proposal["file"] and again.case("p1").status == "in progress"


def test_the_open_case_comes_first_and_is_shown_its_proposal_when_that_is_made(room):
    work = room.desk.go_to("p3")
    assert not work.nodes.mask("blob").any()
    changed = room.settle()
    assert changed == ["p3", "p4", "p1", "p2"], "the open case, the next, those behind it, the rest"
    assert work.nodes.mask("blob").any() and room.cohort.case("p3").work("blob").first_prediction
    assert room.settle() == [], "what is shown is not made anew"


def test_what_the_person_has_begun_is_left_alone(room):
    work = room.desk.go_to("p1")
    room.model.gate.clear()
    room.background.step()
    room.until(lambda: room.model.threads)
    mask = np.zeros_like(ellipsoid(1)[1])
    mask[3, 4:9, 4:9] = 1
    set_segment(work.nodes.segmentation, work.nodes.segment_id("blob"), work.nodes.volume, mask)
    room.model.gate.set()
    assert "p1" not in room.settle()
    assert np.array_equal(work.nodes.mask("blob"), mask) and not room.proposal("p1") and not room.drafts()


def test_proposals_are_made_anew_when_the_context_has_grown_or_lost_one(host, tmp_path):
    room = Room(tmp_path, refresh_after=2)
    room.settle()
    first = room.proposal("p4")["seq"]
    for number in (1, 2):
        work = room.desk.go_to(f"p{number}")
        set_segment(work.nodes.segmentation, work.nodes.segment_id("blob"), work.nodes.volume, ellipsoid(number)[1])
        work.accept()
        room.desk.close_case()
        changed = room.settle()
        assert changed == ([] if number == 1 else ["p3", "p4"])
    assert room.proposal("p4")["seq"] > first and len(room.proposal("p4")["examples"]) == 3
    room.desk.contexts.remove("blob", room.proposal("p4")["examples"][0])
    assert room.settle() == ["p3", "p4"] and len(room.proposal("p4")["examples"]) == 2
    work = room.desk.go_to("p1")  # accepted again with another example: the one before is lost, too
    set_segment(work.nodes.segmentation, work.nodes.segment_id("blob"), work.nodes.volume, np.roll(ellipsoid(1)[1], 3, 2))
    work.accept()
    room.desk.close_case()
    assert room.settle() == ["p3", "p4"]
    room.background.close()
    room.desk.close()


def test_a_proposal_of_a_context_that_lost_an_example_meanwhile_is_dropped(room):
    room.model.gate.clear()
    room.background.step()
    room.until(lambda: room.model.threads)
    context = room.desk.contexts.get("blob")
    room.desk.contexts.remove("blob", context.examples[0].id)
    room.model.gate.set()
    assert room.settle() == [] and not room.proposal("p1") and not room.drafts()
    assert room.background.standing().total == 0, "without examples nothing is due"


def test_a_case_that_fails_is_told_and_not_tried_again(room, tmp_path):
    (tmp_path / "data/images/p2.nrrd").write_bytes(b"broken")
    assert room.settle() == ["p1", "p3", "p4"]
    standing = room.background.standing()
    assert str(standing) == "proposals 3 of 4, 1 failed" and "p2.nrrd" in standing.reasons
    calls = len(room.model.asked)
    assert room.settle() == [] and len(room.model.asked) == calls


def test_off_only_reads_ahead_and_whole_volumes_replace_slices(room):
    room.background.kind = ""
    room.desk.go_to("p1")
    assert room.settle() == [] and room.desk.ahead.case_id == "p2" and room.background.standing().total == 0
    room.desk.close_case()
    room.background.kind = "slice"
    room.settle()
    slices = {c: room.proposal(c)["seq"] for c in ("p3", "p4")}
    room.background.kind = "volume"
    assert set(room.settle()) >= {"p3", "p4"} and room.proposal("p3")["kind"] == "volume"
    room.background.kind = "slice"
    assert room.settle() == [] and room.proposal("p4")["seq"] > slices["p4"], "a volume holds its best slice"


def test_the_next_case_is_read_ahead_with_its_proposal(room):
    room.desk.go_to("p1")
    room.settle()
    ahead = room.desk.ahead
    assert ahead.case_id == "p2" and "blob" in ahead.proposals, "a proposal made after reading is kept with it"
    room.cohort.proposal_path("p2", "blob").unlink()
    work = room.desk.next()
    assert work.case_id == "p2" and work.nodes.mask("blob").any(), "nothing is read any more"
    assert np.shares_memory(ahead.volume.array, room_array(work))


def room_array(work):
    from MultiverSegLib.mrml.volumes import array_of

    return array_of(work.nodes.volume)


@pytest.mark.parametrize("what", ["cancel", "close the cohort", "another cohort"])
def test_stopping_in_the_middle_leaves_nothing(room, tmp_path, what):
    room.model.gate.clear()
    room.background.step()
    room.until(lambda: room.model.threads)
    before = room.cohort.state.seq
    if what == "cancel":
        room.background.kind = ""
        room.background.cancel()
    elif what == "close the cohort":
        room.desk.close()
    else:
        room.desk.take(real_cohort(tmp_path / "other", 2, model="bright"))
    room.background.step()
    room.model.gate.set()
    room.background._maker.wait(30)
    room.background.step()
    assert not room.drafts() and not list((room.folder / "proposals").glob("p*"))
    if what == "cancel":
        assert room.cohort.state.seq == before


def test_read_only_cohorts_are_left_alone(room, tmp_path):
    room.desk.close()
    with Cohort.open(room.folder, who="anna"):
        room.desk.take(Cohort.open(room.folder, read_only=True))
        assert room.settle() == [] and not room.background.busy and room.model.asked == []
        assert room.desk.ahead is None


def test_cases_in_the_scene_are_predicted_too(host, tmp_path):
    from MultiverSegLib.cohort.sources.scene import cases_from_scene
    from MultiverSegLib.cohort.store.records import Structure
    from MultiverSegLib.mrml.volumes import new_volume

    for number in range(2):
        new_volume(ellipsoid(number)[0], np.diag([-1.0, -1, 2, 1]), f"v{number}")
    desk, model = Desk(), BrightModel()
    desk.take(Cohort.create(tmp_path / "c", cases_from_scene(tmp_path / "c"), [Structure("blob")], settings={"model": "bright"}))
    work = desk.go_to("v0")
    set_segment(work.nodes.segmentation, work.nodes.segment_id("blob"), work.nodes.volume, ellipsoid(0)[1])
    work.accept()
    background = Background(desk, lambda stop: model, lambda: "bright")
    end = time.monotonic() + 30
    while not desk.cohort.case("v1").work("blob").proposal and time.monotonic() < end:
        background.step()
        time.sleep(0.01)
    assert desk.next().nodes.mask("blob").any()
    background.close()
    desk.close()

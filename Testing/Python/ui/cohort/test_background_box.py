"""Predicting ahead in the panel: the next case opens predicted, marked as a proposal; clicks come first; nothing survives that should not."""

import threading

import numpy as np
import pytest
from MultiverSegLib.cohort.store.cohort import Cohort
from MultiverSegLib.cohort.work.replay import replay
from MultiverSegLib.core.predicting import Request

from ..test_lifecycle import reload_module
from .test_panel import click_structure, open_study, study, table  # noqa: F401  (study is a fixture)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture
def begun(study):  # noqa: F811
    """The first of three cases accepted, the second open."""
    panel = open_study(study)
    click_structure(study)
    panel.accept_button.click()
    return study


def settle(bench):
    ahead = bench.cohort.ahead
    bench.host.wait_until(lambda: not ahead.background.busy and _all_made(ahead.background), 60)


def _all_made(background):
    standing = background.standing()
    return standing.done + len(standing.failed) == standing.total


def test_the_next_case_opens_predicted_and_stays_a_proposal_until_accepted(begun):
    panel = begun.cohort
    settle(begun)
    assert panel.desk.case_id == "p1" and panel.desk.work.nodes.mask("blob").any(), "the open case gets its proposal, too"
    assert table(begun, 1) == ["accepted", "proposal", "proposal"] and panel.ahead.label.text == "proposals 1 of 1"
    begun.host.process_events(0.5)  # what nobody can have looked at is not accepted
    panel.accept_button.click()
    assert panel.desk.case_id == "p2" and panel.desk.work.nodes.mask("blob").any()
    assert table(begun, 1) == ["accepted", "accepted", "proposal"]
    work = panel.desk.cohort.case("p1").work("blob")
    assert work.clicks == 0 and work.first_vs_accepted_dice > 0.9 and work.model == "disc"
    shown = panel.desk.work.nodes.mask("blob")
    begun.editor.undo()
    assert np.array_equal(panel.desk.work.nodes.mask("blob"), shown), "a proposal is nothing to undo"
    click_structure(begun)
    begun.host.wait_until(lambda: table(begun, 1)[2] == "in progress")  # what the person has worked on is no proposal any more
    panel.accept_button.click()
    for case in ("p1", "p2"):
        assert replay(panel.desk.cohort, case, begun.predictor).identical


def test_a_proposal_is_not_put_over_what_the_person_has_begun(begun):
    panel = begun.cohort
    begun.predictor.hold()
    begun.host.wait_until(lambda: len(begun.predictor.calls) > 1, 60)
    point = panel.desk.work.plane_for("blob").to_ras(64, 64)
    begun.red.jump_to(point)
    begun.red.click(point)
    begun.predictor.go()
    begun.settle()
    settle(begun)
    assert table(begun, 1) == ["accepted", "in progress", "proposal"]
    assert not panel.desk.cohort.case("p1").work("blob").proposal
    assert panel.desk.cohort.case("p1").work("blob").interactions == {"positive point": 1}


def test_a_click_waits_for_one_forward_pass_at_most(bench):
    order, gate = [], threading.Event()
    service = bench.service
    service.submit(lambda _: gate.wait(30), None, lambda outcome: order.append("person"))
    background = threading.Thread(
        target=lambda: order.append(
            len(service.in_background(lambda: False).predict_batch([Request(np.zeros((128, 128), np.float32))] * 2))
        )
    )
    background.start()
    background.join(0.3)
    assert background.is_alive() and not bench.predictor.calls, "it waits while the person's prediction runs"
    gate.set()
    background.join(30)
    service.poll()
    assert sorted(map(str, order)) == ["2", "person"]
    stopped = threading.Event()
    gate.clear()
    service.submit(lambda _: gate.wait(30), None, lambda outcome: None)
    waiting = threading.Thread(target=lambda: order.append(_cancelled(service.in_background(stopped.is_set))))
    waiting.start()
    stopped.set()
    waiting.join(30)
    gate.set()
    assert order[-1] == "cancelled", "and gives up when told so"


def _cancelled(predictor):
    from MultiverSegLib.core.errors import Cancelled

    try:
        predictor.predict_batch([None])
    except Cancelled:
        return "cancelled"


def test_it_can_be_switched_off_and_on_again(begun):
    from MultiverSegLib.ui.shared import settings

    panel = begun.cohort
    box = panel.ahead.kind
    begun.predictor.hold()
    begun.host.wait_until(lambda: len(begun.predictor.calls) > 1, 60)
    box.setCurrentIndex(box.findData("off"))
    panel.ahead._chosen(box.currentIndex)
    begun.predictor.go()
    begun.host.process_events(0.3)
    assert settings.value("Proposals") == "off" and panel.ahead.label.text == ""
    assert table(begun, 1) == ["accepted", "in progress", "not begun"]
    box.setCurrentIndex(box.findData("slice"))
    panel.ahead._chosen(box.currentIndex)
    settle(begun)
    assert table(begun, 1) == ["accepted", "proposal", "proposal"]


@pytest.mark.parametrize("what", ["scene closed", "put away", "module reloaded", "another case"])
def test_what_happens_in_the_middle(begun, what):
    panel, folder = begun.cohort, begun.folder
    begun.predictor.hold()
    begun.host.wait_until(lambda: len(begun.predictor.calls) > 1, 60)
    if what == "scene closed":
        begun.slicer.mrmlScene.Clear(0)
    elif what == "put away":
        panel.put_away()
    elif what == "module reloaded":
        reload_module(begun)
    else:
        panel.go_to("p2")
    begun.predictor.go()
    if what in ("put away", "module reloaded"):
        begun.host.process_events(0.5)
        with Cohort.open(folder) as free:
            assert not free.read_only and not free.case("p1").work("blob").proposal
        assert not list((folder / "proposals").glob("*.seg.nrrd"))
        if what == "module reloaded":
            begun.cohort = begun.host.open_module("MultiverSegSlicer").panel.cohort
        return
    settle(begun)
    if what == "another case":
        assert panel.desk.work.nodes.mask("blob").any() and table(begun, 1) == ["accepted", "proposal", "proposal"]
    else:
        panel.go_to("p2")
        assert panel.desk.work.nodes.mask("blob").any(), "predicted while no case was open"


def test_a_cohort_held_by_someone_else_is_only_looked_at(study):  # noqa: F811
    with Cohort.open(study.folder, who="anna"):
        panel = open_study(study)
        study.host.process_events(0.3)
        assert not panel.ahead.timer.isActive() and panel.ahead.label.text == "" and not study.predictor.calls


def test_when_somebody_takes_the_cohort_over_it_stops_and_says_so(begun):
    begun.predictor.hold()
    begun.host.wait_until(lambda: len(begun.predictor.calls) > 1, 60)
    (begun.folder / "cohort.lock").unlink()
    begun.predictor.go()
    begun.host.wait_until(lambda: not begun.cohort.ahead.timer.isActive(), 30)
    assert "taken over" in begun.cohort.message.text

"""Accept is pressed before the last click is answered: the answer is waited for and belongs to the result, or nothing is accepted and that is said."""

import pytest

from .steps import area, case, centre, click_structure, hold_click, off, status_line

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def test_ctrl_enter(study):
    panel = study.cohort
    click_structure(study)
    before = area(study)
    hold_click(study, centre(study, 9))
    study.red.key("Ctrl+Return")
    assert "being answered" in panel.message.text and case(study).status == "in progress"
    study.predictor.go()
    study.host.wait_until(lambda: panel.desk.case_id == "p1", 60)
    assert case(study).status == "accepted" and case(study).work("blob").interactions == {"positive point": 2}
    panel.go_to("p0")
    assert area(study) > before


def test_e(opened):
    opened.red.drag([off(-8), off(8)])
    opened.settle()
    before = opened.mask(opened.ct).sum()
    hold_click(opened, off(0, 12))
    opened.effect.self().accept()
    opened.host.wait_until(lambda: "Then it is accepted" in status_line(opened))
    opened.predictor.go()
    opened.host.wait_until(lambda: len(opened.presenter.contexts.provider.context(opened.presenter.structure())) == 1, 60)
    assert opened.mask(opened.ct).sum() > before and len(opened.prompts()) == 0


def test_cancelled_instead(study):
    panel = study.cohort
    click_structure(study)
    hold_click(study, centre(study, 9))
    study.red.key("Ctrl+Return")
    study.effect.self().cancel()
    study.predictor.go()
    study.settle()
    assert panel.desk.case_id == "p0" and case(study).status == "in progress" and "Not accepted" in panel.message.text


def test_going_to_another_case_says_that_the_click_was_not_answered(study):
    panel = study.cohort
    click_structure(study)
    hold_click(study, centre(study, 9))
    panel.go_to("p1")
    assert "p0 was not answered" in panel.message.text
    study.predictor.go()
    panel.go_to("p0")
    assert len(study.prompts()) == 2, "the prompt is kept"


def test_not_while_slices_are_propagated(study):
    panel = study.cohort
    click_structure(study)
    before = len(study.predictor.calls)
    study.predictor.hold()
    study.panel.predict.propagate()
    study.host.wait_until(lambda: len(study.predictor.calls) > before, 60)
    panel.accept_button.click()
    assert "still being predicted" in panel.message.text and case(study).status == "in progress"
    study.effect.self().accept()
    assert "still being predicted" in status_line(study)
    study.predictor.go()
    study.host.wait_until(lambda: not study.panel.predict.busy, 60)
    panel.accept_button.click()
    assert case(study).status == "accepted"

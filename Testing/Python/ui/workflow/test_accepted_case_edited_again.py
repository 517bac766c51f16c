"""An accepted case is opened again and corrected: the correction stays, and the case is in progress until it is accepted again."""

import pytest

from .steps import area, case, click_structure, paint

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def test_prompted_again(study):
    panel = study.cohort
    click_structure(study)
    panel.accept_button.click()
    panel.go_to("p0")
    assert case(study).status == "accepted", "looking changes nothing"
    click_structure(study, 9.0)
    wanted = area(study)
    assert case(study).status == "in progress"
    panel.go_to("p1")
    panel.go_to("p0")
    assert area(study) == wanted
    study.host.process_events(0.5)  # what was opened just now is not accepted
    panel.accept_button.click()
    assert case(study).status == "accepted" and [e.case for e in panel.desk.contexts.get("blob").examples] == ["p0"]


def test_painted_and_stored_when_it_is_quiet(study):
    panel = study.cohort
    click_structure(study)
    panel.accept_button.click()
    panel.go_to("p0")
    mask = panel.desk.work.nodes.mask("blob")
    mask[5, 10:20, 10:20] = 1
    paint(study, mask)
    study.host.wait_until(lambda: case(study).work("blob").interactions.get("edit") == 1, 30)
    assert case(study).work("blob").status == "in progress"
    panel.go_to("p1")
    panel.go_to("p0")
    assert area(study) == int((mask > 0).sum())

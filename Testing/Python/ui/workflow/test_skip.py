"""Skipping an accepted case takes its example out; a skipped case that is worked on is in progress."""

import pytest

from .steps import case, click_structure

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def test_the_example_of_a_skipped_case(study):
    panel = study.cohort
    click_structure(study)
    panel.accept_button.click()
    panel.go_to("p0")
    panel.skip_button.click()
    assert list(panel.desk.contexts.get("blob").examples) == [] and case(study).status == "skipped"


def test_a_skipped_case_worked_on(study):
    panel = study.cohort
    panel.skip_button.click()
    panel.go_to("p0")
    click_structure(study)
    panel.go_to("p1")
    assert case(study).status == "in progress"

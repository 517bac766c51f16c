"""Slicer's undo takes a prompt back: the cohort counts it as an undo and does not save the prompt."""

import pytest

from .steps import case, click_structure

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture
def undone(study):
    click_structure(study)
    click_structure(study, 8.0)
    study.editor.undo()
    study.host.wait_until(lambda: len(study.prompts()) == 1)
    return study


def test_saved_prompts(undone):
    undone.cohort.accept_button.click()
    assert undone.cohort.desk.cohort.prompts_path("p0", "blob").read_text().count('"position"') == 1


def test_counted_as_undo(undone):
    from MultiverSegLib.cohort.work.replay import replay

    undone.cohort.accept_button.click()
    done = case(undone).work("blob").interactions
    assert done == {"positive point": 2, "undo": 1}
    assert replay(undone.cohort.desk.cohort, "p0", undone.predictor).identical


def test_a_prompt_that_was_cleared_is_not_saved(study):
    click_structure(study)
    study.effect.self().clear()
    assert len(study.prompts()) == 0
    study.cohort.accept_button.click()
    assert case(study).status == "accepted" and not study.cohort.desk.cohort.prompts_path("p0", "blob").exists()

"""A key held down a little long accepts one case, not one after the other unseen."""

import pytest

from .steps import click_structure, statuses

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def test_keys_do_not_repeat(study):
    assert not study.cohort.shortcut.autoRepeat
    assert not any(shortcut.autoRepeat for shortcut in study.effect.self().shortcuts._shortcuts)


def test_a_proposal_is_not_accepted_as_soon_as_it_is_shown(study):
    panel = study.cohort
    click_structure(study)
    study.red.key("Ctrl+Return")
    study.host.wait_until(lambda: statuses(study)[1:] == ["proposal", "proposal"], 60)
    study.host.process_events(0.5)
    for _ in range(2):
        study.red.key("Ctrl+Return")
    assert [c.status for c in panel.desk.cohort.cases] == ["accepted", "accepted", "in progress"]
    assert "look at it first" in panel.message.text
    study.host.process_events(0.5)
    study.red.key("Ctrl+Return")
    assert panel.desk.cohort.case("p2").status == "accepted"

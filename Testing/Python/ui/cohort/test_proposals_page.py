"""The page of proposals in the panel: pictures worst first, accepted and put aside from the keyboard, and nothing accepted that can't be."""

import pytest
from MultiverSegLib.cohort.batch.jobs import propagate, run_job
from MultiverSegLib.cohort.store.cohort import Cohort
from MultiverSegLib.cohort.work.labels_to_context import labels_to_context

from ...cohort.model import BrightModel
from ...cohort.volumes import real_cohort
from .test_panel import click_structure, open_study, table

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
SURE = {"p1": 0.95, "p2": 0.6, "p3": 0.3, "p4": 0.92}


class Here:
    def run(self, jobs):
        for job in jobs:
            yield run_job(job, BrightModel())


@pytest.fixture
def study(bench, tmp_path):
    """p0 is open; p1 to p4 have proposals, of which the model is more or less sure."""
    bench.open()
    with real_cohort(tmp_path / "s", 5, model="disc") as cohort:
        labels_to_context(cohort, "blob", ["p0"])
        cohort.record("opened", case="p0")
        propagate(cohort, Here(), kind="volume")
        for case, confidence in SURE.items():
            seq = cohort.case(case).work("blob").proposal["seq"]
            fields = {k: v for k, v in next(cohort.journal.events(after=seq - 1)).items() if k not in ("seq", "time", "who", "event")}
            cohort.record("proposed", **{**fields, "confidence": confidence})
    bench.folder, bench.cohort = tmp_path / "s" / "cohort", bench.panel.cohort
    open_study(bench)
    bench.cohort.ahead.background.kind = ""
    bench.page = bench.cohort.proposals
    bench.page.button.click()
    yield bench
    bench.cohort.put_away()


def settled(bench):
    bench.host.wait_until(lambda: not bench.cohort.tasks.busy and bench.page._making is None, 60)


def shown(bench):
    import qt

    return [bench.page.list.item(n).data(qt.Qt.UserRole)[0] for n in range(bench.page.list.count)]


def press(bench, key):
    """A key while the pictures have the focus."""
    bench.page.list.setFocus()
    bench.host.press_key(key, bench.page.list)


def test_pictures_worst_first_with_confidence_and_size(study):
    settled(study)
    page = study.page
    assert shown(study) == ["p3", "p2", "p4", "p1"] and "4" in page.button.text
    text = page.list.item(0).text()
    volume = study.cohort.desk.cohort.case("p3").work("blob").proposal["volume_ml"]
    assert text.splitlines() == ["p3", f"0.30  {volume:.2f} ml"]
    colors = [page.list.item(n).icon().pixmap(96, 96).toImage().pixelColor(48, 48) for n in range(4)]
    assert all(min(color.red(), color.green(), color.blue()) > 100 for color in colors), "the bright structure in the middle"
    assert study.service.idle(0) and study.cohort.desk.case_id == "p0", "looking opens nothing"


def test_accepted_and_put_aside_by_keys_from_one_to_the_next(study):
    page, cohort = study.page, study.cohort.desk.cohort
    page.list.setCurrentRow(1)
    press(study, "A")
    settled(study)
    assert cohort.case("p2").status == "accepted" and cohort.case("p2").work("blob").via == "review"
    assert shown(study) == ["p3", "p4", "p1"] and page._current_key() == ("p4", "blob"), "on to what took its place"
    assert {e.case for e in study.cohort.desk.contexts.get("blob").examples} == {"p0", "p2"}
    assert table(study, 1)[2] == "accepted" and "1 proposal was accepted" in study.cohort.message.text
    press(study, "R")
    assert cohort.case("p4").status == "needs review" and shown(study) == ["p3", "p4", "p1"]
    assert page._current_key() == ("p1", "blob") and table(study, 1)[4] == "look again"
    assert page.list.item(1).text().endswith("look again")
    press(study, "Return")
    assert study.cohort.desk.case_id == "p1" and study.cohort.desk.work.nodes.mask("blob").any()


def test_all_above_a_confidence_after_asking_but_for_those_put_aside(study):
    import qt

    page, cohort = study.page, study.cohort.desk.cohort
    page.list.setCurrentRow(3)
    press(study, "R")  # p1
    page.threshold.value = 0.5
    study.host.dialogs.answers.append(qt.QMessageBox.No)
    page.above_button.click()
    assert not study.cohort.tasks.busy and "Accept 2 proposals" in study.host.dialogs.texts()[-1]
    study.host.dialogs.answers.append(qt.QMessageBox.Yes)
    page.above_button.click()
    settled(study)
    assert [case.id for case in cohort.cases if case.status == "accepted"] == ["p2", "p4"] and shown(study) == ["p3", "p1"]
    page.threshold.value = 0.99
    page.above_button.click()
    assert "No proposal has a confidence of 0.99" in study.cohort.message.text


def test_keys_pressed_while_one_is_accepted_are_not_lost(study):
    page, cohort = study.page, study.cohort.desk.cohort
    for case in ("p3", "p2"):
        page.list.setCurrentRow(shown(study).index(case))
        press(study, "A")
    assert study.cohort.tasks.busy or cohort.case("p3").status == "accepted"
    settled(study)
    assert [cohort.case(case).status for case in ("p3", "p2")] == ["accepted", "accepted"]


def test_the_open_case_is_accepted_where_it_is(study):
    panel = study.cohort
    panel.go_to("p2")
    study.page.list.setCurrentRow(shown(study).index("p2"))
    press(study, "A")
    settled(study)
    assert panel.desk.case_id == "p2" and panel.desk.cohort.case("p2").status == "accepted"
    assert panel.desk.cohort.case("p2").work("blob").untouched


def test_what_cannot_be_accepted_says_why_and_what_was_begun_is_no_proposal(study):
    panel, cohort = study.cohort, study.cohort.desk.cohort
    cohort.record("proposed", case="p3", structure="blob", confidence=0.0, index=1)
    study.page.show()
    study.page.list.setCurrentRow(0)
    press(study, "A")
    assert "can't be accepted as it is" in panel.message.text and "nothing found" in panel.message.text
    panel.go_to("p4")
    click_structure(study)
    study.page.show()
    assert shown(study) == ["p3", "p2", "p1"]


def test_a_missing_volume_is_told_beside_its_picture_and_after_accepting(study):
    settled(study)
    (study.folder.parent / "data" / "images" / "p3.nrrd").unlink()
    study.page.button.click()
    study.page._icons.clear()
    study.page.button.click()
    settled(study)
    assert "p3.nrrd" in study.page.list.item(0).toolTip()
    study.page.list.setCurrentRow(0)
    press(study, "A")
    settled(study)
    assert study.cohort.desk.cohort.case("p3").status == "todo"
    assert "p3.nrrd" in study.cohort.outcome.list.item(0).text()


def test_somebody_elses_cohort_is_looked_at_only(bench, tmp_path):
    bench.open()
    with real_cohort(tmp_path / "s", 2, model="disc") as cohort:
        labels_to_context(cohort, "blob", ["p0"])
        propagate(cohort, Here())
        bench.folder, bench.cohort = tmp_path / "s" / "cohort", bench.panel.cohort
        open_study(bench)
        bench.page = bench.cohort.proposals
        bench.page.button.click()
        settled(bench)
        assert bench.page.list.count == 1
        assert not any(b.enabled for b in (bench.page.open_button, bench.page.accept_button, bench.page.review_button))
        assert not bench.page.above_button.enabled
        bench.cohort.put_away()
    assert bench.page.list.count == 0 and not bench.page.button.checked and not bench.page.button.enabled


def test_notes_approval_and_absence_from_the_panel(study):
    import qt

    panel, actions = study.cohort, study.cohort.case_actions
    cohort = panel.desk.cohort
    panel.table.widget.selectRow(1)
    assert not actions.approve_button.enabled, "nothing is accepted yet"
    study.host.dialogs.answers.append("cyst beside it")
    actions.note_button.click()
    actions.note_button.click()  # no text: nothing happens
    assert [note["text"] for note in cohort.case("p1").notes] == ["cyst beside it"]
    assert "cyst beside it" in panel.table.widget.item(1, 0).toolTip()
    study.page.list.setCurrentRow(shown(study).index("p1"))
    press(study, "A")
    settled(study)
    assert actions.approve_button.enabled
    actions.approve_button.click()
    assert cohort.case("p1").approved and table(study, 1)[1] == "accepted ✓" and "no second reader" in panel.message.text
    assert "Approved by" in panel.table.widget.item(1, 1).toolTip() and actions.approve_button.text == "Withdraw approval"
    actions.approve_button.click()
    assert not cohort.case("p1").approved and table(study, 1)[1] == "accepted"
    assert panel.desk.case_id == "p0"
    actions.absent_button.click()
    assert cohort.case("p0").work("blob").absent and table(study, 1)[0] == "accepted (absent)" and panel.desk.case_id == "p2"
    assert panel.desk.work.nodes.mask("blob").any(), "the proposal is shown"
    study.host.process_events(0.5)  # what was opened just now is not accepted
    study.host.dialogs.answers.append(qt.QMessageBox.No)
    actions.absent_button.click()
    assert cohort.case("p2").status == "in progress" and panel.desk.work.nodes.mask("blob").any()
    study.host.dialogs.answers.append(qt.QMessageBox.Yes)
    actions.absent_button.click()
    assert cohort.case("p2").work("blob").absent
    with Cohort.open(study.folder, read_only=True) as again:
        assert again.case("p2").status == "accepted" and again.case("p1").notes


def test_keys_of_the_page_are_not_those_of_the_effect(study):
    click_structure(study)
    assert len(study.prompts()) == 1
    study.page.list.setCurrentRow(0)
    press(study, "R")  # in the effect it clears the slice's prompts
    assert study.cohort.desk.cohort.case("p3").status == "needs review" and len(study.prompts()) == 1
    study.red.key("R")
    assert len(study.prompts()) == 0, "and does so still, where the view has the focus"


def test_changing_an_approved_case_says_that_the_approval_is_gone(study):
    panel, cohort = study.cohort, study.cohort.desk.cohort
    study.page.list.setCurrentRow(shown(study).index("p4"))
    press(study, "A")
    settled(study)
    panel.table.widget.selectRow(4)
    panel.case_actions.approve_button.click()
    panel.go_to("p4")
    study.host.process_events(0.4)
    assert cohort.case("p4").approved and table(study, 1)[4] == "accepted ✓", "looking changes nothing"
    click_structure(study)
    study.host.wait_until(lambda: not cohort.case("p4").approved and "approval" in panel.message.text, 20)
    assert table(study, 1)[4] == "in progress" and "no longer approved" in cohort.case("p4").note

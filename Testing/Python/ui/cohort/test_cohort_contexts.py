"""Which contexts are in use: the user's own, or the cohort's while one is open."""

import numpy as np
import pytest
from MultiverSegLib.cohort.store.cohort import Cohort
from MultiverSegLib.cohort.store.cohort_contexts import Contexts
from MultiverSegLib.core.context.context_set import ContextSet, Example
from MultiverSegLib.core.errors import CohortError

from ...cohort.volumes import real_cohort

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture
def panel(bench, tmp_path):
    real_cohort(tmp_path / "s", 2, model="disc").close()
    bench.volume()
    bench.open()
    yield bench.panel
    bench.panel.cohort.put_away()


def test_opening_and_closing_a_cohort_tells_which_contexts_count(panel, tmp_path):
    from MultiverSegLib.ui.shared import contexts, settings

    used, told = contexts.shared(), []
    used.changed.connect(lambda: told.append(used.provider.folder))
    own = settings.contexts_folder()
    assert used.provider.folder == own
    panel.cohort.take(Cohort.open(tmp_path / "s/cohort"))
    assert used.provider is panel.cohort.contexts and told[-1] == tmp_path / "s/cohort/context"
    panel.cohort.put_away()
    assert used.provider.folder == told[-1] == own


def test_nothing_is_accepted_into_a_cohort_that_somebody_else_holds(panel, tmp_path):
    with Cohort.open(tmp_path / "s/cohort", "somebody"):
        panel.cohort.take(Cohort.open(tmp_path / "s/cohort"))
        before = sorted(path.name for path in (tmp_path / "s/cohort").rglob("*"))
        with pytest.raises(CohortError, match=r"held by somebody.*nothing can be changed"):
            panel.contexts.provider.accept(panel.parameters.segmentation, panel.segment_id(), "blob", lambda: pytest.fail("not asked"))
        assert sorted(path.name for path in (tmp_path / "s/cohort").rglob("*")) == before


def test_the_gallery_changes_nothing_in_a_cohort_that_somebody_else_holds(panel, bench, tmp_path):
    mask = np.zeros((128, 128))
    mask[40:60, 40:60] = 1
    made = [Example(np.random.default_rng(n).random((128, 128)), mask, case=f"from elsewhere {n}", structure="blob") for n in range(3)]
    archive = ContextSet(tmp_path / "other")
    archive.extend(made[2:])
    archive.export_zip(tmp_path / "other.zip")
    with Cohort.open(tmp_path / "s/cohort", "somebody") as cohort:
        Contexts(cohort).get("blob").extend(made[:2])
        bench.host.dialogs.answers.append(str(tmp_path / "s/cohort"))
        panel.cohort.open_button.click()
        panel.parameters.structure = "blob"
        panel.gallery.update()
        before = {path.name: path.read_bytes() for path in (tmp_path / "s/cohort/context").rglob("*") if path.is_file()}
        panel.ui.contextListWidget.setCurrentRow(1)
        panel.ui.moveExampleUpButton.click()
        panel.ui.contextListWidget.setCurrentRow(1)
        panel.ui.removeExampleButton.click()
        bench.host.dialogs.answers.append(str(tmp_path / "other.zip"))
        panel.ui.importContextButton.click()
        said = [text for text in bench.host.dialogs.texts() if "nothing can be changed" in text]
        assert len(said) == 3 and all("held by somebody" in text for text in said)
        assert [e.case for e in panel.context()] == ["from elsewhere 0", "from elsewhere 1"]
        assert {path.name: path.read_bytes() for path in (tmp_path / "s/cohort/context").rglob("*") if path.is_file()} == before


def test_what_the_effect_predicts_is_in_the_journal_of_the_open_case(panel, bench, tmp_path):
    panel.cohort.take(Cohort.open(tmp_path / "s/cohort"))
    desk, view = panel.cohort.desk, bench.host.view("Red")
    from MultiverSegLib.mrml.volumes import dimensions_of, ijk_to_ras

    volume = desk.work.nodes.volume
    centre = (ijk_to_ras(volume) @ (*((np.array(dimensions_of(volume)) - 1) // 2), 1))[:3]
    view.jump_to(centre)
    view.click(centre)
    bench.settle()
    assert [e["event"] for e in desk.cohort.journal.events(case=desk.case_id)].count("predicted") == 1


def test_what_belongs_to_no_case_is_accepted_as_without_a_cohort(panel, bench, tmp_path):
    panel.cohort.take(Cohort.open(tmp_path / "s/cohort"))
    other = bench.volume("other")
    panel.parameters.sourceVolume = other
    panel.parameters.structure = "something else"
    bench.red = bench.host.view("Red")
    bench.red.jump_to((0.0, 0.0, 0.0))
    panel.editor.setActiveEffectByName("MultiverSegPrompt")
    node = panel.editor.segmentationNode()
    provider = panel.contexts.provider
    assert provider.structure_of(node, panel.segment_id()) == ""
    assert provider.context_for(node, "something else") is provider.context("something else")
    case = panel.cohort.desk.work
    assert provider.structure_of(case.nodes.segmentation, case.nodes.segment_id("blob")) == "blob"

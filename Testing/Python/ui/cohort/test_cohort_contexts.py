"""Which contexts are in use: the user's own, or the cohort's while one is open."""

import pytest
from MultiverSegLib.cohort.store.cohort import Cohort
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

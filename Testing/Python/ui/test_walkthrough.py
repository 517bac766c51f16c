"""The whole, with the bundled model: first volume by hand, the next ones with context; what the tutorial shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
COHORT = Path(__file__).resolve().parents[3] / "Resources" / "SampleCohort"


class Case:
    """A sample volume with its reference, shown at the middle of the structure."""

    def __init__(self, bench, number: int) -> None:
        from MultiverSegLib.mrml.volume_files import load_volume
        from MultiverSegLib.mrml.volumes import ijk_to_ras

        path = sorted((COHORT / "images").glob("*.nii.gz"))[number]
        self.volume = load_volume(path)
        self.volume.CreateDefaultDisplayNodes()
        label = load_volume(COHORT / "labels" / path.name, labelmap=True)
        self.truth = bench.slicer.util.arrayFromVolume(label) > 0
        bench.slicer.mrmlScene.RemoveNode(label)
        self.j = int(self.truth.sum((0, 2)).argmax())
        self._to_ras = ijk_to_ras(self.volume)
        bench.host.show(self.volume)

    def inside(self, fraction=(0.5, 0.5)):
        """A point inside the structure on its largest coronal slice (RAS): the one nearest to a place in its bounding box."""
        places = np.argwhere(self.truth[:, self.j])
        low, high = places.min(0), places.max(0)
        k, i = places[np.argmin(((places - (low + (high - low) * fraction)) ** 2).sum(1))]
        return self.ras(i, k)

    def ras(self, i, k):
        return tuple(float(v) for v in (self._to_ras @ (i, self.j, k, 1))[:3])

    def dice(self, bench) -> float:
        found = bench.mask(self.volume)[:, self.j] > 0
        truth = self.truth[:, self.j]
        return 2 * (found & truth).sum() / (found.sum() + truth.sum())


@pytest.fixture
def compact(bench):
    """The bench with the bundled model instead of the known answers."""
    from MultiverSegLib.ui.shared import service

    if not service.registry().has("compact") or not service.registry().available("compact"):
        pytest.skip("the bundled model is not in this tree")
    bench.service = service.use(service.PredictionService())
    return bench


def test_from_the_first_click_to_a_case_without_prompts(compact):
    bench = compact
    first = Case(bench, 0)
    bench.open()
    bench.panel.parameters.structure = "hippocampus"
    bench.panel.parameters.axis = "coronal"
    green = bench.host.view("Green")
    green.jump_to(first.inside())

    green.click(first.inside())
    bench.settle()
    assert bench.effect.self().options.statusLabel.text.startswith("compact on CPU")
    only_click = bench.mask(first.volume)
    assert only_click.sum() > 0 and only_click.any((0, 2)).sum() == 1, "the click's slice only"

    green.drag([first.inside((0.5, 0.2)), first.inside((0.5, 0.5)), first.inside((0.5, 0.8))])
    bench.settle()
    bench.effect.self().setTool("box")
    k, i = np.argwhere(first.truth[:, first.j]).T
    green.drag([first.ras(i.min() - 1, k.min() - 1), first.ras(i.max() + 1, k.max() + 1)])
    bench.settle()
    with_box = first.dice(bench)
    assert with_box > 0.6
    assert [type(p).__name__ for p in bench.prompts()] == ["Point", "Scribble", "Box"]

    green.click(first.ras(int(i.mean()), int(k.max()) + 3), ctrl=True)
    bench.settle()
    corrected = bench.mask(first.volume)
    bench.editor.undo()
    bench.host.process_events(0.05)
    assert first.dice(bench) == pytest.approx(with_box) and len(bench.prompts()) == 3
    bench.editor.redo()
    bench.host.process_events(0.05)
    assert np.array_equal(bench.mask(first.volume), corrected) and len(bench.prompts()) == 4

    bench.effect.self().accept()
    assert bench.panel.ui.contextListWidget.count == 1 and bench.markups() == []

    without_prompt = []
    for number in (1, 2, 3):
        case = Case(bench, number)
        bench.panel.parameters.sourceVolume = case.volume
        bench.host.process_events(0.05)
        green.jump_to(case.inside())
        bench.panel.ui.predictSliceButton.click()
        bench.settle()
        assert len(bench.prompts()) == 0 and bench.mask(case.volume).any((0, 2)).sum() == 1
        without_prompt.append(case.dice(bench))
        if case.dice(bench) < 0.7:
            green.click(case.inside())
            bench.settle()
        bench.effect.self().accept()
    assert bench.panel.ui.contextListWidget.count == 4
    assert max(without_prompt) > 0.6, without_prompt

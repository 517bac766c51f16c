"""The map of uncertainty over the slice: seen where it belongs, gone when it no longer holds, never in the scene."""

import numpy as np
import pytest

from ..cohort.test_background_box import begun, settle  # noqa: F401  (begun is a fixture)
from ..cohort.test_panel import study  # noqa: F401
from ..conftest import CENTRE

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class Doubtful:
    """Predicts a disc with an unsure half: columns of the grid below 64 are 0.5."""

    def __init__(self, predictor):
        self.inner = predictor

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def predict(self, request, cancel=None, progress=None):
        return self.predict_batch([request], cancel, progress)[0]

    def predict_batch(self, requests, cancel=None, progress=None):
        return [self.half(result) for result in self.inner.predict_batch(requests, cancel, progress)]

    @staticmethod
    def half(result):
        result.probability[:, :64] = 0.5
        return result


@pytest.fixture
def doubtful(opened):
    opened.service._predictor = Doubtful(opened.predictor)
    opened.box = opened.panel.uncertainty
    opened.box.check.checked = True
    return opened


def redness(bench, ras, view="Red"):
    """How much redder than green the view is at a point."""
    pixels = bench.host.layout_manager.sliceWidget(view).sliceView().pixels()
    x, y = bench.host.view(view).to_xy(ras)
    red, green, _ = pixels[len(pixels) - 1 - round(y), round(x)].astype(int)
    return red - green


def unsure(bench):
    """A point of the slice that is unsure, away from the segment; columns of axial grids run to the left."""
    return (CENTRE[0] + 25, CENTRE[1] + 5, CENTRE[2])


def sure(bench):
    return (CENTRE[0] - 25, CENTRE[1] + 5, CENTRE[2])


def click(bench):
    bench.red.click(CENTRE)
    bench.settle()


def test_it_is_seen_on_its_slice_only_and_moves_with_the_view(doubtful):
    click(doubtful)
    assert redness(doubtful, unsure(doubtful)) > 60 > 40 > abs(redness(doubtful, sure(doubtful)))
    doubtful.red.set_offset(CENTRE[2] + 6)
    assert abs(redness(doubtful, (*unsure(doubtful)[:2], CENTRE[2] + 6))) < 40
    doubtful.red.set_offset(CENTRE[2])
    node = doubtful.red.node
    node.SetFieldOfView(*(v / 2 if n < 2 else v for n, v in enumerate(node.GetFieldOfView())))
    near = (CENTRE[0] + 8, CENTRE[1] + 9, CENTRE[2])
    assert redness(doubtful, near) > 60
    assert abs(redness(doubtful, (CENTRE[0] - 8, CENTRE[1] + 9, CENTRE[2]))) < 40


def test_the_switch_and_its_legend(doubtful):
    click(doubtful)
    box = doubtful.box
    assert box.legend.isVisibleTo(doubtful.panel.widget)
    box.check.checked = False
    assert abs(redness(doubtful, unsure(doubtful))) < 40 and not box.legend.isVisibleTo(doubtful.panel.widget)
    box.check.checked = True
    assert redness(doubtful, unsure(doubtful)) > 60, "the last prediction's is known"


def test_no_node_is_made_and_nothing_is_there_to_undo(doubtful):
    scene = doubtful.slicer.mrmlScene
    doubtful.box.check.checked = False
    click(doubtful)
    before = scene.GetNumberOfNodes(), scene.GetNumberOfUndoLevels()
    doubtful.box.check.checked = True
    doubtful.host.render()
    assert (scene.GetNumberOfNodes(), scene.GetNumberOfUndoLevels()) == before
    for node in doubtful.slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        assert node.GetForegroundVolumeID() is None


@pytest.mark.parametrize("what", ["undo", "paint", "remove", "other volume", "leave", "close the scene", "reload"])
def test_it_goes_with_what_it_was_about(doubtful, what):
    from MultiverSegLib.mrml import segments

    from ..test_lifecycle import reload_module

    click(doubtful)
    overlay = doubtful.box.overlay
    assert overlay.plane is not None
    if what == "undo":
        doubtful.editor.undo()
    elif what == "paint":
        segments.set_slice(
            doubtful.segmentation,
            doubtful.editor.currentSegmentID(),
            doubtful.ct,
            np.ones((65, 65), np.uint8),
            "k",
            doubtful.slices(doubtful.ct)[0],
        )
    elif what == "remove":
        doubtful.segmentation.GetSegmentation().RemoveSegment(doubtful.editor.currentSegmentID())
    elif what == "other volume":
        doubtful.panel.parameters.sourceVolume = doubtful.volume("CT2")
    elif what == "leave":
        doubtful.host.open_module("SegmentEditor")
    elif what == "close the scene":
        doubtful.slicer.mrmlScene.Clear(0)
    else:
        reload_module(doubtful)
    assert overlay.plane is None and not overlay._actors


def test_a_proposal_shows_what_it_is_unsure_of(begun):  # noqa: F811
    begun.panel.uncertainty.check.checked = True
    settle(begun)
    plane = begun.panel.uncertainty.overlay.plane
    assert plane is not None and plane.index == begun.cohort.desk.cohort.case("p1").work("blob").proposal["index"]
    begun.host.process_events(0.5)  # what nobody can have looked at is not accepted
    begun.cohort.accept_button.click()
    assert begun.panel.uncertainty.overlay.plane is not None and begun.panel.uncertainty._known[2].GetName() == "p2"
    begun.cohort.put_away()
    assert begun.panel.uncertainty.overlay.plane is None

"""Self-tests inside the application: logic, MRML and the effect, with the bundled model and a context that is not empty."""

from __future__ import annotations

import tempfile
import threading
import time
import unittest
from pathlib import Path

import numpy as np
import slicer

from ..core.context.context_set import ContextSet
from ..core.errors import MultiverSegError
from ..core.imaging import ImageSettings
from ..core.prompts import Point, Prompts
from ..core.resources import resource_path
from ..engine.make_example import example_of
from ..engine.slice_session import SliceSession
from ..mrml import prompt_tags, segments
from ..mrml.slice_plane import SlicePlane
from ..mrml.terminologies import codes_of, entry_of
from ..mrml.volume_files import load_volume
from ..mrml.volumes import ijk_to_ras
from .shared import options, torch_setup

STRUCTURE = "hippocampus"


def suite() -> unittest.TestSuite:
    """All self-tests."""
    return unittest.defaultTestLoader.loadTestsFromTestCase(SelfTests)


def run(case: unittest.TestCase) -> None:
    """Run them for Slicer's "Reload and Test"; fails ``case`` if one fails."""
    result = unittest.TextTestRunner(verbosity=2).run(suite())
    case.assertTrue(
        result.wasSuccessful(),
        f"{len(result.failures) + len(result.errors)} of {result.testsRun} self-tests failed; see the Python console",
    )


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Overlap of two masks, 0..1."""
    return 2 * float((one & other).sum()) / max(1, float(one.sum() + other.sum()))


class SelfTests(unittest.TestCase):
    """Each test begins with an empty scene."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear(0)
        self.settings = ImageSettings()

    def tearDown(self) -> None:
        slicer.mrmlScene.Clear(0)

    def case(self, number: int):
        """(volume, segmentation with the reference segment, its id, coronal plane of its largest slice) of a sample case."""
        folder = resource_path("SampleCohort")
        path = sorted((folder / "images").glob("*.nii.gz"))[number]
        volume = load_volume(path)
        labels = slicer.util.arrayFromVolume(load_volume(folder / "labels" / path.name, labelmap=True)) > 0
        segmentation = segments.new_segmentation(volume)
        segment_id = segments.add_segment(segmentation, STRUCTURE)
        segments.set_segment(segmentation, segment_id, volume, labels.astype(np.uint8))
        index = segments.max_slice(segmentation, segment_id, volume, "j")
        return volume, segmentation, segment_id, SlicePlane.from_volume(volume, "j", index, self.settings)

    def context(self, count: int = 4) -> ContextSet:
        """Examples of the last sample cases."""
        context = ContextSet()
        for number in range(count):
            volume, segmentation, segment_id, plane = self.case(-1 - number)
            context.add(example_of(volume, segmentation, segment_id, plane, self.settings, volume.GetName(), STRUCTURE))
        return context

    def predictor(self):
        """The bundled model on the CPU; skips, visibly, without PyTorch."""
        status = torch_setup.diagnose()
        if not status.ready:
            self.skipTest(status.text)
        from ..core.predictors import open_predictor

        try:
            return open_predictor("compact", "cpu")
        except MultiverSegError as error:
            self.skipTest(str(error))

    def test_the_effect_is_registered(self) -> None:
        import qSlicerSegmentationsEditorEffectsPythonQt as effects

        names = [effect.name for effect in effects.qSlicerSegmentEditorEffectFactory().instance().registeredEffects()]
        self.assertIn(options.EFFECT_NAME, names)

    def test_opening_the_module_needs_no_torch_and_installs_nothing(self) -> None:
        slicer.util.selectModule("MultiverSegSlicer")
        widget = slicer.util.getModuleWidget("MultiverSegSlicer")
        self.assertIsNotNone(widget.panel)
        slicer.util.selectModule("SegmentEditor")

    def shown_panel(self, volume):
        """Our panel on a volume, with the effect active in a segmentation of its own."""
        slicer.util.setSliceViewerLayers(background=volume, fit=True)
        slicer.util.selectModule("MultiverSegSlicer")
        self.addCleanup(slicer.util.selectModule, "SegmentEditor")
        panel = slicer.util.getModuleWidget("MultiverSegSlicer").panel
        panel.parameters.sourceVolume = volume
        self.settle()
        self.assertIsNotNone(panel.editor.activeEffect())
        self.assertEqual(panel.editor.activeEffect().name, options.EFFECT_NAME)
        return panel

    def settle(self, still: float = 0.3, seconds: float = 10.0) -> None:
        """Let the application run until the slice views keep their size: it lays its window out some time after a panel was shown, and a click
        that was placed before that would land elsewhere."""
        manager = slicer.app.layoutManager()
        end, since, before = time.monotonic() + seconds, time.monotonic(), None
        while time.monotonic() < min(end, since + still) or before is None:
            slicer.app.processEvents()
            sizes = [tuple(manager.sliceWidget(name).mrmlSliceNode().GetDimensions()) for name in manager.sliceViewNames()]
            if sizes != before:
                before, since = sizes, time.monotonic()

    def click(self, view: str, ras) -> None:
        """The events of a left click at a point of the slice that a view shows."""
        widget = slicer.app.layoutManager().sliceWidget(view)
        widget.mrmlSliceNode().JumpSliceByOffsetting(*ras)
        to_xy = np.linalg.inv(slicer.util.arrayFromVTKMatrix(widget.mrmlSliceNode().GetXYToRAS()))
        x, y = (round(float(v)) for v in (to_xy @ (*ras, 1))[:2])
        interactor = widget.sliceView().interactor()
        for event in ("MouseMoveEvent", "LeftButtonPressEvent", "LeftButtonReleaseEvent"):
            interactor.SetEventInformation(x, y, 0, 0, "\0", 0, "")
            interactor.InvokeEvent(event)

    def finish(self, presenter, seconds: float = 120.0) -> None:
        """Let the application run until no prediction is in flight."""
        end = time.monotonic() + seconds
        while presenter.busy:
            self.assertLess(time.monotonic(), end, "the prediction did not come")
            slicer.app.processEvents()

    def scan(self):
        """(volume, a point in its structure): nothing is segmented yet."""
        volume, segmentation, segment_id, plane = self.case(0)
        rows, cols = np.nonzero(plane.sample_segment(segmentation, segment_id) >= 0.5)
        slicer.mrmlScene.RemoveNode(segmentation)
        return volume, plane.to_ras(rows.mean(), cols.mean())

    def test_a_click_in_a_view_segments_that_slice(self) -> None:
        self.predictor()
        volume, point = self.scan()
        panel = self.shown_panel(volume)
        effect = panel.editor.activeEffect().self()
        self.click("Green", point)
        self.finish(effect.presenter)
        segmentation, segment_id = panel.editor.segmentationNode(), panel.segment_id()
        index = np.linalg.inv(ijk_to_ras(volume)) @ (*point, 1)
        i, j, k = (round(float(v)) for v in index[:3])
        mask = segments.get_segment(segmentation, segment_id, volume)
        self.assertTrue(mask[k, j, i])
        self.assertEqual(mask.sum(), mask[:, j].sum(), "only the slice that was clicked in")
        self.assertEqual(len(effect.presenter.prompts()), 1)

    def test_the_structure_chosen_in_the_panel_survives_another_effect(self) -> None:
        volume, _point = self.scan()
        panel = self.shown_panel(volume)
        panel.parameters.structure = STRUCTURE
        panel.editor.setActiveEffect(None)
        panel.editor.setActiveEffectByName(options.EFFECT_NAME)
        slicer.app.processEvents()
        self.assertEqual(panel.parameters.structure, STRUCTURE)
        self.assertEqual(panel.editor.activeEffect().self().presenter.structure(), STRUCTURE)

    def test_a_key_means_a_view_that_is_shown(self) -> None:
        volume, _point = self.scan()
        manager = slicer.app.layoutManager()
        before = manager.layout
        self.addCleanup(manager.setLayout, before)
        panel = self.shown_panel(volume)
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpYellowSliceView)
        slicer.app.processEvents()
        presenter = panel.editor.activeEffect().self().presenter
        self.assertEqual(presenter.slice_node().GetLayoutName(), "Yellow")

    def test_sample_data_are_registered(self) -> None:
        import SampleData

        self.assertEqual(len(SampleData.SampleDataLogic.sampleDataSourcesByCategory("MultiverSeg")), 4)

    def test_a_segment_comes_back_from_the_grid_where_it_was(self) -> None:
        volume, segmentation, segment_id, plane = self.case(0)
        before = segments.get_segment(segmentation, segment_id, volume)
        coverage = plane.sample_segment(segmentation, segment_id)
        copy = segments.add_segment(segmentation, "copy")
        from ..mrml.writing import write_plane

        write_plane(segmentation, copy, volume, plane.paste(coverage, volume))
        after = segments.get_segment(segmentation, copy, volume)
        self.assertGreater(dice(before[:, plane.index] > 0, after[:, plane.index] > 0), 0.95)
        self.assertEqual(after.sum(), after[:, plane.index].sum())

    def test_prompts_are_saved_with_their_segment(self) -> None:
        _volume, segmentation, segment_id, _plane = self.case(0)
        prompts = Prompts((Point((1.0, 2.0, 3.0)), Point((4.0, 5.0, 6.0), positive=False)))
        prompt_tags.save(segmentation, segment_id, prompts)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "with prompts.seg.nrrd"
            slicer.util.saveNode(segmentation, str(path))
            loaded = slicer.util.loadSegmentation(str(path))
        self.assertEqual(prompt_tags.load(loaded, loaded.GetSegmentation().GetNthSegmentID(0)), prompts)

    def test_context_alone_finds_the_structure(self) -> None:
        predictor, context = self.predictor(), self.context()
        volume, reference, reference_id, plane = self.case(0)
        segmentation = segments.new_segmentation(volume)
        segment_id = segments.add_segment(segmentation, STRUCTURE)
        session = SliceSession(volume, segmentation, segment_id, plane, self.settings, predictor, context)
        prediction = session.predict()
        self.assertEqual(prediction.n_context, len(context))
        truth = plane.sample_segment(reference, reference_id) >= 0.5
        self.assertGreater(dice(prediction.mask(), truth), 0.5)
        self.assertGreater(segments.get_segment(segmentation, segment_id, volume).sum(), 0)

    def test_a_structure_is_known_to_slicers_terminologies(self) -> None:
        if not hasattr(slicer.modules, "terminologies"):
            self.skipTest("Slicer's lists are not here")
        self.assertEqual(codes_of(entry_of("Liver"))[1], ("10200004", "SCT", "Liver"))
        self.assertIn("7771000", entry_of("left kidney"))

    def test_a_click_corrects_and_undo_takes_it_back(self) -> None:
        predictor, context = self.predictor(), self.context(2)
        volume, reference, reference_id, plane = self.case(0)
        segmentation = segments.new_segmentation(volume)
        segment_id = segments.add_segment(segmentation, STRUCTURE)
        session = SliceSession(volume, segmentation, segment_id, plane, self.settings, predictor, context)
        session.predict()
        before = segments.get_segment(segmentation, segment_id, volume)
        rows, cols = np.nonzero(plane.sample_segment(reference, reference_id) >= 0.5)
        session.add(Point(plane.to_ras(rows.mean(), cols.mean())))
        session.predict()
        self.assertTrue(session.undo())
        self.assertTrue(np.array_equal(segments.get_segment(segmentation, segment_id, volume), before))

    def test_a_late_result_for_a_closed_scene_is_dropped(self) -> None:
        predictor = self.predictor()
        volume, segmentation, segment_id, plane = self.case(0)
        session = SliceSession(volume, segmentation, segment_id, plane, self.settings, predictor)
        session.add(Point(plane.to_ras(64, 64)))
        request = session.request()
        outcome = []
        thread = threading.Thread(target=lambda: outcome.append(session.run(request)))
        thread.start()
        slicer.mrmlScene.Clear(0)
        thread.join()
        self.assertFalse(session.apply(request, outcome[0]))

"""The effect and the panel on the test host, with a predictor whose answers are known and whose timing the test decides."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
from fakes import FakePredictor

from .in_threads import of_the_application

CENTRE = (10.0, 20.0, 30.0)


class DiscPredictor(FakePredictor):
    """Predicts a disc of ``radius`` grid pixels around each positive prompt pixel, minus one around each negative; a box is filled.

    Where there is no prompt: the previous logits, else the union of the examples' masks. ``hold()`` makes it wait until ``go()``.
    """

    name = "disc"

    def __init__(self, radius: float = 6.0) -> None:
        super().__init__()
        self.radius = radius
        self._gate = threading.Event()
        self._gate.set()
        self.threads: set[int] = set()

    def hold(self) -> None:
        self._gate.clear()

    def go(self) -> None:
        self._gate.set()

    def answer(self, image, prompts, previous, examples):
        self.threads.add(threading.get_ident())
        assert self._gate.wait(120)
        inside = np.zeros((128, 128), bool) if previous is None else np.asarray(previous) > 0
        if previous is None:
            for example in examples:
                inside |= np.asarray(example.mask) > 0
        if prompts is not None:
            inside = (inside | (prompts[0] > 0) | self._discs(prompts[1])) & ~self._discs(prompts[2])
        return np.where(inside, 8.0, -8.0)

    @property
    def calls(self) -> list:
        """The requests so far."""
        return self.seen

    def _discs(self, channel) -> np.ndarray:
        rows, cols = np.mgrid[:128, :128]
        found = np.zeros((128, 128), bool)
        for row, col in zip(*np.nonzero(channel), strict=True):
            found |= (rows - row) ** 2 + (cols - col) ** 2 <= self.radius**2
        return found


class Bench:
    """The host with our module open on a volume: what a test drives and looks at."""

    def __init__(self, host, module_file, folder) -> None:
        import slicer

        self.host, self.slicer = host, slicer
        sys.modules.pop("MultiverSegPrompt", None)  # the effect's file is loaded under this name, once per application
        host.load_module(module_file)
        from MultiverSegLib.ui.shared import service, settings

        settings.set_value("ContextsFolder", str(folder / "contexts"))
        self.service_module = service
        self.predictor = DiscPredictor()
        self.service = service.use(service.PredictionService(self.predictor))

    def look_at_requests(self, monkeypatch):
        """What threads get from now on: how many requests, and what nodes and widgets they hold."""
        from MultiverSegLib.core.worker import InferenceWorker

        submit, self.requests, self.held = InferenceWorker.submit, 0, []

        def looked_at(worker, work, callback):
            self.requests += 1
            self.held += of_the_application(work)
            submit(worker, work, callback)

        monkeypatch.setattr(InferenceWorker, "submit", looked_at)

    def volume(self, name="CT", shape=(21, 65, 65), spacing=(1.0, 1.0, 2.0), matrix=None):
        """A volume with a bright ball in the middle, centred at CENTRE (RAS)."""
        slicer = self.slicer
        k, j, i = np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in shape), indexing="ij")
        mm = np.stack([i * spacing[0], j * spacing[1], k * spacing[2]], -1)
        array = (np.linalg.norm(mm, axis=-1) < 12).astype(np.int16) * 200
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
        node.CreateDefaultDisplayNodes()
        slicer.util.updateVolumeFromArray(node, array)
        directions = np.diag([-1.0, -1.0, 1.0]) if matrix is None else np.asarray(matrix, float)
        to_ras = np.eye(4)
        to_ras[:3, :3] = directions * spacing
        to_ras[:3, 3] = np.asarray(CENTRE) - to_ras[:3, :3] @ ((np.asarray(shape[::-1]) - 1) / 2)
        node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(to_ras))
        self.host.show(node)
        return node

    def open(self):
        """Switch to our module; returns its widget."""
        self.widget = self.host.open_module("MultiverSegSlicer")
        return self.widget

    @property
    def panel(self):
        return self.widget.panel

    @property
    def editor(self):
        return self.panel.editor

    @property
    def effect(self):
        return self.editor.activeEffect()

    @property
    def presenter(self):
        return self.effect.self().presenter

    @property
    def segmentation(self):
        return self.editor.segmentationNode()

    def set_option(self, name, value):
        self.effect.setParameter(name, value)

    def prompts(self):
        return self.presenter.prompts()

    def settle(self):
        """Wait until no prediction is in flight."""
        self.host.wait_until(lambda: self.effect is None or not self.presenter.busy, 120)
        self.host.process_events(0.02)

    def mask(self, volume, segment_id=None, segmentation=None):
        """uint8 [k, j, i] of the segment selected (or named)."""
        from MultiverSegLib.mrml import segments

        return segments.get_segment(segmentation or self.segmentation, segment_id or self.editor.currentSegmentID(), volume)

    def slices(self, volume, **options):
        """Indices along k that hold something."""
        return np.flatnonzero(self.mask(volume, **options).any(axis=(1, 2))).tolist()

    def ijk(self, volume, ras):
        inverse = np.linalg.inv(self.slicer.util.arrayFromVTKMatrix(self._matrix(volume)))
        return tuple(round(v) for v in (inverse @ (*ras, 1))[:3])

    def _matrix(self, volume):
        import vtk

        matrix = vtk.vtkMatrix4x4()
        volume.GetIJKToRASMatrix(matrix)
        return matrix

    def holds(self, volume, ras) -> bool:
        """Whether the segment holds the voxel at a point."""
        i, j, k = self.ijk(volume, ras)
        return bool(self.mask(volume)[k, j, i])

    def markups(self):
        from MultiverSegLib.ui.effect.prompt_display import ATTRIBUTE

        nodes = self.slicer.util.getNodesByClass("vtkMRMLMarkupsNode")
        return [n for n in nodes if n.GetAttribute(ATTRIBUTE)]


@pytest.fixture
def bench(slicer_host, installed_module, tmp_path, monkeypatch):
    """Our module loaded from an installed tree, not opened yet; settings and contexts in a folder of the test's."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    import qt

    qt.QSettings.setPath(qt.QSettings.NativeFormat, qt.QSettings.UserScope, str(tmp_path / "config"))
    made = Bench(slicer_host, installed_module, tmp_path)
    made.look_at_requests(monkeypatch)
    yield made
    made.predictor.go()
    made.service.close()
    assert made.held == [], "a thread got what only the main thread may destroy"


@pytest.fixture
def opened(bench):
    """The module open on a volume, our effect active on its one segment; ``opened.ct`` is the volume."""
    bench.ct = bench.volume()
    bench.open()
    bench.red = bench.host.view("Red")
    bench.red.jump_to(CENTRE)
    assert bench.effect is not None and bench.effect.name == "MultiverSegPrompt"
    return bench

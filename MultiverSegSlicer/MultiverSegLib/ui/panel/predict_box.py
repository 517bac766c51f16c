"""The part of the panel that predicts slices without the mouse: one slice, a range of slices, or the slices of chosen prompts."""

from __future__ import annotations

import qt
from slicer.i18n import tr as _

from ...core.errors import MultiverSegError
from ...engine.volume_propagation import Limits
from ...engine.volume_session import VolumeWork
from ...mrml import prompt_tags
from ...mrml.axes import voxel_axis
from ...mrml.slice_plane import SlicePlane
from ...mrml.writing import SegmentWriter
from ..effect.asked import Target
from ..effect.writer import EffectWriter
from ..shared import options
from ..shared.counting import counted
from ..shared.views import has_axis, shown_slice_nodes
from .logic import PromptSources, SliceQueue, slice_count
from .volume_task import VolumeTask

#: How often the progress is shown.
_SHOW_MS = 100


class PredictBox:
    """``ui``: the named widgets; ``panel``: the Panel, which knows nodes, structure and editor."""

    def __init__(self, ui, panel) -> None:
        self.ui = ui
        self.panel = panel
        self.task = None
        self.queue = None
        self.timer = qt.QTimer()
        self.timer.setInterval(_SHOW_MS)
        self.timer.connect("timeout()", self.step)
        ui.predictSliceButton.connect("clicked()", self.predict_slice)
        ui.propagateButton.connect("clicked()", self.propagate)
        ui.cancelButton.connect("clicked()", self.cancel)
        ui.usePromptsButton.connect("clicked()", self.use_prompts)
        ui.sliceRangeWidget.connect("valuesChanged(double,double)", self._range_changed)
        ui.positiveSegmentComboBox.connect(
            "activated(int)", lambda index: self._segment_chosen("positiveSegment", ui.positiveSegmentComboBox)
        )
        ui.negativeSegmentComboBox.connect(
            "activated(int)", lambda index: self._segment_chosen("negativeSegment", ui.negativeSegmentComboBox)
        )
        self._updating = False

    # Showing

    def update(self) -> None:
        """Show what the parameter node says."""
        parameters = self.panel.parameters
        self._updating = True
        volume, segmentation = parameters.sourceVolume, parameters.segmentation
        count = slice_count(volume, parameters.axis) if volume is not None and volume.GetImageData() is not None else 0
        self.ui.sliceRangeWidget.minimum, self.ui.sliceRangeWidget.maximum = 0, max(0, count - 1)
        everything = parameters.lastSlice < parameters.firstSlice
        last = count - 1 if everything else parameters.lastSlice
        self.ui.sliceRangeWidget.setValues(0 if everything else parameters.firstSlice, max(0, last))
        for box, chosen in (
            (self.ui.positiveSegmentComboBox, parameters.positiveSegment),
            (self.ui.negativeSegmentComboBox, parameters.negativeSegment),
        ):
            _fill_segments(box, segmentation, chosen)
        self._updating = False
        self._show_buttons()

    def _show_buttons(self) -> None:
        parameters = self.panel.parameters
        busy = self.busy
        ready = parameters is not None and parameters.sourceVolume is not None and parameters.segmentation is not None
        for button in (self.ui.predictSliceButton, self.ui.propagateButton, self.ui.usePromptsButton):
            button.enabled = ready and not busy
        self.ui.cancelButton.enabled = busy

    @property
    def busy(self) -> bool:
        return (self.task is not None and self.task.busy) or (self.queue is not None and self.queue.busy)

    def _range_changed(self, low, high) -> None:
        if not self._updating and self.panel.parameters is not None:
            self.panel.parameters.firstSlice, self.panel.parameters.lastSlice = int(low), int(high)

    def _segment_chosen(self, name: str, box) -> None:
        if self.panel.parameters is not None:
            setattr(self.panel.parameters, name, str(box.itemData(box.currentIndex) or ""))

    # Doing

    def effect(self):
        """The presenter of our effect in the embedded editor, made active."""
        self.panel.editor.setActiveEffectByName(options.EFFECT_NAME)
        effect = self.panel.editor.activeEffect()
        if effect is None:
            raise MultiverSegError(_("The MultiverSeg effect is not available: select a segment in the editor first."))
        return effect.self().presenter

    def predict_slice(self) -> None:
        self._guarded(lambda: self.effect().predict(self._slice_node()))

    def _slice_node(self):
        """A slice view in the layout that shows the chosen axis; None lets the presenter choose."""
        return next((node for node in shown_slice_nodes() if has_axis(node, self.panel.parameters.axis)), None)

    def propagate(self) -> None:
        self._guarded(self._start_propagation)

    def _start_propagation(self) -> None:
        presenter, parameters = self.effect(), self.panel.parameters
        target = presenter.required_target()
        image_settings, axis = presenter.image_settings(), voxel_axis(target.volume, parameters.axis)
        everything = parameters.lastSlice < parameters.firstSlice
        limits = Limits(
            None if everything else parameters.firstSlice,
            None if everything else parameters.lastSlice,
            threshold=presenter.prediction_options().threshold,
        )
        middle = SlicePlane.from_volume(target.volume, axis, slice_count(target.volume, parameters.axis) // 2, image_settings)
        work = VolumeWork(
            target.volume,
            target.segmentation,
            target.segment_id,
            axis,
            image_settings,
            presenter.service.predictor,
            presenter.examples(middle.sample(target.volume, image_settings)),
            limits=limits,
        )
        writer = SegmentWriter(presenter.editor.saveUndo, presenter.editor.editorNode())
        self.task = VolumeTask(target, work, presenter.prompts(), presenter.service, writer, self._show_progress)
        self.timer.start()
        self._show_buttons()

    def use_prompts(self) -> None:
        self._guarded(self._start_queue)

    def _start_queue(self) -> None:
        presenter, parameters = self.effect(), self.panel.parameters
        target: Target = presenter.required_target()
        sources = PromptSources(parameters, target.segmentation)
        planes = sources.planes(target.volume, parameters.axis, presenter.image_settings(), target.segment_id)
        known = presenter.prompts()
        new = tuple(p for p in sources.prompts() if p not in known.items)
        presenter.editor.saveUndo()
        prompt_tags.save(target.segmentation, target.segment_id, known.added(*new))
        writer = EffectWriter(presenter.editor, lambda: None)
        sessions = [presenter.new_session(target, plane, writer, sources.strokes(target.segment_id)) for plane in planes]
        self.queue = SliceQueue(sessions, presenter.service, self._queue_progress)
        self.queue.start()
        self.timer.start()
        self._show_buttons()

    def step(self) -> None:
        """Called by the timer while something runs."""
        if self.task is not None and self.task.busy:
            self.task.step()
        if not self.busy:
            self.timer.stop()
            self._show_buttons()

    def _show_progress(self, fraction: float, text: str) -> None:
        self.ui.progressBar.value = round(100 * fraction)
        self.ui.statusLabel.text = text

    def _queue_progress(self, done: int, count: int, problem: str) -> None:
        text = problem or counted(count, _("{done} of 1 slice"), _("{done} of {count} slices"), done=done)
        self._show_progress(done / max(count, 1), text)

    def cancel(self) -> None:
        """Stop what runs; a propagation then leaves no trace."""
        for work in (self.task, self.queue):
            if work is not None and work.busy:
                work.cancel()
        self.timer.stop()
        self._show_buttons()

    def close(self) -> None:
        self.cancel()
        self.task = self.queue = None

    def _guarded(self, function) -> None:
        try:
            function()
        except MultiverSegError as error:
            self.ui.statusLabel.text = str(error)


def _fill_segments(box, segmentation, chosen: str) -> None:
    """The segments of a segmentation in a combo box, after an empty entry."""
    known = segmentation.GetSegmentation() if segmentation is not None else None
    ids = list(known.GetSegmentIDs()) if known is not None else []
    box.clear()
    box.addItem("", "")
    for segment_id in ids:
        box.addItem(known.GetSegment(segment_id).GetName(), segment_id)
    box.setCurrentIndex(ids.index(chosen) + 1 if chosen in ids else 0)

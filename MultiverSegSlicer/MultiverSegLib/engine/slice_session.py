"""One slice plane, its prompts, its predictions and its segment: the engine that the command, the demo and the effect share.

    session = SliceSession(volume, segmentation, segment_id, plane, settings, predictor, context)
    session.add(Point((12.0, -4.5, 30.0)))
    session.predict()                          # or, so that nothing waits for the network:
    request = session.request()                #   main thread: reads the nodes
    prediction = session.run(request)          #   any thread: arrays only
    session.apply(request, prediction)         #   main thread: writes the segment; False if the request is out of date

Coordinates: prompts are in patient space (RAS, mm); images, channels and logits are on the plane's grid, float32 [n, n], of the model's size.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from ..core.asking import ask
from ..core.context.context_set import ContextSet, Example
from ..core.context.showing import to_size
from ..core.errors import PromptError
from ..core.imaging import ImageSettings
from ..core.predicting import Capabilities, Prediction, Predictor
from ..core.prompts import Prompt, Prompts
from ..mrml.labelmaps import segment_voxels
from ..mrml.segments import get_segment, max_slice
from ..mrml.slice_plane import PastedSlice, SlicePlane, coverage_of
from ..mrml.volumes import dimensions_of, ijk_to_ras
from ..mrml.writing import SegmentWriter
from .make_example import example_of, settings_of
from .session_events import SessionEvents
from .session_history import Inverse, Step, logits_after_manual_edit


@dataclass(frozen=True, eq=False)
class PredictionRequest:
    """Everything one prediction needs, as arrays: safe to hand to another thread.

    ``channels`` [3, n, n] (box, positive, negative) or None; ``logits`` [n, n] of the previous prediction or None.
    ``plane``: where the grid lies. ``to_ras``, ``dimensions``: the volume's voxel grid. ``cancel.set()`` stops the prediction early.
    """

    serial: int
    image: np.ndarray
    channels: np.ndarray | None
    logits: np.ndarray | None
    examples: tuple[Example, ...]
    plane: SlicePlane
    to_ras: np.ndarray
    dimensions: tuple[int, int, int]
    cancel: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Strokes:
    """Scribbles that were painted into a segment (one that is not the result)."""

    segmentation: Any
    segment_id: str
    positive: bool = True


class SliceSession:
    """Segments one structure on one plane of one volume.

    Everything but ``run`` belongs to the main thread. A request becomes out of date when a newer one is made, when the prompts change, and
    when the session is closed or one of its nodes goes away; results that come too late are dropped by ``apply``.

    Args:
        volume_node: vtkMRMLScalarVolumeNode.
        segmentation_node, segment_id: where the result goes. What the segment holds on the plane counts as the previous prediction, so that
            corrections made by hand are kept in mind.
        plane: the slice plane; its grid gets the size that the model works on.
        settings: how intensities become the image; None: those of the context, else the defaults.
        predictor: see ``core.predicting``.
        context: examples of this structure; None: none.
        strategy, cap: which examples a prediction gets, and at most how many.
        threshold: probability from which a voxel belongs to the structure.
        mode: "replace", "add" or "remove" (see ``write_plane``).
        writer: how the segment is written (undo and masking of the host); None: plainly.
        strokes: painted scribbles that count as prompts too.
        events: observers of what the session does; None: none.
    """

    def __init__(
        self,
        volume_node: Any,
        segmentation_node: Any,
        segment_id: str,
        plane: SlicePlane,
        settings: ImageSettings | None = None,
        predictor: Predictor | None = None,
        context: ContextSet | None = None,
        *,
        strategy: str = "most_similar",
        cap: int = 16,
        threshold: float = 0.5,
        mode: str = "replace",
        writer: SegmentWriter | None = None,
        strokes: Sequence[Strokes] = (),
        events: SessionEvents | None = None,
    ) -> None:
        self.volume_node = volume_node
        self.segmentation_node = segmentation_node
        self.segment_id = segment_id
        self.plane = plane
        self.settings = settings or settings_of(context)
        self.predictor = predictor
        self.context = context
        self.strategy = strategy
        self.cap = cap
        self.threshold = threshold
        self.mode = mode
        self.strokes = tuple(strokes)
        self._events = events or SessionEvents()
        self._writer = writer or SegmentWriter()
        self._done = [Step(Prompts())]
        self._undone: list[Step] = []
        self._serial = 0
        self._pending: PredictionRequest | None = None
        self._closed = False
        self._pasted: list[PastedSlice] = []  # the newest prediction on the volume's voxels, made where it was computed
        self._image: tuple[tuple[int, ...], np.ndarray] | None = None
        self._seen: tuple[int, list] | None = None  # the segment on the plane as our last write left it

    # --- prompts

    @property
    def prompts(self) -> Prompts:
        return self._done[-1].prompts

    @prompts.setter
    def prompts(self, prompts: Prompts) -> None:
        """A new step; what was undone can't be redone any more."""
        if prompts != self.prompts:
            self._push(Step(prompts, self._done[-1].after))

    def add(self, *prompts: Prompt) -> None:
        """Add prompts, as one step of the undo history."""
        if prompts:
            self.prompts = self.prompts.added(*prompts)

    @property
    def prediction(self) -> Any:
        """The prediction for the prompts as they are now, or None."""
        return self._done[-1].prediction

    # --- predicting

    def request(self) -> PredictionRequest:
        """Gather the arrays for a prediction from the nodes. Cancels the request before it.

        Raises:
            PromptError: neither prompts nor examples nor anything in the segment to start from, or a prompt that the model can't read.
            VolumeError, SegmentationError: the nodes are not usable.
        """
        self._events.requesting.emit(self)
        self.cancel()
        able = self._fit_to_model()
        channels = self._channels()
        image = self.image()
        examples = self._examples(image)
        self._note_manual_edits()
        logits = self._on_grid(self._done[-1].before)
        _check(able, channels, logits, examples)
        self._serial += 1
        grid = ijk_to_ras(self.volume_node), dimensions_of(self.volume_node)
        self._pending = PredictionRequest(self._serial, image, channels, logits, examples, self.plane, *grid)
        return self._pending

    @property
    def run(self) -> Callable[[PredictionRequest], Prediction]:
        """Makes the prediction of a request, resampled to the volume's voxels too. For any thread: it holds no node of the session.

        It raises ``Cancelled`` if ``request.cancel`` was set.
        """
        assert self.predictor is not None
        return partial(_run, self.predictor, self.threshold, self._pasted)

    def apply(self, request: PredictionRequest, prediction: Prediction) -> bool:
        """Write a prediction into the segment. False, with nothing changed, if the request is out of date."""
        if not self.is_current(request):
            return False
        self._pending = None
        if len(self._done) == 1:  # a prediction without prompts is a step of its own, so that it can be undone
            self._push(Step(self.prompts, self._done[-1].before))
        self._done[-1].prediction = prediction
        self._write(self._done[-1])
        self._events.predicted.emit(self, request, prediction)
        return True

    def rethreshold(self, threshold: float) -> bool:
        """Write the current prediction again with another threshold, without asking the network. False if there is none."""
        self.threshold = threshold
        step = self._done[-1]
        if step.prediction is None or not self.is_alive():
            return False
        self._write(step)
        return True

    def predict(self) -> Prediction:
        """Request, run and apply in one go; the prediction."""
        request = self.request()
        prediction = self.run(request)
        self.apply(request, prediction)
        return prediction

    def is_current(self, request: PredictionRequest) -> bool:
        """True as long as a result for ``request`` may be written."""
        return request is self._pending and not request.cancel.is_set() and self.is_alive()

    def is_alive(self) -> bool:
        """False once the session is closed or its volume, segmentation or segment is gone."""
        return (
            not self._closed
            and self.volume_node.GetScene() is not None
            and self.segmentation_node.GetScene() is not None
            and self.segmentation_node.GetSegmentation().GetSegment(self.segment_id) is not None
        )

    def cancel(self) -> None:
        """Stop the prediction under way, if any; its result will not be written."""
        if self._pending is not None:
            self._pending.cancel.set()
            self._pending = None

    def close(self) -> None:
        """Cancel, and refuse every result from now on. The segment stays as it is."""
        self.cancel()
        self._closed = True

    # --- undo

    @property
    def can_undo(self) -> bool:
        return len(self._done) > 1

    @property
    def can_redo(self) -> bool:
        return bool(self._undone)

    def undo(self) -> bool:
        """Take the newest prompt and its result back, exactly. False if there is nothing to undo."""
        if not self.can_undo:
            return False
        self.cancel()
        for edit in reversed(self._done[-1].edits):
            edit.undo()
        self._undone.append(self._done.pop())
        self._seen = self._look()
        return True

    def redo(self) -> bool:
        """Make the step that was undone last again. False if there is none."""
        if not self._undone:
            return False
        self.cancel()
        for edit in self._undone[-1].edits:
            edit.redo()
        self._done.append(self._undone.pop())
        self._seen = self._look()
        return True

    def clear(self) -> bool:
        """Remove all prompts and what they gave, as one step that can be undone. False if there was nothing."""
        if not any(step.prompts or step.edits for step in self._done):
            return False
        edits = [edit for step in self._done for edit in step.edits]
        for edit in reversed(edits):
            edit.undo()
        self._push(Step(Prompts(), edits=[Inverse(edit) for edit in reversed(edits)]))
        self._seen = None
        return True

    # --- accepting

    def accept(self, case: str, structure: str = "", max_slice_only: bool = False) -> Example:
        """Make an example of the segment as it is now, and add it to the context if there is one.

        Args:
            case: name of the case, shown with the example.
            max_slice_only: take the slice of this plane's axis with the segment's largest area instead of this plane.

        Raises:
            SegmentationError: the segment is empty there.
        """
        plane = self.plane
        if max_slice_only and plane.axis is not None:
            index = max_slice(self.segmentation_node, self.segment_id, self.volume_node, plane.axis)
            plane = SlicePlane.from_volume(self.volume_node, plane.axis, index, self.settings)
        example = example_of(
            self.volume_node, self.segmentation_node, self.segment_id, plane, self.settings, case, structure, self._model_name()
        )
        if self.context is not None:
            self.context.add(example)
        return example

    # --- reading

    def voxels(self) -> np.ndarray:
        """The segment as it is now, uint8 [k, j, i] on the volume's voxel grid."""
        return get_segment(self.segmentation_node, self.segment_id, self.volume_node)

    def is_empty(self) -> bool:
        """True if the segment shows nothing on this plane."""
        return not any(mask.any() for _, mask in self.plane.segment_sheets(self.segmentation_node, self.segment_id))

    def image(self) -> np.ndarray:
        """The slice as the network sees it, float32 [n, n] in 0..1; sampled again only when the volume or the grid changes."""
        voxels = self.volume_node.GetImageData()
        state = (self.volume_node.GetMTime(), voxels.GetMTime() if voxels else 0, self.plane.size)
        if self._image is None or self._image[0] != state:
            self._image = state, self.plane.sample(self.volume_node, self.settings)
        return self._image[1]

    # --- details

    def _fit_to_model(self) -> Capabilities:
        """Gives the plane the size of the model's grid.

        Raises:
            PromptError: there is no model, or it doesn't work on slices.
        """
        if self.predictor is None:
            raise PromptError("There is no model to predict with: choose one.")
        able = self.predictor.capabilities
        if able.dims != 2:
            raise PromptError(
                f"{able.model} segments whole volumes, not single slices: use it on the volume, or choose another model here."
            )
        self.plane = self.plane.at(able.size)
        return able

    def _on_grid(self, logits: np.ndarray | None) -> np.ndarray | None:
        """What a model with another grid predicted before, on this one's."""
        return logits if logits is None or len(logits) == self.plane.size else to_size(logits, self.plane.size)

    def _channels(self) -> np.ndarray | None:
        """Prompts and painted strokes on the grid, [3, n, n]; None if none of them is on the plane."""
        channels = self.plane.rasterize(self.prompts)
        for stroke in self.strokes:
            painted = self.plane.rasterize_segment(stroke.segmentation, stroke.segment_id)
            np.maximum(channels[1 if stroke.positive else 2], painted, out=channels[1 if stroke.positive else 2])
        return channels if channels.any() else None

    def _examples(self, image: np.ndarray) -> tuple[Example, ...]:
        if self.context is None:
            return ()
        return tuple(self.context.selection(image, self.strategy, self.cap))

    def _write(self, step: Step) -> None:
        probability = step.prediction.probability
        pasted = self.plane.at(len(probability)).paste(probability, self.volume_node, self.threshold)
        if self._pasted and self._pasted[-1].same_as(pasted):
            pasted = self._pasted[-1]
        step.edits.append(self._writer.write(self.segmentation_node, self.segment_id, self.volume_node, pasted, self.mode))
        self._seen = self._look()

    def _look(self) -> tuple[int, list]:
        """The segment on the plane as it is now: a stamp that changes with its voxels, and the voxels. Cheap: nothing is resampled."""
        voxels = segment_voxels(self.segmentation_node, self.segment_id)
        stamp = 0 if voxels is None or voxels.image is None else voxels.image.GetMTime()
        return stamp, self.plane.segment_sheets(self.segmentation_node, self.segment_id)

    def _note_manual_edits(self) -> None:
        """Where the segment is not as we left it, a person painted or erased (or it was there before us): the network is told so."""
        seen, now = self._seen, self._look()
        if seen is not None and seen[0] == now[0]:
            return
        self._seen = now
        if seen is None and not any(mask.any() for _, mask in now[1]):
            return
        step = self._done[-1]
        before = None if seen is None else self._coverage(seen[1])
        logits = logits_after_manual_edit(before, self._coverage(now[1]), self._on_grid(step.after))
        if logits is None:
            return
        if step.prediction is None:
            step.before = logits
        else:
            self._push(Step(step.prompts, logits))

    def _coverage(self, sheets: list) -> np.ndarray:
        """Part of each grid pixel that masks on sheets of an earlier or this grid cover."""
        size = sheets[0][0].size if sheets else self.plane.size
        covered = coverage_of(sheets, size)
        return covered if size == self.plane.size else to_size(covered, self.plane.size)

    def _push(self, step: Step) -> None:
        self.cancel()
        self._done.append(step)
        self._undone.clear()

    def _model_name(self) -> str:
        return self.predictor.capabilities.model if self.predictor is not None else ""


def _run(predictor: Predictor, threshold: float, newest: list[PastedSlice], request: PredictionRequest) -> Prediction:
    """See ``SliceSession.run``."""
    prediction = ask(predictor, request.image, request.channels, request.logits, request.examples, cancel=request.cancel)
    pasted = request.plane.paste_on(prediction.probability, request.to_ras, request.dimensions, threshold)
    pasted.mask  # noqa: B018  (computed once and kept)
    newest[:] = [pasted]
    return prediction


def _check(able: Capabilities, channels: np.ndarray | None, logits: np.ndarray | None, examples: Sequence[Example]) -> None:
    """Raises PromptError in one sentence if the model can't answer with what is there."""
    if unread := able.unread(channels):
        raise PromptError(unread)
    if channels is None and (logits is None or not able.refines) and not examples and able.asked is None:
        raise PromptError("There is nothing to go by: give a prompt on this slice, or a context with at least one example.")
    readable = able.context == "prompts" or (able.context == "masks" and not all(e.weak for e in examples))
    if lacking := able.lacking(bool(examples) and readable, channels is not None, able.asked is not None):
        raise PromptError(lacking)
